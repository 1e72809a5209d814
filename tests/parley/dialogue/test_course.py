"""The course of a turn: sessions, built-in and custom actions, what fails, what is unsure, and what ends it."""

from dataclasses import replace
from typing import Any

import pytest

from parley.actions import CustomActions, HttpCall
from parley.bots.bot import (
    Bot,
    Form,
    HandoffSettings,
    PolicySettings,
    SessionSettings,
    Slot,
    SlotCheck,
    SlotMapping,
    Variation,
)
from parley.conversation import Event, Loop, Understanding
from parley.dialogue.actions import Answer, Call, FirstOf, Generate, HandOff, Say
from parley.dialogue.course import MOST_ACTIONS, converse, utterance
from parley.dialogue.policy import Policy
from parley.errors import ActionFailed
from tests.builders import (
    SOME_SERVER,
    Steps,
    Talk,
    a_bot,
    a_session,
    a_turn,
    an_understanding,
    does,
    done,
    sets,
    texts,
    wordings,
)

NAME = Slot("name", "text", (SlotMapping("from_entity", entity="name"),))
TONE = Slot("tone", "text", initial_value="kind")
KNOWN = Slot("known", "bool")
EXACT = PolicySettings(takes_near_stories=False)


def says(intent: str, action: str) -> dict[str, Any]:
    return {"steps": [{"intent": intent}, {"action": action}]}


def an_acting_bot(*actions: str, rules: dict[str, dict[str, Any]] | None = None, **changes: Any) -> Bot:
    """A bot that greets, and does its custom `actions`, each after the intent of its name."""
    own = {action: says(action.removeprefix("action_"), action) for action in actions if action.startswith("action_")}
    return a_bot(
        {"greet": says("greet", "utter_greet"), **own, **(rules or {})},
        changes.pop("stories", None),
        **{
            "slots": (NAME, TONE, KNOWN),
            "forms": {},
            "entity_names": ("name",),
            "responses": wordings(greet="hello", default="what?", bye="bye", sorry="sorry", again="again"),
            "actions": actions,
            "custom": SOME_SERVER,
            "unsure": (),
            "fallback": "utter_sorry",
            **changes,
        },
    )


def kinds(outcome: Any) -> list[str]:
    return [event.kind for event in outcome.events]


# Hearing


@pytest.mark.parametrize(
    ("understood", "heard"),
    [
        (an_understanding("greet"), Event("user", "greet", "greet", "hi")),
        (an_understanding(None, nearest="greet"), Event("user", "nlu_fallback", None, "hi")),
        (replace(an_understanding("faq"), retrieval_intent="faq/hours"), Event("user", "faq", "faq/hours", "hi")),
    ],
)
def test_an_utterance_is_heard_by_its_intent(understood: Understanding, heard: Event) -> None:
    assert utterance(understood, "hi") == heard


def test_a_turn_hears_fills_slots_acts_and_listens() -> None:
    talk = Talk(an_acting_bot())

    outcome = talk.hears("greet", "I am Ada", name="Ada")

    assert [(event.kind, event.name) for event in outcome.events] == [
        ("session_started", None),
        ("action", "action_listen"),
        ("user", "greet"),
        ("slot", "name"),
        ("action", "utter_greet"),
        ("bot", "utter_greet"),
        ("action", "action_listen"),
    ]
    assert outcome.because == "rule `greet` at rules.yml:0"
    assert talk.slots == {"name": "Ada", "tone": "kind"}


def test_what_needs_the_outside_is_asked_for_while_the_turn_goes_on() -> None:
    bot = an_acting_bot("action_look")
    course = converse(Policy(bot), a_session(), a_turn(), an_understanding("look", name="Ada"))

    need = next(course)

    assert isinstance(need, Call)
    assert need.action == "action_look"
    assert need.dialogue.now.slots["name"] == "Ada"
    assert [event.kind for event in need.events] == ["session_started", "action", "user", "slot"]


