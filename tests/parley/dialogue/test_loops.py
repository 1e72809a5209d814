"""Forms, from the first question to the last answer and on every way out; and the two-stage fallback."""

from dataclasses import replace
from typing import Any

import pytest

from parley.bots.bot import Bot, Form, MappingCondition, Slot, SlotCheck, SlotMapping
from parley.conversation import Button, Entity, Loop
from parley.dialogue.actions import Call
from parley.errors import ActionFailed
from tests.builders import SOME_SERVER, Act, Steps, Talk, a_bot, does, done, sets, texts, wordings


def from_entity(name: str) -> SlotMapping:
    return SlotMapping("from_entity", entity=name)


def from_text(form: str, slot: str) -> SlotMapping:
    return SlotMapping("from_text", conditions=(MappingCondition(form, slot),))


SLOTS = (
    Slot("size", "text", (from_entity("size"),)),
    Slot("topping", "text", (from_entity("topping"),)),
    Slot("note", "text", (from_text("pizza_form", "note"),), influences=False),
    Slot("drink", "text", (from_text("drink_form", "drink"),), influences=False),
    Slot(
        "how",
        "text",
        (SlotMapping("from_trigger_intent", value="by order", intents=("order",)),),
        influences=False,
    ),
)
PIZZA, DRINK = Form("pizza_form", ("size", "topping")), Form("drink_form", ("drink",))


def begins(intent: str, form: str) -> dict[str, Any]:
    return {"steps": [{"intent": intent}, {"action": form}, {"active_loop": form}]}


def ends(form: str, action: str) -> dict[str, Any]:
    return {
        "condition": [{"active_loop": form}],
        "steps": [{"action": form}, {"active_loop": None}, {"action": action}],
    }


RULES: dict[str, dict[str, Any]] = {
    "order": begins("order", "pizza_form"),
    "ordered": ends("pizza_form", "utter_ordered"),
    "drink": begins("drink", "drink_form"),
    "drunk": ends("drink_form", "utter_drunk"),
    "faq": {"steps": [{"intent": "faq"}, {"action": "utter_faq"}]},
    "stop": {
        "condition": [{"active_loop": "pizza_form"}],
        "steps": [
            {"intent": "stop"},
            {"action": "action_deactivate_loop"},
            {"active_loop": None},
            {"action": "utter_stopped"},
        ],
    },
}
WORDINGS = wordings(
    ask_size="size?",
    ask_pizza_form_topping="topping?",
    ask_topping="not asked in this form",
    ask_note="note?",
    ask_drink="drink?",
    ordered="{size} with {topping}",
    drunk="a {drink}",
    faq="it depends",
    stopped="stopped",
    default="what?",
    small="not so small",
)


def an_eating_bot(
    *actions: str, pizza: Form = PIZZA, more_rules: Any = None, stories: dict[str, Steps] | None = None, **changes: Any
) -> Bot:
    """A bot that takes orders of pizza and drinks; `actions` are its custom ones."""
    return a_bot(
        {**RULES, **(more_rules or {})},
        stories,
        slots=SLOTS,
        forms={"pizza_form": pizza, "drink_form": DRINK},
        responses={**WORDINGS, **changes.pop("responses", {})},
        entity_names=("size", "topping"),
        actions=actions,
        custom=SOME_SERVER if actions else a_bot().custom,
        unsure=(),
        **changes,
    )


def extracted(call: Call) -> dict[str, Any]:
    """The slots that a validation action finds to validate, as rasa_sdk looks for them: at the end of the events."""
    found: dict[str, Any] = {}
    for event in reversed(call.events):
        if event.kind != "slot":
            break
        found.setdefault(str(event.name), event.value)
    return found


# Beginning


def test_a_form_begins_with_its_first_question_and_waits() -> None:
    talk = Talk(an_eating_bot())

    outcome = talk.hears("order")

    assert done(outcome) == ["pizza_form"]
    assert texts(outcome) == ["size?"]
    assert talk.now.loop == Loop("pizza_form")
    assert talk.now.requested_slot == "size"


def test_what_was_said_with_the_order_is_not_asked_for() -> None:
    talk = Talk(an_eating_bot())

    assert texts(talk.hears("order", size="xl")) == ["topping?"]


