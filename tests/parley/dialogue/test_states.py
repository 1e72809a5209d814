"""States: what rules and stories see of a situation, slot by slot and entity by entity."""

from dataclasses import replace
from typing import Any

import pytest

from parley.bots.bot import OTHER_VALUE, Bot, Form, Slot
from parley.conversation import Dialogue, Entity, Event
from parley.dialogue.states import States, after_listening, loop_of
from parley.dialogue.tracker import NOT_SET, Tracker
from tests.builders import a_bot, a_dialogue

LISTENED, GREETED = Event("action", "action_listen"), Event("action", "utter_greet")
SIZE = Slot("size", "categorical", values=("s", "xl", OTHER_VALUE))
DEGREES = Slot("degrees", "float", least=-10.0, most=30.0)


def heard(intent: str | None = "greet", *entities: Entity, text: str = "words") -> Event:
    return Event("user", intent, intent, text, entities)


def an_entity(name: str, role: str | None = None, group: str | None = None) -> Entity:
    return Entity(name, "value", 0, 0, "", role, group)


def features(slot: Slot, value: Any) -> Any:
    return States(Tracker(a_bot(slots=(slot,), forms={}))).features({slot.name: value}).get(slot.name)


def last_state(dialogue: Dialogue, bot: Bot) -> dict[str, Any]:
    return States(Tracker(bot)).of_trail(dialogue)[-1]


@pytest.mark.parametrize(
    ("slot", "value", "seen"),
    [
        (Slot("name", "text"), "Ada", (1.0,)),
        (Slot("name", "text"), "", (1.0,)),
        (Slot("name", "text"), None, None),
        (Slot("known", "bool"), True, (1.0, 1.0)),
        (Slot("known", "bool"), False, (1.0, 0.0)),
        (Slot("known", "bool"), "TRUE", (1.0, 1.0)),
        (Slot("known", "bool"), "false", (1.0, 0.0)),
        (Slot("known", "bool"), "1", (1.0, 1.0)),
        (Slot("known", "bool"), 2, (1.0, 0.0)),
        (Slot("known", "bool"), "perhaps", None),
        (Slot("known", "bool"), None, None),
        (SIZE, "xl", (0.0, 1.0, 0.0)),
        (SIZE, "XL", (0.0, 1.0, 0.0)),
        (SIZE, "huge", (0.0, 0.0, 1.0)),
        (SIZE, None, None),
        (Slot("number", "categorical", values=("1", "2", OTHER_VALUE)), 2, (0.0, 1.0, 0.0)),
        (Slot("share", "float"), 0.25, (1.0, 0.25)),
        (Slot("share", "float"), "0.5", (1.0, 0.5)),
        (Slot("share", "float"), 7, (1.0, 1.0)),
        (Slot("share", "float"), 0, (1.0, 0.0)),
        (Slot("share", "float"), "much", None),
        (DEGREES, 10, (1.0, 0.5)),
        (DEGREES, -50, (1.0, 0.0)),
        (Slot("toppings", "list"), ["ham"], (1.0,)),
        (Slot("toppings", "list"), [], None),
        (Slot("toppings", "list"), None, None),
        (Slot("whatever", "any"), {"a": 1}, None),
        (Slot("name", "text", influences=False), "Ada", None),
        (Slot("name", "text"), NOT_SET, NOT_SET),
    ],
)
def test_a_slot_is_seen_as_features_of_its_type(slot: Slot, value: Any, seen: Any) -> None:
    assert features(slot, value) == seen


def test_a_state_before_anything_has_happened_is_empty() -> None:
    bot = a_bot()

    assert States(Tracker(bot)).of_trail(Tracker(bot).begin()) == [{}]


def test_there_is_a_state_before_each_action_and_one_of_now() -> None:
    bot = a_bot()
    dialogue = a_dialogue(bot, heard(), GREETED)

    assert States(Tracker(bot)).of_trail(dialogue) == [
        {},
        {"user": {"intent": "greet"}, "prev_action": {"action_name": "action_listen"}},
        {"user": {"intent": "greet"}, "prev_action": {"action_name": "utter_greet"}},
    ]


def test_only_the_last_states_may_be_asked_for() -> None:
    bot = a_bot()
    dialogue = a_dialogue(bot, heard(), GREETED)
    states = States(Tracker(bot))

    assert states.of_trail(dialogue, 2) == states.of_trail(dialogue)[-2:]


def test_states_are_right_for_one_dialogue_after_another() -> None:
    bot = a_bot(slots=(Slot("name", "text"),), forms={})
    states = States(Tracker(bot))
    longer = a_dialogue(bot, heard(), Event("slot", "name", "Ada"), GREETED, LISTENED)
    shorter = a_dialogue(bot, heard("chitchat"))

    for dialogue in (longer, shorter, Tracker(bot).after(shorter, GREETED), longer):
        assert states.of_trail(dialogue) == States(Tracker(bot)).of_trail(dialogue)


