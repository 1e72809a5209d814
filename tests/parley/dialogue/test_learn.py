"""Learning rules and stories: which ways through them there are, and what is found wrong with them."""

from dataclasses import replace
from typing import Any

import pytest

from parley.bots.bot import OTHER_VALUE, Bot, Form, MappingCondition, PolicySettings, Slot, SlotMapping
from parley.bots.flows import Flow, FlowReader
from parley.bots.source import Faults, Placed
from parley.conversation import Event
from parley.dialogue.learn import learn
from parley.dialogue.policy import Policy
from parley.dialogue.traces import MOST_WAYS, Trace, trace
from parley.dialogue.tracker import NOT_SET
from tests.builders import a_bot, a_dialogue, wordings

SLOTS = (
    Slot("known", "bool"),
    Slot("city", "text", (SlotMapping("from_entity", entity="city"),)),
    Slot("tone", "categorical", values=("kind", "rude", OTHER_VALUE), initial_value="kind"),
    Slot("note", "text", influences=False),
)
Told = dict[str, dict[str, Any]]


def intent(name: str, *entities: Any) -> dict[str, Any]:
    return {"intent": name, **({"entities": list(entities)} if entities else {})}


def action(name: str) -> dict[str, Any]:
    return {"action": name}


def set_to(**values: Any) -> dict[str, Any]:
    return {"slot_was_set": [values]}


def loop(name: str | None) -> dict[str, Any]:
    return {"active_loop": name}


def rule(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": list(steps), **more}


def flows(kind: str, told: Told) -> list[Flow]:
    """What is told, each at a place of its own."""
    reader = FlowReader({slot.name: slot for slot in SLOTS}, Faults())
    items = [Placed({kind: name, **each}, f"{kind}.yml:{n}") for n, (name, each) in enumerate(told.items(), start=1)]
    return reader.rules(items) if kind == "rule" else reader.stories(items)


def a_plain_bot(policy: PolicySettings | None = None) -> Bot:
    forms = {name: Form(name, ("city",)) for name in ("pizza_form", "drink_form")}
    bot = a_bot({}, slots=SLOTS, forms=forms, responses=wordings(a="a", b="b", c="c", d="d"), entity_names=("city",))
    return replace(bot, policy=policy or PolicySettings(takes_near_stories=False), unsure=())


def learned(rules: Told, stories: Told, policy: PolicySettings | None = None) -> tuple[Bot, Faults]:
    faults = Faults()
    return learn(a_plain_bot(policy), flows("rule", rules), flows("story", stories), faults), faults


def faults_of(rules: Told, stories: Told | None = None, **settings: Any) -> list[str]:
    return learned(rules, stories or {}, PolicySettings(**settings))[1].lines


def ways(stories: Told) -> list[list[str]]:
    """Every way through stories, as what is said and done."""
    told = trace(a_plain_bot(), flows("story", stories))
    return [_said_and_done(each) for each in told.traces]


def _said_and_done(way: Trace) -> list[str]:
    shown = [event.name or "" for event in way.events if event.kind in ("user", "action", "slot")]
    return [name for name in shown if name != "action_listen"]


def follows(bot: Bot, *events: Event) -> str:
    return Policy(bot).next(a_dialogue(bot, *events)).action


def heard(name: str) -> Event:
    return Event("user", name, name, "words")


# Ways


def test_a_story_without_branches_has_one_way() -> None:
    assert ways({"one": rule(intent("ask"), action("utter_a"))}) == [["ask", "utter_a"]]


def test_the_bot_listens_before_each_utterance_and_in_the_end() -> None:
    told = trace(a_plain_bot(), flows("story", {"one": rule(intent("ask"), action("utter_a"), intent("tell"))}))

    [way] = told.traces

    listens = "action_listen"
    assert [event.name for event in way.events] == [listens, "ask", "utter_a", listens, "tell", listens]


def test_checkpoints_string_stories_together() -> None:
    stories = {
        "begin": rule(intent("ask"), action("utter_a"), {"checkpoint": "asked"}),
        "yes": rule({"checkpoint": "asked"}, intent("affirm"), action("utter_b")),
        "no": rule({"checkpoint": "asked"}, intent("deny"), action("utter_c"), {"checkpoint": "denied"}),
        "end": rule({"checkpoint": "denied"}, intent("tell"), action("utter_d")),
    }

    assert ways(stories) == [
        ["ask", "utter_a", "affirm", "utter_b"],
        ["ask", "utter_a", "deny", "utter_c", "tell", "utter_d"],
    ]


def test_a_checkpoint_may_ask_for_slots() -> None:
    stories = {
        "known": rule(intent("ask"), set_to(known=True), {"checkpoint": "asked"}),
        "unknown": rule(intent("tell"), {"checkpoint": "asked"}),
        "end": rule({"checkpoint": "asked", "slot_was_set": [{"known": True}]}, action("utter_a")),
        "any end": rule({"checkpoint": "asked"}, action("utter_b")),
    }

    assert sorted(ways(stories)) == [
        ["ask", "known", "utter_a"],
        ["ask", "known", "utter_b"],
        ["tell", "utter_b"],
    ]


def test_a_circle_is_gone_through_a_few_times_and_no_more() -> None:
    stories = {
        "begin": rule(intent("ask"), {"checkpoint": "round"}),
        "round": rule({"checkpoint": "round"}, intent("more"), action("utter_a"), {"checkpoint": "round"}),
        "out": rule({"checkpoint": "round"}, intent("deny"), action("utter_b")),
    }

    rounds = [way.count("more") for way in ways(stories)]

    assert sorted(rounds) == [0, 1, 2]


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ([intent("affirm"), intent("thank")], [["affirm", "utter_a"], ["thank", "utter_a"]]),
        ([set_to(known=True), set_to(city="Wien")], [["known", "utter_a"], ["city", "utter_a"]]),
        ([{"slot_was_set": [{"known": True}, "city"]}], [["known", "utter_a"], ["city", "utter_a"]]),
    ],
)
def test_alternatives_are_ways_that_meet_again(alternatives: list[Any], expected: list[list[str]]) -> None:
    assert sorted(ways({"one": rule({"or": alternatives}, action("utter_a"))})) == sorted(expected)