def test_what_has_been_known_before_is_not_asked_for() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("faq", size="xl")

    assert texts(talk.hears("order")) == ["topping?"]


def test_a_form_for_which_everything_is_known_ends_at_once() -> None:
    talk = Talk(an_eating_bot())

    outcome = talk.hears("order", size="xl", topping="ham")

    assert done(outcome) == ["pizza_form", "utter_ordered"]
    assert texts(outcome) == ["xl with ham"]
    assert talk.now.loop is None


def test_the_intent_that_starts_a_form_fills_slots_in_it() -> None:
    talk = Talk(an_eating_bot())

    talk.hears("order")

    assert talk.slots["how"] == "by order"


def test_a_question_for_this_form_goes_before_one_for_all_forms() -> None:
    assert texts(Talk(an_eating_bot()).hears("order", size="xl")) == ["topping?"]


def test_a_slot_for_which_there_is_no_question_is_waited_for_in_silence() -> None:
    bot = an_eating_bot(pizza=Form("pizza_form", ("how_much",)))
    bot = replace(bot, slots=(*bot.slots, Slot("how_much", "text")))
    talk = Talk(bot)

    outcome = talk.hears("order")

    assert (texts(outcome), talk.now.requested_slot) == ([], "how_much")


# Answers


def test_an_answer_fills_its_slot_and_the_form_asks_on() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    outcome = talk.hears("inform", size="xl")

    assert (done(outcome), texts(outcome)) == (["pizza_form"], ["topping?"])
    assert talk.slots["size"] == "xl"


def test_the_last_answer_ends_the_form_and_what_the_rule_says_follows() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")
    talk.hears("inform", size="xl")

    outcome = talk.hears("inform", topping="ham")

    assert (done(outcome), texts(outcome)) == (["pizza_form", "utter_ordered"], ["xl with ham"])
    assert (talk.now.loop, talk.now.requested_slot) == (None, None)


def test_several_answers_at_once_are_taken() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    assert texts(talk.hears("inform", topping="ham", size="xl")) == ["xl with ham"]


def test_an_answer_to_another_question_than_the_one_asked_is_taken() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    assert texts(talk.hears("inform", topping="ham")) == ["size?"]
    assert talk.slots["topping"] == "ham"


def test_any_words_are_an_answer_where_the_text_is_asked_for() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("drink")

    assert texts(talk.hears("faq", "what is the weather?")) == ["a what is the weather?"]


def test_a_form_may_be_filled_again_when_its_slots_were_emptied() -> None:
    talk = Talk(
        an_eating_bot("action_forget", more_rules={"forget": {"steps": [{"intent": "x"}, {"action": "action_forget"}]}})
    )
    talk.acts = {"action_forget": does(*sets(size=None))}
    talk.hears("order", size="xl", topping="ham")
    talk.hears("x")

    assert texts(talk.hears("order")) == ["size?"]
    assert texts(talk.hears("inform", size="s")) == ["s with ham"]


# Patterns of bot.yml

CHECKED = Form("pizza_form", ("size", "topping"), checks={"size": SlotCheck("s|m|xl", "utter_small")})


def test_an_answer_that_does_not_match_is_refused_and_asked_for_again() -> None:
    talk = Talk(an_eating_bot(pizza=CHECKED))
    talk.hears("order")

    outcome = talk.hears("inform", size="tiny")

    assert texts(outcome) == ["not so small", "size?"]
    assert "size" not in talk.slots
    assert texts(talk.hears("inform", size="XL")) == ["topping?"]


@pytest.mark.parametrize("value", ["xl and more", "\nxl", "s|m"])
def test_the_whole_answer_must_match(value: str) -> None:
    talk = Talk(an_eating_bot(pizza=CHECKED))
    talk.hears("order")

    talk.hears("inform", size=value)

    assert "size" not in talk.slots


def test_what_was_known_before_is_checked_when_the_form_begins() -> None:
    talk = Talk(an_eating_bot(pizza=CHECKED))
    talk.hears("faq", size="tiny")

    assert texts(talk.hears("order")) == ["not so small", "size?"]


# Validation by a custom action


def a_validated_talk(act: Act, **more: Any) -> Talk:
    return Talk(an_eating_bot("validate_pizza_form", **more), {"validate_pizza_form": act})


