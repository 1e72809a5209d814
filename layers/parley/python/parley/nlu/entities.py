"""Entities from every source, put together: patterns, the trained tagger, system entities; then synonyms.

Pure. What the sources find may overlap, and one rule decides:

    The longest span wins; of equally long ones the one that begins first; of those on the
    same span the regular expression, then the lookup table, the tagger, the system entity.

Before it is asked, two finds that overlap and agree on the entity become one: what a
system entity has read (`2026-11-27T15:00:00+01:00`) keeps its span and value and takes
role and group from the tagger, which knows that one *departs* at that time.

A synonym replaces the value of whatever was found by its words; values that a system
entity has normalised stay.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from parley.bots.bot import EntityPatterns
from parley.conversation import Entity
from parley.nlu.patterns import Match, Patterns
from parley.nlu.system_entities import SystemEntities
from parley.ports import Encoded

_RANK = {"regex": 0, "lookup": 1, "tagger": 2, "system": 3}


class Tags(Protocol):
    """What `nlu.tagger.Tagger` gives."""

    def tag(self, text: str, encoded: Encoded, matches: list[Match] | None = None) -> tuple[Entity, ...]:
        """The entities that a tagger finds."""


class EntityFinder:
    """Finds the entities of one bot."""

    def __init__(
        self,
        patterns: EntityPatterns,
        *,
        tagger: Tags | None = None,
        system: SystemEntities | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._synonyms = patterns.synonyms
        self._patterns = Patterns(patterns)
        self._tagger = tagger
        self._system = system
        self._clock = clock

    def find(self, text: str, encoded: Encoded | None = None, *, now: float | None = None) -> tuple[Entity, ...]:
        """The entities of `text`, in its order, never overlapping.

        `encoded` is the text as the encoder read it; without it, the tagger stays silent. `now`, in seconds
        since the Unix epoch, UTC, is what "tomorrow" counts from: the time at which the text was sent.
        """
        matches = self._patterns.find(text)
        found = [_written(text, match) for match in matches]
        tagged = self._tagger.tag(text, encoded, matches) if self._tagger and encoded else ()
        read = self._system.find(text, self._clock() if now is None else now) if self._system else []
        found += _agreed(list(tagged), read)
        return tuple(
            self._named(entity) for entity in sorted(_apart(found, len(text)), key=lambda entity: entity.start)
        )

    def _named(self, entity: Entity) -> Entity:
        if entity.found_by == "system":
            return entity
        return replace(entity, value=self._synonyms.get(entity.text.lower(), entity.value))


def _written(text: str, match: Match) -> Entity:
    span = text[match.start : match.end]
    return Entity(match.name, span, match.start, match.end, span, found_by=match.by)


def _agreed(tagged: list[Entity], read: list[Entity]) -> Iterator[Entity]:
    """The tagger's and the system's entities, those that overlap and bear one name made one."""
    settled = set()
    for entity in _apart(read, max((entity.end for entity in read), default=0)) if tagged else ():
        for place, tag in enumerate(tagged):
            if tag.name == entity.name and tag.start < entity.end and tag.end > entity.start:
                settled.add(place)
                yield replace(entity, role=tag.role, group=tag.group)
                break
    yield from (tag for place, tag in enumerate(tagged) if place not in settled)
    yield from read


def _apart(found: list[Entity], length: int) -> Iterator[Entity]:
    """Those that the rule lets stand."""
    taken = bytearray(length)  # per character; what is taken is never shorter, so a span's two ends tell of it
    for entity in sorted(found, key=_precedence):
        if not taken[entity.start] and not taken[entity.end - 1]:
            taken[entity.start : entity.end] = b"\1" * (entity.end - entity.start)
            yield entity


def _precedence(entity: Entity) -> tuple[int, int, int]:
    return entity.start - entity.end, entity.start, _RANK[entity.found_by or "regex"]