def test_an_action_is_told_of_the_turns_before_too() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does()})
    talk.hears("greet")

    talk.hears("look")

    assert [(event.kind, event.name) for event in talk.calls[0].events] == [
        ("action", "action_listen"),
        ("user", "greet"),
        ("action", "utter_greet"),
        ("action", "action_listen"),
        ("user", "look"),
    ]


def test_a_rule_may_say_nothing_at_all() -> None:
    outcome = Talk(an_acting_bot(rules={"hush": says("hush", "action_listen")})).hears("hush")

    assert (outcome.said, done(outcome)) == ((), [])


def test_a_response_of_an_action_that_nobody_runs_is_nothing() -> None:
    bot = replace(an_acting_bot("action_look"), custom=a_bot().custom)

    outcome = Talk(bot).hears("look")

    assert (outcome.said, done(outcome)) == ((), ["action_look"])


# Sessions


def test_the_first_turn_begins_a_session_and_the_second_does_not() -> None:
    talk = Talk(an_acting_bot())

    begun = [kinds(talk.hears("greet")).count("session_started") for _ in range(2)]

    assert begun == [1, 0]


@pytest.mark.parametrize(
    ("session", "minutes", "expires"),
    [
        (SessionSettings(minutes=60), 59, False),
        (SessionSettings(minutes=60), 61, True),
        (SessionSettings(minutes=0.5), 0.6, True),
        (SessionSettings(minutes=0), 10_000, False),
    ],
)
def test_a_session_expires_after_so_much_silence(session: SessionSettings, minutes: float, expires: bool) -> None:
    talk = Talk(an_acting_bot(session=session))
    talk.hears("greet")

    outcome = talk.hears("greet", after_minutes=minutes)

    assert ("session_started" in kinds(outcome)) == expires


def test_a_new_session_carries_slots_over_unless_told_otherwise() -> None:
    kept, lost = (Talk(an_acting_bot(session=SessionSettings(1, carries))) for carries in (True, False))

    for talk in (kept, lost):
        talk.hears("greet", name="Ada")
        talk.hears("greet", after_minutes=2)

    assert kept.slots == {"name": "Ada", "tone": "kind"}
    assert lost.slots == {"tone": "kind"}


def test_a_slot_that_was_emptied_stays_empty_in_the_next_session() -> None:
    talk = Talk(an_acting_bot("action_forget", session=SessionSettings(1)), {"action_forget": does(*sets(tone=None))})
    talk.hears("forget")

    talk.hears("greet", after_minutes=2)

    assert talk.slots == {}


def test_a_form_does_not_go_on_in_the_next_session() -> None:
    talk = Talk(a_bot(session=SessionSettings(1)))
    talk.hears("order_status")

    outcome = talk.hears("greet", after_minutes=2)

    assert done(outcome) == ["utter_greet"]
    assert (talk.now.loop, talk.now.requested_slot) == (None, None)


def test_what_was_said_in_the_last_session_is_not_part_of_the_story() -> None:
    stories: dict[str, Steps] = {
        "two": [{"intent": "a"}, {"action": "utter_bye"}, {"intent": "b"}, {"action": "utter_again"}]
    }
    talk = Talk(an_acting_bot(stories=stories, session=SessionSettings(1), policy=EXACT))
    talk.hears("a")

    assert texts(talk.hears("b", after_minutes=2)) == ["what?"]


LISTENS = {"event": "action", "name": "action_listen"}


def test_a_bot_may_begin_sessions_in_its_own_way() -> None:
    own = does({"event": "session_started"}, *sets(name="Ada"), LISTENS, say="Welcome!")
    talk = Talk(an_acting_bot("action_session_start"), {"action_session_start": own})

    outcome = talk.hears("greet")

    assert texts(outcome) == ["Welcome!", "hello"]
    assert talk.slots["name"] == "Ada"


