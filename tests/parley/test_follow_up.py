"""Follow-up questions: which they are, and that the question before makes them whole."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from parley.bots.bot import KnowledgeSettings
from parley.knowledge.follow_up import is_follow_up, standalone
from parley.loaded import LoadedBot
from parley.services import Services
from tests.parley.test_turn import Talk


@pytest.mark.parametrize(
    "text",
    [
        "and how long does it take?",
        "What about Ireland?",
        "why?",
        "how much is it?",
        "Or by PayPal?",
        "how long?",
        "is that free too?",
    ],
)
def test_a_question_that_points_back_is_a_follow_up(text: str) -> None:
    assert is_follow_up(text, "en")


@pytest.mark.parametrize(
    "text",
    [
        "Do you sharpen secateurs?",
        "how long does delivery take?",
        "I ordered a barrow on Monday and it came without its wheel, what shall I do now?",
        "where is my order?",
    ],
)
def test_a_question_that_says_what_it_is_about_is_none(text: str) -> None:
    assert not is_follow_up(text, "en")


def test_of_another_language_nothing_is_guessed() -> None:
    assert not is_follow_up("and why?", "de")


def test_the_question_before_comes_first() -> None:
    assert standalone("and why? ", " Do you deliver?") == "Do you deliver? and why?"


def test_a_follow_up_is_answered_with_the_question_before_in_mind(make_services: Callable[..., Services]) -> None:
    talk = Talk(make_services())
    talk.say("Do you sharpen secateurs?", id="one")

    (message,) = talk.say("and what does it cost?", id="two").turn.reply.messages

    assert message.citations[0].section == "What does sharpening cost?"


def test_without_a_question_before_it_stands_for_itself(make_services: Callable[..., Services]) -> None:
    (message,) = Talk(make_services()).say("and what does it cost?").turn.reply.messages

    assert not message.citations or message.citations[0].section != "What does sharpening cost?"


def test_an_answer_to_a_follow_up_is_nobody_elses(make_services: Callable[..., Services]) -> None:
    services = make_services()
    first, second = Talk(services), Talk(services)
    first.say("Do you sharpen secateurs?", id="one")
    first.say("and what does it cost?", id="two")
    second.say("Do you repair lawn mowers?", id="three")

    reply = second.say("and what does it cost?", id="four").turn.reply

    assert reply.source != "cached"
    assert not any(cited.section == "What does sharpening cost?" for each in reply.messages for cited in each.citations)


def test_what_is_in_the_slots_narrows_the_search(support: LoadedBot) -> None:
    bot = replace(support.bot, knowledge=KnowledgeSettings(filters={"shop": "branch", "product": "tool"}))

    assert bot.knowledge.narrowed({"branch": "Linz", "tool": None, "other": "x"}) == {"shop": "Linz"}
