"""Rules: which of them hold in a situation, and which one counts."""

from typing import Any

import pytest

from parley.bots.bot import OTHER_VALUE, Bot, Form, Slot
from parley.bots.learned import Learned
from parley.conversation import Entity, Event
from parley.dialogue.policy import Policy
from parley.dialogue.rules import RuleBook
from tests.builders import a_bot, a_dialogue, wordings

LISTENED = Event("action", "action_listen")
SLOTS = (
    Slot("known", "bool"),
    Slot("size", "categorical", values=("s", "xl", OTHER_VALUE)),
    Slot("share", "float"),
    Slot("name", "text"),
    Slot("tone", "categorical", values=("kind", "rude", OTHER_VALUE), initial_value="kind"),
)


def rule(action: str, *condition: dict[str, Any], intent: str = "ask", **more: Any) -> dict[str, Any]:
    return {"condition": list(condition), "steps": [{"intent": intent}, {"action": action}], **more}


def slot(**values: Any) -> dict[str, Any]:
    return {"slot_was_set": [values]}


def a_ruled_bot(**rules: dict[str, Any]) -> Bot:
    forms = {name: Form(name, ("name",)) for name in ("pizza_form", "drink_form")}
    return a_bot(rules, slots=SLOTS, forms=forms, responses=wordings(a="a", b="b", c="c"))


def heard(intent: str = "ask", *entities: str) -> Event:
    return Event("user", intent, intent, "words", tuple(Entity(name, "value", 0, 0, "") for name in entities))


def set_to(**values: Any) -> list[Event]:
    return [Event("slot", name, value) for name, value in values.items()]


def ruled(bot: Bot, *events: Event) -> str | None:
    """What a rule has the bot do after these events."""
    found = Policy(bot).next(a_dialogue(bot, *events))
    return found.action if found.policy == "rule" else None


def test_a_rule_holds_after_its_intent_and_listens_in_the_end() -> None:
    bot = a_ruled_bot(a=rule("utter_a"))

    assert ruled(bot, heard()) == "utter_a"
    assert ruled(bot, heard(), Event("action", "utter_a")) == "action_listen"
    assert ruled(bot, heard("other")) is None


def test_a_rule_holds_wherever_the_conversation_stands() -> None:
    bot = a_ruled_bot(a=rule("utter_a"))

    assert ruled(bot, heard("other"), Event("action", "utter_b"), LISTENED, heard()) == "utter_a"


def test_a_rule_says_what_told_it() -> None:
    bot = a_ruled_bot(a=rule("utter_a"))

    assert Policy(bot).next(a_dialogue(bot, heard())).because == "rule `a` at rules.yml:0"


@pytest.mark.parametrize(
    ("wanted", "value", "holds"),
    [
        ({"known": True}, True, True),
        ({"known": True}, False, False),
        ({"known": False}, False, True),
        ({"known": False}, None, False),
        ({"known": None}, None, True),
        ({"known": None}, False, False),
        ({"size": "xl"}, "XL", True),
        ({"size": "xl"}, "s", False),
        ({"size": "xxl"}, "other than listed", True),
        ({"share": 1.0}, 1, True),
        ({"share": 1.0}, 0.5, False),
        ({"name": "Ada"}, "Bob", True),  # of a text, only that it is set
        ({"name": "Ada"}, None, False),
        ({"name": None}, "Ada", False),
    ],
)
def test_a_slot_condition_looks_at_the_features_of_the_slot(wanted: dict[str, Any], value: Any, holds: bool) -> None:
    bot = a_ruled_bot(a=rule("utter_a", slot(**wanted)))
    [name] = wanted

    assert ruled(bot, *set_to(**{name: value}), heard()) == ("utter_a" if holds else None)


def test_a_rule_that_does_not_speak_of_a_slot_holds_whatever_its_value() -> None:
    assert ruled(a_ruled_bot(a=rule("utter_a")), *set_to(known=True, name="Ada"), heard()) == "utter_a"


