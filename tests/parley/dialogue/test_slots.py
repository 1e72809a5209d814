"""Slot filling: what an utterance tells, by each kind of mapping and under each kind of condition."""

from typing import Any

import pytest

from parley.bots.bot import Bot, Form, MappingCondition, Slot, SlotMapping, SlotType
from parley.conversation import Entity, Event
from parley.dialogue.slots import ByAction, extract
from tests.builders import a_bot, a_dialogue

IN_THE_FORM = (MappingCondition("pizza_form"),)
ASKED_FOR = (MappingCondition("pizza_form", "size"),)
IN_NO_FORM = (MappingCondition(None),)


def from_entity(entity: str = "size", **more: Any) -> SlotMapping:
    return SlotMapping("from_entity", entity=entity, **more)


def from_text(**more: Any) -> SlotMapping:
    return SlotMapping("from_text", **more)


def a_filling_bot(*mappings: SlotMapping, kind: SlotType = "text", more: tuple[Slot, ...] = ()) -> Bot:
    """A bot whose slot `size` has these mappings; `pizza_form` asks for it, `drink_form` does not."""
    forms = {
        "pizza_form": Form("pizza_form", ("size", *(slot.name for slot in more)), ignored_intents=("chitchat",)),
        "drink_form": Form("drink_form", ("drink",)),
    }
    return a_bot(slots=(Slot("size", kind, mappings), *more), forms=forms, rules={}, entity_names=("size", "number"))


def an_entity(name: str, value: Any, role: str | None = None, group: str | None = None) -> Entity:
    return Entity(name, value, 0, 0, str(value), role, group)


def found(
    bot: Bot,
    *entities: Entity,
    intent: str = "inform",
    text: str = "words",
    loop: str | None = None,
    asks_for: str | None = None,
    rejected: bool = False,
    **known: Any,
) -> dict[str, Any]:
    """What the last utterance fills, in a conversation that stands so; what actions have to say is under `by`."""
    before = [Event("slot", name, value) for name, value in known.items()]
    if loop:
        before += [Event("active_loop", loop), Event("slot", "requested_slot", asks_for)]
    after = [Event("action_execution_rejected", loop)] if rejected else []
    dialogue = a_dialogue(bot, *before, Event("user", intent, intent, text, entities), *after)
    filled: dict[str, Any] = {}
    for each in extract(bot, dialogue.now):
        if isinstance(each, ByAction):
            filled.setdefault("by", []).append(each.action)
        else:
            filled[each.name or ""] = each.value
    return filled


XL, S = an_entity("size", "xl"), an_entity("size", "s")


def test_a_slot_takes_the_value_of_an_entity() -> None:
    assert found(a_filling_bot(from_entity()), XL) == {"size": "xl"}


def test_of_several_entities_the_last_one_counts() -> None:
    assert found(a_filling_bot(from_entity()), XL, S) == {"size": "s"}


def test_a_list_slot_takes_all_of_them() -> None:
    assert found(a_filling_bot(from_entity(), kind="list"), XL, S) == {"size": ["xl", "s"]}


def test_without_the_entity_nothing_is_filled() -> None:
    assert found(a_filling_bot(from_entity()), an_entity("number", 3)) == {}


def test_an_entity_that_the_domain_lacks_fills_nothing() -> None:
    assert found(a_filling_bot(from_entity("colour")), an_entity("colour", "red")) == {}


@pytest.mark.parametrize(
    ("labels", "holds"),
    [
        ({}, {"none": True, "role": False, "group": False}),
        ({"role": "small"}, {"none": False, "role": True, "group": False}),
        ({"group": "1"}, {"none": False, "role": False, "group": True}),
    ],
)
def test_roles_and_groups_must_be_just_those_of_the_mapping(labels: dict[str, str], holds: dict[str, bool]) -> None:
    bot = a_filling_bot(from_entity(**labels))
    said = {
        "none": an_entity("size", "xl"),
        "role": an_entity("size", "xl", role="small"),
        "group": an_entity("size", "xl", group="1"),
    }

    assert {name: bool(found(bot, entity)) for name, entity in said.items()} == holds


def test_a_slot_takes_the_whole_text() -> None:
    assert found(a_filling_bot(from_text()), text="extra large, please") == {"size": "extra large, please"}


def test_a_slot_takes_a_value_for_an_intent() -> None:
    bot = a_filling_bot(SlotMapping("from_intent", value=True, intents=("affirm",)))

    assert found(bot, intent="affirm") == {"size": True}
    assert found(bot, intent="deny") == {}


def test_a_value_of_false_counts() -> None:
    assert found(a_filling_bot(SlotMapping("from_intent", value=False)), intent="deny") == {"size": False}


def test_the_intent_that_starts_a_form_fills_a_slot_in_that_form_only() -> None:
    by_intent = SlotMapping("from_trigger_intent", value="by order", intents=("order",), conditions=IN_THE_FORM)
    bot = a_filling_bot(by_intent)

    assert found(bot, intent="order") == {}
    assert found(bot, intent="order", loop="pizza_form") == {"size": "by order"}
    assert found(bot, intent="order", loop="drink_form") == {}
    assert found(bot, intent="other", loop="pizza_form") == {}


def test_without_conditions_the_intent_that_starts_any_form_fills_the_slot() -> None:
    bot = a_filling_bot(SlotMapping("from_trigger_intent", value="by order"))

    assert found(bot, loop="drink_form") == {"size": "by order"}
    assert found(bot) == {}


def test_a_custom_mapping_asks_its_action_once() -> None:
    custom = SlotMapping("custom", action="action_look")
    bot = a_filling_bot(
        custom, more=(Slot("other", "text", (custom,)), Slot("third", "text", (SlotMapping("custom"),)))
    )

    assert found(bot) == {"by": ["action_look"]}


