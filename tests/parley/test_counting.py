"""How many tokens a text is: by the tokenizer's file, or never too few by its bytes."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.errors import ModelUnavailable
from parley.generation.counting import TokenCounter, by_bytes, counter

TOKENIZER = Path(__file__).parents[2] / "models/generator/artefact/tokenizer.json"
BUNDLED = TokenCounter(TOKENIZER)


def test_a_text_has_fewer_tokens_than_bytes() -> None:
    assert BUNDLED("How do I return something?") < by_bytes("How do I return something?") == 26


def test_without_a_tokenizer_bytes_are_counted() -> None:
    assert counter("") is by_bytes
    assert by_bytes("größe 😀") == 12


@given(st.text(max_size=80))
def test_there_are_never_more_tokens_than_bytes(text: str) -> None:
    assert BUNDLED(text) <= by_bytes(text)


@given(st.text(st.characters(categories=["Cs"]), max_size=3))
def test_half_a_character_is_counted_too(text: str) -> None:
    assert by_bytes(text) == 3 * len(text)


def test_what_looks_like_a_special_token_is_counted_as_text() -> None:
    assert BUNDLED("<|end|>") > 1


def test_no_limit_of_its_training_cuts_what_is_counted(tmp_path: Path) -> None:
    content = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    limit = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps({**content, "truncation": limit}))

    assert TokenCounter(tmp_path / "tokenizer.json")("one two three four five six") == BUNDLED(
        "one two three four five six"
    )


def test_a_tokenizer_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="there is no tokenizer at"):
        counter(str(tmp_path / "tokenizer.json"))


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "tokenizer.json")

    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        counter(str(tmp_path / "tokenizer.json"))("hello")
