"""What a completion's audience was told, and what is kept of it when the completion breaks off and is begun anew."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parley.conversation import Citation, Message
from parley.errors import GenerationFailed
from parley.generation.ending import broken_off
from parley.generation.telling import Telling, Told
from tests.parley.test_guard import PARTS

PASSAGES = tuple(Citation(f"{name}.md", name, "", f"All about {name}.") for name in ("herons", "frogs", "ponds"))


@dataclass
class Reading:
    """`ports.Audience` of somebody who reads along."""

    takes_back: bool
    wants_no_more: bool = False
    text: str = ""
    looks: list[str] = field(default_factory=list)  # how it read after each piece

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        pass

    def write(self, text: str, *, at: int) -> None:
        self.text = self.text[:at] + text
        self.looks.append(self.text)

    def cite(self, citation: Citation) -> None:
        pass


@given(st.lists(st.lists(PARTS, max_size=12), min_size=1, max_size=3))
@example([["so it is ", "x "], ["so it is ", "so "], ["so it is ", "x ", "and ", "more."]])
@example([["See ", "[2] ", "or ", "[1] "], ["See ", "[2] ", "or ", "[3]."]])
def test_what_is_kept_begins_with_what_was_told_for_good(tries: list[list[str]]) -> None:
    reading = Reading(takes_back=False)
    telling = Telling(reading, PASSAGES)
    kept: Message | None = None
    for pieces in tries:
        telling.begin()
        with suppress(GenerationFailed):
            for piece in pieces:
                telling.push(piece)

    with suppress(GenerationFailed):
        kept = Message(telling.end().text)

    kept = kept or telling.broken_off
    assert all((kept.text if kept else "").startswith(look.rstrip()) for look in reading.looks)


def test_to_who_takes_back_another_completion_may_be_told() -> None:
    reading = Reading(takes_back=True)
    telling = Telling(reading, PASSAGES)
    telling.push("A heron waits and ")
    telling.begin()
    telling.push("Frogs jump [3]. And ")

    assert (reading.looks[0], reading.text) == ("A heron waits", "Frogs jump [1].")
    assert telling.end() == Told("Frogs jump [3].", "Frogs jump [1].", (PASSAGES[2],), is_whole=True)
    assert telling.broken_off is None


@pytest.mark.parametrize(
    ("takes_back", "told", "is_whole"),
    [(True, "Opening hours", True), (False, "Opening hours\n\nWe are open", False)],
)
def test_what_is_cut_is_whole_and_what_had_to_stay_is_not(takes_back: bool, told: str, is_whole: bool) -> None:
    telling = Telling(Reading(takes_back=takes_back), PASSAGES)
    telling.push("Opening hours\n\nWe are open")

    assert telling.end() == Told(told, told, (), is_whole=is_whole)


def test_what_breaks_off_keeps_its_citations() -> None:
    telling = Telling(Reading(takes_back=False), PASSAGES)
    telling.push("Frogs jump [3] and herons wait ")

    assert telling.broken_off == Message("Frogs jump [1] and herons …", citations=(PASSAGES[2],))


def test_of_what_must_cite_nothing_stays_that_cites_nothing() -> None:
    telling = Telling(Reading(takes_back=False), PASSAGES, must_cite=True)
    telling.push("Frogs jump and ")

    assert telling.broken_off is None

    telling.begin()
    telling.push("A heron waits [2]. And ")
    assert telling.broken_off == Message("A heron waits [1].", citations=(PASSAGES[1],))


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        ("It is so.", "It is so."),
        ("It is so. And ", "It is so. And …"),
        ("Do this:\n```\nmake", "Do this:\n```\nmake\n```"),
        ("Do this:\n```\nmake\n```\n", "Do this:\n```\nmake\n```"),
    ],
)
def test_more_can_be_said_behind_a_text_that_broke_off(text: str, stands: str) -> None:
    assert broken_off(text) == stands
