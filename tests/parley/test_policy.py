"""The policy decides by rules, forms and the bot's `unsure` list, and by nothing else."""

from dataclasses import replace

from parley.conversation import ActiveForm
from parley.dialogue.actions import Answer, FirstOf, Generate, Say
from parley.dialogue.policy import decide
from tests.builders import a_bot, a_session, an_understanding

ASKING = ActiveForm("order_form", "order_number")


def test_a_rule_says_its_response() -> None:
    decision = decide(a_bot(), a_session(), an_understanding("greet"), "hello")

    assert decision.actions == (Say("utter_greet"),)
    assert decision.because == "rule greet"


def test_a_form_asks_for_its_first_slot() -> None:
    decision = decide(a_bot(), a_session(), an_understanding("order_status"), "where is it?")

    assert decision.actions == (Say("utter_ask_number"),)
    assert decision.form == ASKING


def test_a_form_takes_the_slot_and_its_rule_goes_on() -> None:
    decision = decide(a_bot(), a_session(form=ASKING), an_understanding(None, order_number="204518"), "204518")

    assert decision.actions == (Say("utter_status"),)
    assert decision.slots == {"order_number": "204518"}
    assert decision.form is None


def test_a_slot_said_at_once_need_not_be_asked_for() -> None:
    understanding = an_understanding("order_status", order_number="204518")

    decision = decide(a_bot(), a_session(), understanding, "where is 204518?")

    assert decision.actions == (Say("utter_status"),)


def test_a_value_of_the_wrong_shape_is_explained_and_not_kept() -> None:
    decision = decide(a_bot(), a_session(form=ASKING), an_understanding(None, order_number="2045"), "2045")

    assert decision.actions == (Say("utter_invalid_number"),)
    assert decision.slots == {}
    assert decision.form == ASKING


def test_what_a_form_cannot_read_may_be_a_question_and_is_else_explained() -> None:
    decision = decide(a_bot(), a_session(form=ASKING), an_understanding(None), "how far is the moon?")

    assert decision.actions == (FirstOf(((Answer(), Say("utter_ask_number")), (Say("utter_invalid_number"),))),)
    assert decision.form == ASKING


def test_a_rule_that_speaks_of_the_form_can_end_it() -> None:
    decision = decide(a_bot(), a_session(form=ASKING), an_understanding("never_mind"), "never mind")

    assert decision.actions == (Say("utter_stopped"),)
    assert decision.form is None


def test_a_form_takes_what_it_asked_for_whatever_else_was_said() -> None:
    understanding = an_understanding("never_mind", order_number="204518")

    decision = decide(a_bot(), a_session(form=ASKING), understanding, "no wait, it is 204518")

    assert decision.actions == (Say("utter_status"),)


def test_outside_the_form_never_mind_has_nothing_to_stop() -> None:
    decision = decide(a_bot(), a_session(), an_understanding("never_mind"), "never mind")

    assert decision.actions == (Say("utter_nothing"),)


def test_a_question_in_the_middle_of_a_form_is_answered_and_the_form_asks_again() -> None:
    decision = decide(a_bot(), a_session(form=ASKING), an_understanding("ask_knowledge"), "what does it cost?")

    assert decision.actions == (
        FirstOf(((Answer(),), (Say("utter_declined", as_fallback=True),))),
        Say("utter_ask_number"),
    )
    assert decision.form == ASKING


def test_asking_for_the_form_again_asks_once() -> None:
    decision = decide(a_bot(), a_session(form=ASKING), an_understanding("order_status"), "where is my order?")

    assert decision.actions == (Say("utter_ask_number"),)


def test_what_no_rule_knows_is_looked_up_then_admitted() -> None:
    decision = decide(a_bot(), a_session(), an_understanding(None, nearest="greet"), "colourless green ideas")

    assert decision.actions == (FirstOf(((Answer(),), (Say("utter_default", as_fallback=True),))),)


def test_the_generator_speaks_when_small_talk_is_nearest() -> None:
    decision = decide(a_bot(), a_session(), an_understanding(None, nearest="chitchat"), "la la la")

    assert decision.actions == (FirstOf(((Answer(),), (Generate(),), (Say("utter_default", as_fallback=True),))),)


def test_an_intent_without_a_rule_is_treated_as_unsure() -> None:
    decision = decide(a_bot(), a_session(), an_understanding("affirm"), "yes")

    assert decision.because == "unsure"


def test_a_rule_with_a_slot_condition_holds_only_then_and_wins() -> None:
    bot = a_bot()
    known = replace(bot.rules[0], name="greet again", actions=("utter_nothing",), slots={"order_number": "204518"})
    bot = replace(bot, rules=(*bot.rules, known))

    fresh = decide(bot, a_session(), an_understanding("greet"), "hello")
    again = decide(bot, a_session(slots={"order_number": "204518"}), an_understanding("greet"), "hello")

    assert fresh.because == "rule greet"
    assert again.because == "rule greet again"
