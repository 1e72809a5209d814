"""The outline of a document: headings, paragraphs and tables as a reader meets them, gathered into sections.

Knows what a section is; knows no format.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from parley.documents.document import Section
from parley.documents.text import says_something

_NOT_IN_SLUGS = re.compile(r"[^\w\- ]")
_SLUG_CHARACTERS = 80
_PAIR = 2  # cells of a row that names a thing and says what it is


@dataclass(slots=True)
class Places:
    """Gives each section of a document a place that no other has."""

    _next: dict[str, int] = field(default_factory=dict)  # by place: what the next of the same name is numbered

    def anchor(self, heading: str) -> str:
        """The heading as the anchor that GitHub would give it: `#delivery-times`, and `#delivery-times-1` after it."""
        slug = _NOT_IN_SLUGS.sub("", heading.strip().lower())[:_SLUG_CHARACTERS].replace(" ", "-")
        return self._own(f"#{slug or 'section'}", "-", 1)

    def named(self, anchor: str) -> str:
        """An anchor that the document itself has."""
        return self._own(f"#{anchor}", "-", 1)

    def page(self, number: int) -> str:
        """A page as viewers take it behind `#`: `page=3`, and `page=3&part=2` for what begins further down."""
        return self._own(f"page={number}", "&part=", 2)

    def _own(self, place: str, joint: str, second: int) -> str:
        if place not in self._next:
            self._next[place] = second
            return place
        while (other := f"{place}{joint}{self._next[place]}") in self._next:
            self._next[place] += 1
        self._next[place] += 1
        self._next[other] = second
        return other


@dataclass(slots=True)
class Outline:
    """Sections under way; what comes before the first heading is a section too."""

    _parts: list[tuple[str, str, list[str]]] = field(default_factory=lambda: [("", "", [])])

    def heading(self, text: str, place: str) -> None:
        """Begins a section."""
        self._parts.append((text, place, []))

    def paragraph(self, text: str) -> None:
        """Adds to the section under way."""
        if says_something(text):
            self._parts[-1][2].append(text)

    def sections(self, title: str) -> tuple[Section, ...]:
        """All that say something; one without a heading is named like the document."""
        return tuple(
            Section(heading or title, "\n\n".join(paragraphs), place)
            for heading, place, paragraphs in self._parts
            if paragraphs
        )


def table(rows: Sequence[Sequence[str]], *, has_header: bool) -> str:
    """A table in words, a line for each row: each cell behind the name of its column, so that a row can stand alone."""
    spoken = [row for row in rows if any(row)]
    if has_header and len(spoken) > 1:
        names, *spoken = spoken
        return "\n".join(
            "; ".join(f"{name}: {cell}" if name else cell for name, cell in _named(names, row) if cell)
            for row in spoken
        )
    joint = ": " if all(len(row) == _PAIR for row in spoken) else " | "
    return "\n".join(joint.join(cell for cell in row if cell) for row in spoken)


def _named(names: Sequence[str], row: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip_longest(names, row, fillvalue=""))
