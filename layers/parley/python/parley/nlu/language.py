"""Which language an utterance is in.

Knows scripts, fastText's language model and how little a short text proves; does not
know what a bot does about a foreign utterance. The bot's own language is given back
unless there is real evidence against it: a code, a name or a word like "ok" is of no
language.

The model is lid.176.ftz (Joulin et al., "Bag of Tricks for Efficient Text
Classification", 2016, and "FastText.zip", 2016; https://fasttext.cc/docs/en/language-identification.html;
CC BY-SA 3.0), 0.9 MB, read on first use. It is read and run here in numpy, because the
compiled library would weigh as much again and is no longer kept up by its authors.
"""

import re
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

MODEL = Path(__file__).with_name("lid.176.ftz")

# The languages that may be found. The model has 176, but on short texts the rare ones are nearly always wrong.
LATIN: tuple[str, ...] = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "pl",
    "sv",
    "da",
    "no",
    "fi",
    "cs",
    "sk",
    "hu",
    "ro",
    "hr",
    "sl",
)
LATIN += ("tr", "id", "vi", "ca", "et", "lv", "lt", "tl", "sw")
CYRILLIC = ("ru", "uk", "bg", "sr", "mk", "be", "kk")
ARABIC = ("ar", "fa", "ur")
DEVANAGARI = ("hi", "mr", "ne")

# Where a script begins and ends, and the languages that are written in it: the usual one first.
_SCRIPTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("\u3040-\u30ff\uff66-\uff9f", ("ja",)),  # kana; it stands before Han, because Japanese has both
    ("\uac00-\ud7af\u1100-\u11ff\u3130-\u318f", ("ko",)),
    ("\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", ("zh", "ja")),
    ("\u0400-\u052f", CYRILLIC),
    ("\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff", ARABIC),
    ("\u0900-\u097f", DEVANAGARI),
    ("\u0370-\u03ff\u1f00-\u1fff", ("el",)),
    ("\u0590-\u05ff", ("he",)),
    ("\u0e00-\u0e7f", ("th",)),
    ("\u0980-\u09ff", ("bn",)),
    ("\u0b80-\u0bff", ("ta",)),
    ("\u0c00-\u0c7f", ("te",)),
    ("\u10a0-\u10ff", ("ka",)),
    ("\u0530-\u058f", ("hy",)),
)
_OF_SCRIPT = [(re.compile(f"[{characters}]"), languages) for characters, languages in _SCRIPTS]
_NOT_LATIN = re.compile("[\u0370-\u1cff\u1f00-\u1fff\u3040-\ud7af\uf900-\ufdff\ufe70-\ufeff\uff66-\uff9f]")
_NOT_WORDS = re.compile(r"[!-~]*[@/\\_<>{}0-9][!-~]*|\bwww\.[!-~]+")  # addresses, codes, numbers: of no language
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

# Fitted so that of 4,100 English validation sentences (CLINC150, HWU64) fewer than 0.2 % are called foreign.
MIN_PROBABILITY = 0.70
MIN_PROBABILITY_SHORT = 0.90  # one word, or nothing but capitalised words, which may be a name
MIN_LETTERS = 6  # in all; "salut" is given away for "lol" and "haha"
MIN_RATIO = 8.0  # how much likelier than the bot's own language


def detect_language(text: str, expected: str = "en") -> str:
    """ISO 639-1 code of the language of `text`; `expected`, the bot's language, where nothing speaks against it."""
    words = _WORD.findall(_NOT_WORDS.sub(" ", text[:400]))
    if not words:
        return expected
    plain = " ".join(words)
    if _NOT_LATIN.search(plain):
        script = _script(plain)
        if script is not None:
            return _in_script(plain, script, expected)
    return _in_latin(plain, words, expected)


def _script(text: str) -> tuple[str, ...] | None:
    """The languages of the script that is not Latin, if it is more than a foreign word in a Latin text."""
    letters = sum(map(len, text.split()))
    for characters, languages in _OF_SCRIPT:
        share = len(characters.findall(text)) / letters
        dense = languages[0] in ("ja", "zh", "ko")  # a character of theirs says as much as two or three letters
        if share >= (0.2 if dense else 0.5):
            return languages
    return None


def _in_script(text: str, languages: tuple[str, ...], expected: str) -> str:
    if len(languages) == 1:
        return languages[0]
    if expected in languages and languages[0] in ("zh",):
        return expected  # a few Han characters alone may be either
    if languages[0] == "zh":
        return "zh"
    usual = expected if expected in languages else languages[0]
    best, probability, of_usual = _likeliest(text, languages, usual)
    return best if probability >= 0.5 and probability >= MIN_RATIO * of_usual else usual


