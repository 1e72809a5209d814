"""Stories: what is remembered of them, how far back they look, and what counts where none fits exactly."""

from typing import Any

import pytest

from parley.bots.bot import Bot, PolicySettings, Slot, SlotMapping
from parley.bots.learned import State
from parley.conversation import Entity, Event
from parley.dialogue.policy import Policy, Prediction
from parley.dialogue.stories import NEAR, digest, near_key
from tests.builders import Steps, Talk, a_bot, a_dialogue, done, wordings

LISTENED = Event("action", "action_listen")
EXACT, NEAR_TOO = PolicySettings(takes_near_stories=False), PolicySettings()
SLOTS = (Slot("known", "bool"), Slot("city", "text", (SlotMapping("from_entity", entity="city"),)))


def intent(name: str, *entities: Any) -> dict[str, Any]:
    return {"intent": name, "entities": list(entities)}


def action(name: str) -> dict[str, Any]:
    return {"action": name}


def set_to(**values: Any) -> dict[str, Any]:
    return {"slot_was_set": [values]}


def a_storied_bot(policy: PolicySettings = EXACT, rules: Any = None, /, **stories: Steps) -> Bot:
    texts = {name: name for name in "abcdefgh"}
    return a_bot(
        rules or {},
        stories,
        slots=SLOTS,
        forms={},
        responses=wordings(**texts),
        policy=policy,
        intents={"fly": ("city",), "ask": ("city",)},
        entity_names=("city",),
        unsure=(),
    )


def heard(name: str, *entities: str) -> Event:
    return Event("user", name, name, "words", tuple(Entity(each, "value", 0, 0, "") for each in entities))


def did(name: str) -> Event:
    return Event("action", name)


def follows(bot: Bot, *events: Event) -> Prediction:
    return Policy(bot).next(a_dialogue(bot, *events))


TWO_TURNS = [intent("ask"), action("utter_a"), intent("tell"), action("utter_b"), action("utter_c")]


def test_a_conversation_that_goes_as_a_story_goes_on_as_it() -> None:
    bot = a_storied_bot(two=TWO_TURNS)
    events = [heard("ask"), did("utter_a"), LISTENED, heard("tell"), did("utter_b"), did("utter_c")]

    actions = [follows(bot, *events[:number]).action for number in (1, 2, 4, 5, 6)]

    assert actions == ["utter_a", "action_listen", "utter_b", "utter_c", "action_listen"]


def test_a_story_says_who_told_it() -> None:
    found = follows(a_storied_bot(two=TWO_TURNS), heard("ask"))

    assert (found.policy, found.because) == ("story", "story `two` at stories.yml:0")


def test_a_story_counts_in_the_middle_of_a_longer_conversation() -> None:
    bot = a_storied_bot(two=TWO_TURNS, other=[intent("greet"), action("utter_d")])
    before = [heard("greet"), did("utter_d"), LISTENED, heard("nix"), did("utter_e"), LISTENED]

    found = follows(bot, *before, heard("ask"), did("utter_a"), LISTENED, heard("tell"))

    assert (found.action, found.policy) == ("utter_b", "story")


def test_slots_from_before_a_story_do_not_hinder_it() -> None:
    bot = a_storied_bot(two=TWO_TURNS, other=[set_to(known=True), intent("tell"), action("utter_d")])
    known = [heard("greet"), Event("slot", "known", True), did("utter_e"), LISTENED]

    assert follows(bot, *known, heard("ask")).action == "utter_a"
    assert follows(bot, *known, heard("ask"), did("utter_a"), LISTENED, heard("tell")).action == "utter_b"


def test_a_form_from_before_a_story_does_not_hinder_it() -> None:
    bot = a_bot(
        stories={
            "colour": [intent("colour"), action("utter_back")],
            "in the form": [
                intent("order_status"),
                action("order_form"),
                {"active_loop": "order_form"},
                intent("affirm"),
                action("utter_nothing"),
                action("order_form"),
            ],
        },
        policy=EXACT,
    )
    talk = Talk(bot)
    talk.hears("order_status")

    outcome = talk.hears("colour")

    assert done(outcome) == ["!order_form", "utter_back"]
    assert [event.policy for event in outcome.events if event.kind == "action"] == ["story", "story"]