def test_two_alternatives_in_a_row_are_four_ways() -> None:
    either = {"or": [intent("affirm"), intent("deny")]}

    assert len(ways({"one": rule(either, action("utter_a"), either, action("utter_b"))})) == 4


def test_ways_that_are_told_twice_count_once() -> None:
    assert ways({"one": rule(intent("ask")), "two": rule(intent("ask"))}) == [["ask"]]


def test_where_nothing_begins_or_ends_is_told() -> None:
    stories = {
        "loose": rule(intent("ask"), {"checkpoint": "nowhere"}),
        "never": rule({"checkpoint": "unreached"}, intent("tell")),
    }

    _, faults = learned({}, stories)

    assert faults.lines == []
    assert faults.notes == [
        "story.yml:1: `loose` ends at checkpoint `nowhere`, where nothing begins",
        "story.yml:2: `never` begins at checkpoint `unreached`, where nothing ends",
    ]


def test_too_many_ways_are_cut_and_that_is_told() -> None:
    either = {"or": [intent(f"i{number}") for number in range(8)]}

    _, faults = learned({}, {"many": rule(either, either, either, either, action("utter_a"))})

    assert any(f"more than {MOST_WAYS} ways" in note for note in faults.notes)


def test_a_slot_that_a_story_only_names_was_filled_with_anything() -> None:
    [way] = trace(a_plain_bot(), flows("story", {"one": rule(intent("ask"), {"slot_was_set": ["city"]})})).traces

    assert way.dialogue.now.slots["city"] == "filled"


@pytest.mark.parametrize(
    ("condition", "city"),
    [((), "Wien"), ((MappingCondition(None),), "Wien"), ((MappingCondition("pizza_form"),), None)],
)
def test_entities_fill_slots_in_stories_where_no_form_is_needed_for_that(condition: Any, city: str | None) -> None:
    mapping = SlotMapping("from_entity", entity="city", conditions=condition)
    bot = replace(a_plain_bot(), slots=(Slot("city", "text", (mapping,)),))

    [way] = trace(bot, flows("story", {"one": rule(intent("fly", {"city": "Wien"}))})).traces

    assert way.dialogue.now.slots.get("city") == city


