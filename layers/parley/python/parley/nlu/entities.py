"""Entities by pattern: regular expressions, lookup tables, synonyms.

Pure. Where spans overlap, the longest wins, then the one that begins first, then
the regular expression.
"""

import re
from collections.abc import Iterator

from parley.bots.bot import EntityPatterns
from parley.conversation import Entity


class EntityFinder:
    """Finds the entities of one bot."""

    def __init__(self, patterns: EntityPatterns) -> None:
        self._synonyms = patterns.synonyms
        self._expressions = [
            (name, re.compile(expression, re.IGNORECASE))
            for name, expressions in patterns.regexes.items()
            for expression in expressions
        ] + [(name, _any_of(phrases)) for name, phrases in patterns.lookups.items() if phrases]

    def find(self, text: str) -> tuple[Entity, ...]:
        """The entities of `text`, in its order, never overlapping."""
        found: list[Entity] = []
        taken = bytearray(len(text))  # per character; what is taken is never shorter, so a span's two ends tell of it
        for candidate in sorted(self._candidates(text), key=lambda entity: (entity.start - entity.end, entity.start)):
            if not taken[candidate.start] and not taken[candidate.end - 1]:
                taken[candidate.start : candidate.end] = b"\1" * len(candidate.text)
                found.append(candidate)
        return tuple(sorted(found, key=lambda entity: entity.start))

    def _candidates(self, text: str) -> Iterator[Entity]:
        for name, expression in self._expressions:
            for match in expression.finditer(text):
                span = match.group()
                if span:
                    value = self._synonyms.get(span.lower(), span)
                    yield Entity(name, value, match.start(), match.end(), span)


def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)", re.IGNORECASE)
