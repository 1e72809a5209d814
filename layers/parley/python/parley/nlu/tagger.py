"""The tagger: finds entities by what it learned from marked examples, not by their words alone.

Knows numbers only; training it is `nlu.tagger_fit`'s. Every word is seen as the encoder
sees it in its sentence, as its letters (hashed features), and between its neighbours;
a small network scores its tags, and a linear-chain conditional random field picks the
best sequence of them.

Source: Lafferty, McCallum, Pereira, "Conditional Random Fields", 2001; feature hashing:
Weinberger et al., 2009.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from parley.conversation import Entity
from parley.nlu.patterns import Match, Patterns
from parley.ports import Encoded

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_WORD = re.compile(r"\d+|[^\W\d_]+|[^\w\s]|_")  # "20kg" is two words, so that a mark may end within it

NEIGHBOURS = 2  # words on either side whose letters count
NEAR = 1  # words on either side whose hidden states count
BEST_TAGS = 8  # per word, that the decoder looks at; with all of them its result is the same on SNIPS
OUTSIDE = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a tag says of a span."""

    entity: str
    role: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class TaggerSpec:
    """What there is to know of a tagger but its numbers.

    Tag 0 is "outside"; the kind with number k begins with tag 2 k + 1 and goes on with 2 k + 2.
    """

    kinds: tuple[Kind, ...]
    buckets: int  # rows of the table of hashed features


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text as far as the encoder read it.

    Shapes:
        states: (W, D) float32, the mean of the hidden states of a word's pieces
    """

    spans: tuple[tuple[int, int], ...]
    states: FloatArray
    features: list[list[int]]  # for each word the buckets of its features


class Tagger:
    """A trained tagger."""

    def __init__(self, spec: TaggerSpec, weights: Mapping[str, FloatArray], patterns: Patterns) -> None:
        """Takes the weights as `tagger_fit` names them.

        Shapes, with D dimensions of the encoder, F of a feature, H hidden units and T tags:
            features: (buckets, F); states: ((2 NEAR + 1) D, H); letters: ((2 NEIGHBOURS + 1) F, H);
            sentence: (D, H); hidden_bias: (H,); around: (3 H, H); around_bias: (H,); tags: (H, T); tags_bias: (T,);
            first: (T,); following: (T, T), from the row's tag to the column's; mean, scale: (D,) of the states
        """
        self.spec = spec
        self._patterns = patterns
        self._weights = {name: np.asarray(values, dtype=np.float32) for name, values in weights.items()}
        self._following = self._weights["following"] + illegal(len(spec.kinds))
        first = self._weights["first"].copy()
        first[2::2] = -np.inf  # nothing goes on that has not begun
        self._first = first

    @classmethod
    def from_arrays(cls, spec: TaggerSpec, arrays: Mapping[str, NDArray[np.generic]], patterns: Patterns) -> Self:
        """The tagger as `arrays` gave it; `patterns` are those that it was trained with."""
        return cls(spec, {name: values.astype(np.float32) for name, values in arrays.items()}, patterns)

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """The weights as named arrays, for the bundle."""
        return {name: values.astype(np.float16) for name, values in self._weights.items()}

    def tag(self, text: str, encoded: Encoded, matches: list[Match] | None = None) -> tuple[Entity, ...]:
        """The entities of `text`, in its order, never overlapping; words beyond the encoder's window have none.

        `matches`, what the patterns find in the text, is worked out here if it is not known.
        """
        found = self._patterns.find(text) if matches is None else matches
        words = read_words(text, encoded, found, self.spec.buckets)
        if not words.spans:
            return ()
        scores = self._scores(words, encoded.vector)
        tags = self._best_tags(scores)
        return tuple(self._entities(text, words, scores, tags))

    def _scores(self, words: Words, sentence: FloatArray) -> FloatArray:
        """How well each tag fits each word by itself.

        Shapes:
            returns: (W, T)
        """
        weights = self._weights
        rows = [row for of_word in words.features for row in of_word]
        begins = np.cumsum([0, *map(len, words.features[:-1])])
        letters = np.add.reduceat(weights["features"][rows], begins, axis=0)
        states = (words.states - weights["mean"]) / weights["scale"]
        hidden = windows(states, NEAR) @ weights["states"]
        hidden += windows(letters, NEIGHBOURS) @ weights["letters"]
        hidden += sentence * len(sentence) ** 0.5 @ weights["sentence"] + weights["hidden_bias"]
        np.maximum(hidden, 0, out=hidden)
        hidden += np.maximum(windows(hidden, 1) @ weights["around"] + weights["around_bias"], 0)
        return np.asarray(hidden @ weights["tags"] + weights["tags_bias"], dtype=np.float32)

    def _best_tags(self, scores: FloatArray) -> list[int]:
        """The best sequence of tags (Viterbi), among the likeliest of each word and what they need beside them."""
        kept = _candidates(scores)
        rows = np.arange(len(scores))[:, None]
        of_kept = scores[rows, kept]
        between = self._following[kept[:-1, :, None], kept[1:, None, :]]
        best = self._first[kept[0]] + of_kept[0]
        columns = np.arange(kept.shape[1])
        back = []
        for step, of_here in zip(between, of_kept[1:], strict=True):
            ways = best[:, None] + step
            pointers = ways.argmax(axis=0)
            best = ways[pointers, columns] + of_here
            back.append(pointers)
        place = int(best.argmax())
        places = [place]
        for pointers in reversed(back):
            place = int(pointers[place])
            places.append(place)
        return [int(tags[place]) for tags, place in zip(kept, reversed(places), strict=True)]

    def _entities(self, text: str, words: Words, scores: FloatArray, tags: list[int]) -> Iterator[Entity]:
        spans = list(tagged_spans(tags))
        if not spans:
            return
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        of_tags = likely[np.arange(len(tags)), tags] / likely.sum(axis=1)
        for first, last, kind in spans:
            start, end = words.spans[first][0], words.spans[last][1]
            span, of = text[start:end], self.spec.kinds[kind]
            sure = float(of_tags[first : last + 1].min())  # a span is as sure as its least sure word
            yield Entity(of.entity, span, start, end, span, of.role, of.group, "tagger", sure)


def tagged_spans(tags: list[int]) -> Iterator[tuple[int, int, int]]:
    """First word, last word and number of the kind of each span that `tags` mark."""
    first = None
    for place, tag in enumerate([*tags, OUTSIDE]):
        if first is not None and tag != tags[first] + 1:
            yield first, place - 1, (tags[first] - 1) // 2
            first = None
        if tag % 2:
            first = place


def illegal(kinds: int) -> FloatArray:
    """-inf where one tag cannot follow another, 0 elsewhere: a span goes on only as what it began.

    Shapes:
        returns: (T, T), from the row's tag to the column's
    """
    table = np.zeros((2 * kinds + 1, 2 * kinds + 1), dtype=np.float32)
    table[:, 2::2] = -np.inf
    for begin in range(1, 2 * kinds, 2):
        table[[begin, begin + 1], begin + 1] = 0
    return table


def windows(rows: FloatArray, reach: int) -> FloatArray:
    """Each row beside those before and behind it, zeros beyond the ends.

    Shapes:
        rows: (..., W, N); returns: (..., W, (2 reach + 1) N)
    """
    edge = np.zeros((*rows.shape[:-2], reach, rows.shape[-1]), dtype=rows.dtype)
    padded = np.concatenate([edge, rows, edge], axis=-2)
    length = rows.shape[-2]
    return np.concatenate([padded[..., shift : shift + length, :] for shift in range(2 * reach + 1)], axis=-1)


def read_words(text: str, encoded: Encoded, matches: list[Match], buckets: int) -> Words:
    """The words of `text` that the encoder has read, with their hidden states and features."""
    if not encoded.offsets:
        return Words((), encoded.tokens[:0], [])
    spans = [match.span() for match in _WORD.finditer(text)]
    begins = np.array([start for start, _ in spans])
    pieces = np.array([start for start, _ in encoded.offsets])
    owner = np.searchsorted(begins, pieces, side="right") - 1  # the word in which a piece begins
    kept = int(owner[-1]) + 1
    owner = np.maximum(owner, 0)
    first_pieces = np.flatnonzero(np.diff(owner, prepend=-1))
    states = np.zeros((kept, encoded.tokens.shape[1]), dtype=np.float32)
    sums = np.add.reduceat(encoded.tokens, first_pieces, axis=0)
    states[owner[first_pieces]] = sums / np.diff(first_pieces, append=len(owner))[:, None]
    features = [
        [crc32(feature.encode()) % buckets for feature in of_word]
        for of_word in word_features(text, spans[:kept], matches)
    ]
    return Words(tuple(spans[:kept]), states, features)


def word_features(text: str, spans: list[tuple[int, int]], matches: list[Match]) -> list[list[str]]:
    """What the letters of each word say: the word, its beginnings and ends, its neighbours, and the patterns it fits.

    Case says nothing: people who write to a bot do not keep to it.
    """
    words = [text[start:end].lower() for start, end in spans]
    around = ["", *words, ""]
    features = []
    for place, word in enumerate(words):
        before, after = around[place], around[place + 2]
        of_word = [
            f"w{word}",
            f"b{before}|{word}",
            f"a{word}|{after}",
            f"n{before}|{after}",
            *(f"p{word[:length]}" for length in (1, 2, 3)),
            *(f"s{word[-length:]}" for length in (1, 2, 3, 4)),
        ]
        if word.isdigit():
            of_word.append(f"d{len(word)}")
        features.append(of_word)
    for match in matches:
        for place, (start, end) in enumerate(spans):
            if match.start <= start and end <= match.end:
                features[place].append(f"x{match.name}{'b' if start == match.start else 'i'}")
    return features


def _candidates(scores: FloatArray) -> IntArray:
    """The tags to look at for each word: its best, "outside", and those with which what goes on here or next begins.

    Shapes:
        scores: (W, T); returns: (W, 3 BEST_TAGS + 1), some of them twice
    """
    count = min(BEST_TAGS, scores.shape[1])
    best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    begins = best - ((best > 0) & (best % 2 == 0))
    next_begins = np.concatenate([begins[1:], begins[-1:]])
    return np.concatenate([best, begins, next_begins, np.full((len(best), 1), OUTSIDE)], axis=1)
