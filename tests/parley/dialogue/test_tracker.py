"""How events change a dialogue: what is taken back, what begins anew, what a form's answers leave behind."""

import msgspec
import pytest

from parley.bots.bot import Bot, Form, Slot
from parley.conversation import Dialogue, Event, Loop, Situation
from parley.dialogue.policy import Policy
from parley.dialogue.tracker import Tracker
from tests.builders import Talk, a_bot, a_dialogue

LISTENED, GREETED = Event("action", "action_listen"), Event("action", "utter_greet")
RAN, RUNNING = Event("action", "order_form"), Event("active_loop", "order_form")
LONG = 5_000  # turns


def heard(intent: str = "greet") -> Event:
    return Event("user", intent, intent, "words")


def set_to(slot: str, value: object) -> Event:
    return Event("slot", slot, value)


def trail(dialogue: Dialogue) -> list[str]:
    return [f"{event.kind} {event.name}" for event in dialogue.trail]


def a_slotted_bot() -> Bot:
    slots = (Slot("size", "text"), Slot("toppings", "list"), Slot("tone", "text", initial_value="kind"))
    return a_bot(slots=slots, forms={"order_form": Form("order_form", ("size",))})


def test_before_anything_has_happened_a_bot_listens_with_its_initial_slots() -> None:
    dialogue = Tracker(a_slotted_bot()).begin()

    assert dialogue.now == Situation(slots={"tone": "kind"}, followup="action_listen")
    assert dialogue.trail == ()


def test_what_was_said_is_heard_and_its_intent_is_remembered() -> None:
    dialogue = a_dialogue(a_bot(), *(heard(intent) for intent in ("a", "b", "c", "d")))

    assert dialogue.now.heard == heard("d")
    assert dialogue.intents == ("b", "c", "d")


def test_an_action_ends_what_was_to_follow() -> None:
    dialogue = a_dialogue(a_bot(), Event("followup", "utter_greet"), GREETED)

    assert (dialogue.now.action, dialogue.now.followup) == ("utter_greet", None)


def test_an_utterance_ends_what_was_to_follow() -> None:
    assert a_dialogue(a_bot(), Event("followup", "utter_greet"), heard()).now.followup is None


def test_an_action_that_rejected_its_execution_does_not_follow_any_more() -> None:
    dialogue = a_dialogue(a_bot(), Event("followup", "order_form"), Event("action_execution_rejected", "order_form"))

    assert dialogue.now.followup is None


def test_a_slot_that_the_domain_lacks_cannot_be_set() -> None:
    assert "nix" not in a_dialogue(a_slotted_bot(), set_to("nix", 1)).now.slots


@pytest.mark.parametrize(
    ("value", "kept"), [("ham", ["ham"]), (["ham", "egg"], ["ham", "egg"]), (None, None), ([], [])]
)
def test_a_list_slot_keeps_lists(value: object, kept: object) -> None:
    assert a_dialogue(a_slotted_bot(), set_to("toppings", value)).now.slots["toppings"] == kept


def test_resetting_slots_gives_them_their_initial_values() -> None:
    dialogue = a_dialogue(a_slotted_bot(), set_to("size", "xl"), set_to("tone", "rude"), Event("reset_slots"))

    assert dialogue.now.slots == {"tone": "kind"}


def test_a_rewind_takes_back_the_last_utterance_and_all_that_came_of_it() -> None:
    told = [heard("greet"), GREETED, LISTENED, heard("order_status"), RAN, RUNNING, set_to("size", "xl")]

    dialogue = a_dialogue(a_slotted_bot(), *told, Event("rewind"))

    assert trail(dialogue) == ["action action_listen", "user greet", "action utter_greet"]
    assert dialogue.now == Situation(slots={"tone": "kind"}, action="utter_greet", heard=heard("greet"), followup=None)


def test_a_rewind_is_remembered_among_the_intents() -> None:
    dialogue = a_dialogue(a_bot(), heard("greet"), GREETED, Event("rewind"), LISTENED, heard("never_mind"))

    assert dialogue.intents == ("greet", None, "never_mind")


def test_a_rewind_of_nothing_leaves_the_beginning() -> None:
    dialogue = a_dialogue(a_slotted_bot(), Event("rewind"), Event("rewind"))

    assert dialogue.trail == ()
    assert dialogue.now == Tracker(a_slotted_bot()).start


def test_an_undo_takes_back_the_last_action_only() -> None:
    dialogue = a_dialogue(a_slotted_bot(), heard(), set_to("size", "xl"), GREETED, set_to("size", "s"), Event("undo"))

    assert trail(dialogue) == ["action action_listen", "user greet", "slot size"]
    assert (dialogue.now.action, dialogue.now.slots["size"]) == ("action_listen", "xl")


def test_a_restart_forgets_everything_and_asks_for_a_new_session() -> None:
    dialogue = a_dialogue(
        a_slotted_bot(), heard(), set_to("size", "xl"), RAN, RUNNING, Event("pause"), Event("restart")
    )

    assert dialogue.trail == ()
    assert dialogue.now == Situation(slots={"tone": "kind"}, followup="action_session_start")


def test_a_new_session_forgets_everything() -> None:
    dialogue = a_dialogue(a_slotted_bot(), heard(), set_to("size", "xl"), RAN, RUNNING, Event("session_started"))

    assert dialogue.trail == ()
    assert dialogue.now == Tracker(a_slotted_bot()).start


