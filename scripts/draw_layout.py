"""Where everything stands in the picture of a bot: title, legend, forms, lanes of rules, stories.

Pure: a sketch in, boxes and lines with coordinates out. The stories' tree is `draw_tree`'s.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from draw_flows import Card, Group, Kind, Lane, Mark, Sketch
from draw_parts import (
    ARROW,
    LONGEST,
    NEAR,
    ROW,
    WIDTH,
    Line,
    Part,
    columns,
    framed,
    mark_part,
    stacked,
    step_part,
    together,
    words,
)
from draw_tree import stories_part

_MARGIN = 20  # around everything
_PAD = 16  # inside a panel
_LANE = 16  # between lanes
_GUTTER = 32  # between columns
_INDENT = 28  # of a lane's second row
_BETWEEN = 18  # panels
_ALIKE = 3  # times as high: no panels to stand beside each other
_COUNTS = (1, 2, 3, 4)  # of columns
_LOW = 170  # a group this low needs no other column
_BREAK = 60  # height that is worth a lane in two rows
_LEAST = 420  # a panel is no narrower
_CAPTION = 15
_IN_CARD = 270  # width of a label

LEGEND: tuple[tuple[Kind, str, str], ...] = (
    ("condition", "condition", "what must hold for a rule to apply"),
    ("intent", "intent", "what a person says"),
    ("response", "response", "what the bot says"),
    ("custom", "custom action", "run by an action server, an HTTP call or a function"),
    ("built-in", "built-in action", "an action that every bot has"),
    ("form", "form", "asks for slots, one after the other"),
    ("slot", "slot", "a slot that is set, or that a form asks for"),
    ("checkpoint", "checkpoint", "where stories meet or go on; with an arrow: it stands elsewhere"),
)


def layout(sketch: Sketch, width: float = WIDTH) -> Part:
    """The picture, about as wide as this at most."""
    room = width - 2 * _MARGIN
    inside = room - 2 * _PAD
    panels = [_panel(group.heading, _group(group, inside)) for group in sketch.groups]
    if sketch.stories:
        panels.append(_panel(f"Stories · {sketch.stories}", stories_part(sketch.tree, inside)))
    panels += [_panel(group.heading, _group(group, inside)) for group in sketch.besides]
    if sketch.unused:
        chips = [mark_part(mark) for mark in sketch.unused]
        panels.append(_panel(f"Named in no rule, story or form · {len(chips)}", _rows(chips, inside)))
    rows = _side_by_side(panels, room)
    broad = max((sum(panel.width + _BETWEEN for panel in row) - _BETWEEN for row in rows), default=_LEAST)
    head = [words("title", sketch.title, most=broad), words("details", sketch.details), _legend(broad)]
    page = stacked([stacked(head, 9), *(_justified(row, broad) for row in rows)], _BETWEEN).moved(_MARGIN, _MARGIN)
    return replace(page, width=page.width + _MARGIN, height=page.height + _MARGIN)


def _side_by_side(panels: Iterable[Part], room: float) -> list[list[Part]]:
    """Panels in rows, beside each other where there is room and they are about equally high."""
    rows: list[list[Part]] = []
    left = 0.0
    for panel in panels:
        alike = rows and max(panel.height, rows[-1][0].height) < _ALIKE * min(panel.height, rows[-1][0].height)
        if not alike or panel.width > left:
            rows.append([])
            left = room
        rows[-1].append(panel)
        left -= panel.width + _BETWEEN
    return rows


def _justified(row: Sequence[Part], width: float) -> Part:
    """Panels beside each other, equally high, the last one as wide as there is room."""
    placed, x, height = [], 0.0, max(panel.height for panel in row)
    for number, panel in enumerate(row):
        wide = width - x if number == len(row) - 1 else panel.width
        frame = replace(panel.frames[0], width=wide, height=height)
        placed.append(replace(panel, width=wide, height=height, frames=(frame, *panel.frames[1:])).moved(x, 0))
        x += wide + _BETWEEN
    return together(placed)


def _legend(width: float) -> Part:
    chips = [mark_part(Mark(kind, label, title)) for kind, label, title in LEGEND]
    return _rows([*chips, framed("or", words("note", "one of these"), 5)], width)


def _rows(parts: Iterable[Part], width: float) -> Part:
    """Parts beside each other, in as many rows as they take."""
    placed, x, y, high = [], 0.0, 0.0, 0.0
    for part in parts:
        if x and x + part.width > width:
            x, y, high = 0.0, y + high + 8, 0.0
        placed.append(part.moved(x, y))
        x, high = x + part.width + 10, max(high, part.height)
    return together(placed)


def _group(group: Group, room: float) -> Part:
    """A form's card and the lanes, in the number of columns that makes it low without breaking many lanes in two."""
    cards = [_card(group.card)] if group.card else []
    whole = [*cards, *(_lane(lane, math.inf) for lane in group.lanes)]
    low = max(_LOW, *(part.height for part in whole))
    ways: list[tuple[float, Part]] = []
    for count in _COUNTS:
        broken = [*cards, *(_lane(lane, _column(room, count)) for lane in group.lanes)]
        for parts in (whole, broken):
            breaks = sum(part.height > lane.height for part, lane in zip(parts, whole, strict=True))
            part = _in_columns(parts, count)
            ways.append((max(part.height, low) + _BREAK * breaks, part))
    fitting = [way for way in ways if way[1].width <= room] or ways[1:2]
    return min(fitting, key=lambda way: way[0])[1]