def test_of_several_rules_that_hold_the_one_that_says_most_counts() -> None:
    bot = a_ruled_bot(
        a=rule("utter_a"), b=rule("utter_b", slot(known=True)), c=rule("utter_c", slot(known=True, name="x"))
    )

    assert ruled(bot, heard()) == "utter_a"
    assert ruled(bot, *set_to(known=True), heard()) == "utter_b"
    assert ruled(bot, *set_to(known=True, name="Ada"), heard()) == "utter_c"


def test_what_a_slot_begins_with_is_no_condition_of_a_rule() -> None:
    bot = a_ruled_bot(a=rule("utter_a"), b=rule("utter_b", slot(tone="rude")))

    assert ruled(bot, heard()) == "utter_a"
    assert ruled(bot, *set_to(tone=None), heard()) == "utter_a"
    assert ruled(bot, *set_to(tone="rude"), heard()) == "utter_b"


def test_a_condition_on_what_a_slot_begins_with_holds_at_the_beginning() -> None:
    bot = a_ruled_bot(a=rule("utter_a", slot(tone="kind")))

    assert ruled(bot, heard()) == "utter_a"
    assert ruled(bot, *set_to(tone="rude"), heard()) is None


def test_entities_of_a_rule_must_be_named_and_no_others() -> None:
    in_a_city = {"steps": [{"intent": "ask", "entities": ["city"]}, {"action": "utter_b"}]}
    bot = a_bot(
        {"a": rule("utter_a"), "b": in_a_city},
        slots=SLOTS,
        forms={},
        responses=wordings(a="a", b="b"),
        intents={"ask": ("city", "name")},
    )

    assert ruled(bot, heard("ask", "city")) == "utter_b"
    assert ruled(bot, heard("ask", "city", "name")) == "utter_a"


def test_a_rule_for_the_start_holds_in_the_first_turn_only() -> None:
    bot = a_ruled_bot(a=rule("utter_a", conversation_start=True), b=rule("utter_b", intent="greet"))

    assert ruled(bot, heard()) == "utter_a"
    assert ruled(bot, heard("greet"), Event("action", "utter_b"), LISTENED, heard()) is None


def test_a_rule_for_a_form_holds_while_it_is_under_way_and_one_for_no_form_while_none_is() -> None:
    bot = a_ruled_bot(a=rule("utter_a", {"active_loop": "pizza_form"}), b=rule("utter_b", {"active_loop": None}))

    def rejected(form: str) -> list[Event]:
        return [Event("active_loop", form), LISTENED, heard(), Event("action_execution_rejected", form)]

    assert ruled(bot, heard()) == "utter_b"
    assert ruled(bot, *rejected("pizza_form")) == "utter_a"
    assert ruled(bot, *rejected("drink_form")) is None


def test_a_rule_without_waiting_leaves_open_what_follows() -> None:
    bot = a_ruled_bot(
        a=rule("utter_a", wait_for_user_input=False), b={"steps": [{"action": "utter_a"}, {"action": "utter_b"}]}
    )

    assert ruled(bot, heard(), Event("action", "utter_a")) == "utter_b"


def test_a_rule_may_begin_with_an_action() -> None:
    bot = a_ruled_bot(a={"steps": [{"action": "utter_a"}, {"action": "utter_b"}]})

    assert ruled(bot, heard("whatever"), Event("action", "utter_a")) == "utter_b"
    assert ruled(bot, heard("whatever")) is None


def test_a_rule_that_knows_of_no_form_hands_back_to_the_one_under_way() -> None:
    bot = a_ruled_bot(a=rule("utter_a"))
    rejected = [Event("active_loop", "pizza_form"), LISTENED, heard(), Event("action_execution_rejected", "pizza_form")]

    assert ruled(bot, *rejected) == "utter_a"
    assert ruled(bot, *rejected, Event("action", "utter_a")) == "pizza_form"


def test_without_rules_none_holds() -> None:
    assert RuleBook(Learned()).judge([{}]).rule is None
    assert RuleBook(Learned()).longest == 1