def test_a_slot_is_seen_from_the_moment_it_is_set() -> None:
    bot = a_bot(slots=(Slot("name", "text"),), forms={})
    dialogue = a_dialogue(bot, heard(), GREETED, Event("slot", "name", "Ada"), LISTENED, Event("slot", "name", None))

    assert ["slots" in state for state in States(Tracker(bot)).of_trail(dialogue)] == [False, False, True, False]


def test_the_loop_under_way_is_seen() -> None:
    bot = a_bot()
    state = last_state(a_dialogue(bot, heard(), Event("active_loop", "order_form")), bot)

    assert state["active_loop"] == {"name": "order_form"}
    assert loop_of(state) == "order_form"
    assert loop_of({"active_loop": {"name": NOT_SET}}) is None


def test_whether_somebody_has_just_spoken_is_seen_by_the_action_before() -> None:
    bot = a_bot()

    assert after_listening(last_state(a_dialogue(bot, heard()), bot))
    assert not after_listening(last_state(a_dialogue(bot, heard(), GREETED), bot))


def test_entities_are_seen_by_name_in_alphabetical_order_without_their_values() -> None:
    bot = replace(a_bot(), intents={"greet": ("city", "name")})

    state = last_state(a_dialogue(bot, heard("greet", an_entity("name"), an_entity("city"), an_entity("name"))), bot)

    assert state["user"] == {"intent": "greet", "entities": ("city", "name")}


def test_entities_that_the_intent_ignores_are_not_seen() -> None:
    bot = replace(a_bot(), intents={"greet": ("name",), "mood": ()})

    greeted = last_state(a_dialogue(bot, heard("greet", an_entity("name"), an_entity("city"))), bot)
    moody = last_state(a_dialogue(bot, heard("mood", an_entity("name"))), bot)

    assert greeted["user"]["entities"] == ("name",)
    assert moody["user"] == {"intent": "mood"}


def test_an_intent_that_the_domain_lacks_is_seen_with_all_its_entities() -> None:
    bot = replace(a_bot(), intents={})

    assert last_state(a_dialogue(bot, heard("nlu_fallback", an_entity("name"))), bot)["user"]["entities"] == ("name",)


def test_roles_and_groups_are_seen_where_the_domain_names_them() -> None:
    bot = replace(a_bot(), intents={"fly": ("city", "city#from", "city#1")})
    cities = an_entity("city", role="from"), an_entity("city", role="to"), an_entity("city", group="1")

    assert last_state(a_dialogue(bot, heard("fly", *cities)), bot)["user"]["entities"] == (
        "city",
        "city#1",
        "city#from",
    )


def test_words_without_an_intent_are_seen_as_they_are() -> None:
    bot = a_bot()

    assert last_state(a_dialogue(bot, heard(None, text="Hi there")), bot)["user"] == {"text": "Hi there"}


def hidden(action: str) -> Event:
    return Event("action", action, hidden=True)


def test_stories_do_not_see_the_turns_of_rules_that_no_story_tells_of() -> None:
    bot = a_bot()
    with_greeting = a_dialogue(bot, heard("greet"), hidden("utter_greet"), hidden("action_listen"), heard("chitchat"))
    without = a_dialogue(bot, heard("chitchat"))
    states = States(Tracker(bot))

    assert states.for_stories(with_greeting) == states.for_stories(without)


def test_stories_see_the_action_before_the_hidden_ones() -> None:
    bot = a_bot()
    dialogue = a_dialogue(bot, heard("chitchat"), GREETED, hidden("utter_back"), hidden("action_listen"), heard("ask"))

    assert States(Tracker(bot)).for_stories(dialogue)[-1] == {
        "user": {"intent": "ask"},
        "prev_action": {"action_name": "utter_greet"},
    }


def test_stories_do_not_see_slots_and_loops_of_which_only_rules_speak() -> None:
    bot = a_bot(slots=(Slot("name", "text"), Slot("known", "bool")), forms={"order_form": Form("order_form", ())})
    learned = replace(bot.learned, rule_only_slots=("known",), rule_only_loops=("order_form",))
    bot = replace(bot, learned=learned)
    told = [Event("slot", "name", "Ada"), Event("slot", "known", True), Event("active_loop", "order_form")]

    state = States(Tracker(bot)).for_stories(a_dialogue(bot, heard(), *told))[-1]

    assert state["slots"] == {"name": (1.0,)}
    assert "active_loop" not in state


def test_stories_hear_after_an_answer_to_a_form_what_was_said_before_it() -> None:
    bot = a_bot()
    form = Event("action", "order_form"), Event("active_loop", "order_form")
    answered = a_dialogue(bot, heard("order_status"), *form, LISTENED, heard("inform"), form[0], Event("active_loop"))

    states = States(Tracker(bot)).for_stories(answered)

    assert [state.get("user", {}).get("intent") for state in states] == [None, "order_status", "order_status"]
