"""The knowledge snapshot: a bot's passages, searched in memory by meaning and by words.

A passage is as good as its meaning is near to the question's, as a whole and in its nearest sentence or heading, and as
the words are that both share: names and numbers, which an embedding blurs. The same sum without the heading, which
may ask what the text does not answer, decides whether anything was found.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from parley.conversation import Citation
from parley.knowledge.extract import SENTENCE_END, excerpt
from parley.knowledge.index import WordIndex, terms_of
from parley.ports import Encoder

FloatArray = NDArray[np.float32]

# models/encoder/README.md, "Retrieval", has where these come from.
WORDS_WEIGHT = 0.5  # of BM25, as a share of the best possible, beside the cosines
MIN_SCORE = 0.47
RELATED_SCORE = 0.40
ENOUGH_WORDS = 4
CANDIDATES = 64  # whose sentences are looked at
INT8 = 127.0
MOST_RECENT = 256  # questions whose passages are remembered

_SHORTEST_SENTENCE = 4  # words; a shorter one says nothing by itself


@dataclass(frozen=True, slots=True)
class Passage:
    """What can be found: a piece of a document, and what is known about it."""

    citation: Citation
    about: Mapping[str, str]  # metadata, by which a search can be narrowed


@dataclass(frozen=True, slots=True)
class Found:
    """A passage and how well it fits the question."""

    passage: Citation
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What answers a question, and the passage that it is from."""

    text: str
    passage: Citation


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All passages of one bot at one moment.

    Shapes:
        vectors: (P, D) float32, rows of unit length
        headings: (P, D) int8, rows of length INT8; 0 where there is none
        sentences: (S, D) int8, rows of length INT8: of each passage its sentences, or itself where it has none
        firsts: (P + 1,) int64, where each passage's sentences begin
    """

    passages: tuple[Passage, ...]
    vectors: FloatArray
    headings: NDArray[np.int8]
    sentences: NDArray[np.int8]
    firsts: NDArray[np.int64]
    index: WordIndex
    _recent: dict[tuple[object, ...], list[tuple[int, float]]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, passages: Sequence[Passage], readings: Sequence[FloatArray]) -> Self:
        """The snapshot of these passages.

        Shapes:
            readings: of each passage (R, D) float32, rows of unit length: of each of `texts_of` it
        """
        size = readings[0].shape[1] if len(readings) else 0
        nothing = np.zeros((0, size), np.float32)
        headings, sentences = [], []
        for passage, reading in zip(passages, readings, strict=True):
            has_heading = bool(passage.citation.section)
            headings.append(reading[1] if has_heading else np.zeros(size, np.float32))
            sentences.append(reading[1 + has_heading :] if len(reading) > 1 + has_heading else reading[:1])
        return cls(
            tuple(passages),
            np.stack([each[0] for each in readings]) if len(readings) else nothing,
            _as_bytes(np.stack(headings) if headings else nothing),
            _as_bytes(np.concatenate(sentences) if sentences else nothing),
            np.cumsum([0, *map(len, sentences)]).astype(np.int64),
            WordIndex.of(_indexed(passage.citation) for passage in passages),
        )

    @classmethod
    def from_arrays(cls, about: Any, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The snapshot that `about` and `arrays` gave."""
        passages = msgspec.convert(about, tuple[Passage, ...])
        rest = (arrays[name] for name in ("headings", "sentences", "firsts"))
        index = WordIndex.from_arrays(arrays)
        return cls(passages, arrays["vectors"].astype(np.float32), *rest, index)  # type: ignore[arg-type,call-arg]

    def about(self) -> Any:
        """What has to be kept besides the arrays, as JSON can hold it."""
        return msgspec.to_builtins(self.passages)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What has to be kept; half of a float's precision is more than the encoder has."""
        own: dict[str, NDArray[np.generic]] = {"vectors": self.vectors.astype(np.float16)}
        own |= {"headings": self.headings, "sentences": self.sentences, "firsts": self.firsts}
        return {**own, **self.index.arrays()}

    def readings(self, place: int) -> FloatArray:
        """What an encoder made of `texts_of` the passage at this place.

        Shapes:
            returns: (R, D) float32
        """
        citation = self.passages[place].citation
        heading = self.headings[place : place + 1] if citation.section else self.headings[:0]
        own = self.sentences[self.firsts[place] : self.firsts[place + 1]]
        has_sentences = len(texts_of(citation)) > 1 + len(heading)
        parts = np.concatenate([heading, own if has_sentences else own[:0]])
        return np.concatenate([self.vectors[place : place + 1], parts.astype(np.float32) / INT8])

    @property
    def documents(self) -> frozenset[str]:
        """The names of all documents."""
        return frozenset(passage.citation.document for passage in self.passages)

    def counts(self) -> dict[str, int]:
        """How many passages each document has."""
        return dict(Counter(passage.citation.document for passage in self.passages))

    def of_document(self, name: str) -> tuple[Citation, ...]:
        """The passages of one document, in its order."""
        return tuple(each.citation for each in self.passages if each.citation.document == name)

    def without(self, documents: Iterable[str]) -> Self:
        """The snapshot without some documents."""
        gone = frozenset(documents)
        kept = [place for place, passage in enumerate(self.passages) if passage.citation.document not in gone]
        if len(kept) == len(self.passages):
            return self
        of_kept = [np.arange(self.firsts[place], self.firsts[place + 1]) for place in kept]
        return type(self)(
            tuple(self.passages[place] for place in kept),
            self.vectors[kept],
            self.headings[kept],
            self.sentences[np.concatenate(of_kept)] if of_kept else self.sentences[:0],
            np.cumsum([0, *map(len, of_kept)]).astype(np.int64),
            self.index.selected(kept),
        )

    def joined(self, other: Self) -> Self:
        """The passages of both; of a document that both have, those of `other`."""
        own = self.without(other.documents)
        if not own.passages:
            return other
        if not other.passages:
            return own
        return type(self)(
            own.passages + other.passages,
            np.concatenate([own.vectors, other.vectors]),
            np.concatenate([own.headings, other.headings]),
            np.concatenate([own.sentences, other.sentences]),
            np.concatenate([own.firsts, own.firsts[-1] + other.firsts[1:]]),
            own.index.joined(other.index),
        )

    def search(
        self, text: str, embedding: FloatArray, *, limit: int = 3, about: Mapping[str, str] | None = None
    ) -> tuple[Found, ...]:
        """The passages that fit a question best, the best first; of those only that agree with `about`.

        A passage agrees that says the same of each key, or says nothing of it.

        Shapes:
            embedding: (D,) float32, unit length: the encoder's vector of `text`
        """
        ranked = self._ranked(text, embedding, limit, about)
        return tuple(Found(self.passages[place].citation, score) for place, score in ranked)

    def answer(
        self,
        text: str,
        embedding: FloatArray,
        *,
        about: Mapping[str, str] | None = None,
        threshold: float | None = None,
    ) -> Answer | None:
        """What answers the question; None when no passage scores `threshold`, or MIN_SCORE without one.

        Shapes:
            embedding: (D,) float32, unit length: the encoder's vector of `text`
        """
        for place, score in self._ranked(text, embedding, 1, about):
            if score >= (MIN_SCORE if threshold is None else threshold):
                citation = self.passages[place].citation
                return Answer(excerpt(citation.text, self._nearest(place, embedding)), citation)
        return None

    def related(
        self, text: str, embedding: FloatArray, *, limit: int, about: Mapping[str, str] | None = None
    ) -> tuple[Citation, ...]:
        """The passages about what was said, the nearest first, whether or not one of them answers it.

        Shapes:
            embedding: (D,) float32, unit length: the encoder's vector of `text`
        """
        found = self.search(text, embedding, limit=limit, about=about)
        return tuple(each.passage for each in found if each.score >= RELATED_SCORE)

    def _ranked(
        self, text: str, embedding: FloatArray, limit: int, about: Mapping[str, str] | None
    ) -> list[tuple[int, float]]:
        """The best passages' places, the best first, each with its score."""
        key = (text, embedding.tobytes(), *sorted((about or {}).items()))
        ranked = self._recent.get(key)
        if ranked is None:
            if len(self._recent) >= MOST_RECENT:
                self._recent.pop(next(iter(self._recent)), None)
            ranked = self._recent[key] = self._rank(text, embedding, about)
        return ranked[:limit]

    def _rank(self, text: str, embedding: FloatArray, about: Mapping[str, str] | None) -> list[tuple[int, float]]:
        if not self.passages:
            return []
        nearness, words = self.vectors @ embedding, WORDS_WEIGHT * self._words(text)
        first = nearness + words
        if about:
            first[[not _agrees(passage.about, about) for passage in self.passages]] = -np.inf
        count = min(CANDIDATES, len(first))
        candidates = np.argpartition(-first, count - 1)[:count]
        candidates = candidates[first[candidates] > -np.inf]
        sentence = np.array([self._to_sentences(place, embedding).max() for place in candidates], np.float32)
        heading = self.headings[candidates].astype(np.float32) @ embedding / np.float32(INT8)
        whole, said = nearness[candidates], words[candidates]
        order = np.lexsort((candidates, -((whole + np.maximum(sentence, heading)) / 2 + said)))
        scores = (whole + sentence) / 2 + said
        return [(int(candidates[at]), float(scores[at])) for at in order]

    def _nearest(self, place: int, embedding: FloatArray) -> str:
        """The sentence of a passage that is nearest to the question; all of it where it has none."""
        text = self.passages[place].citation.text
        sentences = sentences_of(text)
        nearest = int(self._to_sentences(place, embedding).argmax())
        return sentences[nearest] if nearest < len(sentences) else text

    def _to_sentences(self, place: int, embedding: FloatArray) -> FloatArray:
        """How near each sentence of a passage is to the question.

        Shapes:
            returns: (S,) float32, cosines
        """
        own = self.sentences[self.firsts[place] : self.firsts[place + 1]]
        return own.astype(np.float32) @ embedding / np.float32(INT8)

    def _words(self, text: str) -> FloatArray:
        """BM25 as a share of the best that there could be.

        One or two words are soon found, so they count for less: "12" is not a question about a 12 in a passage.

        Shapes:
            returns: (P,) float32, 0..1
        """
        best = self.index.best_possible(text)
        few = min(1.0, len(set(terms_of(text))) / ENOUGH_WORDS)
        return self.index.scores(text) * (few / best) if best else np.zeros(len(self.passages), np.float32)


