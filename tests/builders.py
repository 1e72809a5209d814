"""Values for tests, with defaults, so that a test shows only what matters to it."""

import itertools
from dataclasses import replace
from typing import Any

from parley.bots.bot import (
    Bot,
    EntityPatterns,
    Form,
    FormSlot,
    GenerationSettings,
    Rule,
    Slot,
    SlotMapping,
    Variation,
)
from parley.conversation import (
    Entity,
    IntentScore,
    Message,
    RecordedTurn,
    Reply,
    Session,
    Turn,
    Understanding,
)

_numbers = itertools.count(1)


def a_bot(**changes: Any) -> Bot:
    """A shop's bot: greets, asks for an order number, answers, chats."""
    return replace(
        Bot(
            name="shop",
            version="v1",
            title="Shop",
            description="A shop.",
            language="en",
            slots=(Slot("order_number", (SlotMapping("from_entity", entity="order_number"),)),),
            forms={
                "order_form": Form(
                    "order_form", (FormSlot("order_number", "utter_ask_number", r"\d{6}", "utter_invalid_number"),)
                )
            },
            rules=(
                Rule("greet", ("utter_greet",), intent="greet"),
                Rule("order", ("order_form",), intent="order_status"),
                Rule("tell", ("utter_status",), finishes="order_form"),
                Rule("stop", ("action_deactivate_loop", "utter_stopped"), intent="never_mind", form="order_form"),
                Rule("nothing to stop", ("utter_nothing",), intent="never_mind", form=None),
                Rule("ask", ("action_answer",), intent="ask_knowledge"),
                Rule("chat", ("action_generate",), intent="chitchat"),
            ),
            responses={
                name: (Variation(name.removeprefix("utter_")),)
                for name in (
                    "utter_greet",
                    "utter_ask_number",
                    "utter_invalid_number",
                    "utter_stopped",
                    "utter_nothing",
                    "utter_declined",
                    "utter_default",
                )
            }
            | {"utter_status": (Variation("order {order_number} is on its way"),)},
            entities=EntityPatterns(regexes={"order_number": (r"\d{4,8}",)}),
            unsure=("answer", "generate", "utter_default"),
            declined="utter_declined",
            fallback="utter_default",
            generation=GenerationSettings("Be kind.", history_turns=0),
            small_talk=("chitchat",),
        ),
        **changes,
    )


def a_session(**changes: Any) -> Session:
    """A conversation with the shop's bot that has not begun."""
    number = next(_numbers)
    return replace(Session(f"c{number}", "shop", "digest", started_at=1_000.0), **changes)


def a_turn(**changes: Any) -> Turn:
    """Somebody says hello to the shop's bot."""
    number = next(_numbers)
    return replace(Turn(f"t{number}", "c0", "shop", "http", "hello", sent_at=1_000.0), **changes)


def an_understanding(intent: str | None = "greet", *, nearest: str | None = None, **entities: str) -> Understanding:
    """An understanding with one clear intent, or none and a `nearest` one; entities by name."""
    ranking = (IntentScore(intent or nearest or "greet", 0.9), IntentScore("other", 0.1))
    found = tuple(Entity(name, value, 0, len(value), value) for name, value in entities.items())
    return Understanding(intent, 0.9, ranking, found, "en")


def a_reply(text: str = "Hello!", source: str = "scripted") -> Reply:
    """A reply of one bubble."""
    return Reply((Message(text),), source)


def a_recorded_turn(**changes: Any) -> RecordedTurn:
    """The first turn of a conversation, answered."""
    number = next(_numbers)
    turn = RecordedTurn(f"t{number}", 1, "hello", "http", 1_000.0, a_reply(), an_understanding())
    return replace(turn, **changes)
