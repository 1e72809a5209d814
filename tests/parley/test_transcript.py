"""A conversation as one string, and the answer cut out of what comes back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.generation.transcript import Transcript, answer_of


def test_a_conversation_is_written_as_a_transcript() -> None:
    messages = (
        ("system", "You are a clerk."),
        ("user", "hello"),
        ("assistant", "Good day!"),
        ("user", "when do you open?"),
    )

    assert Transcript().write(messages) == (
        "You are a clerk.\n\nUser: hello\nAssistant: Good day!\nUser: when do you open?\nAssistant:"
    )


def test_a_conversation_without_a_persona_begins_with_the_person() -> None:
    assert Transcript().write((("user", "hello"),)) == "User: hello\nAssistant:"


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        (["At ", "nine."], "At nine."),
        (["Q", "? At nine."], " At nine."),  # the prompt comes back first
        (["Q?"], ""),
        (["Q"], "Q"),  # a beginning of the prompt is not an echo
        (["At nine.\nUs", "er: thanks"], "At nine."),
        (["At nine.\nUs", "ers like it"], "At nine.\nUsers like it"),
        (["At nine.\nUser"], "At nine.\nUser"),
        (["\nUser: "], ""),
        ([], ""),
    ],
)
def test_the_answer_is_without_the_echo_and_ends_where_the_person_would_speak(pieces: list[str], answer: str) -> None:
    assert "".join(answer_of(pieces, "Q?", "\nUser:")) == answer


@given(st.text("ab", max_size=12), st.lists(st.integers(0, 12)), st.text("ab", max_size=3))
def test_where_an_answer_is_cut_does_not_depend_on_its_pieces(text: str, cuts: list[int], stop: str) -> None:
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]

    answer = "".join(answer_of(pieces, "prompt", stop))

    assert answer == (text.split(stop)[0] if stop else text)
