"""Marks in a completion become citations of its reply; what names no passage is not shown."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.channels import rasa
from parley.conversation import Citation, Message
from parley.generation.citing import Citing, cited

HOURS = Citation("Shop", "shop.md", "Hours", "Nine to six.")
POST = Citation("Delivery", "delivery.md", "Cost", "Five euros.")
BACK = Citation("Returns", "returns.md", "How", "By post.")
PASSAGES = (HOURS, POST, BACK)


@pytest.mark.parametrize(
    ("completion", "text", "citations"),
    [
        ("From nine to six [1].", "From nine to six [1].", (HOURS,)),
        ("Five euros.[2]", "Five euros.[1]", (POST,)),
        ("By post [3]. Five euros [2]. Truly [3].", "By post [1]. Five euros [2]. Truly [1].", (BACK, POST)),
        ("Five euros [2, 1].", "Five euros [1, 2].", (POST, HOURS)),
        ("Five euros [2][1].", "Five euros [1][2].", (POST, HOURS)),
        ("Five euros [2, 2].", "Five euros [1].", (POST,)),
        ("No marks.", "No marks.", ()),
        ("So it is [4].", "So it is.", ()),
        ("So it is [0, 2, 99].", "So it is [1].", (POST,)),
        ("[9] So it is.", "So it is.", ()),
        ("[ 1 ] and [one] and [1", "[ 1 ] and [one] and [1", ()),
        ("See [1](page).", "See [1](page).", ()),
        ("Say `a[1]` [2].", "Say `a[1]` [1].", (POST,)),
        ("So [3]:\n```\na[2]\n```\nDone [2].", "So [1]:\n```\na[2]\n```\nDone [2].", (BACK, POST)),
        ("So:\n```\na[2]", "So:\n```\na[2]", ()),
    ],
)
def test_marks_are_numbered_as_the_citations_are(completion: str, text: str, citations: tuple[Citation, ...]) -> None:
    assert cited(completion, PASSAGES) == (text, citations)


def test_without_passages_no_mark_is_shown() -> None:
    assert cited("From nine to six [1].", ()) == ("From nine to six.", ())


@given(st.text("[]12, 34`\na.(", max_size=60))
def test_every_citation_is_one_of_the_passages_and_once(completion: str) -> None:
    _, citations = cited(completion, PASSAGES)

    assert len(citations) == len(set(citations))
    assert set(citations) <= set(PASSAGES)


@given(st.text("[]123, 4`\na.(", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_what_people_see_does_not_depend_on_the_pieces(completion: str, cuts: list[int]) -> None:
    citing = Citing(PASSAGES)
    places = [0, *sorted(min(cut, len(completion)) for cut in cuts), len(completion)]

    shown = "".join(citing.push(completion[start:end]) for start, end in itertools.pairwise(places)) + citing.rest()

    assert (shown.rstrip(), citing.citations) == cited(completion, PASSAGES)


def test_only_what_may_become_a_mark_is_held_back() -> None:
    citing = Citing(PASSAGES)

    assert [citing.push(piece) for piece in ("By post", " [3", "]", ". Five [", "9] euros")] == [
        "By post",
        "",
        "",
        " [1]. Five",
        " euros",
    ]


@pytest.mark.timeout(10)
def test_a_long_line_takes_linear_time() -> None:
    citing = Citing(PASSAGES)

    shown = "".join(citing.push(" heron [1]") for _ in range(20_000)) + citing.rest()

    assert len(shown) == 20_000 * len(" heron [1]") - 1


def test_a_channel_that_shows_no_citations_shows_no_marks() -> None:
    cites, cites_nothing = Message("From nine to six [1].", citations=(HOURS,)), Message("Say `a[1]` or a[1].")

    bubbles = rasa.render_messages("ada", [cites, cites_nothing])

    assert [bubble["text"] for bubble in bubbles] == ["From nine to six.", "Say `a[1]` or a[1]."]
