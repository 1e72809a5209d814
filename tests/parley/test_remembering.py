"""Embeddings and searches that were made before are not made again."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from parley.loaded import LoadedBot
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.remembering import MOST, RememberingEncoder
from parley.ports import Encoded


class Counting:
    """An encoder that counts what it reads."""

    version = "v"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, text: str) -> Encoded:
        self.texts.append(text)
        return Encoded(text, np.ones(3, np.float32), np.ones((1, 3), np.float32), ((0, len(text)),))

    def knows(self, word: str) -> bool:
        return word == "known"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.encode(text).vector for text in texts])

    def read(self, text: str, parts: Sequence[tuple[int, int]]) -> np.ndarray:
        return self.embed([text, *(text[start:end] for start, end in parts)])


def test_a_text_is_read_once() -> None:
    counting = Counting()
    encoder = RememberingEncoder(counting)

    first, second = encoder.encode("hello"), encoder.encode("hello")

    assert first is second
    assert counting.texts == ["hello"]


def test_what_was_read_longest_ago_is_forgotten_first() -> None:
    counting = Counting()
    encoder = RememberingEncoder(counting)
    for number in range(MOST):
        encoder.encode(str(number))
    encoder.encode("0")
    encoder.encode("one more")

    encoder.encode("0")
    encoder.encode("1")

    assert counting.texts[MOST:] == ["one more", "1"]


def test_nobody_can_change_what_is_remembered() -> None:
    encoded = RememberingEncoder(Counting()).encode("hello")

    with pytest.raises(ValueError, match="read-only"):
        encoded.vector[0] = 2


def test_a_search_that_was_made_is_not_made_again_unless_the_passages_are_others(
    support: LoadedBot, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "how long do I have to return something?"
    vector = encoder.encode(question).vector
    knowledge = replace(support.knowledge)
    first = knowledge.search(question, vector)
    monkeypatch.setattr(type(knowledge), "_rank", None)

    assert knowledge.search(question, vector) == first
    assert knowledge.related(question, vector, limit=1)

    with pytest.raises(TypeError):
        replace(support.knowledge, _recent={}).search(question, vector)