@pytest.mark.parametrize("act", [ActionFailed("broken"), does(rejects=True)])
def test_a_session_begins_even_if_the_bots_own_way_fails(act: Any) -> None:
    assert texts(Talk(an_acting_bot("action_session_start"), {"action_session_start": act}).hears("greet")) == ["hello"]


# Built-in actions


def test_a_restart_forgets_slots_and_forms_and_begins_a_session() -> None:
    talk = Talk(a_bot(responses={**a_bot().responses, **wordings(restart="from the beginning")}))
    talk.hears("order_status")

    outcome = talk.hears("restart", "/restart")

    assert texts(outcome) == ["from the beginning"]
    assert done(outcome) == ["action_restart", "action_session_start"]
    assert (talk.slots, talk.now.loop, talk.now.followup) == ({}, None, None)
    assert texts(talk.hears("greet")) == ["greet"]


def test_back_takes_back_the_turn_before_too() -> None:
    bot = an_acting_bot(responses=wordings(greet="hello", default="what?", back="one step back"))
    talk = Talk(bot)
    talk.hears("greet")
    before = talk.session.dialogue
    talk.hears("greet", name="Ada")

    outcome = talk.hears("back", "/back")

    assert texts(outcome) == ["one step back"]
    assert before is not None
    assert talk.now == before.now


def test_rasas_fallback_says_so_and_takes_the_turn_back() -> None:
    talk = Talk(an_acting_bot())
    talk.hears("greet")
    before = talk.now

    outcome = talk.hears("nix", name="Ada")

    assert [(each.message.text, each.source) for each in outcome.said] == [("what?", "fallback")]
    assert talk.now == before


def test_a_bots_own_action_goes_before_the_built_in_one_of_that_name() -> None:
    talk = Talk(an_acting_bot("action_default_fallback"), {"action_default_fallback": does(say="my own fallback")})

    assert texts(talk.hears("nix")) == ["my own fallback"]


def test_a_rule_may_set_off_the_filling_of_slots() -> None:
    bot = an_acting_bot(rules={"look": says("look", "action_extract_slots")})

    outcome = Talk(bot).hears("look", name="Ada")

    assert kinds(outcome).count("slot") == 2


def test_a_response_for_parts_of_an_intent_is_that_of_the_part_that_was_meant() -> None:
    responses = {"utter_faq/hours": (Variation("9 to 5"),), "utter_faq/place": (Variation("here"),)}
    bot = an_acting_bot(rules={"faq": says("faq", "utter_faq")}, responses=responses, retrieval_intents=("faq",))
    session, turn = a_session(), a_turn()
    understood = replace(an_understanding("faq"), retrieval_intent="faq/hours")
    course = converse(Policy(bot), session, turn, understood)

    with pytest.raises(StopIteration) as end:
        next(course)

    assert texts(end.value.value) == ["9 to 5"]


def test_where_no_part_was_meant_the_bot_declines() -> None:
    responses = {"utter_faq/hours": (Variation("9 to 5"),), **wordings(no="I do not know")}
    bot = an_acting_bot(rules={"faq": says("faq", "utter_faq")}, responses=responses, declined="utter_no")

    [said] = Talk(bot).hears("faq").said

    assert (said.message.text, said.source) == ("I do not know", "fallback")


# What custom actions send


def test_a_custom_action_says_things_and_sets_slots() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does(*sets(name="Ada", known=True), say="found")})

    outcome = talk.hears("look")

    assert texts(outcome) == ["found"]
    assert talk.slots == {"name": "Ada", "known": True, "tone": "kind"}


