"""The compiled bot as a value: everything the policy needs, nothing it would have to look up.

Knows Rasa's words (rule, form, slot mapping, response); knows neither YAML nor
models. `bots.reader` makes it from files, `bots.bundle` packs it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from parley.conversation import Button

ANY_FORM = "*"  # a rule without a condition on the form

ACTION_ANSWER = "action_answer"  # answer from the documents, with a citation
ACTION_GENERATE = "action_generate"  # let the generator speak
ACTION_DEACTIVATE_LOOP = "action_deactivate_loop"
ACTION_LISTEN = "action_listen"
BUILT_IN_ACTIONS = frozenset({ACTION_ANSWER, ACTION_GENERATE, ACTION_DEACTIVATE_LOOP, ACTION_LISTEN})

UNSURE_ANSWER = "answer"
UNSURE_GENERATE = "generate"


@dataclass(frozen=True, slots=True)
class Variation:
    """One way to word a response."""

    text: str
    buttons: tuple[Button, ...] = ()
    image: str | None = None


@dataclass(frozen=True, slots=True)
class SlotMapping:
    """One way in which a slot gets its value from a turn."""

    type: Literal["from_entity", "from_text", "from_intent"]
    entity: str | None = None  # from_entity: the entity whose value it takes
    value: str | None = None  # from_intent: the value it takes
    intents: tuple[str, ...] = ()  # only with one of these intents; empty: with any
    not_intents: tuple[str, ...] = ()
    form: str | None = None  # only while this form is active
    requested_slot: str | None = None  # only while this slot is asked for


@dataclass(frozen=True, slots=True)
class Slot:
    """A named value that the session remembers."""

    name: str
    mappings: tuple[SlotMapping, ...]
    initial_value: str | None = None


@dataclass(frozen=True, slots=True)
class FormSlot:
    """A slot that a form asks for."""

    slot: str
    ask: str  # the response that asks
    pattern: str | None = None  # regular expression that the whole value must match, in any case
    invalid: str | None = None  # the response to an attempt that does not match


@dataclass(frozen=True, slots=True)
class Form:
    """Slots to fill, in the order in which they are asked for."""

    name: str
    slots: tuple[FormSlot, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """When this intent comes (or this form is filled), do these actions."""

    name: str
    actions: tuple[str, ...]
    intent: str | None = None
    finishes: str | None = None  # instead of an intent: the form whose completion sets it off
    form: str | None = ANY_FORM  # holds while this form is active; None: while none is
    slots: Mapping[str, str | None] = field(default_factory=dict)  # holds while these slots have these values


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

    persona: str
    max_tokens: int = 128
    temperature: float = 0.7
    history_turns: int = 6  # earlier turns put into the prompt; with 0 a reply depends on its turn alone


@dataclass(frozen=True, slots=True)
class Bot:
    """Everything a bot's author decided, compiled."""

    name: str
    version: str  # hash of everything in the bundle
    title: str
    description: str
    language: str
    slots: tuple[Slot, ...]
    forms: Mapping[str, Form]
    rules: tuple[Rule, ...]
    responses: Mapping[str, tuple[Variation, ...]]
    entities: EntityPatterns
    unsure: tuple[str, ...]  # tried in this order when no intent is confident: answer, generate, or a response
    declined: str  # the response when the documents hold no answer
    fallback: str  # the response when the generator cannot be reached
    generation: GenerationSettings
    small_talk: tuple[str, ...] = ()  # intents for which the generator may speak when unsure
    suggestions: tuple[str, ...] = ()  # first questions to offer
    entity_names: tuple[str, ...] = ()  # those of the domain; some may be system entities, such as `time`
    reading: SystemSettings = field(default_factory=SystemSettings)

    def can_say(self, response: str) -> bool:
        """Whether there is a response of this name, or one for parts of a retrieval intent: `utter_faq/hours`."""
        return response in self.responses or any(name.startswith(f"{response}/") for name in self.responses)

    def initial_slots(self) -> dict[str, str]:
        """The slots with which a conversation begins."""
        return {slot.name: slot.initial_value for slot in self.slots if slot.initial_value is not None}
