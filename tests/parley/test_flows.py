"""Steps of rules and stories: what each of them tells, what Rasa 2 wrote otherwise, and what is refused."""

from typing import Any

import pytest

from parley.bots.bot import Slot
from parley.bots.flows import START, Checkpoint, Flow, FlowReader
from parley.bots.source import Faults, Placed
from parley.conversation import Entity, Event

SLOTS = {slot.name: slot for slot in (Slot("name", "text"), Slot("toppings", "list"), Slot("known", "bool"))}
ANYTHING = Event("action", "...")  # before a rule begins, or after it ends


def read(kind: str, *steps: Any, **more: Any) -> tuple[list[Flow], Faults]:
    faults = Faults()
    item = Placed({kind: "one", "steps": list(steps), **more}, "data/x.yml:7")
    reader = FlowReader(SLOTS, faults)
    return (reader.rules([item]) if kind == "rule" else reader.stories([item])), faults


def events(*steps: Any) -> list[Event]:
    """What the steps of a story tell."""
    [flow], faults = read("story", *steps)
    assert faults.lines == []
    return list(flow.events)


def heard(intent: str | None, text: str | None = None, *entities: Entity, value: str | None = None) -> Event:
    return Event("user", intent, value or intent, text, entities)


def an_entity(name: str, value: Any = "", role: str | None = None, group: str | None = None) -> Entity:
    return Entity(name, value, 0, 0, "", role, group)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"intent": "greet"}, [heard("greet")]),
        ({"intent": " greet "}, [heard("greet")]),
        ({"intent": "/greet"}, [heard("greet")]),
        ({"intent": "faq/hours"}, [heard("faq", value="faq/hours")]),
        ({"action": "utter_greet"}, [Event("action", "utter_greet")]),
        ({"bot": "Hello there!"}, [Event("action", "Hello there!")]),
        ({"slot_was_set": [{"name": "Ada"}]}, [Event("slot", "name", "Ada")]),
        ({"slot_was_set": {"name": "Ada"}}, [Event("slot", "name", "Ada")]),
        (
            {"slot_was_set": [{"name": "Ada", "known": False}, {"toppings": None}]},
            [Event("slot", "name", "Ada"), Event("slot", "known", False), Event("slot", "toppings", None)],
        ),
        ({"active_loop": "pizza_form"}, [Event("active_loop", "pizza_form")]),
        ({"active_loop": None}, [Event("active_loop", None)]),
        ({"form": "pizza_form"}, [Event("active_loop", "pizza_form")]),
        ({"form": None}, [Event("active_loop", None)]),
    ],
)
def test_a_step_tells_of_events(step: dict[str, Any], told: list[Event]) -> None:
    assert events(step) == told


def test_notes_of_an_author_tell_of_nothing() -> None:
    assert events({"intent": "greet"}, {"metadata": {"seen": "yes"}}) == [heard("greet")]


@pytest.mark.parametrize(
    ("slot", "value"), [("name", "filled"), ("toppings", ["filled"]), ("known", None), ("not in the domain", None)]
)
def test_a_slot_that_is_only_named_counts_as_filled_where_its_type_allows(slot: str, value: Any) -> None:
    assert events({"slot_was_set": [slot]}) == [Event("slot", slot, value)]


@pytest.mark.parametrize(
    ("written", "entity"),
    [
        ("city", an_entity("city")),
        ({"city": "Wien"}, an_entity("city", "Wien")),
        ({"city": "Wien", "role": "from"}, an_entity("city", "Wien", "from")),
        ({"role": "from", "city": "Wien", "group": 1}, an_entity("city", "Wien", "from", "1")),
        ({"entity": "city", "value": "Wien", "role": "to"}, an_entity("city", "Wien", "to")),
        ({"number": 3}, an_entity("number", 3)),
    ],
)
def test_entities_are_told_by_name_and_perhaps_value_role_and_group(written: Any, entity: Entity) -> None:
    assert events({"intent": "fly", "entities": [written]}) == [heard("fly", None, entity)]


def test_the_words_of_a_test_story_are_heard_with_the_entities_marked_in_them() -> None:
    marked = 'from [Wien](city) to [graz]{"entity": "city", "value": "Graz", "role": "to"}'

    [event] = events({"user": marked, "intent": "fly"})

    assert (event.name, event.text) == ("fly", "from Wien to graz")
    assert [(each.value, each.role, each.text) for each in event.entities] == [
        ("Wien", None, "Wien"),
        ("Graz", "to", "graz"),
    ]


def test_a_message_that_is_an_intent_is_taken_apart() -> None:
    [event] = events({"user": '/fly{"city": ["Wien", "Graz"]}'})

    assert (event.name, [each.value for each in event.entities]) == ("fly", ["Wien", "Graz"])


def test_the_intent_of_a_step_goes_before_the_one_in_its_message() -> None:
    [event] = events({"user": '/fly{"city": "Wien"}', "intent": "go"})

    assert (event.name, [each.value for each in event.entities]) == ("go", ["Wien"])


def test_words_without_an_intent_are_heard_as_they_are() -> None:
    assert events({"user": "Hello there"}) == [heard(None, "Hello there")]