def test_pausing_and_resuming_are_remembered() -> None:
    assert a_dialogue(a_bot(), Event("pause")).now.paused
    assert not a_dialogue(a_bot(), Event("pause"), Event("resume")).now.paused


def test_a_loop_that_rejected_what_was_said_is_rejected_until_it_runs_again() -> None:
    rejected = [RAN, RUNNING, LISTENED, heard(), Event("action_execution_rejected", "order_form")]

    talked = a_dialogue(a_bot(), *rejected, GREETED)
    back = a_dialogue(a_bot(), *rejected, GREETED, RAN)

    assert talked.now.loop == Loop("order_form", rejected=True)
    assert back.now.loop == Loop("order_form")


def test_a_rejection_of_something_else_does_not_concern_the_loop() -> None:
    dialogue = a_dialogue(a_bot(), RAN, RUNNING, Event("action_execution_rejected", "action_other"))

    assert dialogue.now.loop == Loop("order_form")


def test_an_interruption_lasts_until_the_next_action() -> None:
    interrupted = a_dialogue(a_bot(), RAN, RUNNING, Event("loop_interrupted", value=True))

    after = Tracker(a_bot()).after(interrupted, GREETED)

    assert interrupted.now.loop == Loop("order_form", interrupted=True)
    assert after.now.loop == Loop("order_form")


def test_answers_to_a_form_leave_the_trail_and_the_slots_that_they_filled_stay() -> None:
    answered = [heard("order_status"), RAN, RUNNING, LISTENED, heard("inform"), set_to("size", "xl"), RAN]

    dialogue = a_dialogue(a_slotted_bot(), *answered)

    assert trail(dialogue) == [
        "action action_listen",
        "user order_status",
        "action order_form",
        "active_loop order_form",
        "slot size",
    ]
    assert dialogue.now.heard == heard("inform")
    assert dialogue.now.slots["size"] == "xl"


def test_what_a_form_rejected_stays_in_the_trail() -> None:
    rejection = Event("action_execution_rejected", "order_form")
    unhappy = [heard("order_status"), RAN, RUNNING, LISTENED, heard("ask"), rejection, GREETED, RAN]

    dialogue = a_dialogue(a_bot(), *unhappy)

    assert trail(dialogue)[-3:] == ["action_execution_rejected order_form", "action utter_greet", "action order_form"]


def test_a_form_that_runs_again_after_it_ended_is_a_new_one() -> None:
    twice = [heard("order_status"), RAN, RUNNING, Event("active_loop"), LISTENED, heard("order_status"), RAN, RUNNING]

    assert trail(a_dialogue(a_bot(), *twice)).count("action order_form") == 2


def test_what_the_bot_says_changes_nothing() -> None:
    before = a_dialogue(a_bot(), heard())

    assert Tracker(a_bot()).after(before, Event("bot", text="Hello!")) == before


def test_a_dialogue_is_the_same_after_it_was_stored() -> None:
    talk = Talk(a_bot())
    talk.hears("order_status", "where is it?")
    talk.hears("inform", "204518", order_number="204518")
    dialogue = talk.session.dialogue

    stored = msgspec.json.decode(msgspec.json.encode(dialogue), type=Dialogue)

    assert stored == dialogue


def test_a_dialogue_of_many_turns_stays_small_and_decides_as_if_it_were_whole() -> None:
    bot = a_bot(
        stories={
            "twice": [
                {"intent": "order_status"},
                {"action": "order_form"},
                {"active_loop": "order_form"},
                {"active_loop": None},
                {"action": "utter_status"},
                {"intent": "affirm"},
                {"action": "utter_back"},
            ]
        }
    )
    policy, tracker = Policy(bot), Tracker(bot)
    whole = trimmed = a_dialogue(bot, heard("greet"), GREETED)
    for number in range(LONG):
        intent = ("greet", "chitchat", "ask_knowledge")[number % 3]
        for event in (LISTENED, heard(intent), Event("action", "utter_greet", hidden=number % 3 == 0)):
            trimmed = tracker.after(trimmed, event)
        trimmed = tracker.trimmed(trimmed)
    order = [heard("order_status"), RAN, RUNNING, Event("active_loop"), Event("action", "utter_status"), LISTENED]
    ending = [LISTENED, *order, heard("affirm")]

    short, long = tracker.after_all(whole, ending), tracker.trimmed(tracker.after_all(trimmed, ending))

    assert len(msgspec.json.encode(trimmed)) < 40_000
    assert policy.next(long).action == policy.next(short).action == "utter_back"


def test_trimming_keeps_slots_that_were_set_long_ago() -> None:
    bot = a_slotted_bot()
    tracker = Tracker(bot)
    dialogue = a_dialogue(bot, heard(), set_to("size", "xl"))

    for _ in range(200):
        dialogue = tracker.trimmed(tracker.after_all(dialogue, [GREETED, LISTENED, heard()]))

    assert dialogue.before.slots["size"] == "xl"
    assert tracker.after(dialogue, Event("rewind")).now.slots["size"] == "xl"


def test_a_dialogue_that_is_short_is_not_trimmed() -> None:
    dialogue = a_dialogue(a_bot(), heard(), GREETED, LISTENED)

    assert Tracker(a_bot()).trimmed(dialogue) is dialogue