def test_in_a_rule_null_means_that_it_must_not_be_set() -> None:
    [way] = trace(
        a_plain_bot(), flows("rule", {"one": rule(intent("ask"), condition=[set_to(known=None), loop(None)])})
    ).traces

    assert way.dialogue.now.slots["known"] == NOT_SET
    assert way.dialogue.now.loop is not None
    assert way.dialogue.now.loop.name == NOT_SET


def test_what_a_slot_begins_with_is_seen_by_stories_and_not_by_rules() -> None:
    told = {"one": rule(intent("ask"), action("utter_a"))}
    rules, stories = (trace(a_plain_bot(), flows(kind, told)).traces[0] for kind in ("rule", "story"))

    assert "tone" not in rules.dialogue.now.slots
    assert stories.dialogue.now.slots["tone"] == "kind"


# Rules against rules


def test_rules_that_go_different_ways_contradict_each_other_and_both_places_are_named() -> None:
    rules = {"one": rule(intent("ask"), action("utter_a")), "two": rule(intent("ask"), action("utter_b"))}

    [fault] = faults_of(rules)

    assert fault == (
        "rule.yml:2: rule `two` at rule.yml:2 goes on with `utter_b`, where rule `one` at rule.yml:1 goes on with "
        "`utter_a`: they contradict each other"
    )


def test_a_rule_that_goes_on_where_another_waits_contradicts_it() -> None:
    rules = {
        "one": rule(intent("ask"), action("utter_a")),
        "two": rule(intent("ask"), action("utter_a"), action("utter_b")),
    }

    [fault] = faults_of(rules)

    assert "goes on with `utter_b`, where rule `one` at rule.yml:1 goes on with `action_listen`" in fault


def test_where_a_rule_leaves_open_what_follows_another_may_go_on_and_that_is_told() -> None:
    rules = {
        "one": rule(intent("ask"), action("utter_a"), wait_for_user_input=False),
        "two": rule(intent("ask"), action("utter_a"), action("utter_b")),
    }

    bot, faults = learned(rules, {})

    assert faults.lines == []
    assert "where rule `one` at rule.yml:1 leaves open what follows: neither is remembered there" in faults.notes[0]
    assert follows(bot, heard("ask")) == "utter_a"


@pytest.mark.parametrize(
    "other",
    [
        rule(intent("ask"), action("utter_b"), condition=[set_to(known=True)]),
        rule(intent("ask"), action("utter_b"), condition=[set_to(tone="rude")]),
        rule(intent("ask"), action("utter_b"), condition=[loop("pizza_form")]),
        rule(intent("ask", "city"), action("utter_b")),
        rule(intent("ask"), action("utter_b"), conversation_start=True),
        rule(intent("ask"), action("utter_a")),
    ],
    ids=["slot", "initial value", "loop", "entity", "start", "the same"],
)
def test_rules_that_differ_in_their_conditions_do_not_contradict_each_other(other: dict[str, Any]) -> None:
    assert faults_of({"one": rule(intent("ask"), action("utter_a")), "two": other}) == []


def test_a_rule_that_holds_where_one_with_a_null_condition_does_contradicts_it() -> None:
    rules = {
        "any": rule(intent("ask"), action("utter_a")),
        "outside": rule(intent("ask"), action("utter_b"), condition=[loop(None)]),
    }

    [fault] = faults_of(rules)

    assert fault == (
        "rule.yml:1: rule `any` at rule.yml:1 goes on with `utter_a`, but by rule `outside` at rule.yml:2 comes "
        "`utter_b`"
    )


def test_alternatives_in_a_rule_may_contradict_another_rule() -> None:
    rules = {
        "one": rule({"or": [intent("ask"), intent("tell")]}, action("utter_a")),
        "two": rule(intent("tell"), action("utter_b")),
    }

    [fault] = faults_of(rules)

    assert "`utter_a`" in fault
    assert "`utter_b`" in fault