def test_what_a_custom_action_sets_decides_what_follows() -> None:
    look: Steps = [{"intent": "look"}, {"action": "action_look"}]
    rules = {
        "known": {"steps": [*look, {"slot_was_set": [{"known": True}]}, {"action": "utter_bye"}]},
        "unknown": {"steps": [*look, {"slot_was_set": [{"known": False}]}, {"action": "utter_again"}]},
    }
    bot = a_bot(
        rules,
        slots=(KNOWN,),
        forms={},
        responses=wordings(bye="bye", again="again"),
        actions=("action_look",),
        custom=SOME_SERVER,
    )

    said = [texts(Talk(bot, {"action_look": does(*sets(known=known))}).hears("look")) for known in (True, False)]

    assert said == [["bye"], ["again"]]


def test_what_a_custom_action_wants_to_follow_follows() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does({"event": "followup", "name": "utter_bye"})})

    assert done(talk.hears("look")) == ["action_look", "utter_bye"]


def test_a_custom_action_may_want_nothing_to_follow() -> None:
    rules = {"look": {"steps": [{"intent": "look"}, {"action": "action_look"}, {"action": "utter_bye"}]}}
    bot = an_acting_bot(rules=rules, actions=("action_look",))
    talk = Talk(bot, {"action_look": does({"event": "followup", "name": "action_listen"})})

    assert done(talk.hears("look")) == ["action_look"]


def test_a_custom_action_may_reject_its_execution_and_the_fallback_follows() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does(rejects=True)})

    assert done(talk.hears("look")) == ["!action_look", "action_default_fallback"]


def test_a_custom_action_may_let_something_be_said_by_the_person() -> None:
    said = {
        "event": "user",
        "text": "hello",
        "parse_data": {"intent": {"name": "greet"}, "entities": [{"entity": "name", "value": "Ada"}]},
    }
    talk = Talk(an_acting_bot("action_look"), {"action_look": does(LISTENS, said)})

    outcome = talk.hears("look")

    assert done(outcome) == ["action_look", "utter_greet"]
    assert talk.slots["name"] == "Ada"


def test_a_custom_action_may_send_what_it_says_as_an_event() -> None:
    spoken = {"event": "bot", "text": "found", "data": {"image": "https://shop.example/a.png", "buttons": None}}
    talk = Talk(an_acting_bot("action_look"), {"action_look": does(spoken)})

    [said] = talk.hears("look").said

    assert (said.message.text, said.message.image) == ("found", "https://shop.example/a.png")


def test_a_paused_bot_is_silent_and_hears_on() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does({"event": "pause"}, say="wait")})
    talk.hears("look")

    outcome = talk.hears("greet", name="Ada")

    assert (outcome.said, done(outcome)) == ((), [])
    assert talk.slots["name"] == "Ada"
    assert talk.now.paused


def test_a_paused_bot_can_be_restarted() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does({"event": "pause"})})
    talk.hears("look")
    talk.hears("greet")

    talk.hears("restart", "/restart")

    assert texts(talk.hears("greet")) == ["hello"]


def test_a_custom_action_may_resume() -> None:
    paused_and_resumed = does({"event": "pause"}, {"event": "resume"})
    talk = Talk(an_acting_bot("action_look"), {"action_look": paused_and_resumed})

    talk.hears("look")

    assert texts(talk.hears("greet")) == ["hello"]


def test_a_custom_action_may_take_back_what_was_said() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does({"event": "rewind"}, say="never mind")})
    talk.hears("greet")
    before = talk.now

    outcome = talk.hears("look", name="Ada")

    assert texts(outcome) == ["never mind"]
    assert talk.now == before


HOSTILE: dict[str, dict[str, Any]] = {
    "no kind": {"name": "size"},
    "a kind that there is not": {"event": "drop_tables"},
    "a slot without a name": {"event": "slot", "value": 1},
    "an action without a name": {"event": "action"},
    "a user without an intent": {"event": "user", "text": "hi"},
    "entities that are none": {"event": "user", "parse_data": {"intent": {"name": "greet"}, "entities": ["name"]}},
    "too much": {"event": "slot", "name": "name", "value": "x" * 70_000},
}


