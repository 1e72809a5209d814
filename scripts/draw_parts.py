"""The parts of a picture, as values with coordinates: boxes, frames, lines and words, and how they are put together.

Pure. Knows how wide words are, roughly: wide enough for every system font. Knows no bot and no file format.
"""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from draw_flows import Kind, Mark, Step

WIDTH = 1600  # pixels; what a picture of a big bot is laid out for
FONT = 12
SMALL = 10.5
ROW = 26  # height of a box
ARROW = 26  # between boxes that a line joins
NEAR = 5  # between boxes that belong together
LONGEST = 210  # of a label; about 30 letters
_PAD: dict[Kind, float] = {"intent": 13, "custom": 15, "built-in": 14, "slot": 13, "checkpoint": 15, "form": 13}

# Advance widths in DejaVu Sans, the widest of the usual system fonts, as shares of the font size.
_NARROW = frozenset("fijlrtI.,:;'|!()[]/\\ \"-·’“”")
_WIDE = frozenset("mwMW@%…—=+&<>~")

Point = tuple[float, float]
FrameKind = Literal["panel", "card", "or", "turn"]
Style = Literal["title", "details", "heading", "name", "note"]
SIZES: dict[Style, float] = {"title": 22, "details": 13, "heading": 14, "name": 11.5, "note": SMALL}


@dataclass(frozen=True, slots=True)
class Box:
    """One mark."""

    kind: Kind
    x: float
    y: float
    width: float
    height: float
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What holds boxes together."""

    kind: FrameKind
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow from one box or frame to another."""

    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Words that stand free; x is their left end, y their base line."""

    style: Style
    x: float
    y: float
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the picture, from (0, 0) to (width, height)."""

    width: float = 0
    height: float = 0
    boxes: tuple[Box, ...] = ()
    frames: tuple[Frame, ...] = ()
    lines: tuple[Line, ...] = ()
    words: tuple[Words, ...] = ()

    def moved(self, x: float, y: float) -> "Part":
        """The same further right and down."""
        return Part(
            self.width + x,
            self.height + y,
            tuple(replace(box, x=box.x + x, y=box.y + y) for box in self.boxes),
            tuple(replace(frame, x=frame.x + x, y=frame.y + y) for frame in self.frames),
            tuple(Line(shifted(line.points, x, y)) for line in self.lines),
            tuple(replace(words, x=words.x + x, y=words.y + y) for words in self.words),
        )


def together(parts: Iterable[Part]) -> Part:
    """Parts on the same ground, the later above the earlier."""
    all_parts = list(parts)
    return Part(
        max((part.width for part in all_parts), default=0),
        max((part.height for part in all_parts), default=0),
        tuple(box for part in all_parts for box in part.boxes),
        tuple(frame for part in all_parts for frame in part.frames),
        tuple(line for part in all_parts for line in part.lines),
        tuple(words for part in all_parts for words in part.words),
    )


def stacked(parts: Iterable[Part], gap: float) -> Part:
    """Parts below each other."""
    placed, y = [], 0.0
    for part in parts:
        placed.append(part.moved(0, y))
        y += part.height + gap
    return together(placed)


def shifted(points: Sequence[Point], x: float, y: float) -> tuple[Point, ...]:
    """Points further right and down."""
    return tuple((px + x, py + y) for px, py in points)


def framed(kind: FrameKind, part: Part, pad: float) -> Part:
    """A part with a frame around it."""
    inside = part.moved(pad, pad)
    width, height = inside.width + pad, inside.height + pad
    return replace(inside, width=width, height=height, frames=(Frame(kind, 0, 0, width, height), *inside.frames))


def words(style: Style, text: str, title: str = "", most: float = math.inf) -> Part:
    """Words with the room that they take."""
    size = SIZES[style]
    shown = fit(text, size, most)
    told = title or (text if shown != text else "")
    return Part(width_of(shown, size), size * 1.35, words=(Words(style, 0, size, shown, told),))


def mark_part(mark: Mark, most: float = LONGEST) -> Part:
    """The box of one mark, its label no wider than this."""
    label = fit(mark.label, FONT, most)
    title = mark.title if mark.label in mark.title else f"{mark.label}\n{mark.title}"
    width = math.ceil(width_of(label, FONT) + 2 * _PAD.get(mark.kind, 10))
    return Part(width, ROW, (Box(mark.kind, 0, 0, width, ROW, label, title),))


def step_part(step: Step) -> Part:
    """The box of a step; of alternatives, the frame in which they stand below each other."""
    parts = [mark_part(way) for way in step.ways]
    if len(parts) == 1:
        return parts[0]
    width = max(part.width for part in parts)
    with_or: list[Part] = []
    for part in parts:
        if with_or:
            either = words("note", "or")
            with_or.append(replace(either.moved((width - either.width) / 2, -1), height=12))
        with_or.append(part.moved((width - part.width) / 2, 0))
    return framed("or", stacked(with_or, 0), 6)


def columns(heights: Sequence[float], count: int, gap: float) -> list[list[int]]:
    """The numbers of things of these heights, in reading order, in at most so many columns of about the same height."""
    low, high = max(heights, default=0.0), sum(heights) + gap * len(heights)
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if len(_filled(heights, middle, gap)) <= count else (middle, high)
    return _filled(heights, high, gap)


def _filled(heights: Sequence[float], most: float, gap: float) -> list[list[int]]:
    filled: list[list[int]] = []
    total = math.inf
    for number, height in enumerate(heights):
        if total + gap + height > most:
            filled.append([])
            total = -gap
        filled[-1].append(number)
        total += gap + height
    return filled


def width_of(text: str, size: float) -> float:
    """How wide a text is at most, in pixels, for a font size in pixels."""
    return size * sum(map(_advance, text))


def _advance(character: str) -> float:
    if character in _NARROW:
        return 0.37
    if character in _WIDE:
        return 0.96
    if unicodedata.combining(character):
        return 0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.25
    return 0.72 if character.isupper() else 0.62


def fit(text: str, size: float, most: float) -> str:
    """A text that is no wider than this: its beginning and its end, because names that differ often differ there."""
    if width_of(text, size) <= most:
        return text
    kept = len(text) - 1
    while kept > 2 and width_of(_cut(text, kept), size) > most:
        kept -= 1
    return _cut(text, kept)


def _cut(text: str, kept: int) -> str:
    tail = kept // 2
    return f"{text[: kept - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