def test_a_rule_against_a_built_in_intent_is_a_contradiction() -> None:
    [fault] = faults_of({"one": rule(intent("back"), action("utter_a"))})

    assert "but by intent back comes `action_back`" in fault


def test_a_rule_has_one_utterance_at_most_unless_rules_are_not_restricted() -> None:
    rules = {"one": rule(intent("ask"), action("utter_a"), intent("tell"), action("utter_b"))}

    [fault] = faults_of(rules)

    assert fault == "rule.yml:1: rule `one` has more than one utterance; what takes several is told in a story"
    assert faults_of(rules, restrict_rules=False) == []


def test_a_rule_must_say_of_a_slot_what_other_rules_say_of_it() -> None:
    sets = rule(intent("ask"), action("action_look"), set_to(known=True), action("utter_a"))

    [fault] = faults_of({"one": sets, "two": rule(intent("tell"), action("action_look"))})

    assert fault == (
        "rule.yml:2: rule `two` at rule.yml:2: `action_look` sets slot `known` in other rules; say here what it sets "
        "it to, or `null`, or end with `wait_for_user_input: false`"
    )


@pytest.mark.parametrize(
    "other",
    [
        rule(intent("tell"), action("action_look"), set_to(known=None), action("utter_b")),
        rule(intent("tell"), action("action_look"), set_to(known=False), action("utter_b")),
        rule(intent("tell"), action("action_look"), wait_for_user_input=False),
    ],
)
def test_a_rule_that_says_what_an_action_sets_is_complete(other: dict[str, Any]) -> None:
    sets = rule(intent("ask"), action("action_look"), set_to(known=True), action("utter_a"))

    assert faults_of({"one": sets, "two": other}) == []


def test_slots_that_do_not_influence_the_conversation_need_not_be_spoken_of() -> None:
    sets = rule(intent("ask"), action("action_look"), set_to(note="x"), action("utter_a"))

    assert faults_of({"one": sets, "two": rule(intent("tell"), action("action_look"))}) == []


def test_a_rule_must_say_of_a_form_whether_it_is_under_way() -> None:
    begins = rule(intent("ask"), action("pizza_form"), loop("pizza_form"))

    [fault] = faults_of({"one": begins, "two": rule(intent("tell"), action("pizza_form"))})

    assert "rule `two` at rule.yml:2: after `pizza_form`, other rules have `active_loop: pizza_form`" in fault


def test_checkpoints_string_rules_together_too() -> None:
    rules = {
        "one": rule(intent("ask"), action("utter_a"), {"checkpoint": "x"}),
        "two": rule({"checkpoint": "x"}, action("utter_b")),
    }

    bot, faults = learned(rules, {})

    assert faults.lines == []
    assert follows(bot, heard("ask"), Event("action", "utter_a")) == "utter_b"


# Rules against stories


def test_a_story_that_goes_another_way_than_a_rule_is_a_contradiction_with_both_places() -> None:
    rules, stories = (
        {"one": rule(intent("ask"), action("utter_a"))},
        {"s": rule(intent("ask"), action("utter_b"))},
    )

    assert faults_of(rules, stories) == [
        "story.yml:1: story `s` at story.yml:1 goes on with `utter_b`, but by rule `one` at rule.yml:1 comes `utter_a`"
    ]


def test_a_story_that_goes_on_where_a_rule_waits_is_a_contradiction() -> None:
    [fault] = faults_of(
        {"one": rule(intent("ask"), action("utter_a"))},
        {"s": rule(intent("ask"), action("utter_a"), action("utter_b"))},
    )

    assert "comes `action_listen`" in fault


def test_a_story_where_the_condition_of_a_rule_does_not_hold_is_none() -> None:
    rules = {"one": rule(intent("ask"), action("utter_a"), condition=[set_to(known=True)])}

    assert faults_of(rules, {"s": rule(intent("ask"), action("utter_b"))}) == []
    assert len(faults_of(rules, {"s": rule(set_to(known=True), intent("ask"), action("utter_b"))})) == 1


