"""The policy: of built-in intents, forms, rules, stories and the fallback, which one decides."""

from dataclasses import replace
from typing import Any

import pytest

from parley.bots.bot import Bot, PolicySettings
from parley.conversation import Dialogue, Event
from parley.dialogue.policy import Policy, Prediction
from tests.builders import SHOP_RULES, Steps, a_bot, a_dialogue

LISTENED, GREETED = Event("action", "action_listen"), Event("action", "utter_greet")
RUNNING = Event("active_loop", "order_form")
ASKED = [Event("user", "order_status"), Event("action", "order_form"), RUNNING, LISTENED]
REJECTED = Event("action_execution_rejected", "order_form")
STORIES: dict[str, Steps] = {
    "thanks": [{"intent": "affirm"}, {"action": "utter_back"}],
    "in the form": [
        {"intent": "order_status"},
        {"action": "order_form"},
        {"active_loop": "order_form"},
        {"intent": "affirm"},
        {"action": "utter_nothing"},
        {"action": "order_form"},
    ],
}


def heard(intent: str) -> Event:
    return Event("user", intent, intent, "words")


def follows(bot: Bot, *events: Event, rejected: str | None = None) -> Prediction:
    return Policy(bot).next(a_dialogue(bot, *events), rejected=rejected)


def decided(bot: Bot, *events: Event, **more: Any) -> tuple[str, str]:
    found = follows(bot, *events, **more)
    return found.action, found.policy


@pytest.mark.parametrize(
    ("intent", "action"),
    [("restart", "action_restart"), ("back", "action_back"), ("session_start", "action_session_start")],
)
def test_intents_that_are_built_in_go_before_everything_else(intent: str, action: str) -> None:
    assert decided(a_bot(), *ASKED, heard(intent)) == (action, "built-in")


def test_intents_that_are_built_in_mean_something_just_after_they_were_said_only() -> None:
    assert follows(a_bot(), heard("back"), GREETED).policy != "built-in"


def test_a_paused_bot_can_be_restarted_even_if_it_was_paused_in_the_middle_of_a_turn() -> None:
    assert decided(a_bot(), GREETED, Event("pause"), heard("restart")) == ("action_restart", "built-in")


def test_a_form_goes_before_rules() -> None:
    assert decided(a_bot(), *ASKED, heard("greet")) == ("order_form", "form")


def test_a_form_waits_after_it_has_run() -> None:
    assert decided(a_bot(), heard("order_status"), Event("action", "order_form"), RUNNING) == ("action_listen", "form")


def test_a_rule_goes_before_a_story_and_counts_where_the_form_rejected_what_was_said() -> None:
    assert decided(a_bot(), *ASKED, heard("greet"), REJECTED, rejected="order_form") == ("utter_greet", "rule")


def test_a_story_counts_where_no_rule_holds() -> None:
    assert decided(a_bot(stories=STORIES), heard("affirm")) == ("utter_back", "story")


def test_a_near_story_counts_where_no_story_goes_just_so() -> None:
    bot = a_bot(stories=STORIES)

    assert decided(bot, heard("nix"), Event("action", "action_generate"), LISTENED, heard("affirm")) == (
        "utter_back",
        "story",
    )
    assert decided(bot, *ASKED, heard("affirm"), REJECTED, rejected="order_form") == ("utter_nothing", "story")


def test_what_was_rejected_is_not_chosen_again() -> None:
    bot = a_bot(stories=STORIES)

    assert decided(bot, heard("greet"), rejected="utter_greet") == ("action_unsure", "fallback")
    assert decided(bot, heard("affirm"), rejected="utter_back") == ("action_unsure", "fallback")
    assert decided(bot, Event("followup", "utter_back"), heard("greet"), rejected="utter_back")[1] == "rule"


def test_what_an_action_wants_to_follow_goes_before_everything() -> None:
    assert decided(a_bot(), *ASKED, heard("back"), Event("followup", "utter_greet")) == ("utter_greet", "followup")


def test_what_nobody_knows_cannot_follow() -> None:
    assert decided(a_bot(), heard("greet"), Event("followup", "utter_nix")) == ("utter_greet", "rule")


