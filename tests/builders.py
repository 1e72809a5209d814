"""Values for tests, with defaults, so that a test shows only what matters to it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from parley.actions import ActionServer, CustomActions
from parley.bots.bot import (
    Bot,
    EntityPatterns,
    Form,
    GenerationSettings,
    HandoffSettings,
    Slot,
    SlotCheck,
    SlotMapping,
    Variation,
)
from parley.bots.flows import FlowReader
from parley.bots.source import Faults, Placed
from parley.conversation import (
    Dialogue,
    Entity,
    Event,
    IntentScore,
    Message,
    RecordedTurn,
    Reply,
    Session,
    Situation,
    Turn,
    Understanding,
    Upload,
)
from parley.dialogue.actions import Answer, Call, FirstOf, Generate, HandOff, Need, Said, Say, Step
from parley.dialogue.course import Outcome, converse, drive
from parley.dialogue.learn import learn
from parley.dialogue.policy import Policy
from parley.dialogue.responses import word
from parley.dialogue.tracker import Tracker
from parley.errors import ActionFailed
from parley.ports import ActionAnswer, SharedReply

_numbers = itertools.count(1)
Steps = list[dict[str, Any]]

# One grey pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636800000082008177cd72b60000000049454e44ae426082"
)

SHOP_RULES: dict[str, dict[str, Any]] = {
    "greet": {"steps": [{"intent": "greet"}, {"action": "utter_greet"}]},
    "order": {"steps": [{"intent": "order_status"}, {"action": "order_form"}, {"active_loop": "order_form"}]},
    "tell": {
        "condition": [{"active_loop": "order_form"}],
        "steps": [{"action": "order_form"}, {"active_loop": None}, {"action": "utter_status"}],
    },
    "stop": {
        "condition": [{"active_loop": "order_form"}],
        "steps": [
            {"intent": "never_mind"},
            {"action": "action_deactivate_loop"},
            {"active_loop": None},
            {"action": "utter_stopped"},
        ],
    },
    "nothing to stop": {
        "condition": [{"active_loop": None}],
        "steps": [{"intent": "never_mind"}, {"action": "utter_nothing"}],
    },
    "ask": {"steps": [{"intent": "ask_knowledge"}, {"action": "action_answer"}]},
    "chat": {"steps": [{"intent": "chitchat"}, {"action": "action_generate"}]},
    "person": {"steps": [{"intent": "human_handoff"}, {"action": "action_handoff"}]},
}


def a_bot(
    rules: dict[str, dict[str, Any]] | None = None, stories: dict[str, Steps] | None = None, **changes: Any
) -> Bot:
    """A shop's bot: greets, asks for an order number, answers, chats, hands off; or with other rules and stories.

    Slots, forms and responses are its own unless changed; every intent that a rule or story speaks of is known.
    """
    rules = SHOP_RULES if rules is None else rules
    bot = replace(_shop(), **changes)
    faults = Faults()
    reader = FlowReader({slot.name: slot for slot in bot.slots}, faults)
    told = reader.rules(
        Placed({"rule": name, **rule}, f"rules.yml:{n}") for n, (name, rule) in enumerate(rules.items())
    )
    steps = (stories or {}).items()
    lived = reader.stories(
        Placed({"story": name, "steps": story}, f"stories.yml:{n}") for n, (name, story) in enumerate(steps)
    )
    heard = {event.name: () for flow in (*told, *lived) for event in flow.events if event.kind == "user" and event.name}
    bot = learn(replace(bot, intents={**heard, **bot.intents}), told, lived, faults)
    faults.raise_if_any()
    return bot


def _shop() -> Bot:
    said = ("greet", "ask_number", "invalid_number", "stopped", "nothing", "declined", "default", "handoff", "back")
    return Bot(
        name="shop",
        version="v1",
        title="Shop",
        description="A shop.",
        slots=(Slot("order_number", "text", (SlotMapping("from_entity", entity="order_number"),), influences=False),),
        forms={
            "order_form": Form(
                "order_form",
                ("order_number",),
                checks={"order_number": SlotCheck(r"\d{6}", "utter_invalid_number")},
            )
        },
        responses={
            **{f"utter_{name}": (Variation(name),) for name in said},
            "utter_ask_order_number": (Variation("ask_number"),),
            "utter_status": (Variation("order {order_number} is on its way"),),
        },
        entities=EntityPatterns(regexes={"order_number": (r"\d{4,8}",)}),
        entity_names=("order_number", "size"),
        unsure=("answer", "generate", "utter_default"),
        declined="utter_declined",
        fallback="utter_default",
        handoff=HandoffSettings("utter_handoff", "utter_back"),
        generation=GenerationSettings("Be kind.", history_turns=0),
        custom=CustomActions(),
        small_talk=("chitchat",),
    )


def a_dialogue(bot: Bot, *events: Event) -> Dialogue:
    """A dialogue with a bot in which these events have happened since it began to listen."""
    tracker = Tracker(bot)
    return tracker.after_all(tracker.begin(), [Event("action", "action_listen"), *events])


def a_session(**changes: Any) -> Session:
    """A conversation with the shop's bot that has not begun."""
    number = next(_numbers)
    return replace(Session(f"c{number}", "shop", "digest", started_at=1_000.0), **changes)


def a_turn(**changes: Any) -> Turn:
    """Somebody says hello to the shop's bot."""
    number = next(_numbers)
    return replace(Turn(f"t{number}", "c0", "shop", "http", "hello", sent_at=1_000.0), **changes)


