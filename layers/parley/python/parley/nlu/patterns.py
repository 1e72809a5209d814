"""What a bot's author wrote down literally: regular expressions and lookup tables, found in a text.

Pure. A lookup table is searched by its phrases' first words, so that ten thousand
phrases cost no more than ten. A regular expression is its author's: one that
backtracks without end is as slow here as anywhere, and only the length of a
message bounds it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from parley.bots.bot import EntityPatterns
from parley.conversation.understanding import Finder

_FIRST_WORD = re.compile(r"\w+|\W")


@dataclass(frozen=True, slots=True)
class Match:
    """A stretch of a text that a pattern of the author's fits."""

    name: str  # of the entity
    start: int
    end: int
    by: Finder


class Patterns:
    """The patterns of one bot, ready to search with. Case does not matter to any of them."""

    def __init__(self, patterns: EntityPatterns) -> None:
        self.names = tuple(sorted({*patterns.regexes, *patterns.lookups}))
        self._expressions = [
            (name, re.compile(expression, re.IGNORECASE))
            for name, expressions in patterns.regexes.items()
            for expression in expressions
        ]
        self._tables = [(name, _Table(phrases)) for name, phrases in patterns.lookups.items() if phrases]

    def find(self, text: str) -> list[Match]:
        """Everything that fits, regular expressions first; it may overlap."""
        found = [
            Match(name, match.start(), match.end(), "regex")
            for name, expression in self._expressions
            for match in expression.finditer(text)
            if match.end() > match.start()
        ]
        if self._tables:
            lower = _lower(text)
            words = list(_FIRST_WORD.finditer(lower))
            for name, table in self._tables:
                found += [Match(name, start, end, "lookup") for start, end in table.find(lower, words)]
        return found


class _Table:
    """The phrases of one lookup table."""

    def __init__(self, phrases: tuple[str, ...]) -> None:
        self._phrases = frozenset(map(_lower, phrases))
        lengths: dict[str, set[int]] = defaultdict(set)
        for phrase in self._phrases:
            if phrase:
                lengths[_FIRST_WORD.match(phrase).group()].add(len(phrase))  # type: ignore[union-attr]
        self._lengths = {word: sorted(of_word, reverse=True) for word, of_word in lengths.items()}

    def find(self, text: str, words: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
        """Where phrases stand as whole words: at each place the longest, none inside another."""
        free = 0
        for word in words:
            start = word.start()
            for length in self._lengths.get(word.group(), ()):
                end = start + length
                if end > len(text):
                    continue
                if start >= free and text[start:end] in self._phrases and _is_whole(text, start, end):
                    yield start, end
                    free = end
                    break


def _is_whole(text: str, start: int, end: int) -> bool:
    return not (start > 0 and _is_word(text[start - 1])) and not (end < len(text) and _is_word(text[end]))


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _lower(text: str) -> str:
    """In lower case, every character in its place: the lower case of some has two characters."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(character if len(character.lower()) > 1 else character.lower() for character in text)