def test_where_nothing_applies_the_bot_is_unsure() -> None:
    assert decided(a_bot(), heard("nix")) == ("action_unsure", "fallback")


def test_without_ways_to_be_unsure_the_fallback_is_rasas() -> None:
    assert decided(a_bot(unsure=()), heard("nix")) == ("action_default_fallback", "fallback")


def test_the_fallback_may_be_another_action_and_then_unsure_is_not_asked() -> None:
    bot = a_bot(policy=PolicySettings(fallback_action="utter_back"))

    assert decided(bot, heard("nix")) == ("utter_back", "fallback")


def test_a_fallback_that_was_rejected_is_to_listen() -> None:
    bot = a_bot(policy=PolicySettings(fallback_action="utter_back"))

    assert decided(bot, heard("nix"), rejected="utter_back") == ("action_listen", "fallback")


def test_without_a_fallback_the_bot_listens() -> None:
    assert decided(a_bot(policy=PolicySettings(fallback_enabled=False)), heard("nix")) == ("action_listen", "fallback")


def test_where_nothing_follows_what_was_done_the_bot_listens() -> None:
    assert decided(a_bot(), heard("nix"), GREETED) == ("action_listen", "fallback")


def test_a_form_that_comes_back_from_something_else_does_not_take_the_last_words_for_an_answer() -> None:
    bot = a_bot(stories=STORIES)

    back = follows(bot, *ASKED, heard("affirm"), REJECTED, Event("action", "utter_nothing"))

    assert (back.action, back.policy, back.interrupts) == ("order_form", "story", False)


def test_a_rule_may_say_that_what_was_said_is_no_answer_to_the_form() -> None:
    asks_again = {
        "condition": [{"active_loop": "order_form"}],
        "steps": [{"intent": "affirm"}, {"action": "order_form"}, {"active_loop": "order_form"}],
    }
    bot = a_bot({**SHOP_RULES, "ask again": asks_again})

    found = follows(bot, *ASKED, heard("affirm"), REJECTED)

    assert (found.action, found.policy, found.interrupts) == ("order_form", "rule", True)


def test_steps_are_hidden_from_stories_that_never_tell_them() -> None:
    told, untold = a_bot(stories=STORIES), a_bot()
    begun = [heard("order_status")]

    assert follows(untold, heard("greet")).hidden
    assert follows(untold, *begun).hidden
    assert not follows(told, *begun).hidden
    assert follows(untold, *begun, Event("action", "order_form"), RUNNING).hidden
    assert not follows(told, *begun, Event("action", "order_form"), RUNNING).hidden
    assert not follows(told, heard("affirm")).hidden


def test_what_comes_in_the_place_of_a_hidden_step_is_hidden_too() -> None:
    silent = a_bot(policy=PolicySettings(fallback_enabled=False))

    assert follows(silent, heard("greet"), rejected="utter_greet").hidden
    assert not follows(silent, heard("nix")).hidden


@pytest.mark.parametrize("hidden", [True, False])
def test_listening_after_what_nothing_follows_is_hidden_as_that_is(hidden: bool) -> None:
    assert follows(a_bot(), heard("nix"), Event("action", "utter_back", hidden=hidden)).hidden == hidden


def test_a_rule_without_stories_can_be_asked_for() -> None:
    bot = a_bot(stories=STORIES)
    policy = Policy(bot)

    def foretold(*events: Event) -> str | None:
        return policy.without_stories(a_dialogue(bot, *events))[0]

    assert foretold(heard("greet")) == "utter_greet"
    assert foretold(heard("affirm")) is None
    assert foretold(*ASKED, heard("affirm")) == "order_form"


def test_a_policy_gives_one_answer_to_one_dialogue() -> None:
    bot = a_bot(stories=STORIES)
    policy = Policy(bot)
    dialogues: list[Dialogue] = [a_dialogue(bot, *ASKED, heard("greet"), REJECTED), a_dialogue(bot, heard("affirm"))]

    first = [policy.next(each) for each in dialogues]

    assert [policy.next(each) for each in (*dialogues, *dialogues)] == [*first, *first]
    assert [Policy(replace(bot)).next(each) for each in dialogues] == first
