"""Where the stories' tree stands in the picture: from left to right, and checkpoints where the ways to them meet.

Pure: nodes in, boxes and lines with coordinates out. A way that would lead backwards, across other boxes or out of the
picture ends at the name of where it goes on.

Below, a block is a node with all that comes after it. Lines that begin left of a block enter it; lines to a checkpoint
that is further right leave it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import count, pairwise

from draw_flows import Mark, Node, Step, Tree
from draw_parts import (
    ARROW,
    NEAR,
    ROW,
    Box,
    Line,
    Part,
    Point,
    columns,
    framed,
    mark_part,
    shifted,
    stacked,
    step_part,
    together,
    words,
)

_BRANCH = 12  # between branches
_TREE = 20  # between trees
_CHANNEL = 12  # from a box to where its lines part
_PASS = 18  # height of a line that goes past other branches
_TALL = 900  # what is less high stands in one column
_COLUMNS = 4
_DOT = 14
_CAPTION = 150  # width of the names of stories below a narrow box
_TRUNK = 34  # from the left of the dot to what begins there


@dataclass(frozen=True, slots=True)
class _Exit:
    """A line to a checkpoint, as far as it got."""

    source: Node
    target: str
    points: tuple[Point, ...]
    is_begun: bool  # False: its first point is still to be joined with what is left of the block


@dataclass(frozen=True, slots=True)
class _Block:
    part: Part
    entries: tuple[tuple[Point, ...], ...] = ()
    exits: tuple[_Exit, ...] = ()
    joins: tuple[str, ...] = ()  # checkpoints in it where ways meet

    def moved(self, x: float, y: float) -> "_Block":
        return _Block(
            self.part.moved(x, y),
            tuple(shifted(points, x, y) for points in self.entries),
            tuple(replace(each, points=shifted(each.points, x, y)) for each in self.exits),
            self.joins,
        )


def stories_part(tree: Tree, width: float) -> Part:
    """The stories, no wider than this."""
    rows = []
    for blocks, most in _by_width(_Ways(tree, width - _TRUNK).blocks(), width):
        placed, x = [], 0.0
        for column in columns([block.part.height for block in blocks], most, _TREE):
            part = _column([blocks[number] for number in column])
            placed.append(part.moved(x, 0))
            x += part.width + 2 * _TREE
        rows.append(together(placed))
    return stacked(rows, 1.5 * _TREE)


def _by_width(blocks: Sequence[_Block], width: float) -> Iterator[tuple[Sequence[_Block], int]]:
    """Blocks that fit into the same number of columns, with that number."""
    if sum(block.part.height + _TREE for block in blocks) <= _TALL:
        yield blocks, 1
        return
    by_count: dict[int, list[_Block]] = {count: [] for count in range(1, _COLUMNS + 1)}
    for block in blocks:
        fitting = (width + 2 * _TREE) // (block.part.width + _TRUNK + 2 * _TREE)
        by_count[max(1, min(_COLUMNS, int(fitting)))].append(block)
    for most in range(_COLUMNS, 1, -1):
        if len(by_count[most]) < most:  # too few for columns of their own
            by_count[most - 1] += by_count.pop(most)
    for most, some in by_count.items():
        if some:
            yield sorted(some, key=blocks.index), most


def _column(blocks: Sequence[_Block]) -> Part:
    """Trees below each other; those that are entered begin at one dot."""
    parts = []
    if begun := [block for block in blocks if block.entries]:
        below = _stack(begun, _TREE).moved(_TRUNK, 0)
        top = below.entries[0][0][1]
        dot = Part(_DOT, _DOT, (Box("start", 0, top - _DOT / 2, _DOT, _DOT, "", "a story begins"),))
        parts.append(together([Part(lines=tuple(_lines((_DOT, top), below.entries))), dot, below.part]))
    return stacked([*parts, *(block.part for block in blocks if not block.entries)], _TREE)


def _lines(start: Point, entries: Iterable[tuple[Point, ...]]) -> Iterator[Line]:
    for points in entries:
        yield Line(_joined(start, points))


def _joined(start: Point, points: tuple[Point, ...]) -> tuple[Point, ...]:
    x, y = start
    if math.isclose(points[0][1], y):
        return (start, *points)
    return (start, (x + _CHANNEL, y), (x + _CHANNEL, points[0][1]), *points)


def _stack(blocks: Sequence[_Block], gap: float) -> _Block:
    placed, y = [], 0.0
    for block in blocks:
        placed.append(block.moved(0, y))
        y += block.part.height + gap
    return _all(placed)


def _all(blocks: Sequence[_Block]) -> _Block:
    return _Block(
        together(block.part for block in blocks),
        tuple(points for block in blocks for points in block.entries),
        tuple(each for block in blocks for each in block.exits),
        tuple(join for block in blocks for join in block.joins),
    )


class _Ways:
    """The ways through the stories, and which of them end at the name of where they go on."""

    def __init__(self, tree: Tree, limit: float) -> None:
        self._start = tree.start
        self._roots = dict(tree.checkpoints)
        nodes = [node for root in (self._start, *self._roots.values()) for node in _all_under(root)]
        self._children = {node: list(node.children) for node in nodes}
        self._leading = {node: list(node.leads) for node in nodes}
        self._limit = limit
        self._cut: set[tuple[Node, str]] = set()
        self._own = {node: _own(node) for node in nodes}
        self._numbers = count(1)
        self._break_circles()
        self._cut_long()

    def blocks(self) -> list[_Block]:
        """What begins by itself, and then without entries what goes on from a name that stands elsewhere."""
        while True:
            cut_before = len(self._cut)
            self._find_meetings()
            blocks = self._met(self._branches(self._start), self._start)
            going_on = [self._block(root) for name, root in self._roots.items() if not self._sources[name]]
            blocks += [replace(block, entries=()) for block in going_on]
            for block in blocks:
                self._cut |= {(each.source, each.target) for each in block.exits}
                if block.part.width > self._limit and block.joins:
                    self._detach(block.joins[-1])
            if len(self._cut) == cut_before:
                return blocks

    def _break_circles(self) -> None:
        """Cuts what leads back to where it came from."""
        order = {name: number for number, name in enumerate(self._roots)}
        while True:
            leads = list(self._leads())
            sorter = _sorter((root, target) for _, root, target in leads)
            try:
                sorter.prepare()
            except CycleError as error:
                back = min(pairwise(error.args[1]), key=lambda pair: order[pair[1]])  # to what was told of first
                self._cut |= {(node, target) for node, root, target in leads if (root, target) == back}
            else:
                return

    def _cut_long(self) -> None:
        """Cuts what would go out of the picture: at a checkpoint, or where a new row must begin."""
        lefts: dict[str, float] = defaultdict(float)
        for name in self._order():
            self._cut_long_tree(name, lefts)

    def _cut_long_tree(self, name: str, lefts: dict[str, float]) -> None:
        root = self._roots.get(name, self._start)
        left = lefts[name]
        if left + max((self._own[each].width for each in (root, *self._children[root])), default=0) > self._limit:
            self._detach(name)
            left = 0
        waiting = [(root, left)]
        while waiting:
            node, x = waiting.pop()
            right = x + self._own[node].width + ARROW if node.steps or node.checkpoint else x
            for target in self._leading[node]:
                if (node, target) not in self._cut:
                    lefts[target] = max(lefts[target], right)
            for child in list(self._children[node]):
                leaves = bool(self._children[child] or self._leading[child])
                if right + self._own[child].width + (4 * ARROW if leaves else 0) <= self._limit or not node.steps:
                    waiting.append((child, right))
                else:
                    waiting.append((self._moved_out(node, child), 0))

    def _moved_out(self, node: Node, child: Node) -> Node:
        """A row of its own for what comes after a node."""
        name = f"goes on {next(self._numbers)}"
        root = Node(checkpoint=name, told_by=child.told_by)
        self._children[node].remove(child)
        self._leading[node].append(name)
        self._children[root], self._leading[root] = [child], []
        self._roots[name], self._own[root] = root, _own(root)
        self._cut.add((node, name))
        return root

    def _detach(self, target: str) -> None:
        self._cut |= {(node, name) for node, _, name in self._leads() if name == target}

    def _under(self, root: Node) -> Iterator[Node]:
        waiting = [root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(self._children[node])

    def _leads(self) -> Iterator[tuple[Node, str, str]]:
        for name, root in (("", self._start), *self._roots.items()):
            for node in self._under(root):
                for target in self._leading[node]:
                    if (node, target) not in self._cut:
                        yield node, name, target

    def _order(self) -> list[str]:
        """The start and all checkpoints, each after those that lead there."""
        sorter = _sorter((root, target) for _, root, target in self._leads())
        for name in ("", *self._roots):
            sorter.add(name)
        return sorted(sorter.static_order(), key=bool)  # the start first

    def _find_meetings(self) -> None:
        """For every checkpoint, what leads there, and the last node that all ways to it have in common."""
        self._sources: dict[str, list[Node]] = defaultdict(list)
        self._meetings: dict[Node, list[str]] = defaultdict(list)
        for node, _, target in self._leads():
            self._sources[target].append(node)
        before: dict[Node, Node] = {}
        depth = {self._start: 0}
        for name in self._order():
            root = self._roots.get(name, self._start)
            if name:
                common = self._start
                for number, source in enumerate(self._sources[name]):
                    common = source if number == 0 else _common(common, source, before, depth)
                before[root], depth[root] = common, depth[common] + 1
                if len(self._sources[name]) > 1:
                    self._meetings[common].append(name)
            for node in self._under(root):
                for child in self._children[node]:
                    before[child], depth[child] = node, depth[node] + 1

    def _block(self, node: Node) -> _Block:
        """A node, and to its right what comes after it."""
        own = self._own[node]
        middle = (own.frames or own.boxes)[0].height / 2
        right = (own.frames or own.boxes)[0].width
        after = self._met(self._branches(node), node)
        if not after:
            return _Block(own, (((0, middle),),), joins=self._joins_of(node))
        below = _stack(after, _BRANCH)
        levels = [points[0][1] for points in below.entries]
        levels += [each.points[0][1] for each in below.exits if not each.is_begun]
        y = (min(levels) + max(levels)) / 2 - middle
        own, below = own.moved(0, max(0.0, y)), below.moved(max(right + ARROW, own.width + NEAR), max(0.0, -y))
        start = (right, middle + max(0.0, y))
        lines = Part(lines=tuple(_lines(start, below.entries)))
        exits = tuple(
            each if each.is_begun else replace(each, points=_joined(start, each.points), is_begun=True)
            for each in below.exits
        )
        joins = (*self._joins_of(node), *below.joins)
        return _Block(together([own, below.part, lines]), (((0, start[1]),),), exits, joins)

    def _joins_of(self, node: Node) -> tuple[str, ...]:
        return (node.checkpoint,) if node.checkpoint and self._sources[node.checkpoint] else ()

    def _branches(self, node: Node) -> list[_Block]:
        blocks = [self._block(child) for child in self._children[node]]
        for target in self._leading[node]:
            if (node, target) in self._cut:
                chip = mark_part(Mark("checkpoint", f"→ {target}", f"goes on at {target}"))
                blocks.append(_Block(chip, (((0, ROW / 2),),)))
            elif len(self._sources[target]) == 1:
                blocks.append(self._block(self._roots[target]))
            else:
                past = _Exit(node, target, ((0, _PASS / 2),), is_begun=False)
                blocks.append(_Block(Part(0, _PASS), exits=(past,)))
        return blocks

    def _met(self, blocks: list[_Block], node: Node) -> list[_Block]:
        """The branches of a node, with the checkpoints where they meet to their right."""
        waiting = list(self._meetings[node])
        while waiting:
            ready = [name for name in waiting if not any(self._reaches(other, name) for other in waiting)]
            waiting = [name for name in waiting if name not in ready]
            while ready:
                blocks = self._meet(blocks, ready)
        return blocks

    def _meet(self, blocks: list[_Block], ready: list[str]) -> list[_Block]:
        """Blocks with those that lead to the first checkpoint of `ready`, and to others at the same place, made one."""
        names, members = {ready[0]}, set[int]()
        while True:
            led = {n for n, block in enumerate(blocks) if any(each.target in names for each in block.exits)}
            more = {each.target for n in led for each in blocks[n].exits if each.target in ready}
            if led == members and more <= names:
                break
            members, names = led, names | more
        for name in names:
            ready.remove(name)
        if not members:
            return blocks
        first = min(members)
        met = self._join([blocks[n] for n in sorted(members)], sorted(names, key=list(self._roots).index))
        others = {n: block for n, block in enumerate(blocks) if n not in members}
        return [block for n, block in sorted({**others, first: met}.items())]

    def _join(self, blocks: Sequence[_Block], names: Sequence[str]) -> _Block:
        left = _stack(blocks, _BRANCH)
        for each in left.exits:
            if each.target not in names:
                self._cut.add((each.source, each.target))  # the checkpoints will stand in its way
        arriving = {name: [each for each in left.exits if each.target == name] for name in names}
        right = [self._block(self._roots[name]) for name in names]
        together_right = _stack(right, _BRANCH)
        entries = [points[0][1] for points in together_right.entries]
        levels = [each.points[-1][1] for name in names for each in arriving[name]]
        y = sum(levels) / len(levels) - sum(entries) / len(entries)
        x = left.part.width + ARROW + _CHANNEL * len(names)
        left, together_right = left.moved(0, max(0.0, -y)), together_right.moved(x, max(0.0, y))
        lines, entering = [], list(left.entries)
        for number, name in enumerate(names):
            entry = together_right.entries[number][0]
            channel = x - ARROW / 2 - _CHANNEL * number
            for each in left.exits:
                if each.target == name:
                    level = each.points[-1][1]
                    bend = () if math.isclose(level, entry[1]) else ((channel, level), (channel, entry[1]))
                    points = (*each.points, *bend, entry)
                    if each.is_begun:
                        lines.append(Line(points))
                    else:
                        entering.append(points)
        part = together([left.part, together_right.part, Part(lines=tuple(lines))])
        return _Block(part, tuple(entering), together_right.exits, (*left.joins, *together_right.joins))

    def _reaches(self, name: str, target: str) -> bool:
        """Whether a way leads from one checkpoint to another."""
        seen, waiting = {name}, [name]
        while waiting:
            root = self._roots[waiting.pop()]
            led = {each for node in self._under(root) for each in self._leading[node] if (node, each) not in self._cut}
            if target in led:
                return True
            waiting += led - seen
            seen |= led
        return False


def _sorter(pairs: Iterable[tuple[str, str]]) -> TopologicalSorter[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for before, after in pairs:
        sorter.add(after, before)
    return sorter


def _all_under(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _common(one: Node, other: Node, before: dict[Node, Node], depth: dict[Node, int]) -> Node:
    while one is not other:
        if depth[one] < depth[other]:
            one, other = other, one
        one = before[one]
    return one


def _own(node: Node) -> Part:
    """What stands at a node itself: one step, or in a frame what the bot does in one go; below, which stories end."""
    if not node.steps:
        own = mark_part(Mark("checkpoint", node.checkpoint or "", f"checkpoint {node.checkpoint}"))
    elif len(node.steps) == 1:
        own = step_part(node.steps[0])
    else:
        own = _turn(node.steps)
    told = "\n".join(dict.fromkeys(node.told_by[:8])) + ("\n…" if len(node.told_by) > 8 else "")
    if told:
        own = replace(own, boxes=tuple(replace(box, title=f"{box.title}\n\n{told}") for box in own.boxes))
    if not node.stories:
        return own
    names = ", ".join(node.stories)
    caption = words("note", names, f"here ends {names}", most=max(own.width, _CAPTION))
    return together([own, caption.moved(2, own.height + 1)])


def _turn(steps: Sequence[Step]) -> Part:
    parts, lines, y = [], [], 0.0
    for number, step in enumerate(steps):
        part = step_part(step)
        if number:
            lines.append(Line(((18, y - 11), (18, y))))
        parts.append(part.moved(0, y))
        y += part.height + 11
    return framed("turn", together([*parts, Part(lines=tuple(lines))]), 7)
