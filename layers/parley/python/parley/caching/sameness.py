"""Are two questions the same, so that one reply serves both?

Similarity cannot tell: "from Rome to Oslo" and "from Oslo to Rome" are as near as two sentences can be. So the facts of
both are compared first (`caching.facts`), and then a small network reads both questions word piece by word piece, each
with what the encoder made of it (models/sameness/README.md says how it learned). What the network reads of a question
is kept with it, so that comparing costs no encoder. English only: others are the same only word for word.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from parley.caching.facts import Difference, Facts, difference, facts_of
from parley.conversation import Understanding
from parley.ports import Encoded

FloatArray = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("sameness.npz")  # models/sameness/train.py writes it
MIN_COSINE = 0.8  # this and the next: models/sameness/README.md, Measured
MIN_SCORE = 1.0  # log-odds
MOST_PIECES = 32  # the network learned no longer questions

_MARKS = frozenset(zlib.crc32(mark) for mark in (b"?", b"!", b".", b","))


@dataclass(frozen=True, slots=True)
class Question:
    """What is kept of a question to compare it with others.

    Shapes:
        vector: (384,) float32, unit length
        pieces: (T,) uint32, a hash of each word piece, T <= MOST_PIECES + 1
        states: (T, 128) float16
    """

    text: str
    vector: FloatArray
    pieces: NDArray[np.uint32]
    states: NDArray[np.float16]
    facts: Facts
    intent: str | None = None
    entities: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, encoded: Encoded, knows: Callable[[str], bool], understanding: Understanding | None = None) -> Self:
        """What is kept of a question that the encoder has read; `knows` is `Encoder.knows`."""
        text = encoded.text.lower()
        pieces = [zlib.crc32(text[start:end].encode()) for start, end in encoded.offsets[: MOST_PIECES + 1]]
        entities = understanding.entities if understanding else ()
        return cls(
            encoded.text,
            encoded.vector,
            np.array(pieces, np.uint32),
            network().states(encoded.tokens[: MOST_PIECES + 1]).astype(np.float16),
            facts_of(encoded.text, knows),
            understanding.intent if understanding else None,
            frozenset((entity.name, str(entity.value)) for entity in entities),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether two questions are the same, what the network says of it, and why not."""

    score: float  # log-odds; minus infinity where the facts differ, infinity where the words do not
    difference: Difference | None = None

    @property
    def same(self) -> bool:
        """Whether one reply serves both."""
        return self.difference is None


def compare(one: Question, other: Question) -> Verdict:
    """Whether one reply serves both questions."""
    differs = _differs(one, other)
    if differs is not None:
        return Verdict(-np.inf, differs)
    if _reads_the_same(one, other):
        return Verdict(np.inf)
    score = network().score(one, other)
    return Verdict(score, None if score >= MIN_SCORE else Difference.MEANING)


def _reads_the_same(one: Question, other: Question) -> bool:
    """Whether only case and marks differ; the network, which learned from pairs that differ, would not be sure."""
    ours, theirs = ([piece for piece in each.pieces.tolist() if piece not in _MARKS] for each in (one, other))
    return ours == theirs


def _differs(one: Question, other: Question) -> Difference | None:
    if one.intent != other.intent:
        return Difference.INTENT
    if one.entities != other.entities:
        return Difference.ENTITIES
    if max(len(one.pieces), len(other.pieces)) > MOST_PIECES:
        return Difference.TOO_LONG
    if float(one.vector @ other.vector) < MIN_COSINE:
        return Difference.MEANING
    return difference(one.facts, other.facts)


