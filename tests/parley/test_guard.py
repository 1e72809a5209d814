"""What of a completion may leave: whole things, nothing forbidden, and the same however it comes."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parley.generation.guard import StreamGuard, clean
from parley.generation.spacing import Spacing

NEVER = ("<|assistant|>", "<|im_end|>", "</s>", "[INST]", "user:", "assistant :", "555 123 4567", "me@evil.example")

# What models write, and what makes trouble when it is cut: marks, fences, tables, markers, numbers that may go on.
PARTS = st.sampled_from(
    [
        *("The heron", " waits", ". ", "! ", "。", "? ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\n    ", ", ", ":"),
        *("- ", "1. ", "2) ", "| a ", "| b |", "# ", "```", "\n```py\n", "\n```\n", "`", "[1]", " [2, 3]", "(", ")"),
        *("user", "User:", "\nassistant", " :", "system:", "<|", "<", "|>", "<|end|>", "<s>", "[INST]", "im_end"),
        *("555", " 1234", "-99", "/7", "3.5", "2026-11-26", "me@evil.example", "http://evil.example/x", "www.", "@"),
        *("very ", "very", "so it is ", "x = 1", "\x00", "\x07", "é", "😀", "\u2028", "\u00a0", "．"),
    ]
)
COMPLETIONS = st.lists(PARTS, max_size=25).map("".join)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


def streamed(parts: list[str], allowed: str = "") -> tuple[str, str | None]:
    """What has left while the parts came, and the whole reply."""
    guard = StreamGuard(allowed)
    left = "".join(map(guard.push, parts))
    return left, guard.finish()


@given(COMPLETIONS, st.lists(st.integers(0, 10_000), max_size=12))
@example("| 5551234567 | b", [13])
@example("Fine. user : no", [10, 11, 12])
@example("Fine <|im end|> no", [8])
@example("Ring 555 123 4567 ", [9, 13])
def test_the_reply_does_not_depend_on_where_the_stream_is_cut(completion: str, cuts: list[int]) -> None:
    _, whole = streamed(pieces(completion, cuts))

    assert whole == clean(completion)


@given(COMPLETIONS, st.lists(st.integers(0, 10_000), max_size=12))
def test_what_has_left_depends_on_what_has_come_not_on_the_pieces(completion: str, cuts: list[int]) -> None:
    last = StreamGuard()
    by_character = "".join(map(last.push, completion))

    left, _ = streamed(pieces(completion, cuts))

    assert by_character.startswith(left)
    assert last.refused or last.push("") == "" or left == by_character


@given(COMPLETIONS)
def test_what_has_left_and_what_is_said_begin_alike(completion: str) -> None:
    left, whole = streamed(list(completion))

    if whole is not None:
        assert left.startswith(whole) or whole.startswith(left)


@given(COMPLETIONS)
@example("It is so and ")
@example("It is so. Ring 555 123 4567 ")
def test_where_nothing_is_taken_back_the_reply_begins_with_what_has_left(completion: str) -> None:
    guard = StreamGuard(takes_back=False)
    left = "".join(map(guard.push, completion))

    whole = guard.finish()

    assert whole is None or whole.startswith(left)
    if whole is not None:
        looked_at = StreamGuard()
        looked_at.push(f"{whole}\n")
        assert not looked_at.refused


@given(COMPLETIONS)
@example("555/7me@evil.example The heron waits. ")
def test_nothing_forbidden_has_left(completion: str) -> None:
    left, _ = streamed(list(completion))

    looked_at = StreamGuard()
    looked_at.push(f"{left}\n")
    assert not looked_at.refused
    assert "@evil" not in left
    assert "evil.example/" not in left


@pytest.mark.parametrize("never", NEVER)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_nothing_of_a_forbidden_thing_leaves_before_it_is_known(never: str, size: int) -> None:
    completion = f"It is so.\n{never} and on it goes. And on."

    left, whole = streamed([completion[start : start + size] for start in range(0, len(completion), size)])

    assert "It is so.".startswith(left)
    assert whole is None


def test_all_but_the_last_word_leaves_at_once() -> None:
    guard = StreamGuard()

    leaving = [guard.push(piece) for piece in ("The her", "on waits", " for a ", "frog")]

    assert leaving == ["The", " heron", " waits for", " a"]


def test_a_number_waits_until_it_is_known_to_be_no_telephone() -> None:
    guard = StreamGuard()

    assert guard.push("We have 555 123 ") == "We have"
    assert guard.push("tools in all.") == " 555 123 tools in"


@pytest.mark.parametrize(
    ("completion", "allowed", "said"),
    [
        ("Ring 020 915 0142.", "Our number is +353 20 915 0142.", "Ring 020 915 0142."),
        ("Ring 020 915 0143.", "Our number is +353 20 915 0142.", None),
        ("Write to us@shop.example.", "us@shop.example", "Write to us@shop.example."),
        ("Write to us@shop.example.evil.", "us@shop.example", None),
        ("See www.shop.example/help.", "https://shop.example/help", "See www.shop.example/help."),
        ("See https://shop.example/other.", "https://shop.example/help", None),
    ],
)
def test_contacts_that_the_prompt_holds_may_be_said(completion: str, allowed: str, said: str | None) -> None:
    assert clean(completion, allowed) == said


@pytest.mark.parametrize(
    "completion",
    [
        "We open on 2026-11-26 10:30.",
        "We open on 26.11.2026.",
        "- hammer\n- saw\n- plane",
        "| tool | price |\n|---|---|\n| saw | 12 |",
        "Do this:\n\n```py\nfor user in users:\n    print(user)\n```",
        "1. Saw it.\n2. Sand it.",
        "It is 12 [1].",
        "It is 12. [1][2]",
        "那是我们的店。",
    ],
)
def test_what_large_models_write_is_said_as_it_is(completion: str) -> None:
    assert clean(completion) == completion


@pytest.mark.parametrize(
    ("completion", "said"),
    [
        ("It is. 1. Saw it.\n2. Sand", "It is. 1. Saw it."),
        ("Tools:\n- hammer\n- saw\n- pl", "Tools:\n- hammer\n- saw\n- pl"),
        ("Tools:\n- A hammer.\n- A sa", "Tools:\n- A hammer."),
        ("| tool | price |\n| saw | 1", "| tool | price |"),
        ("So:\n```\nx = 1\n", None),
        ("Yes.\n```\nx = 1\n", "Yes."),
        ("Ring us at 555 123", None),
        ("It is so. Ring 555 123 4567", "It is so."),
    ],
)
def test_what_was_broken_off_is_left_out(completion: str, said: str | None) -> None:
    assert clean(completion) == said


@given(COMPLETIONS | st.text(max_size=200))
def test_white_space_has_one_form(completion: str) -> None:
    text, _ = Spacing().push(completion)

    assert Spacing().push(text)[0] == text
    assert "\n\n\n" not in text
    assert not any(line != line.rstrip() for line in text.split("\n"))


@pytest.mark.parametrize("part", ["a@", "1 ", "word ", "www.", "<|", "user ", "- x\n", "`", "[1]", "\n", "x" * 50])
def test_a_long_completion_takes_linear_time(part: str) -> None:
    guard = StreamGuard()

    for _ in range(4_000):
        guard.push(part)

    guard.finish()