def test_a_story_that_needs_a_slot_counts_only_where_it_is_set() -> None:
    bot = a_storied_bot(
        known=[intent("greet"), action("utter_d"), set_to(known=True), intent("ask"), action("utter_a")]
    )
    greeted = [heard("greet"), did("utter_d")]

    assert follows(bot, *greeted, Event("slot", "known", True), LISTENED, heard("ask")).action == "utter_a"
    assert follows(bot, *greeted, LISTENED, heard("ask")).policy == "fallback"


def test_an_entity_that_a_story_names_fills_its_slot_in_the_story_too() -> None:
    bot = a_storied_bot(fly=[intent("fly", {"city": "Wien"}), action("utter_a")])
    filled = [heard("fly", "city"), Event("slot", "city", "Graz")]

    assert follows(bot, *filled).action == "utter_a"
    assert follows(bot, heard("fly", "city")).policy == "fallback"
    assert follows(bot, heard("fly")).policy == "fallback"


def test_where_two_stories_go_different_ways_neither_is_remembered() -> None:
    bot = a_storied_bot(one=[intent("ask"), action("utter_a")], two=[intent("ask"), action("utter_b")])

    assert follows(bot, heard("ask")).policy == "fallback"


def test_what_is_said_does_not_count_where_a_story_speaks_of_another_action_before() -> None:
    bot = a_storied_bot(one=[intent("ask"), action("utter_a"), action("utter_b")])

    assert follows(bot, heard("tell"), did("utter_a")).action == "action_listen"


SHORT_SIGHTED = PolicySettings(takes_near_stories=False, max_history=2)


def test_with_a_short_history_stories_look_at_the_last_states_only() -> None:
    far = a_storied_bot(two=TWO_TURNS)
    near = a_storied_bot(SHORT_SIGHTED, two=TWO_TURNS)
    otherwise_begun = [heard("ask"), did("utter_d"), did("utter_a"), LISTENED, heard("tell")]

    assert follows(far, *otherwise_begun).policy == "fallback"
    assert follows(near, *otherwise_begun).action == "utter_b"


def test_with_a_short_history_slots_from_long_ago_do_not_hinder() -> None:
    bot = a_storied_bot(SHORT_SIGHTED, two=TWO_TURNS, known=[set_to(known=True), intent("nix"), action("utter_d")])
    known = [heard("nix"), Event("slot", "known", True), did("utter_d"), LISTENED]

    assert follows(bot, *known, heard("ask"), did("utter_a"), LISTENED, heard("tell")).action == "utter_b"


def test_with_a_short_history_a_form_begun_long_ago_is_out_of_sight() -> None:
    form: Steps = [{"intent": "order_status"}, action("order_form"), {"active_loop": "order_form"}]
    stories = {
        "aside": [intent("affirm"), action("utter_back")],
        "aside in the form": [*form, intent("affirm"), action("utter_back"), action("order_form")],
    }
    begun = [heard("order_status"), did("order_form"), Event("active_loop", "order_form"), LISTENED]
    aside = [heard("affirm"), Event("action_execution_rejected", "order_form"), did("utter_back")]
    bot = a_bot(stories=stories, policy=SHORT_SIGHTED, slots=(*a_bot().slots, SLOTS[0]))
    known = [Event("slot", "known", True), LISTENED]
    in_between = [heard("nix"), did("utter_default"), LISTENED]

    assert follows(bot, *known, *begun, *aside).action == "order_form"
    assert follows(bot, *known, *begun, *in_between, *aside).action == "action_listen"


GREETING = {"greet": {"steps": [intent("greet"), action("utter_h")]}}


def test_turns_that_only_rules_tell_of_do_not_break_a_story() -> None:
    talk = Talk(a_storied_bot(EXACT, GREETING, two=TWO_TURNS))

    told = [done(talk.hears(name)) for name in ("ask", "greet", "tell")]

    assert told == [["utter_a"], ["utter_h"], ["utter_b", "utter_c"]]