@pytest.mark.parametrize("event", HOSTILE.values(), ids=HOSTILE)
def test_an_action_that_sends_what_cannot_be_has_failed_and_changes_nothing(event: dict[str, Any]) -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does(*sets(name="Eve"), event, say="done")})
    talk.hears("greet")
    before = talk.now

    outcome = talk.hears("look")

    assert [(each.message.text, each.source) for each in outcome.said] == [("sorry", "fallback")]
    assert talk.now == before


@pytest.mark.parametrize(
    "event",
    [
        {"event": "reminder", "intent": "greet"},
        {"event": "export"},
        {"event": "slot", "name": "not in the domain", "value": 1},
        {"event": "followup", "name": "action_nix"},
        {"event": "active_loop", "name": "nix_form"},
        {"event": "undo"},
        {"event": "loop_interrupted", "is_interrupted": True},
        {"event": "action_execution_rejected", "name": "action_look"},
    ],
    ids=lambda event: event["event"],
)
def test_an_action_that_sends_what_means_little_does_not_break_the_conversation(event: dict[str, Any]) -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": does(event)})

    talk.hears("look")
    talk.hears("restart", "/restart")

    assert texts(talk.hears("greet")) == ["hello"]


# What fails


def test_an_action_that_fails_takes_the_turn_back_and_the_person_is_told() -> None:
    talk = Talk(an_acting_bot("action_look"), {"action_look": ActionFailed("broken")})
    talk.hears("greet")
    before = talk.now

    outcome = talk.hears("look", name="Ada")

    assert [(each.message.text, each.source) for each in outcome.said] == [("sorry", "fallback")]
    assert outcome.because == "rule `action_look` at rules.yml:1, and `action_look` failed"
    assert talk.now == before
    assert texts(talk.hears("greet")) == ["hello"]


def test_a_turn_in_which_something_was_done_is_not_taken_back() -> None:
    rules = {"buy": {"steps": [{"intent": "buy"}, {"action": "action_pay"}, {"action": "action_send"}]}}
    bot = an_acting_bot(rules=rules, actions=("action_pay", "action_send"))
    talk = Talk(bot, {"action_pay": does(*sets(known=True), say="paid"), "action_send": ActionFailed("broken")})

    outcome = talk.hears("buy")

    assert texts(outcome) == ["paid", "sorry"]
    assert talk.slots["known"] is True
    assert talk.now.action == "action_listen"


def test_a_failed_turn_does_not_hide_the_story_that_goes_on() -> None:
    stories: dict[str, Steps] = {
        "two": [{"intent": "a"}, {"action": "utter_bye"}, {"intent": "b"}, {"action": "utter_again"}]
    }
    talk = Talk(an_acting_bot("action_look", stories=stories, policy=EXACT), {"action_look": ActionFailed("broken")})
    talk.hears("a")
    talk.hears("look")

    assert texts(talk.hears("b")) == ["again"]


def test_without_words_for_it_rasas_default_is_said() -> None:
    talk = Talk(an_acting_bot("action_look", fallback=None), {"action_look": ActionFailed("broken")})

    assert texts(talk.hears("look")) == ["what?"]


def test_actions_that_never_end_are_cut_off() -> None:
    rules = {
        "begin": {"steps": [{"intent": "spin"}, {"action": "utter_again"}], "wait_for_user_input": False},
        "spin": {"steps": [{"action": "utter_again"}, {"action": "utter_again"}], "wait_for_user_input": False},
    }
    talk = Talk(an_acting_bot(rules=rules))

    outcome = talk.hears("spin")

    assert len(outcome.said) == MOST_ACTIONS
    assert outcome.because.endswith("too many actions in a row")


# Slots that actions fill


def a_looking_bot(*more: str, **changes: Any) -> Bot:
    found = Slot("found", "text", (SlotMapping("custom", action="action_find"),), influences=False)
    return an_acting_bot("action_find", *more, slots=(NAME, TONE, KNOWN, found), **changes)


