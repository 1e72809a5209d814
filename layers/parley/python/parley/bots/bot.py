"""The compiled bot as a value: everything the policy needs, nothing it would have to look up.

Knows Rasa's words (rule, form, slot mapping, response); knows neither YAML nor
models. `bots.reader` makes it from files, `bots.bundle` packs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from parley.access import Access
from parley.actions.custom_actions import CustomActions
from parley.bots.learned import Learned
from parley.bots.webhook import Webhook
from parley.conversation import Button
from parley.files import MOST_MB

ACTION_ANSWER = "action_answer"  # answer from the documents, with a citation
ACTION_GENERATE = "action_generate"  # let the generator speak
ACTION_HANDOFF = "action_handoff"  # let a person take over
ACTION_UNSURE = "action_unsure"  # try what `unsure` lists
ACTION_FALLBACK = "action_default_fallback"
ACTION_DEACTIVATE_LOOP = "action_deactivate_loop"
ACTION_LISTEN = "action_listen"
ACTION_RESTART = "action_restart"
ACTION_SESSION_START = "action_session_start"
ACTION_BACK = "action_back"
ACTION_TWO_STAGE_FALLBACK = "action_two_stage_fallback"
ACTION_ASK_AFFIRMATION = "action_default_ask_affirmation"
ACTION_ASK_REPHRASE = "action_default_ask_rephrase"
ACTION_REVERT_FALLBACK = "action_revert_fallback_events"
ACTION_UNLIKELY_INTENT = "action_unlikely_intent"
ACTION_EXTRACT_SLOTS = "action_extract_slots"
ACTION_VALIDATE_SLOTS = "action_validate_slot_mappings"
RASAS_ACTIONS = frozenset(
    {
        ACTION_LISTEN,
        ACTION_RESTART,
        ACTION_SESSION_START,
        ACTION_FALLBACK,
        ACTION_DEACTIVATE_LOOP,
        ACTION_REVERT_FALLBACK,
        ACTION_ASK_AFFIRMATION,
        ACTION_ASK_REPHRASE,
        ACTION_TWO_STAGE_FALLBACK,
        ACTION_UNLIKELY_INTENT,
        ACTION_BACK,
        ACTION_EXTRACT_SLOTS,
    }
)
OUR_ACTIONS = frozenset({ACTION_ANSWER, ACTION_GENERATE, ACTION_HANDOFF, ACTION_UNSURE})
BUILT_IN_ACTIONS = RASAS_ACTIONS | OUR_ACTIONS
BUILT_IN_INTENTS = {"restart": ACTION_RESTART, "back": ACTION_BACK, "session_start": ACTION_SESSION_START}
DEFAULT_INTENTS = frozenset({*BUILT_IN_INTENTS, "out_of_scope", "nlu_fallback"})

UNSURE_ANSWER = "answer"
UNSURE_GENERATE = "generate"
UNSURE_HANDOFF = "handoff"
UNSURE_WAYS = frozenset({UNSURE_ANSWER, UNSURE_GENERATE, UNSURE_HANDOFF})

SlotType = Literal["text", "bool", "categorical", "float", "list", "any"]
MappingType = Literal["from_entity", "from_text", "from_intent", "from_trigger_intent", "custom"]
OTHER_VALUE = "__other__"  # of a categorical slot: a value that the domain does not list


@dataclass(frozen=True, slots=True)
class Variation:
    """One way to word a response."""

    text: str = ""
    buttons: tuple[Button, ...] = ()
    image: str | None = None
    attachment: Any = None
    custom: Any = None
    channel: str | None = None  # only there
    conditions: Mapping[str, Any] = field(default_factory=dict)  # only while these slots have these values
    id: str | None = None


@dataclass(frozen=True, slots=True)
class MappingCondition:
    """When a slot mapping holds: in this loop (None: in no loop), while it asks for this slot."""

    loop: str | None
    requested_slot: str | None = None


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """One way in which a slot gets its value from a turn."""

    type: MappingType
    entity: str | None = None  # from_entity: the entity whose value it takes
    role: str | None = None
    group: str | None = None
    value: Any = None  # from_intent, from_trigger_intent: the value it takes
    intents: tuple[str, ...] = ()  # only with one of these intents; empty: with any
    not_intents: tuple[str, ...] = ()
    conditions: tuple[MappingCondition, ...] = ()  # one of them must hold
    action: str | None = None  # custom: the action that gives the value


@dataclass(frozen=True, slots=True)
class Slot:
    """A named value that the session remembers."""

    name: str
    type: SlotType
    mappings: tuple[SlotMapping, ...] = ()
    initial_value: Any = None
    influences: bool = True  # rules and stories look at it
    values: tuple[str, ...] = ()  # categorical: in lower case, the last one is `OTHER_VALUE`
    least: float = 0.0  # float: what is below counts as this
    most: float = 1.0


@dataclass(frozen=True, slots=True)
class SlotCheck:
    """What a form accepts for a slot, from bot.yml."""

    pattern: str  # regular expression that the whole value must match, in any case
    invalid: str  # the response to a value that does not


@dataclass(frozen=True, slots=True)
class Form:
    """Slots to fill, in the order in which they are asked for."""

    name: str
    slots: tuple[str, ...]
    ignored_intents: tuple[str, ...] = ()  # no slot is filled from them while the form is under way
    checks: Mapping[str, SlotCheck] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntityPatterns:
    """How entities are found without a trained tagger."""

    regexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # entity -> regular expressions
    lookups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # entity -> phrases
    synonyms: Mapping[str, str] = field(default_factory=dict)  # lower-case phrase -> value in normal form


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """How a bot reads dates, amounts and phone numbers that are ambiguous; None: as is usual in its language."""

    language: str = "en"
    region: str | None = None  # ISO 3166: whose phone numbers need no country code, whose dollar `$` is
    time_zone: str = "UTC"  # of the people who talk, as in the tz database
    day_first: bool | None = None  # 5/6/2026 is the 5th of June
    prefer: Literal["future", "past"] = "future"  # which Friday "friday" is


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How this bot uses the generator."""

    persona: str = "You are a friendly assistant. Answer in one or two short sentences."
    max_tokens: int = 128
    temperature: float = 0.7
    history_turns: int = 6  # earlier turns put into the prompt; with 0 a reply depends on its turn alone
    rules: tuple[str, ...] = ()  # what the generator must keep to, beside our own rules
    notes: tuple[str, ...] = ()  # the slots it is told; a reply that knows them is for that person alone
    passages: int = 3  # of the documents, put into the prompt at most


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What of Rasa's `config.yml` concerns the dialogue."""

    fallback_action: str = ACTION_FALLBACK
    fallback_threshold: float = 0.3  # what a step like one of a story must be worth to be taken
    fallback_enabled: bool = True  # off: where nothing applies, the bot listens
    max_history: int | None = None  # states that stories look back at; None: all
    takes_near_stories: bool = True  # Rasa has a network here, which also knows what no story tells exactly
    restrict_rules: bool = True  # a rule has one utterance at most
    checks_contradictions: bool = True
    intent_threshold: float = 0.0  # below this confidence, nothing was understood
    ambiguity_threshold: float = 0.0  # the two best intents must differ by this


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """When a conversation begins anew."""

    minutes: float = 60.0  # of silence; 0: never
    carries_slots_over: bool = True