def test_turns_that_a_rule_and_a_story_tell_of_are_part_of_the_story() -> None:
    stories = {"greeted": [intent("greet"), action("utter_h"), *TWO_TURNS]}
    talk = Talk(a_storied_bot(EXACT, GREETING, **stories))

    straight = done(talk.hears("ask"))
    talk.hears("greet")
    greeted = done(talk.hears("ask"))

    assert straight == ["action_default_fallback"]
    assert greeted == ["utter_a"]


def test_what_was_not_understood_does_not_break_a_story() -> None:
    talk = Talk(a_storied_bot(EXACT, GREETING, two=TWO_TURNS))

    told = [done(talk.hears(name)) for name in ("greet", "ask", None, "greet", None, "tell")]

    fallback = ["action_default_fallback"]
    assert told == [["utter_h"], ["utter_a"], fallback, ["utter_h"], fallback, ["utter_b", "utter_c"]]


def test_slots_of_which_only_rules_speak_do_not_break_a_story() -> None:
    rules = {"known": {"condition": [set_to(known=True)], "steps": [intent("greet"), action("utter_h")]}}
    bot = a_storied_bot(EXACT, rules, two=TWO_TURNS)

    found = follows(bot, heard("ask"), did("utter_a"), Event("slot", "known", True), LISTENED, heard("tell"))

    assert found.action == "utter_b"


def test_a_story_that_goes_nearly_so_counts_where_none_goes_just_so() -> None:
    bot = a_storied_bot(NEAR_TOO, two=TWO_TURNS)

    found = follows(bot, heard("greet"), did("utter_d"), LISTENED, heard("tell"))

    assert (found.action, found.policy, found.because) == (
        "utter_b",
        "nearest-story",
        "like story `two` at stories.yml:0",
    )


def test_a_story_does_not_count_as_near_for_something_else_that_was_said() -> None:
    bot = a_storied_bot(NEAR_TOO, two=TWO_TURNS)

    assert follows(bot, heard("nix")).policy == "fallback"


def test_of_near_stories_the_one_that_agrees_in_more_counts() -> None:
    bot = a_storied_bot(
        NEAR_TOO,
        one=[intent("ask"), action("utter_a"), intent("tell"), action("utter_b")],
        two=[intent("ask"), action("utter_c"), intent("tell"), action("utter_d")],
        three=[intent("greet"), action("utter_c"), intent("tell"), action("utter_d")],
    )

    one_like = follows(bot, heard("nix"), did("utter_a"), LISTENED, heard("tell"))
    two_like = follows(bot, heard("nix"), did("utter_c"), LISTENED, heard("tell"))

    assert (one_like.action, one_like.policy) == ("utter_d", "nearest-story")  # two of three stories have it so
    assert two_like.action == "utter_d"


def test_a_near_story_counts_only_if_it_is_worth_the_threshold() -> None:
    sure = PolicySettings(fallback_threshold=0.99)

    assert follows(a_storied_bot(sure, two=TWO_TURNS), heard("tell")).policy == "fallback"


def test_what_a_near_match_is_worth_falls_with_what_it_looks_at() -> None:
    worth = [each for _, _, each in NEAR]

    assert worth == sorted(worth, reverse=True)
    assert 0 < min(worth) <= max(worth) < 1


STATE: State = {"user": {"intent": "ask"}, "prev_action": {"action_name": "utter_a"}, "slots": {"known": (1.0, 1.0)}}
KNOWS_LESS: State = {**STATE, "slots": {"known": (1.0, 0.0)}}


def test_states_are_named_by_all_that_is_in_them() -> None:
    assert digest([STATE]) == digest([{part: STATE[part] for part in sorted(STATE)}])
    assert digest([STATE]) != digest([KNOWS_LESS])
    assert digest([STATE]) != digest([STATE, STATE])


@pytest.mark.parametrize(("parts", "is_same"), [({"intent", "action"}, True), ({"intent", "action", "slots"}, False)])
def test_states_are_near_when_the_parts_looked_at_are_the_same(parts: set[str], is_same: bool) -> None:
    names = {near_key([state], 1, frozenset(parts)) for state in (STATE, KNOWS_LESS)}

    assert (len(names) == 1) == is_same