def _column(room: float, count: int) -> float:
    return (room - _GUTTER * (count - 1)) / count


def _in_columns(parts: Sequence[Part], count: int) -> Part:
    placed, x = [], 0.0
    for column in columns([part.height for part in parts], count, _LANE):
        part = stacked([parts[number] for number in column], _LANE)
        placed.append(part.moved(x, 0))
        x += part.width + _GUTTER
    return together(placed)


def _panel(heading: str, part: Part) -> Part:
    inside = stacked([words("heading", heading), part], 10)
    return framed("panel", replace(inside, width=max(inside.width, _LEAST)), _PAD)


def _lane(lane: Lane, width: float) -> Part:
    """A rule's name, and below it from left to right what it says, in a second row where it must."""
    cells = [(step_part(step), True) for step in lane.conditions] + [(step_part(step), False) for step in lane.steps]
    rows: list[list[tuple[Part, bool]]] = [[]]
    x = 0.0
    for number, (part, is_condition) in enumerate(cells):
        gap = _gap(cells, number) if rows[-1] else 0
        if rows[-1] and x + gap + part.width > width:
            rows.append([])
            x, gap = _INDENT, 0
        rows[-1].append((part, is_condition))
        x += gap + part.width
    placed = list(_placed(cells, rows))
    name = words("name", lane.name, lane.title, most=max(min(width, placed[-1].width if placed else 0), 2 * LONGEST))
    return stacked([name, together([*placed, Part(lines=tuple(_arrows(placed, cells)))])], 4)


def _gap(cells: Sequence[tuple[Part, bool]], number: int) -> float:
    """The room before a cell: little between conditions, which hold together."""
    return NEAR if cells[number][1] else ARROW


def _placed(cells: Sequence[tuple[Part, bool]], rows: Sequence[Sequence[tuple[Part, bool]]]) -> Iterator[Part]:
    number, y = 0, 0.0
    for row in rows:
        high = max((part.height for part, _ in row), default=0.0)
        x = 0.0 if number == 0 else _INDENT
        for place, (part, _) in enumerate(row):
            x += _gap(cells, number) if place else 0
            yield part.moved(x, y + (high - part.height) / 2)
            x, number = x + part.width, number + 1
        y += high + 18


def _arrows(placed: Sequence[Part], cells: Sequence[tuple[Part, bool]]) -> Iterator[Line]:
    for number in range(1, len(placed)):
        if cells[number][1]:
            continue
        before, after = (_outline(placed[at]) for at in (number - 1, number))
        start = (before[0] + before[2], before[1] + before[3] / 2)
        end = (after[0], after[1] + after[3] / 2)
        if end[0] > start[0]:
            yield Line((start, end))
        else:  # into the next row
            below = (before[0] + before[2] / 2, before[1] + before[3])
            between = max(part.height for part in placed[:number]) + 9
            left = end[0] - ARROW / 2
            yield Line((below, (below[0], between), (left, between), (left, end[1]), end))


def _outline(part: Part) -> tuple[float, float, float, float]:
    shape = (part.frames or part.boxes)[0]
    return shape.x, shape.y, shape.width, shape.height


def _card(card: Card) -> Part:
    """A form: in a table its slots, what asks for each, and what is said to an answer that does not fit."""
    table = [
        (
            mark_part(Mark("slot", f"{number} {asked.slot.label}", asked.slot.title)),
            mark_part(asked.asks, _IN_CARD) if asked.asks else Part(),
            mark_part(asked.invalid, _IN_CARD) if asked.invalid else Part(),
        )
        for number, asked in enumerate(card.slots, 1)
    ]
    heads = ["asks for", "by", "does not fit"]
    placed, x = [], 0.0
    for column, head in enumerate(heads):
        cells = [row[column] for row in table]
        if not any(cell.boxes for cell in cells):
            continue
        placed.append(words("note", head).moved(x, 0))
        placed += [cell.moved(x, _CAPTION + 2 + number * (ROW + 6)) for number, cell in enumerate(cells)]
        x += max(cell.width for cell in cells) + 14
    parts = [mark_part(card.form), together(placed)]
    if card.checked_by:
        parts += [stacked([words("note", "every answer is checked by"), mark_part(card.checked_by)], 2)]
    return framed("card", stacked(parts, 8), 10)