def test_a_story_may_leave_a_form_that_a_rule_began() -> None:
    rules = {
        "begin": rule(intent("ask"), action("pizza_form"), loop("pizza_form")),
        "end": rule(action("pizza_form"), loop(None), action("utter_a"), condition=[loop("pizza_form")]),
    }
    stories = {
        "aside": rule(
            intent("ask"),
            action("pizza_form"),
            loop("pizza_form"),
            intent("tell"),
            action("utter_b"),
            action("pizza_form"),
            loop(None),
            action("utter_a"),
        )
    }

    assert faults_of(rules, stories) == []


def test_a_story_must_end_a_form_as_the_rule_does() -> None:
    rules = {
        "begin": rule(intent("ask"), action("pizza_form"), loop("pizza_form")),
        "end": rule(action("pizza_form"), loop(None), action("utter_a"), condition=[loop("pizza_form")]),
    }
    ends = rule(intent("ask"), action("pizza_form"), loop("pizza_form"), loop(None), action("utter_b"))

    [fault] = faults_of(rules, {"s": ends})

    assert "goes on with `utter_b`, but by rule `end` at rule.yml:2 comes `utter_a`" in fault


def test_a_rule_that_only_listens_after_an_action_gives_way_to_a_story_where_rules_with_conditions_do_so_too() -> None:
    rules = {"any": rule(action("utter_a")), "known": rule(action("utter_a"), condition=[set_to(known=True)])}
    stories = {"s": rule(intent("ask"), action("utter_a"), action("utter_b"))}

    bot, faults = learned(rules, stories)

    assert faults.lines == []
    assert follows(bot, heard("ask"), Event("action", "utter_a")) == "utter_b"


def test_contradictions_are_not_looked_for_where_the_author_does_not_want_that() -> None:
    rules = {"one": rule(intent("ask"), action("utter_a")), "two": rule(intent("ask"), action("utter_b"))}
    stories = {"s": rule(intent("tell"), action("utter_c"))}

    assert faults_of(rules, stories, checks_contradictions=False) == []


def test_stories_that_go_different_ways_are_told_and_neither_is_remembered() -> None:
    stories = {"s": rule(intent("ask"), action("utter_a")), "t": rule(intent("ask"), action("utter_b"))}

    bot, faults = learned({}, stories)

    assert faults.lines == []
    [note] = faults.notes
    assert note == (
        "story.yml:2: story `t` at story.yml:2 goes on with `utter_b`, where story `s` at story.yml:1 goes on with "
        "`utter_a`: neither is remembered there"
    )
    assert follows(bot, heard("ask")) == "action_default_fallback"


def test_rules_that_stories_follow_are_marked() -> None:
    rules = {
        "followed": rule(intent("ask"), action("utter_a")),
        "alone": rule(intent("tell"), action("utter_b")),
    }

    bot, _ = learned(rules, {"s": rule(intent("ask"), action("utter_a"))})

    assert {each.told_by[:15]: each.in_stories for each in bot.learned.rules if each.action != "action_listen"} == {
        "rule `followed`": True,
        "rule `alone` at": False,
    }


def test_a_form_that_stories_have_come_back_only_has_its_answers_hidden_from_them() -> None:
    aside = rule(
        intent("ask"),
        action("pizza_form"),
        loop("pizza_form"),
        intent("tell"),
        action("utter_b"),
        action("pizza_form"),
        loop(None),
    )

    bot, _ = learned({}, {"aside": aside})

    [told] = bot.learned.built_in_in_stories
    assert told.endswith("waits")


def test_what_only_rules_speak_of_is_remembered() -> None:
    rules = {
        "one": rule(intent("ask"), action("utter_a"), condition=[set_to(known=True), loop("pizza_form")]),
    }

    bot, _ = learned(rules, {"s": rule(set_to(tone="rude"), intent("tell"), action("utter_b"))})

    assert bot.learned.rule_only_slots == ("known",)
    assert bot.learned.rule_only_loops == ("pizza_form",)


def test_without_rules_and_stories_nothing_is_learned_and_nothing_is_wrong() -> None:
    bot, faults = learned({}, {})

    assert (bot.learned.rules, dict(bot.learned.stories)) == ((), {})
    assert faults.lines == faults.notes == []