def _in_latin(text: str, words: list[str], expected: str) -> str:
    if sum(map(len, words)) < MIN_LETTERS:
        return expected
    best, probability, of_expected = _likeliest(text.lower(), LATIN, expected)
    may_be_name = len(words) == 1 or all(word[:1].isupper() for word in words)
    needed = MIN_PROBABILITY_SHORT if may_be_name else MIN_PROBABILITY
    return best if probability >= needed and probability >= MIN_RATIO * of_expected else expected


def _likeliest(text: str, languages: tuple[str, ...], usual: str) -> tuple[str, float, float]:
    """The likeliest of some languages, its probability, and that of the usual one."""
    model = _model()
    probabilities = model.probabilities(text)
    best = max(languages, key=lambda language: probabilities[model.number[language]])
    of_usual = probabilities[model.number[usual]] if usual in model.number else 0.0
    return best, float(probabilities[model.number[best]]), float(of_usual)


@cache
def _model() -> "LanguageModel":
    return LanguageModel.read(MODEL.read_bytes())


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A quantized fastText classifier with hierarchical softmax.

    A text is the mean of the vectors of its words and of their character n-grams; from
    there one walks down a Huffman tree, left or right by a logistic regression in each
    of its nodes, to the language.

    Source: fastText 0.9.2, src/{dictionary,productquantizer,quantmatrix,loss}.cc
    """

    languages: tuple[str, ...]
    number: dict[str, int]  # language -> its place among them
    words: dict[str, int]  # -> row
    ngrams: NDArray[np.int64]  # (G,) buckets of the n-grams' hashes, ascending
    ngram_rows: NDArray[np.int64]  # (G,) their rows
    buckets: int
    lengths: tuple[int, int]  # of the n-grams, in characters
    codes: NDArray[np.uint8]  # (R, S): for each row and part of its vector, the number of the centroid
    norms: NDArray[np.float32]  # (R,)
    centroids: NDArray[np.float32]  # (S, 256, D / S)
    nodes: NDArray[np.float32]  # (L - 1, D)
    paths: NDArray[np.float32]  # (L, 2 (L - 1)): 1 where the way to the language goes left; then, where it goes right

    @classmethod
    def read(cls, content: bytes) -> Self:
        """The model in a `.ftz` file."""
        file = _Reader(content)
        magic, version, _dim, *_, buckets, shortest, longest, _ = file.numbers("14i")
        if (magic, version) != (793712314, 12):
            raise ValueError("this is not a fastText model of version 12")
        file.numbers("d")
        entries, words, _labels, _tokens, pruned = file.numbers("3i2q")
        names, counts = file.entries(entries)
        kept = file.array(np.int32, 2 * pruned).reshape(-1, 2).astype(np.int64)
        kept = kept[np.argsort(kept[:, 0])]
        file.numbers("?")  # the input matrix is quantized
        codes, norms, centroids = file.quantized_matrix()
        file.numbers("?")  # the output matrix is not
        rows, columns = file.numbers("2q")
        output = file.array(np.float32, rows * columns).reshape(rows, columns)
        languages = tuple(name.removeprefix("__label__") for name in names[words:])
        return cls(
            languages=languages,
            number={language: number for number, language in enumerate(languages)},
            words={name: row for row, name in enumerate(names[:words])},
            ngrams=np.ascontiguousarray(kept[:, 0]),
            ngram_rows=kept[:, 1] + words,
            buckets=buckets,
            lengths=(shortest, longest),
            codes=codes,
            norms=norms,
            centroids=centroids,
            nodes=np.ascontiguousarray(output[: rows - 1]),
            paths=_huffman_paths(counts[words:]),
        )

    def probabilities(self, text: str) -> NDArray[np.float32]:
        """How likely each language is, in words separated by white space.

        Shapes:
            returns: (L,) in the order of `self.languages`
        """
        words = text.split()
        rows = [self.words[word] for word in (*words, "</s>") if word in self.words]
        rows += self._ngram_rows(words).tolist()
        if not rows:
            return np.zeros(len(self.languages), np.float32)
        parts = self.centroids[np.arange(self.codes.shape[1]), self.codes[rows]]  # (rows, S, D / S)
        hidden = (self.norms[rows] @ parts.reshape(len(rows), -1)) / len(rows)
        scores = self.nodes @ hidden
        log_left = -np.log1p(np.exp(-np.abs(scores))) - np.maximum(scores, 0)  # log(1 - sigmoid), without overflow
        return np.asarray(np.exp(self.paths @ np.concatenate([log_left, log_left + scores])), np.float32)

    def _ngram_rows(self, words: list[str]) -> NDArray[np.int64]:
        """The rows of the words' n-grams, each word put between < and >.

        The hash is FNV-1a over UTF-8 with its bytes taken as signed, as fastText has it; that of an
        n-gram goes on from that of the one which is a character shorter. All places at once.
        """
        if not words:
            return np.zeros(0, np.int64)
        framed = "".join(f"<{word}>" for word in words)
        lengths = np.array([len(word) + 2 for word in words])
        ends = np.repeat(np.cumsum(lengths), lengths)  # for each character, where its word ends
        steps = _utf8(framed)
        places = np.arange(len(framed))
        hashes = np.full(len(framed), 2166136261, np.uint32)
        shortest, longest = self.lengths
        buckets = []
        for length in range(1, min(longest, len(framed)) + 1):
            hashes = hashes[: len(framed) - length + 1]
            for byte, is_there in steps:
                longer = (hashes ^ byte[length - 1 :]) * np.uint32(16777619)
                hashes = longer if is_there is None else np.where(is_there[length - 1 :], longer, hashes)
            if length >= max(shortest, 2):  # an n-gram of one character is none of fastText's at a word's ends
                inside = places[: len(hashes)] + length <= ends[: len(hashes)]
                buckets.append(hashes[inside] % np.uint32(self.buckets))
        wanted = np.concatenate(buckets).astype(np.int64)
        at = np.searchsorted(self.ngrams, wanted).clip(max=len(self.ngrams) - 1)
        return np.asarray(self.ngram_rows[at[self.ngrams[at] == wanted]])


def _utf8(text: str) -> list[tuple[NDArray[np.uint32], NDArray[np.bool_] | None]]:
    """The first bytes of all characters, the second ones, and so on, and which characters have one (None: all)."""
    if text.isascii():
        return [(np.frombuffer(text.encode(), np.uint8).astype(np.uint32), None)]
    characters = [character.encode() for character in text]
    width = max(map(len, characters))
    table = np.frombuffer(b"".join(character.ljust(width, b"\0") for character in characters), np.int8)
    table = table.reshape(-1, width).astype(np.int32)  # signed: a byte above 127 turns the upper bits too
    counts = np.array(list(map(len, characters)))
    return [(table[:, place].astype(np.uint32), counts > place) for place in range(width)]


def _huffman_paths(counts: list[int]) -> NDArray[np.float32]:
    """For each leaf, by which nodes its path goes left (first half of the columns) and right (second half).

    The leaves come with the highest count first, as fastText sorts them.
    """
    leaves = len(counts)
    total = [*counts, *([10**15] * (leaves - 1))]
    parent, is_right = [0] * len(total), [False] * len(total)
    leaf, node = leaves - 1, leaves
    for new in range(leaves, len(total)):
        pair = []
        for _ in range(2):
            if leaf >= 0 and total[leaf] < total[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        total[new] = total[pair[0]] + total[pair[1]]
        parent[pair[0]] = parent[pair[1]] = new
        is_right[pair[1]] = True
    paths = np.zeros((leaves, 2 * (leaves - 1)), dtype=np.float32)
    for number in range(leaves):
        at = number
        while at != len(total) - 1:
            paths[number, parent[at] - leaves + is_right[at] * (leaves - 1)] = 1
            at = parent[at]
    return paths


class _Reader:
    """Reads little-endian values one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def numbers(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self._content, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def entries(self, count: int) -> tuple[list[str], list[int]]:
        """Words and labels, and how often each was seen."""
        names, counts, at = [], [], self._at
        for _ in range(count):
            end = self._content.index(b"\0", at)
            names.append(self._content[at:end].decode(errors="replace"))
            counts.append(int.from_bytes(self._content[end + 1 : end + 9], "little"))
            at = end + 10  # a byte says whether it is a word or a label; the labels come last
        self._at = at
        return names, counts

    def array(self, dtype: type[Scalar], count: int) -> NDArray[Scalar]:
        values = np.frombuffer(self._content, np.dtype(dtype).newbyteorder("<"), count, self._at)
        self._at += values.nbytes
        return values

    def quantized_matrix(self) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Codes (R, S), norms (R,) and centroids (S, 256, D / S) of a product-quantized matrix (R, D)."""
        has_norms, rows, _columns, size = self.numbers("?2qi")
        codes = self.array(np.uint8, size).reshape(rows, -1)
        centroids = self._centroids()
        if not has_norms:
            return codes, np.ones(rows, np.float32), centroids
        norm_codes = self.array(np.uint8, rows)
        return codes, self._centroids()[0, norm_codes, 0], centroids

    def _centroids(self) -> NDArray[np.float32]:
        dimensions, parts, width, _last = self.numbers("4i")
        return self.array(np.float32, dimensions * 256).reshape(parts, 256, width)