@dataclass(frozen=True, slots=True)
class HandoffSettings:
    """What is said when a person takes over, and when the person gives the conversation back."""

    say: str | None = None
    back: str | None = None
    turns: int = 50  # of the conversation, told to whoever takes over


@dataclass(frozen=True, slots=True)
class KnowledgeSettings:
    """How this bot searches its documents."""

    documents: str = "documents"  # the folder of its own
    filters: Mapping[str, str] = field(default_factory=dict)  # what is known of a document -> the slot that must agree
    threshold: float | None = None  # what a passage must score to be an answer; None: the search's own
    answers: Literal["extracted", "composed"] | None = (
        None  # in a passage's own words or the generator's; None: as it can
    )

    def narrowed(self, slots: Mapping[str, Any]) -> dict[str, str]:
        """What the passages must not say otherwise, by the filters and what is in the slots."""
        return {known: str(slots[slot]) for known, slot in self.filters.items() if slots.get(slot) not in (None, "")}


@dataclass(frozen=True, slots=True)
class UploadSettings:
    """Which files this bot takes from people."""

    types: tuple[str, ...] = ()  # media types, of those in `files`; none: it takes no files
    most_mb: float = float(MOST_MB)  # of one file
    slot: str | None = None  # gets what was sent, as a list


@dataclass(frozen=True, slots=True)
class Bot:
    """Everything a bot's author decided, compiled."""

    name: str
    version: str  # hash of everything in the bundle
    title: str = ""
    description: str = ""
    language: str = "en"
    intents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # with the entities that stories look at
    slots: tuple[Slot, ...] = ()
    forms: Mapping[str, Form] = field(default_factory=dict)
    actions: tuple[str, ...] = ()  # the custom ones
    responses: Mapping[str, tuple[Variation, ...]] = field(default_factory=dict)
    retrieval_intents: tuple[str, ...] = ()  # `faq`, where there is `faq/hours`
    learned: Learned = field(default_factory=Learned)
    policy: PolicySettings = field(default_factory=PolicySettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    entities: EntityPatterns = field(default_factory=EntityPatterns)
    unsure: tuple[str, ...] = ()  # tried in this order where nothing applies: a way of `UNSURE_WAYS`, or a response
    answered: str | None = None  # the response after every answer from the documents, such as a disclaimer
    declined: str | None = None  # the response when the documents hold no answer
    fallback: str | None = None  # the response when something cannot be had
    handoff: HandoffSettings = field(default_factory=HandoffSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    custom: CustomActions = field(default_factory=CustomActions)
    small_talk: tuple[str, ...] = ()  # intents for which the generator may speak when unsure
    suggestions: tuple[str, ...] = ()  # first questions to offer
    intent_titles: Mapping[str, str] = field(default_factory=dict)  # for "Did you mean ...?"
    entity_names: tuple[str, ...] = ()  # those of the domain; some may be system entities, such as `time`
    reading: SystemSettings = field(default_factory=SystemSettings)
    access: Access = field(default_factory=Access)
    rasa_api: bool = False  # Rasa's own HTTP API speaks for this bot too
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)  # by name: servers that talk to it for somebody

    def can_say(self, response: str) -> bool:
        """Whether there is a response of this name, or one for parts of a retrieval intent: `utter_faq/hours`."""
        return response in self.responses or any(name.startswith(f"{response}/") for name in self.responses)

    def knows_action(self, action: str) -> bool:
        """Whether the action is built in, a form, a response, or named in the domain."""
        return action in BUILT_IN_ACTIONS or action in self.forms or action in self.actions or self.can_say(action)

    @property
    def has_custom_actions(self) -> bool:
        """Whether somebody runs actions for this bot that are neither Rasa's nor ours."""
        declared = self.custom.server is not None or self.custom.calls or self.custom.lambdas
        named = (action for action in self.actions if not action.startswith("utter_"))
        return bool(declared) or any(action not in BUILT_IN_ACTIONS for action in named)

    def initial_slots(self) -> dict[str, Any]:
        """The slots with which a conversation begins."""
        return {slot.name: slot.initial_value for slot in self.slots if slot.initial_value is not None}