def test_a_validation_action_is_given_what_was_found_and_what_was_asked_for() -> None:
    talk = a_validated_talk(does())
    talk.hears("order")

    talk.hears("inform", size="xl", topping="ham")

    call = talk.calls[-1]
    assert extracted(call) == {"size": "xl", "topping": "ham"}
    assert [(event.kind, event.name) for event in call.events[-4:-2]] == [
        ("slot", "requested_slot"),
        ("action", "pizza_form"),
    ]
    assert call.events[-4].value == "size"
    assert call.dialogue.now.slots["size"] == "xl"


def test_a_validation_action_may_change_an_answer() -> None:
    talk = a_validated_talk(
        lambda call: does(*sets(**{name: str(value).upper() for name, value in extracted(call).items()}))
    )
    talk.hears("order")

    assert texts(talk.hears("inform", size="xl", topping="ham")) == ["XL with HAM"]


def test_a_validation_action_may_refuse_an_answer_and_say_why() -> None:
    def refuse(call: Call) -> Any:
        return does(*sets(size=None), say="no such size") if "size" in extracted(call) else does()

    talk = a_validated_talk(refuse)
    talk.hears("order")

    assert texts(talk.hears("inform", size="tiny")) == ["no such size", "size?"]


def test_what_was_known_before_is_validated_when_the_form_begins() -> None:
    talk = a_validated_talk(lambda call: does(*sets(size="XL")) if "size" in extracted(call) else does())
    talk.hears("faq", size="xl")

    assert texts(talk.hears("order")) == ["topping?"]
    assert talk.slots["size"] == "XL"


def test_a_validation_action_may_ask_for_more_than_the_form_says() -> None:
    def also_a_note(call: Call) -> Any:
        slots = call.dialogue.now.slots
        missing = [slot for slot in ("size", "topping", "note") if slots.get(slot) is None]
        return does(*sets(requested_slot=missing[0] if missing else None))

    talk = a_validated_talk(also_a_note)

    said = [texts(talk.hears("order", size="xl", topping="ham")), texts(talk.hears("inform", "be quick"))]

    assert said == [["note?"], ["xl with ham"]]
    assert talk.slots["note"] == "be quick"


def test_a_validation_action_may_ask_for_less_than_the_form_says() -> None:
    talk = a_validated_talk(lambda call: does(*sets(requested_slot=None)) if "size" in extracted(call) else does())
    talk.hears("order")

    assert texts(talk.hears("inform", size="xl")) == ["xl with "]
    assert talk.now.loop is None


def test_a_validation_action_may_end_the_form() -> None:
    ending = {"event": "active_loop", "name": None}
    talk = a_validated_talk(lambda call: does(ending) if "size" in extracted(call) else does())
    talk.hears("order")

    outcome = talk.hears("inform", size="xl")

    assert talk.now.loop is None
    assert done(outcome) == ["pizza_form", "utter_ordered"]


def test_a_validation_action_may_reject_what_was_said() -> None:
    rejecting = {"event": "action_execution_rejected", "name": "pizza_form"}
    talk = a_validated_talk(lambda call: does(rejecting) if extracted(call) else does())
    talk.hears("order")

    outcome = talk.hears("faq", size="xl")

    assert done(outcome) == ["!pizza_form", "utter_faq", "pizza_form"]
    assert texts(outcome) == ["it depends", "topping?"]  # what was found has been found all the same


def test_a_validation_action_that_fills_the_slot_itself_keeps_the_form_from_rejecting() -> None:
    talk = a_validated_talk(lambda call: does(*sets(size="m")) if call.dialogue.now.requested_slot else does())
    talk.hears("order")

    assert done(talk.hears("faq", "the usual one")) == ["pizza_form"]
    assert talk.slots["size"] == "m"


def test_a_validation_action_that_fails_takes_the_turn_back() -> None:
    talk = a_validated_talk(does())
    talk.hears("order")
    before = talk.session.dialogue
    talk.acts = {"validate_pizza_form": ActionFailed("broken")}

    outcome = talk.hears("inform", size="xl")

    assert [each.source for each in outcome.said] == ["fallback"]
    assert before is not None
    assert talk.now == before.now
    assert "size" not in talk.slots


