"""The policy decides by rules, forms and the bot's `unsure` list, and by nothing else."""

from dataclasses import dataclass, field, replace
from typing import Any

from parley.bots.bot import Bot
from parley.conversation import Loop, Message, Session
from parley.dialogue.actions import Answer, FirstOf, Generate, HandOff, Need, Said, Say, Step
from parley.dialogue.course import Outcome, converse, drive
from parley.dialogue.policy import Policy
from tests.builders import SHOP_RULES, a_bot, a_session, a_turn, an_understanding


@dataclass
class Talk:
    """A conversation in which documents and generator have something to say, or not."""

    bot: Bot = field(default_factory=a_bot)
    answers: bool = False
    generates: bool = False
    session: Session = field(default_factory=a_session)
    needs: list[Need] = field(default_factory=list)
    because: str = ""

    def hear(self, intent: str | None, text: str, *, nearest: str | None = None, **entities: Any) -> list[str]:
        """What is said to an utterance: responses by their names, all else by its source."""
        understanding = an_understanding(intent, nearest=nearest, **entities)
        course = converse(Policy(self.bot), self.session, a_turn(text=text), understanding)
        outcome: Outcome = drive(course, self._perform)
        self.session = a_session(version=self.session.version + 1, dialogue=outcome.dialogue)
        self.because = outcome.because
        return [said.response or said.source for said in outcome.said]

    def _perform(self, need: Need) -> list[Said]:
        assert isinstance(need, FirstOf)
        self.needs.append(need)
        ways = ([said for step in way if (said := self._said(step))] for way in need.ways)
        return next(filter(None, ways), [])

    def _said(self, step: Step) -> Said | None:
        match step:
            case Say(response):
                return Said(Message(response), "scripted", response)
            case Answer():
                return Said(Message("nine to five"), "knowledge") if self.answers else None
            case Generate():
                return Said(Message("fine"), "generated") if self.generates else None
            case HandOff():
                return Said(Message(""), "handoff")


def asking(**settings: Any) -> Talk:
    """A conversation in which the form has asked for the order number."""
    talk = Talk(**settings)
    assert talk.hear("order_status", "where is it?") == ["utter_ask_order_number"]
    return talk


def is_asking(talk: Talk) -> bool:
    dialogue = talk.session.dialogue
    return talk.session.form == Loop("order_form") and dialogue.now.requested_slot == "order_number"


def test_a_rule_says_its_response() -> None:
    talk = Talk()

    assert talk.hear("greet", "hello") == ["utter_greet"]
    assert talk.because == "rule `greet` at rules.yml:0"


def test_a_form_asks_for_its_first_slot() -> None:
    talk = Talk()

    assert talk.hear("order_status", "where is it?") == ["utter_ask_order_number"]
    assert is_asking(talk)


def test_a_form_takes_the_slot_and_its_rule_goes_on() -> None:
    talk = asking()

    assert talk.hear(None, "204518", order_number="204518") == ["utter_status"]
    assert talk.session.slots["order_number"] == "204518"
    assert talk.session.form is None


def test_a_slot_said_at_once_need_not_be_asked_for() -> None:
    assert Talk().hear("order_status", "where is 204518?", order_number="204518") == ["utter_status"]


def test_a_value_of_the_wrong_shape_is_explained_and_not_kept() -> None:
    talk = asking()

    assert talk.hear(None, "2045", order_number="2045") == ["utter_invalid_number", "utter_ask_order_number"]
    assert talk.session.slots.get("order_number") is None
    assert is_asking(talk)


def test_what_a_form_cannot_read_may_be_a_question() -> None:
    talk = asking(answers=True)

    assert talk.hear(None, "how far is the moon?") == ["knowledge", "utter_ask_order_number"]
    assert is_asking(talk)


def test_what_a_form_cannot_read_and_the_documents_do_not_hold_is_explained() -> None:
    talk = asking()

    assert talk.hear(None, "how far is the moon?") == ["utter_invalid_number"]
    assert is_asking(talk)


def test_a_rule_that_speaks_of_the_form_can_end_it() -> None:
    talk = asking()

    assert talk.hear("never_mind", "never mind") == ["utter_stopped"]
    assert talk.session.form is None


def test_a_form_takes_what_it_asked_for_whatever_else_was_said() -> None:
    assert asking().hear("never_mind", "no wait, it is 204518", order_number="204518") == ["utter_status"]


def test_outside_the_form_never_mind_has_nothing_to_stop() -> None:
    assert Talk().hear("never_mind", "never mind") == ["utter_nothing"]


def test_a_question_in_the_middle_of_a_form_is_answered_and_the_form_asks_again() -> None:
    talk = asking(answers=True)

    assert talk.hear("ask_knowledge", "what does it cost?") == ["knowledge", "utter_ask_order_number"]
    assert is_asking(talk)


def test_asking_for_the_form_again_asks_once() -> None:
    assert asking().hear("order_status", "where is my order?") == ["utter_ask_order_number"]


def test_what_no_rule_knows_is_looked_up_then_admitted() -> None:
    talk = Talk(generates=True)

    assert talk.hear(None, "colourless green ideas", nearest="greet") == ["utter_default"]
    assert [need.ways for need in talk.needs] == [((Answer(),), (Say("utter_default", as_fallback=True),))]


def test_the_generator_speaks_when_small_talk_is_nearest() -> None:
    talk = Talk(generates=True)

    assert talk.hear(None, "la la la", nearest="chitchat") == ["generated"]
    assert [need.ways for need in talk.needs] == [
        ((Answer(),), (Generate(),), (Say("utter_default", as_fallback=True),))
    ]


def test_an_intent_without_a_rule_is_treated_as_unsure() -> None:
    talk = Talk(answers=True)

    assert talk.hear("affirm", "yes") == ["knowledge"]
    assert talk.because == "no rule or story applies"


def test_a_rule_with_a_slot_condition_holds_only_then_and_wins() -> None:
    slots = tuple(replace(slot, influences=True) for slot in a_bot().slots)
    again = {
        "condition": [{"slot_was_set": [{"order_number": "204518"}]}],
        "steps": [{"intent": "greet"}, {"action": "utter_nothing"}],
    }
    talk = Talk(a_bot({**SHOP_RULES, "greet again": again}, slots=slots))

    assert talk.hear("greet", "hello") == ["utter_greet"]
    talk.hear("order_status", "where is 204518?", order_number="204518")

    assert talk.hear("greet", "hello") == ["utter_nothing"]
    assert "rule `greet again`" in talk.because


def test_after_a_thousand_turns_no_more_is_kept_than_after_a_hundred() -> None:
    talk, kept = Talk(), {}
    for number in range(1, 501):
        talk.hear("order_status", "where is it?")
        talk.hear(None, "204518", order_number="204518")
        kept[number] = len(talk.session.dialogue.trail)

    assert kept[500] <= kept[50]
    assert talk.hear("greet", "hello") == ["utter_greet"]
