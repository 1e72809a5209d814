"""Tokens into text that may be sent: stop strings, characters in several tokens, tokens that are no text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer

from tests.models.generator.conftest import GENERATOR, modules

MARK = "<|7|>"
REPLIES = ["Hello there! How are you?", "Ça va bien, merci — et toi ?", "你好 🙂🙃 αβγ", "a ### b STOP c"]


@pytest.fixture(scope="module")
def spelling() -> Iterator[Any]:
    with modules("spelling") as loaded:
        yield loaded.spelling


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(GENERATOR / "artefact" / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(MARK, special=True)])
    return tokenizer


def sent(spelling: Any, tokenizer: Tokenizer, tokens: list[int], stop: tuple[str, ...] = ()) -> list[str]:
    spelt = spelling.Spelling(tokenizer, stop)
    return [*(spelt.push(token) for token in tokens), spelt.rest()]


@pytest.mark.parametrize("text", REPLIES)
def test_a_character_is_sent_once_all_its_tokens_have_come(spelling: Any, tokenizer: Tokenizer, text: str) -> None:
    pieces = sent(spelling, tokenizer, tokenizer.encode(text, add_special_tokens=False).ids)

    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("text", REPLIES)
def test_marks_between_and_within_words_are_not_sent(spelling: Any, tokenizer: Tokenizer, text: str) -> None:
    mark = tokenizer.token_to_id(MARK)
    tokens = tokenizer.encode(text, add_special_tokens=False).ids

    marked = [token for each in tokens for token in (mark, each, mark)]

    assert "".join(sent(spelling, tokenizer, marked)) == text


def test_half_a_character_at_the_end_is_left_out(spelling: Any, tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("yes 你", add_special_tokens=False).ids

    assert "".join(sent(spelling, tokenizer, tokens[:-1])).rstrip() == "yes"


def test_bytes_that_make_no_character_do_not_stop_what_follows(spelling: Any, tokenizer: Tokenizer) -> None:
    parts = [token for token in range(tokenizer.get_vocab_size()) if "\ufffd" in tokenizer.decode([token])]
    ending = tokenizer.encode(" and so on", add_special_tokens=False).ids
    for seed in range(300):
        chance = random.Random(seed)
        broken = [chance.choice(parts) for _ in range(chance.randint(1, 6))]

        text = "".join(sent(spelling, tokenizer, [*broken, *ending]))

        assert text.endswith(" and so on")
        assert "\ufffd" not in text


def test_a_stop_string_over_several_tokens_is_never_sent(spelling: Any, tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("Hello there! How are you?", add_special_tokens=False).ids

    spelt = spelling.Spelling(tokenizer, ("re! How", "never"))
    text = ""
    for token in tokens:
        text += spelt.push(token)
        if spelt.stopped:
            break

    assert text + spelt.rest() == "Hello the"


def pushed(held: Any, pieces: list[str]) -> list[str]:
    return [held.push(piece) for piece in pieces]


def test_text_that_may_become_a_stop_string_waits(spelling: SimpleNamespace) -> None:
    held = spelling.HeldBack(("###",))

    assert pushed(held, ["a#", "#b", "c##"]) == ["a", "##b", "c"]
    assert held.rest() == "##"
    assert not held.stopped


def test_a_stop_string_split_over_pieces_is_never_sent(spelling: SimpleNamespace) -> None:
    held = spelling.HeldBack(("###", "STOP"))

    assert pushed(held, ["well S", "TO", "P and on"]) == ["well ", "", ""]
    assert held.stopped
    assert held.rest() == ""


def test_the_first_of_several_stop_strings_counts(spelling: SimpleNamespace) -> None:
    held = spelling.HeldBack(("two", "one"))

    assert held.push("zero one two") == "zero "