def test_an_action_fills_slots_with_every_utterance() -> None:
    talk = Talk(
        a_looking_bot(),
        {"action_find": lambda call: does(*sets(found=(call.dialogue.now.heard or Event("user")).text))},
    )

    outcome = talk.hears("greet", "hello there")

    assert done(outcome) == ["utter_greet"]
    assert talk.slots["found"] == "hello there"


def test_of_an_action_that_fills_slots_only_slots_count() -> None:
    talk = Talk(a_looking_bot(), {"action_find": does(*sets(found="x"), {"event": "followup", "name": "utter_bye"})})

    assert done(talk.hears("greet")) == ["utter_greet"]


@pytest.mark.parametrize("act", [ActionFailed("broken"), does(rejects=True), does({"event": "nix"})])
def test_an_action_that_fails_to_fill_slots_costs_only_those(act: Any) -> None:
    talk = Talk(a_looking_bot(), {"action_find": act})

    assert texts(talk.hears("greet", name="Ada")) == ["hello"]
    assert talk.slots == {"name": "Ada", "tone": "kind"}


def test_slots_are_validated_before_anything_is_done() -> None:
    def upper(call: Call) -> Any:
        return does(*sets(name=str(call.dialogue.now.slots["name"]).upper()))

    talk = Talk(an_acting_bot("action_validate_slot_mappings"), {"action_validate_slot_mappings": upper})

    talk.hears("greet", name="Ada")

    assert talk.slots["name"] == "ADA"
    assert [(event.kind, event.name) for event in talk.calls[0].events[-2:]] == [("user", "greet"), ("slot", "name")]


def test_a_slot_that_the_validation_does_not_mention_is_kept() -> None:
    talk = Talk(an_acting_bot("action_validate_slot_mappings"), {"action_validate_slot_mappings": does(say="checked")})

    outcome = talk.hears("greet", name="Ada")

    assert texts(outcome) == ["checked", "hello"]
    assert talk.slots["name"] == "Ada"


def test_a_validation_may_refuse_a_slot() -> None:
    refuse = does(*sets(name=None))
    talk = Talk(an_acting_bot("action_validate_slot_mappings"), {"action_validate_slot_mappings": refuse})

    talk.hears("greet", name="Eve")

    assert "name" not in talk.slots


# Unsure


def test_what_no_rule_knows_is_answered_from_the_documents() -> None:
    talk = Talk(a_bot(), known="within 14 days")

    outcome = talk.hears(None, nearest="nix")

    assert [(each.message.text, each.source) for each in outcome.said] == [("within 14 days", "knowledge")]
    assert done(outcome) == ["action_unsure"]


def test_the_ways_of_a_bot_that_is_unsure_are_tried_in_order() -> None:
    bot = a_bot(unsure=("answer", "generate", "handoff", "utter_default"))
    course = converse(Policy(bot), a_session(), a_turn(), an_understanding(None, nearest="chitchat"))

    need = next(course)

    assert isinstance(need, FirstOf)
    assert need.ways == ((Answer(),), (Generate(),), (HandOff(),), (Say("utter_default", as_fallback=True),))


def a_searching_bot() -> Bot:
    """A bot that looks outside for what its documents do not hold."""
    return an_acting_bot("action_search", unsure=("answer", "action_search", "utter_default"), rules={})


def test_what_the_documents_do_not_hold_is_looked_up() -> None:
    search = {"action_search": does(*sets(name="Ada"), say="found elsewhere")}
    talk, knowing = Talk(a_searching_bot(), search), Talk(a_searching_bot(), search, known="within 14 days")

    assert texts(talk.hears(None, nearest="nix")) == ["found elsewhere"]
    assert texts(knowing.hears(None, nearest="nix")) == ["within 14 days"]
    assert "name" not in talk.slots