def test_a_story_begins_at_the_start_and_ends_nowhere() -> None:
    [flow], _ = read("story", {"intent": "greet"})

    assert (flow.name, flow.place, flow.is_rule) == ("one", "data/x.yml:7", False)
    assert (flow.starts, flow.ends) == ((Checkpoint(START),), ())


def test_checkpoints_open_and_close_a_story() -> None:
    [flow], _ = read(
        "story", {"checkpoint": "a", "slot_was_set": [{"known": True}]}, {"intent": "greet"}, {"checkpoint": "b"}
    )

    assert (flow.starts, flow.ends) == ((Checkpoint("a", {"known": True}),), ("b",))


def test_a_checkpoint_in_the_middle_makes_two_flows() -> None:
    flows, _ = read("story", {"intent": "a"}, {"checkpoint": "x"}, {"intent": "b"})

    assert [(flow.events, [start.name for start in flow.starts], flow.ends) for flow in flows] == [
        ((heard("a"),), [START], ("x",)),
        ((heard("b"),), ["x"], ()),
    ]


def test_several_checkpoints_at_the_beginning_are_several_ways_in() -> None:
    [flow], _ = read("story", {"checkpoint": "a"}, {"checkpoint": "b"}, {"intent": "greet"})

    assert [start.name for start in flow.starts] == ["a", "b"]


def test_several_checkpoints_at_the_end_are_several_ways_out() -> None:
    flows, _ = read("story", {"intent": "greet"}, {"checkpoint": "a"}, {"checkpoint": "b"})

    assert sorted(flow.ends for flow in flows) == [("a",), ("b",)]


def test_alternatives_are_flows_that_meet_again() -> None:
    either = {"or": [{"intent": "a"}, {"user": "/b"}, {"slot_was_set": [{"known": True}]}]}

    *ways, rest = read("story", either, {"action": "utter_x"})[0]

    assert [way.events[0].name for way in ways] == ["a", "b", "known"]
    assert {way.ends for way in ways} == {(rest.starts[0].name,)}
    assert rest.events == (Event("action", "utter_x"),)


def test_a_rule_begins_after_anything_and_its_conditions_hold_before() -> None:
    [flow], _ = read("rule", {"intent": "a"}, condition=[{"slot_was_set": [{"known": True}]}, {"active_loop": None}])

    assert flow.is_rule
    assert flow.events == (Event("slot", "known", True), Event("active_loop", None), ANYTHING, heard("a"))


def test_a_rule_for_the_start_begins_after_nothing() -> None:
    [flow], _ = read("rule", {"intent": "a"}, conversation_start=True)

    assert flow.events == (heard("a"),)


def test_a_rule_without_waiting_ends_before_anything() -> None:
    [flow], _ = read("rule", {"intent": "a"}, wait_for_user_input=False)

    assert flow.events == (ANYTHING, heard("a"), ANYTHING)


def test_an_author_may_note_something_about_a_rule_or_story() -> None:
    assert read("story", {"intent": "a"}, metadata={"author": "Ada"})[1].lines == []


@pytest.mark.parametrize(
    "step",
    [
        "utter_greet",
        {"utter": "utter_greet"},
        {"intent": None},
        {"action": ""},
        {"action": None},
        {"active_loop": ["a"]},
        {"or": "greet"},
        {},
        None,
    ],
)
def test_a_step_that_means_nothing_is_refused_by_its_words_and_place(step: Any) -> None:
    _, faults = read("story", step)

    [fault] = faults.lines
    known = "intent, user, action, bot, slot_was_set, active_loop, checkpoint or `or`"
    assert fault == f"data/x.yml:7: story `one`: the step {step!r} is none of {known}"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"or": [{"action": "utter_x"}]}, "cannot stand in `or`"),
        ({"slot_was_set": [3]}, "3 does not say which slot was set"),
        ({"intent": "a", "entities": [3]}, "3 is no entity"),
    ],
)
def test_parts_of_a_step_that_mean_nothing_are_refused(step: dict[str, Any], reason: str) -> None:
    _, faults = read("story", step)

    assert reason in faults.lines[0]


@pytest.mark.parametrize("key", ["condition", "conversation_start", "wait_for_user_input"])
def test_what_belongs_to_rules_is_refused_in_a_story(key: str) -> None:
    assert read("story", {"intent": "a"}, **{key: []})[1].lines == [
        f"data/x.yml:7: story `one`: `{key}` is not known here"
    ]


def test_a_misspelt_key_is_refused() -> None:
    assert read("rule", {"intent": "a"}, conditions=[])[1].lines == [
        "data/x.yml:7: rule `one`: `conditions` is not known here"
    ]


def test_a_story_without_steps_is_left_out_and_that_is_told() -> None:
    flows, faults = read("story")

    assert (flows, faults.lines) == ([], [])
    assert faults.notes == ["data/x.yml:7: story `one` has no steps and is left out"]


@pytest.mark.parametrize(
    "item", ["greet", None, {"steps": []}, {"story": 3, "steps": []}, {"story": "a", "steps": "b"}]
)
def test_what_is_no_story_is_refused(item: Any) -> None:
    faults = Faults()

    assert FlowReader(SLOTS, faults).stories([Placed(item, "x.yml:1")]) == []
    assert faults.lines == ["x.yml:1: expected `story` with its name, and `steps`"]