def test_patterns_are_looked_at_before_the_validation_action_is_asked() -> None:
    talk = a_validated_talk(does(), pizza=CHECKED)
    talk.hears("order")

    talk.hears("inform", size="tiny", topping="ham")

    assert extracted(talk.calls[-1]) == {"topping": "ham"}


# Questions by a custom action


@pytest.mark.parametrize(
    ("actions", "asked"),
    [
        (("action_ask_note",), "asked by action_ask_note"),
        (("action_ask_note", "action_ask_pizza_form_note"), "asked by action_ask_pizza_form_note"),
        ((), "note?"),
    ],
)
def test_a_question_may_be_asked_by_a_custom_action(actions: tuple[str, ...], asked: str) -> None:
    bot = an_eating_bot(*actions, pizza=Form("pizza_form", ("note",)))
    talk = Talk(bot, {action: does(say=f"asked by {action}") for action in actions})

    assert texts(talk.hears("order")) == [asked]


def test_a_question_for_this_form_goes_before_an_action_for_all_forms() -> None:
    talk = Talk(an_eating_bot("action_ask_topping"), {"action_ask_topping": does(say="asked by an action")})

    assert texts(talk.hears("order", size="xl")) == ["topping?"]


def test_an_action_that_asks_may_fill_other_slots() -> None:
    bot = an_eating_bot("action_ask_pizza_form_size")
    talk = Talk(bot, {"action_ask_pizza_form_size": does(*sets(note="asked"), say="which?")})

    assert texts(talk.hears("order")) == ["which?"]
    assert talk.slots["note"] == "asked"


# Something else in between


def test_a_form_that_cannot_use_what_was_said_lets_a_rule_answer_and_asks_again() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    outcome = talk.hears("faq")

    assert done(outcome) == ["!pizza_form", "utter_faq", "pizza_form"]
    assert texts(outcome) == ["it depends", "size?"]
    assert talk.now.loop == Loop("pizza_form")
    assert texts(talk.hears("inform", size="xl")) == ["topping?"]


def test_where_no_rule_answers_either_the_turn_is_taken_back() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    outcome = talk.hears("nix")

    assert done(outcome) == ["!pizza_form", "action_default_fallback"]
    assert talk.now.loop == Loop("pizza_form")
    assert texts(talk.hears("inform", size="xl")) == ["topping?"]


def test_words_to_which_a_rule_answers_in_the_form_are_no_answer_to_it() -> None:
    asides = {
        "aside": {
            "condition": [{"active_loop": "pizza_form"}],
            "steps": [
                {"intent": "chat"},
                {"action": "utter_faq"},
                {"action": "pizza_form"},
                {"active_loop": "pizza_form"},
            ],
        }
    }
    talk = Talk(an_eating_bot(more_rules=asides, pizza=Form("pizza_form", ("size", "note"))))
    talk.hears("order")

    outcome = talk.hears("chat", "nice weather")

    assert done(outcome) == ["!pizza_form", "utter_faq", "pizza_form"]
    assert texts(outcome) == ["it depends", "size?"]


def test_a_form_can_be_stopped() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    outcome = talk.hears("stop")

    assert done(outcome) == ["!pizza_form", "action_deactivate_loop", "utter_stopped"]
    assert (talk.now.loop, talk.now.requested_slot) == (None, None)


def test_a_stopped_form_remembers_what_it_was_told() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order", size="xl")
    talk.hears("stop")

    assert texts(talk.hears("order")) == ["topping?"]


def test_another_form_may_begin_in_the_middle_of_one_and_asks_its_own_question() -> None:
    talk = Talk(an_eating_bot())
    talk.hears("order")

    outcome = talk.hears("drink")

    assert done(outcome) == ["!pizza_form", "drink_form"]
    assert texts(outcome) == ["drink?"]
    assert talk.now.loop == Loop("drink_form")
    assert texts(talk.hears("inform", "cola")) == ["a cola"]
    assert talk.now.loop is None


