"""The knowledge snapshot: a bot's passages, searched in memory by meaning and by words.

A passage is as good as its cosine to the question, and somewhat better for the rare
words that both share: names and numbers, which an embedding blurs. The sum also
decides whether anything was found at all.
"""

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from parley.conversation import Citation

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

WORDS_WEIGHT = 0.3  # of the coverage beside the cosine; models/encoder/README.md, "Thresholds"
MIN_SCORE = 0.50  # answers 93 % of the support bot's questions, declines 90 % of the unanswerable ones
RELATED_SCORE = 0.40  # of 302 right passages among the example bots' first three 299; of 194 bits of small talk, 30
ENOUGH_WORDS = 3

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Found:
    """A passage and how well it fits the question."""

    passage: Citation
    score: float  # cosine + WORDS_WEIGHT * coverage


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All passages of one bot at one moment."""

    passages: tuple[Citation, ...]
    vectors: FloatArray  # (P, D), rows of unit length
    postings: dict[str, IntArray]  # word -> which passages hold it

    @classmethod
    def of(cls, passages: tuple[Citation, ...], vectors: FloatArray) -> Self:
        """The snapshot of these passages.

        Shapes:
            vectors: (P, D) float32, rows of unit length
        """
        holders: dict[str, list[int]] = defaultdict(list)
        for number, passage in enumerate(passages):
            for word in _words(f"{passage.title} {passage.section} {passage.text}"):
                holders[word].append(number)
        return cls(passages, vectors, {word: np.array(numbers) for word, numbers in holders.items()})

    def search(self, text: str, embedding: FloatArray, *, limit: int = 3) -> tuple[Found, ...]:
        """The passages that fit a question best, the best first.

        Shapes:
            embedding: (D,) float32, unit length: the encoder's vector of `text`
        """
        scores = self.vectors @ embedding + WORDS_WEIGHT * self._coverage(text)
        order = np.argsort(-scores, kind="stable")[:limit]
        return tuple(Found(self.passages[i], float(scores[i])) for i in order)

    def answer(self, text: str, embedding: FloatArray) -> Citation | None:
        """The passage that answers the question; None when the documents do not hold it.

        Shapes:
            embedding: (D,) float32, unit length: the encoder's vector of `text`
        """
        best = next(iter(self.search(text, embedding, limit=1)), None)
        return best.passage if best is not None and best.score >= MIN_SCORE else None

    def related(self, text: str, embedding: FloatArray, *, limit: int) -> tuple[Citation, ...]:
        """The passages about what was said, the nearest first, whether or not one of them answers it.

        Shapes:
            embedding: (D,) float32, unit length: the encoder's vector of `text`
        """
        found = self.search(text, embedding, limit=limit)
        return tuple(each.passage for each in found if each.score >= RELATED_SCORE)

    def _coverage(self, text: str) -> FloatArray:
        """The share of the question's words that each passage holds, rare words counting more.

        One or two words are soon covered, so they count for less: "12" is not a question about a 12 in a passage.

        Shapes:
            returns: (P,) float32, 0..1

        Source:
            the weight of a word is BM25's inverse document frequency, ln(1 + (N - n + 0.5) / (n + 0.5))
        """
        held, total = np.zeros(len(self.passages), dtype=np.float32), 0.0
        words = _words(text)
        for word in words:
            holders = self.postings.get(word)
            count = 0 if holders is None else len(holders)
            weight = math.log(1 + (len(self.passages) - count + 0.5) / (count + 0.5))
            total += weight
            if holders is not None:
                held[holders] += weight
        return held / total * min(1.0, len(words) / ENOUGH_WORDS) if total else held


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
