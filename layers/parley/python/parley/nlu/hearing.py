"""What somebody meant to type: emoji left out and typing errors mended, before the encoder reads.

Knows letters and words, and is told which words there are. The encoder cuts a mistyped
word into pieces that mean nothing, and takes an emoji for an unknown word; both cost more
intents than all else that people do to a sentence (`scripts/evaluate_nlu.py --noise`).
What somebody typed is what entities, slots and the language model get; only the encoder
and the intent head hear the mended words.

A word is mended if it is none (neither the bot nor the encoder nor English has it) and one
letter swapped, left out, put in or mistaken makes it one of the bot's own, of its examples
or documents; of several, the one that the bot has most often. The first letter stays, as it
does in nine of ten errors. Short words stay, because an error makes others of them: of
three letters all, of four those in which a letter was mistaken. So does whatever is part of
a code, a number or an address.

Sources: Damerau 1964, doi.org/10.1145/363958.363994 (four kinds of error make four in
five); Norvig, https://norvig.com/spell-correct.html (all words at one error's distance)
"""

import math
import re
import string
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"(?<![\w'’.@/-])[^\W\d_]{4,24}(?!['’-]?\w|[@/]|\.\w)")
SHORTEST_MISTAKEN = 5
MOST_ERRORS = 20  # in one text; with more it was not typed by somebody who meant the bot's words
_PICTURES = frozenset({"So", "Sk"})  # Unicode's "other symbols", and the colours of skin ...
_FIRST_PICTURE = "\u2000"  # ... from here on: before it are signs like that of degrees
_JOINERS = "\u200d\ufe0f\u20e3"  # what puts emoji together

ENGLISH = Path(__file__).with_name("english_words.npy")  # hashes of words; models/encoder/english_words.py writes it

Knows = Callable[[str], bool]  # whether something is a word, bot or no bot
Rarity = Callable[[Sequence[str]], Sequence[float]]  # how rare words in lower case are in the bot; infinite: not there


@dataclass(frozen=True, slots=True)
class Mended:
    """A text as it was meant, and for each of its characters where it stood in what was typed."""

    text: str
    origins: tuple[int, ...]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters from `start` to `end` stood."""
        return (self.origins[start], self.origins[end - 1] + 1) if end > start else (0, 0)


def word_hash(word: str) -> int:
    """The number by which a word in lower case is kept."""
    return zlib.crc32(word.encode())


def is_english(word: str) -> bool:
    """Whether a word is in the dictionary; once in 50,000 words that are not, it says so too."""
    known, wanted = _english(), word_hash(word.lower())
    place = int(np.searchsorted(known, np.uint32(wanted)))
    return place < len(known) and int(known[place]) == wanted


@cache
def _english() -> NDArray[np.uint32]:
    return np.asarray(np.load(ENGLISH, allow_pickle=False), np.uint32)


def mend(text: str, knows: Knows, rarity: Rarity) -> Mended | None:
    """What `text` was meant to be; None if that is just what it is."""
    changes = sorted([*_pictures(text), *_errors(text, knows, rarity)])
    if not changes:
        return None
    parts, origins, done = [], list[int](), 0
    for start, end, meant in changes:
        parts += [text[done:start], meant]
        origins += range(done, start)
        origins += (min(start + step, end - 1) for step in range(len(meant)))
        done = end
    parts.append(text[done:])
    origins += range(done, len(text))
    mended = "".join(parts)
    return Mended(mended, tuple(origins)) if mended.strip() else None  # nothing but emoji is a message too


def _pictures(text: str) -> Iterator[tuple[int, int, str]]:
    for place, character in enumerate(text):
        if character < _FIRST_PICTURE:
            continue
        if character in _JOINERS or unicodedata.category(character) in _PICTURES:
            yield place, place + 1, ""


def _errors(text: str, knows: Knows, rarity: Rarity) -> Iterator[tuple[int, int, str]]:
    strange = [match for match in _WORD.finditer(text) if not knows(match.group())]
    if not 0 < len(strange) <= MOST_ERRORS:
        return
    words = [match.group().lower() for match in strange]
    for match, word, rare in zip(strange, words, rarity(words), strict=True):
        if rare == math.inf and (meant := _meant(word, rarity)):
            yield match.start(), match.end(), meant


def _meant(word: str, rarity: Rarity) -> str | None:
    """The bot's most frequent word at one error's distance."""
    near = sorted(set(_one_error_away(word)))
    rare, meant = min(zip(rarity(near), near, strict=True))
    return meant if rare < math.inf else None


def _one_error_away(word: str) -> Iterator[str]:
    for at in range(1, len(word) + 1):
        before, behind = word[:at], word[at:]
        yield from (before + letter + behind for letter in string.ascii_lowercase)
        if behind:
            yield before + behind[1:]
            if len(word) >= SHORTEST_MISTAKEN:
                yield from (before + letter + behind[1:] for letter in string.ascii_lowercase)
        if len(behind) > 1:
            yield before + behind[1] + behind[0] + behind[2:]