def test_a_custom_mapping_may_have_conditions() -> None:
    bot = a_filling_bot(SlotMapping("custom", action="action_look", conditions=IN_THE_FORM))

    assert found(bot) == {}
    assert found(bot, loop="pizza_form") == {"by": ["action_look"]}


def test_the_first_mapping_that_gives_a_value_counts() -> None:
    bot = a_filling_bot(from_entity("number"), from_entity("size"), from_text())

    assert found(bot, XL, text="xl") == {"size": "xl"}
    assert found(bot, XL, an_entity("number", 3)) == {"size": 3}
    assert found(bot, text="large") == {"size": "large"}


@pytest.mark.parametrize(
    ("mapping", "intent", "holds"),
    [
        ({"intents": ("inform", "order")}, "inform", True),
        ({"intents": ("order",)}, "inform", False),
        ({"not_intents": ("order",)}, "inform", True),
        ({"not_intents": ("inform", "order")}, "inform", False),
        ({"intents": ("inform",), "not_intents": ("inform",)}, "inform", True),
    ],
)
def test_a_mapping_may_be_for_some_intents_or_not_for_others(mapping: Any, intent: str, holds: bool) -> None:
    assert bool(found(a_filling_bot(from_entity(**mapping)), XL, intent=intent)) == holds


@pytest.mark.parametrize(
    ("conditions", "loop", "asks_for", "holds"),
    [
        ((), None, None, True),
        ((), "pizza_form", "other", True),
        (IN_THE_FORM, None, None, False),
        (IN_THE_FORM, "pizza_form", "other", True),
        (IN_THE_FORM, "drink_form", None, False),
        (ASKED_FOR, "pizza_form", "size", True),
        (ASKED_FOR, "pizza_form", "other", False),
        (IN_NO_FORM, None, None, True),
        (IN_NO_FORM, "pizza_form", None, False),
        ((*ASKED_FOR, *IN_NO_FORM), None, None, True),
        ((*ASKED_FOR, MappingCondition("drink_form")), "drink_form", None, True),
    ],
)
def test_one_of_the_conditions_must_hold(conditions: Any, loop: str | None, asks_for: str | None, holds: bool) -> None:
    bot = a_filling_bot(from_text(conditions=conditions))

    assert bool(found(bot, loop=loop, asks_for=asks_for)) == holds


def test_a_mapping_with_conditions_does_not_fill_what_the_form_asked_for_in_vain() -> None:
    bot = a_filling_bot(from_text(conditions=IN_THE_FORM))

    assert found(bot, loop="pizza_form", asks_for="size", rejected=True) == {}
    assert found(bot, loop="pizza_form", asks_for="other", rejected=True) == {"size": "words"}


@pytest.mark.parametrize(
    ("conditions", "loop", "holds"),
    [
        ((), None, True),
        ((), "pizza_form", False),
        (IN_THE_FORM, "pizza_form", False),
        ((*IN_THE_FORM, MappingCondition("drink_form")), "drink_form", True),
        ((), "drink_form", True),
    ],
)
def test_intents_that_a_form_ignores_fill_nothing_in_it(conditions: Any, loop: str | None, holds: bool) -> None:
    bot = a_filling_bot(from_text(conditions=conditions))

    assert bool(found(bot, intent="chitchat", loop=loop)) == holds


def test_an_intent_that_a_mapping_names_counts_even_if_the_form_ignores_it() -> None:
    bot = a_filling_bot(from_text(intents=("chitchat",)))

    assert found(bot, intent="chitchat", loop="pizza_form") == {"size": "words"}


SMALLEST = Slot("smallest", "text", (from_entity(),))


def test_an_entity_that_could_fill_two_slots_of_a_form_fills_the_one_it_asked_for() -> None:
    bot = a_filling_bot(from_entity(), more=(SMALLEST,))

    assert found(bot, XL, loop="pizza_form", asks_for="smallest") == {"smallest": "xl"}
    assert found(bot, XL, loop="pizza_form", asks_for="size") == {"size": "xl"}
    assert found(bot, XL, loop="pizza_form", asks_for=None) == {}


def test_outside_that_form_it_fills_both() -> None:
    bot = a_filling_bot(from_entity(), more=(SMALLEST,))

    assert found(bot, XL) == {"size": "xl", "smallest": "xl"}
    assert found(bot, XL, loop="drink_form") == {"size": "xl", "smallest": "xl"}


def test_an_entity_with_a_role_of_its_own_fills_its_slot_whatever_was_asked_for() -> None:
    smallest = Slot("smallest", "text", (from_entity(role="smallest"), from_entity()))
    bot = a_filling_bot(from_entity(), more=(smallest,))

    filled = found(bot, an_entity("size", "s", role="smallest"), loop="pizza_form", asks_for="size")

    assert filled == {"smallest": "s"}


def test_nothing_is_filled_before_anybody_has_spoken() -> None:
    bot = a_filling_bot(from_entity(), from_text())

    assert list(extract(bot, a_dialogue(bot).now)) == []


def test_an_entity_without_a_value_empties_a_slot_that_had_one() -> None:
    bot = a_filling_bot(from_entity())

    assert found(bot, an_entity("size", None)) == {}
    assert found(bot, an_entity("size", None), size="xl") == {"size": None}


def test_slots_are_filled_in_the_order_of_the_domain() -> None:
    bot = a_filling_bot(from_text(), more=(SMALLEST, Slot("note", "text", (from_text(),))))

    assert list(found(bot, XL)) == ["size", "smallest", "note"]