class Network:
    """Two layers of attention over the word pieces of both questions, symmetrical in them.

    A piece attends to those of its own question and to those of the other one with weights of their own, and to the
    same piece in the other one with a third. Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, pre-norm.
    """

    HEADS = 4

    def __init__(self, weights: dict[str, FloatArray]) -> None:
        """Folds into the products what need not be done for each pair.

        Shapes: those of `Student` in models/sameness/student.py, whose names these are.
        """
        w = dict(weights)
        self._layers = sorted({name.rsplit(".", 2)[0] for name in w if name.startswith("layers.")} - {"layers"})
        for layer in self._layers:
            for norm, linear in (("n1", "qkv"), ("n2", "f1")):  # a norm's gain and bias go into what reads it
                weight, gain = w[f"{layer}.{linear}.weight"], w.pop(f"{layer}.{norm}.weight")
                w[f"{layer}.{linear}.bias"] = w[f"{layer}.{linear}.bias"] + weight @ w.pop(f"{layer}.{norm}.bias")
                w[f"{layer}.{linear}.weight"] = weight * gain
            width = len(w[f"{layer}.o.weight"])
            scale = np.ones(3 * width, np.float32)
            scale[:width] = np.sqrt(self.HEADS / width)  # the queries', so that no logit need be divided
            w[f"{layer}.qkv.weight"] = w[f"{layer}.qkv.weight"] * scale[:, None]
            w[f"{layer}.qkv.bias"] = w[f"{layer}.qkv.bias"] * scale
            for linear in ("o", "f2"):  # only norms read what these add up to, and norms take the mean away
                for part in ("weight", "bias"):
                    each = w[f"{layer}.{linear}.{part}"]
                    w[f"{layer}.{linear}.{part}"] = each - each.mean(axis=0)
        self._kinds = np.concatenate([w.pop(f"{layer}.w").T for layer in self._layers])  # (layers * heads, 3)
        embeddings = ("pos.weight", "eq.weight")
        self._w = {name: each if name in embeddings else np.ascontiguousarray(each.T) for name, each in w.items()}

    def states(self, tokens: FloatArray) -> FloatArray:
        """What is kept of each word piece.

        Shapes:
            tokens: (T, 384) float32
            returns: (T, 128) float32
        """
        return self._gain("n0", _scaled(_centred(self._linear("proj", tokens))))

    def score(self, one: Question, other: Question) -> float:
        """The log-odds that both are the same question."""
        own, theirs = len(one.pieces), len(other.pieces)
        shared = one.pieces[:, None] == other.pieces
        kind = np.zeros((own + theirs, own + theirs), np.intp)  # 0: of one question, 1: of the other, 2: the same piece
        kind[:own, own:] = shared
        kind[:own, own:] += 1
        kind[own:, :own] = kind[:own, own:].T
        found = np.concatenate([shared.any(axis=1), shared.any(axis=0)])
        x = np.concatenate([one.states, other.states]).astype(np.float32)
        x[:own] += self._w["pos.weight"][:own]
        x[own:] += self._w["pos.weight"][:theirs]
        x += self._w["eq.weight"].take(found, axis=0)
        x = _centred(x)
        towards = self._kinds.take(kind, axis=1).reshape(len(self._layers), self.HEADS, *kind.shape)
        for layer, bias in zip(self._layers, towards, strict=True):
            x = self._attend(layer, x, bias)
        x = self._gain("nf", _scaled(x))
        u, v = one.vector, other.vector
        both = np.concatenate([u * v, np.abs(u - v)]) * np.float32(np.sqrt(len(u)))
        read = np.concatenate([_mean(x, axis=0)[0], x.max(axis=0), _gelu(self._linear("vec", both))])
        return float(self._linear("out.3", _gelu(self._linear("out.0", read)))[0])

    def _attend(self, layer: str, x: FloatArray, bias: FloatArray) -> FloatArray:
        """Shapes: x: (T, 128), rows of mean 0; bias: (HEADS, T, T), added to the logits; returns: as x."""
        pieces, width = x.shape
        qkv = self._linear(f"{layer}.qkv", _scaled(x))
        q, k, v = qkv.reshape(pieces, 3, self.HEADS, width // self.HEADS).transpose(1, 2, 0, 3)
        attention: FloatArray = q @ k.transpose(0, 2, 1)
        attention += bias
        attention -= np.maximum.reduce(attention, axis=-1, keepdims=True)
        np.exp(attention, out=attention)
        attention /= np.add.reduce(attention, axis=-1, keepdims=True)
        read: FloatArray = (attention @ v).transpose(1, 0, 2).reshape(pieces, width)
        x = x + self._linear(f"{layer}.o", read)
        x += self._linear(f"{layer}.f2", _gelu(self._linear(f"{layer}.f1", _scaled(x))))
        return x

    def _linear(self, name: str, x: FloatArray) -> FloatArray:
        y: FloatArray = x @ self._w[f"{name}.weight"]
        y += self._w[f"{name}.bias"]
        return y

    def _gain(self, name: str, x: FloatArray) -> FloatArray:
        return x * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]


def _mean(x: FloatArray, axis: int) -> FloatArray:
    """`x.mean` without what that costs for a small array; keeps the axis."""
    y: FloatArray = np.add.reduce(x, axis=axis, keepdims=True)
    y /= np.float32(x.shape[axis])
    return y


def _centred(x: FloatArray) -> FloatArray:
    """With rows of mean 0."""
    return x - _mean(x, axis=1)


def _scaled(x: FloatArray) -> FloatArray:
    """With rows of variance 1, where their mean is 0."""
    spread = np.einsum("ij,ij->i", x, x)
    spread /= np.float32(x.shape[1])
    spread += np.float32(1e-5)
    y: FloatArray = x / np.sqrt(spread)[:, None]
    return y


def _gelu(x: FloatArray) -> FloatArray:
    """Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415, its approximation by tanh."""
    y = x * x
    y *= np.float32(0.7978845608 * 0.044715)
    y += np.float32(0.7978845608)
    y *= x
    np.tanh(y, out=y)
    y += 1
    y *= x
    y *= np.float32(0.5)
    return y


@cache
def network() -> Network:
    """The network that ships."""
    with np.load(WEIGHTS) as arrays:
        return Network({name: arrays[name].astype(np.float32) for name in arrays.files})