def an_understanding(intent: str | None = "greet", *, nearest: str | None = None, **entities: Any) -> Understanding:
    """An understanding with one clear intent, or none and a `nearest` one; entities by name."""
    ranking = (IntentScore(intent or nearest or "greet", 0.9), IntentScore("other", 0.1))
    found = tuple(Entity(name, value, 0, len(str(value)), str(value)) for name, value in entities.items())
    return Understanding(intent, 0.9, ranking, found, "en")


def a_photo(**changes: Any) -> Upload:
    """A photo that somebody has sent."""
    return replace(Upload("u1", "photo.png", "image/png", len(PNG)), **changes)


def a_reply(text: str = "Hello!", source: str = "scripted") -> Reply:
    """A reply of one bubble."""
    return Reply((Message(text),), source)


def a_shared_reply(text: str = "Very well.", **changes: Any) -> SharedReply:
    """A reply that others may get."""
    parts: dict[str, Any] = {
        "scope": "scope", "question": b"", "support": "", "cited": (), "library": "", "origin": "somebody",
        "tokens": 100, "made_at": 0.0,
    }  # fmt: skip
    return SharedReply(a_reply(text, "generated"), **{**parts, **changes})


def a_recorded_turn(**changes: Any) -> RecordedTurn:
    """The first turn of a conversation, answered."""
    number = next(_numbers)
    turn = RecordedTurn(f"t{number}", 1, "hello", "http", 1_000.0, a_reply(), an_understanding())
    return replace(turn, **changes)


Act = Mapping[str, Any] | Exception | Callable[[Call], Mapping[str, Any]]
SOME_SERVER = CustomActions(ActionServer("https://actions.example/webhook"))


def does(*events: Mapping[str, Any], say: str | None = None, rejects: bool = False) -> Mapping[str, Any]:
    """What a custom action sends: events, and perhaps one text; or that it rejects its execution."""
    return {"events": events, "responses": [{"text": say}] if say else [], "rejected": rejects}


def sets(**slots: Any) -> tuple[Mapping[str, Any], ...]:
    """The events of a custom action that sets these slots."""
    return tuple({"event": "slot", "name": name, "value": value} for name, value in slots.items())


def wordings(**texts: str) -> dict[str, tuple[Variation, ...]]:
    """Responses of one wording each: `hello="Hi"` is `utter_hello`."""
    return {f"utter_{name}": (Variation(text),) for name, text in texts.items()}


@dataclass
class Talk:
    """A conversation with a bot, turn by turn and without models; `acts` says what custom actions do."""

    bot: Bot
    acts: Mapping[str, Act] = field(default_factory=dict)
    known: str | None = None  # what the documents answer
    generated: str | None = None  # what the generator says
    channel: str = "http"
    session: Session = field(default_factory=lambda: a_session())
    calls: list[Call] = field(default_factory=list)
    clock: float = 1_000.0

    @property
    def now(self) -> Situation:
        """Where the conversation stands."""
        assert self.session.dialogue is not None
        return self.session.dialogue.now

    @property
    def slots(self) -> dict[str, Any]:
        """The slots that are set."""
        return {name: value for name, value in self.now.slots.items() if value is not None}

    def hears(
        self,
        intent: str | None,
        text: str = "words",
        *,
        entities: Sequence[Entity] = (),
        nearest: str | None = None,
        sent: tuple[Upload, ...] = (),
        after_minutes: float = 0.0,
        **found: Any,
    ) -> Outcome:
        """One turn: somebody says `text`, understood as `intent` with entities, which `found` gives by name."""
        self.clock += after_minutes * 60
        turn = a_turn(conversation_id=self.session.conversation_id, channel=self.channel, text=text, sent_at=self.clock)
        understanding = an_understanding(intent, nearest=nearest, **found)
        understanding = replace(understanding, entities=(*understanding.entities, *entities))
        outcome = drive(converse(Policy(self.bot), self.session, turn, understanding, sent=sent), self._perform)
        self.session = replace(self.session, dialogue=outcome.dialogue)
        return outcome

    def _perform(self, need: Need) -> Any:
        if isinstance(need, FirstOf):
            return next(filter(None, (self._way(way, need) for way in need.ways)), [])
        self.calls.append(need)
        act = self.acts.get(need.action, ActionFailed("nobody does it"))
        if isinstance(act, Exception):
            raise act
        sent = act(need) if callable(act) else act
        return ActionAnswer(tuple(sent["events"]), tuple(sent["responses"]), sent["rejected"])

    def _way(self, way: Sequence[Step], need: FirstOf) -> list[Said]:
        first = self._step(way[0], need)
        return [first, *filter(None, (self._step(step, need) for step in way[1:]))] if first else []

    def _step(self, step: Step, need: FirstOf) -> Said | None:
        match step:
            case Say(response, as_fallback):
                slots = need.dialogue.now.slots
                message = word(self.bot, response, slots, seed="t", channel=self.channel)
                return Said(message, "fallback" if as_fallback else "scripted", response) if message else None
            case HandOff():
                return Said(Message("a person comes"), "handoff", hands_off=True)
            case Answer():
                return Said(Message(self.known), "knowledge") if self.known else None
            case Generate():
                return Said(Message(self.generated), "generated") if self.generated else None


def done(outcome: Outcome) -> list[str]:
    """The actions of a turn; what rejected its execution is marked with `!`, listening is left out."""
    marks = {"action": "", "action_execution_rejected": "!"}
    happened = [f"{marks[each.kind]}{each.name}" for each in outcome.events if each.kind in marks]
    return [action for action in happened if action != "action_listen"]


def texts(outcome: Outcome) -> list[str]:
    """What the bot said in a turn."""
    return [each.message.text for each in outcome.said]