def texts_of(citation: Citation) -> tuple[str, ...]:
    """What the encoder reads of a passage: the whole, its heading if it has one, its sentences if it has several."""
    sentences = sentences_of(citation.text)
    heading = (citation.section,) if citation.section else ()
    return (_indexed(citation), *heading, *(sentences if len(sentences) > 1 or heading else ()))


def readings_of(citation: Citation, encoder: Encoder) -> FloatArray:
    """What the encoder makes of `texts_of` a passage: of the whole and its sentences in one reading.

    Shapes:
        returns: (R, D) float32, rows of unit length
    """
    whole, *rest = texts_of(citation)
    heading, sentences = (rest[:1], rest[1:]) if citation.section else ([], rest)
    spans, at = [], len(whole) - len(citation.text)
    for sentence in sentences:
        begin = whole.index(sentence, at)
        at = begin + len(sentence)
        spans.append((begin, at))
    first, *others = np.split(encoder.read(whole, spans), [1])
    return np.concatenate([first, *([encoder.embed(heading)] if heading else []), *others])


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of a passage that say something by themselves."""
    return tuple(each for each in SENTENCE_END.split(text) if len(each.split()) >= _SHORTEST_SENTENCE)


def _indexed(citation: Citation) -> str:
    return f"{citation.title}. {citation.section}. {citation.text}"


def _as_bytes(vectors: FloatArray) -> NDArray[np.int8]:
    return np.round(vectors * INT8).astype(np.int8)


def _agrees(known: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(known.get(key, value).casefold() == value.casefold() for key, value in wanted.items())