@pytest.mark.parametrize("outside", [does(), ActionFailed("away")])
def test_where_nothing_is_found_outside_the_next_way_is_tried(outside: Any) -> None:
    talk = Talk(a_searching_bot(), {"action_search": outside})

    [said] = talk.hears(None, nearest="nix").said

    assert (said.message.text, said.source) == ("what?", "fallback")


def test_a_declared_call_says_what_it_found() -> None:
    call = HttpCall("GET", "https://api.example/who?q={message}", slots={"name": "a.0"}, say="utter_found")
    bot = an_acting_bot(
        "action_who",
        custom=CustomActions(calls={"action_who": call}),
        responses=wordings(found="it is {name}", default="what?", sorry="sorry"),
    )
    answer = {"events": sets(name="Ada"), "responses": [{"response": "utter_found"}], "rejected": False}

    assert texts(Talk(bot, {"action_who": answer}).hears("who")) == ["it is Ada"]


def test_the_generator_speaks_only_when_small_talk_is_nearest() -> None:
    chatty, shy = Talk(a_bot(), generated="well, well"), Talk(a_bot(), generated="well, well")

    assert texts(chatty.hears(None, nearest="chitchat")) == ["well, well"]
    assert texts(shy.hears(None, nearest="greet")) == ["default"]


def test_an_unsure_turn_is_taken_back() -> None:
    talk = Talk(a_bot(), known="within 14 days")
    talk.hears("greet")
    before = talk.now

    talk.hears(None, order_number="204518")

    assert talk.now == before


def test_in_a_form_the_documents_may_answer_and_the_form_asks_again() -> None:
    talk = Talk(a_bot(), known="within 14 days")
    talk.hears("order_status")

    outcome = talk.hears(None, "how long?")

    assert texts(outcome) == ["within 14 days", "ask_number"]
    assert talk.now.loop == Loop("order_form")


def test_in_a_form_what_nobody_knows_is_a_failed_attempt() -> None:
    talk = Talk(a_bot())
    talk.hears("order_status")

    assert texts(talk.hears(None, "no idea")) == ["invalid_number"]


def test_in_a_form_without_a_pattern_the_question_is_asked_again() -> None:
    talk = Talk(a_bot(forms={"order_form": Form("order_form", ("order_number",))}))
    talk.hears("order_status")

    assert texts(talk.hears(None, "no idea")) == ["ask_number"]


def test_asking_for_the_form_again_while_it_asks_is_no_failed_attempt() -> None:
    form = Form("order_form", ("order_number",), checks={"order_number": SlotCheck(r"\d{6}", "utter_invalid_number")})
    talk = Talk(a_bot(forms={"order_form": form}), known="within 14 days")
    talk.hears("order_status")

    assert texts(talk.hears("order_status", "where is my order?")) == ["ask_number"]


# Knowledge, generation, a person


def test_an_answer_that_the_documents_do_not_hold_is_declined() -> None:
    [said] = Talk(a_bot()).hears("ask_knowledge").said

    assert (said.message.text, said.source) == ("declined", "fallback")


def test_a_generator_that_says_nothing_is_replaced_by_the_fallback() -> None:
    [said] = Talk(a_bot()).hears("chitchat").said

    assert (said.message.text, said.source) == ("default", "fallback")


def test_a_rule_may_hand_the_conversation_to_a_person() -> None:
    outcome = Talk(a_bot()).hears("human_handoff")

    assert outcome.handed_off
    assert texts(outcome) == ["a person comes"]


def test_a_bot_that_is_unsure_may_hand_the_conversation_over() -> None:
    talk = Talk(a_bot(unsure=("answer", "handoff"), handoff=HandoffSettings()))

    assert talk.hears(None).handed_off
    assert not talk.hears("greet").handed_off


def test_a_way_that_is_not_taken_hands_nothing_over() -> None:
    assert not Talk(a_bot(unsure=("answer", "handoff")), known="within 14 days").hears(None).handed_off
