"""Values for tests, with defaults, so that a test shows only what matters to it."""

import itertools
from dataclasses import replace
from typing import Any

from parley.actions import CustomActions
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
    Turn,
    Understanding,
)
from parley.dialogue.learn import learn
from parley.dialogue.tracker import Tracker

_numbers = itertools.count(1)
Steps = list[dict[str, Any]]

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


def a_reply(text: str = "Hello!", source: str = "scripted") -> Reply:
    """A reply of one bubble."""
    return Reply((Message(text),), source)


def a_recorded_turn(**changes: Any) -> RecordedTurn:
    """The first turn of a conversation, answered."""
    number = next(_numbers)
    turn = RecordedTurn(f"t{number}", 1, "hello", "http", 1_000.0, a_reply(), an_understanding())
    return replace(turn, **changes)