def test_a_story_may_lead_out_of_a_form_and_back() -> None:
    sure: Steps = [
        {"intent": "order"},
        {"action": "pizza_form"},
        {"active_loop": "pizza_form"},
        {"intent": "leave"},
        {"action": "utter_faq"},
    ]
    goes_on: Steps = [{"intent": "deny"}, {"action": "pizza_form"}, {"active_loop": None}, {"action": "utter_ordered"}]
    stops: Steps = [
        {"intent": "affirm"},
        {"action": "action_deactivate_loop"},
        {"active_loop": None},
        {"action": "utter_stopped"},
    ]
    bot = an_eating_bot(stories={"go on": [*sure, *goes_on], "stop": [*sure, *stops]})
    stopped, going_on = Talk(bot), Talk(bot)

    for talk in (stopped, going_on):
        talk.hears("order")
        assert done(talk.hears("leave")) == ["!pizza_form", "utter_faq"]

    assert done(stopped.hears("affirm")) == ["action_deactivate_loop", "utter_stopped"]
    again = going_on.hears("deny")
    assert (done(again), texts(again)) == (["pizza_form"], ["size?"])
    assert texts(going_on.hears("inform", size="xl")) == ["topping?"]


# Two-stage fallback

UNDERSTANDS = {
    "unclear": begins("nlu_fallback", "action_two_stage_fallback"),
}


def an_asking_bot(**responses: str) -> Bot:
    said = wordings(ask_rephrase="say it in other words", **responses)
    return replace(an_eating_bot(more_rules=UNDERSTANDS, responses=said), intent_titles={"order": "order a pizza"})


def test_what_was_not_understood_is_asked_about() -> None:
    talk = Talk(an_asking_bot())

    [said] = talk.hears(None, nearest="order").said

    assert said.message.text == "Did you mean: order a pizza?"
    assert said.message.buttons == (Button("Yes", "/order"), Button("No", "/out_of_scope"))
    assert talk.now.loop == Loop("action_two_stage_fallback")


def test_an_intent_without_a_title_is_asked_about_by_its_name() -> None:
    [said] = Talk(an_asking_bot()).hears(None, nearest="ask_for_help").said

    assert said.message.text == "Did you mean: ask for help?"


def test_the_author_may_word_the_question() -> None:
    talk = Talk(an_asking_bot(ask_affirmation="Is it {intent}? {payload}"))

    assert texts(talk.hears(None, nearest="order")) == ["Is it order a pizza? /order"]


def test_what_is_affirmed_counts_as_if_it_had_been_said_at_once() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")

    outcome = talk.hears("order", "/order")

    assert (done(outcome), texts(outcome)) == (["action_two_stage_fallback", "pizza_form"], ["size?"])
    assert talk.session.dialogue is not None
    assert [event.name for event in talk.session.dialogue.trail if event.kind == "user"] == ["order"]


def test_what_is_denied_is_to_be_said_in_other_words() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")

    assert texts(talk.hears("out_of_scope", "/out_of_scope")) == ["say it in other words"]


def test_other_words_that_are_understood_count() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")
    talk.hears("out_of_scope")

    assert texts(talk.hears("order", size="xl")) == ["topping?"]
    assert talk.slots["size"] == "xl"


def test_other_words_that_are_not_understood_are_asked_about_once_more() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")
    talk.hears("out_of_scope")

    assert texts(talk.hears(None, nearest="faq")) == ["Did you mean: faq?"]
    assert texts(talk.hears("faq")) == ["it depends"]


def test_after_a_second_no_the_bot_gives_up() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")
    talk.hears("out_of_scope")
    talk.hears(None, nearest="faq")

    outcome = talk.hears("out_of_scope")

    assert texts(outcome) == ["what?"]
    assert talk.now.loop is None
    assert texts(talk.hears("faq")) == ["it depends"]


def test_after_a_second_unclear_answer_the_bot_gives_up() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")

    assert texts(talk.hears(None, nearest="faq")) == ["what?"]
    assert talk.now.loop is None


def test_an_answer_about_something_else_counts_as_what_it_is() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")

    assert texts(talk.hears("faq")) == ["it depends"]


def test_entities_of_what_was_clarified_fill_slots() -> None:
    talk = Talk(an_asking_bot())
    talk.hears(None, nearest="order")

    talk.hears("order", entities=(Entity("size", "xl", 0, 0, "xl"), Entity("topping", "ham", 0, 0, "ham")))

    assert talk.slots["size"] == "xl"
    assert talk.now.loop is None
