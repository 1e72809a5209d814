"""One reading: the vectors of a text and of its parts from one run of the encoder."""

import numpy as np
import pytest

from parley.conversation import Citation
from parley.knowledge.snapshot import readings_of, texts_of
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.parts import APART_TOKENS, WINDOW_TOKENS, FloatArray, vectors_of, with_last_layer

SENTENCES = (
    "Our shop opens at nine in the morning on every day of the week but Sunday.",
    "Whoever sends a parcel back within thirty days gets the whole price refunded.",
    "The hedge trimmer with the orange handle needs a battery that is sold apart.",
    "Ask at the counter for somebody who sharpens the blades of lawn mowers.",
    "Our gardeners plant trees and bushes for you wherever the soil is deep enough.",
)
TEXT = " ".join(SENTENCES)


def spans() -> list[tuple[int, int]]:
    return [(TEXT.index(each), TEXT.index(each) + len(each)) for each in SENTENCES]


def test_the_whole_is_what_it_is_by_itself(encoder: OnnxEncoder) -> None:
    read = encoder.read(TEXT, spans())

    assert read.shape == (1 + len(SENTENCES), 384)
    assert read[0] == pytest.approx(encoder.embed([TEXT])[0], abs=1e-5)


def test_a_part_is_nearest_to_what_it_is_by_itself(encoder: OnnxEncoder) -> None:
    read, apart = encoder.read(TEXT, spans())[1:], encoder.embed(SENTENCES)

    nearness = read @ apart.T

    assert nearness.argmax(1).tolist() == [0, 1, 2, 3, 4]
    assert nearness.diagonal().min() > 0.6
    assert np.linalg.norm(read, axis=1) == pytest.approx(1, abs=1e-5)


def test_of_a_short_text_each_part_is_read_by_itself(encoder: OnnxEncoder) -> None:
    text = f"{SENTENCES[0]} {SENTENCES[1]}"

    read = encoder.read(text, [(0, len(SENTENCES[0]))])

    assert np.array_equal(read, encoder.embed([text, SENTENCES[0]]))


def test_parts_beyond_the_encoders_window_are_read_too(encoder: OnnxEncoder) -> None:
    text = f"{'The road is long and goes on and on. ' * 40}{SENTENCES[1]}"

    last = encoder.read(text, [(0, 36), (text.index(SENTENCES[1]), len(text))])[2]

    assert last @ encoder.embed([SENTENCES[1]])[0] > 0.7


def test_an_encoder_of_another_architecture_reads_each_part_by_itself(encoder: OnnxEncoder) -> None:
    other = OnnxEncoder(encoder.folder)
    other.__dict__["_reading"] = (None, "")

    assert np.array_equal(other.read(TEXT, spans()), encoder.embed([TEXT, *SENTENCES]))


def test_a_passage_is_read_as_its_texts_are(encoder: OnnxEncoder) -> None:
    citation = Citation("Shop", "a.md", "When we are there", TEXT)

    read, apart = readings_of(citation, encoder), encoder.embed(texts_of(citation))

    assert read.shape == apart.shape == (2 + len(SENTENCES), 384)
    assert read[:2] == pytest.approx(apart[:2], abs=1e-5)
    assert (read[2:] @ apart[2:].T).argmax(1).tolist() == [0, 1, 2, 3, 4]


class Layer:
    """A last layer in which every token is its number; remembers what was read at once."""

    def __init__(self) -> None:
        self.windows: list[tuple[int, int]] = []

    def __call__(self, first: int, last: int) -> FloatArray:
        self.windows.append((first, last))
        return np.array([[1, token] for token in (0, *range(first, last), 0)], np.float32)


@pytest.mark.parametrize(
    ("tokens", "begins", "windows"),
    [
        (APART_TOKENS, [0, 30], [(0, 64)]),
        (WINDOW_TOKENS, [4, 50, 100], [(0, 128)]),
        (200, [0, 50, 100, 150], [(0, 100), (100, 200)]),
        (200, [0, 90, 130, 150], [(0, 90), (90, 200)]),
        (600, [0], [(0, 254), (254, 508), (508, 600)]),
        (0, [], [(0, 0)]),
    ],
)
def test_windows_begin_where_parts_do(tokens: int, begins: list[int], windows: list[tuple[int, int]]) -> None:
    layer = Layer()

    vectors_of(tokens, list(zip(begins, [*begins[1:], tokens], strict=False)), layer, most=254)

    assert layer.windows == windows


@pytest.mark.parametrize("tokens", [10, 400])
def test_a_part_without_a_token_is_as_the_whole_is(tokens: int) -> None:
    whole, part, _ = vectors_of(tokens, [(3, 3), (3, tokens)], Layer(), most=254)

    assert np.array_equal(whole, part)


def test_a_model_without_our_pooling_is_left_as_it_is() -> None:
    assert with_last_layer(b"another graph") == (b"another graph", "")
