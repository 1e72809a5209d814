"""The word index: how well each passage fits the words of a question, by BM25.

Words are kept as hashes in ascending order and their postings as one run of numbers, so that
the index of a hundred thousand passages is a few arrays, which load as fast as they are read.
Knows words; knows no meaning.

Source: Robertson and Zaragoza 2009, doi.org/10.1561/1500000019; the inverse document frequency
is Lucene's, which is never below zero
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SATURATION = 1.2  # k1
LENGTH_SHARE = 0.75  # b
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")  # scripts that put no spaces between words
_ENDINGS = ("ing", "ies", "ed", "es", "s")
_SHORTEST_STEM = 3


def terms_of(text: str) -> list[str]:
    """The words of `text` as they are looked up: in lower case, without the commonest English endings.

    Where a script puts no spaces between words, every two characters are one.
    """
    terms = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if _UNSPACED.fullmatch(word):
            terms += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        else:
            terms.append(stem(word))
    return terms


def stem(word: str) -> str:
    """The word without a common ending: "parcels" and "parcel", "returned" and "return" are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + _SHORTEST_STEM and not word.endswith("ss"):
            return word.removesuffix(ending) + ("y" if ending == "ies" else "")
    return word


@dataclass(frozen=True, slots=True)
class WordIndex:
    """The words of P passages.

    Shapes:
        hashes: (V,) uint32, ascending
        starts: (V + 1,) int64, where each word's postings begin
        holders: (H,) int32, which passages hold the word, ascending for each word
        counts: (H,) uint8, how often, 255 at most
        lengths: (P,) int32, the words of each passage
    """

    hashes: NDArray[np.uint32]
    starts: NDArray[np.int64]
    holders: NDArray[np.int32]
    counts: NDArray[np.uint8]
    lengths: NDArray[np.int32]
    _gains: FloatArray = field(
        init=False, repr=False, compare=False
    )  # (H,) what a posting is worth, but for the rarity

    def __post_init__(self) -> None:
        average = max(float(self.lengths.mean()), 1.0) if len(self.lengths) else 1.0
        damping = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * self.lengths.astype(np.float32) / average)
        counts = self.counts.astype(np.float32)
        object.__setattr__(self, "_gains", counts * (SATURATION + 1) / (counts + damping[self.holders]))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """The index of these passages."""
        counted = [Counter(map(_hash, terms_of(text))) for text in texts]
        lengths = np.array([found.total() for found in counted], np.int32)
        hashes = np.array([word for found in counted for word in found], np.uint32)
        counts = np.array([min(count, 255) for found in counted for count in found.values()], np.uint8)
        holders = np.repeat(np.arange(len(counted), dtype=np.int32), [len(found) for found in counted])
        return cls._sorted(hashes, holders, counts, lengths)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The index that `arrays` gave."""
        return cls(*(arrays[name] for name in _ARRAYS))  # type: ignore[arg-type]  # as they were packed

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What has to be kept."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def selected(self, kept: Sequence[int]) -> Self:
        """The index of some of the passages, in ascending order."""
        places = np.full(len(self.lengths), -1, np.int32)
        places[list(kept)] = np.arange(len(kept), dtype=np.int32)
        holders = places[self.holders]
        stays = holders >= 0
        return self._sorted(self._words()[stays], holders[stays], self.counts[stays], self.lengths[list(kept)])

    def joined(self, other: Self) -> Self:
        """The index of both: these passages, then those."""
        return self._sorted(
            np.concatenate([self._words(), other._words()]),
            np.concatenate([self.holders, other.holders + np.int32(len(self.lengths))]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.lengths, other.lengths]),
        )

    def __contains__(self, word: object) -> bool:
        """Whether a passage holds the word, or one with another common ending."""
        return isinstance(word, str) and all(len(self._postings(term)[0]) for term in terms_of(word))

    def scores(self, text: str) -> FloatArray:
        """How well each passage fits the words of a question; 0 where it shares none.

        Shapes:
            returns: (P,) float32
        """
        total = np.zeros(len(self.lengths), np.float32)
        for term in set(terms_of(text)):
            holders, gains = self._postings(term)
            if len(holders):
                total[holders] += self.rarity(len(holders)) * gains
        return total

    def best_possible(self, text: str) -> float:
        """What a passage would score that is hardly about anything but the question."""
        rarities = (self.rarity(len(self._postings(term)[0])) for term in set(terms_of(text)))
        return float((SATURATION + 1) * sum(rarities))

    def rarity(self, holders: int) -> float:
        """How much a word counts that so many passages hold."""
        return float(np.log1p((len(self.lengths) - holders + 0.5) / (holders + 0.5)))

    def _postings(self, term: str) -> tuple[NDArray[np.int32], FloatArray]:
        wanted = _hash(term)
        place = int(np.searchsorted(self.hashes, np.uint32(wanted)))
        if place == len(self.hashes) or int(self.hashes[place]) != wanted:
            return self.holders[:0], self._gains[:0]
        run = slice(int(self.starts[place]), int(self.starts[place + 1]))
        return self.holders[run], self._gains[run]

    def _words(self) -> NDArray[np.uint32]:
        """Of each posting its word."""
        return np.repeat(self.hashes, np.diff(self.starts))

    @classmethod
    def _sorted(
        cls,
        words: NDArray[np.uint32],
        holders: NDArray[np.int32],
        counts: NDArray[np.uint8],
        lengths: NDArray[np.int32],
    ) -> Self:
        """The index of postings in any order.

        Shapes:
            words, holders, counts: (H,)
        """
        order = np.lexsort((holders, words))
        hashes, firsts = np.unique(words[order], return_index=True)
        starts = np.append(firsts, len(words)).astype(np.int64)
        return cls(hashes, starts, holders[order], counts[order], lengths)


_ARRAYS = ("hashes", "starts", "holders", "counts", "lengths")


def _hash(term: str) -> int:
    return zlib.crc32(term.encode())
