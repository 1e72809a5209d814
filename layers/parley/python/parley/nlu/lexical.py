"""The words of an utterance as numbers: TF-IDF over words, pairs of words, and pieces of words.

Knows how a text becomes weighted features, for training and at run time alike. An
embedding says what is meant and blurs how it is said; in a large bot, where two
intents differ by one word, the words themselves decide. Pieces of words survive
typing errors. Punctuation, case and emoji are no part of it.
"""

import itertools
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MAX_FEATURES = 40_000  # all of them up to 6,000 examples; a head of 150 intents then weighs 12 MB
_SHORTEST, _LONGEST = 2, 5  # bytes of a piece of a word
# Where CRC-32 begins for whole words, so that none is taken for a piece. It is laid over the first four bytes: a small
# number would make "criti" of the piece "briti"; with this one, letters never come of letters.
_WHOLE = 0x9E3779B9
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The features that a bot's examples have, and how rare each is.

    Shapes:
        hashes: (V,) uint32, ascending; CRC-32 of the feature, so that no string needs to be kept
        rarity: (V,) float32, the inverse document frequency
    """

    hashes: NDArray[np.uint32]
    rarity: FloatArray

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """The vocabulary of `texts`; beyond MAX_FEATURES, those that most texts have.

        Inverse document frequency: ln((1 + N) / (1 + n)) + 1, for a feature that n of the N texts have.

        Source: Sparck Jones 1972, doi.org/10.1108/eb026526, smoothed as in scikit-learn
        """
        total, having = 0, Counter[int]()
        for text in texts:
            total += 1
            having.update({hash_ for features in _hashes(text) for hash_ in features})
        kept = sorted(having, key=lambda hash_: (-having[hash_], hash_))[:MAX_FEATURES]
        hashes = np.array(sorted(kept), dtype=np.uint32)
        texts_with = np.array([having[int(hash_)] for hash_ in hashes], dtype=np.float32)
        return cls(hashes, np.log((1 + total) / (1 + texts_with)).astype(np.float32) + 1)

    def rarity_of(self, words: Sequence[str]) -> FloatArray:
        """How rare whole words in lower case are; infinite where there is no such feature.

        Shapes:
            returns: (W,) float32
        """
        hashes = np.fromiter((zlib.crc32(word.encode(), _WHOLE) for word in words), np.uint32, len(words))
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[places] == hashes, self.rarity[places], np.float32(np.inf))

    def weigh(self, text: str) -> tuple[IntArray, FloatArray]:
        """Which features `text` has, and how much each weighs in it.

        A feature that comes t times weighs (1 + ln t) x rarity; then words and pieces are each scaled to unit length.

        Shapes:
            returns: two arrays (F,) of positions in the vocabulary, and weights
        """
        positions, weights = [], []
        for counts in _hashes(text):
            if not counts:
                continue
            hashes = np.fromiter(counts, np.uint32, len(counts))
            places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            known = self.hashes[places] == hashes
            places = places[known]
            times = np.fromiter(counts.values(), np.float32, len(counts))[known]
            weight = (1 + np.log(times)) * self.rarity[places]
            positions.append(places)
            weights.append(weight / max(float(np.linalg.norm(weight)), 1e-9))
        if not positions:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return np.concatenate(positions), np.concatenate(weights).astype(np.float32)


def words_of(text: str) -> list[str]:
    """The words of `text`, in lower case and one form of Unicode, without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def _hashes(text: str) -> tuple[Counter[int], Counter[int]]:
    """The features of a text and how often each comes: whole words and pairs, and pieces of words."""
    words = [word.encode() for word in words_of(text)]
    whole = [*words, *(b" ".join(pair) for pair in itertools.pairwise(words))]
    pieces = itertools.chain.from_iterable(map(_pieces, words))
    return Counter(zlib.crc32(feature, _WHOLE) for feature in whole), Counter(pieces)


@lru_cache(maxsize=4096)  # people use the same words over and over; 4 MB at most
def _pieces(word: bytes) -> tuple[int, ...]:
    """The hashes of all pieces of a word between blanks, which mark its ends."""
    fenced = b" " + word + b" "
    return tuple(
        zlib.crc32(fenced[start : start + length])
        for length in range(_SHORTEST, _LONGEST + 1)
        for start in range(max(1, len(fenced) - length + 1))
    )
