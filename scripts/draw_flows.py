"""What a picture of a bot shows: forms with their questions, rules as lanes, stories as one tree.

Pure; knows a bot and its flows, no coordinates and no colours.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile
from typing import Any, Literal

from parley.bots.bot import (
    ACTION_ANSWER,
    ACTION_DEACTIVATE_LOOP,
    ACTION_FALLBACK,
    ACTION_GENERATE,
    ACTION_HANDOFF,
    ACTION_RESTART,
    ACTION_TWO_STAGE_FALLBACK,
    ACTION_UNSURE,
    BUILT_IN_ACTIONS,
    UNSURE_ANSWER,
    UNSURE_GENERATE,
    UNSURE_HANDOFF,
    Bot,
    Form,
)
from parley.bots.flows import SNIPPET, START, Checkpoint, Flow
from parley.conversation import REQUESTED_SLOT, Entity, Event

Kind = Literal["start", "intent", "response", "custom", "built-in", "form", "slot", "condition", "checkpoint"]

_MEETING = re.compile(r"or \d+\Z")  # the name that FlowReader gives to where alternatives meet again
_TOLD = 160  # characters of a response in what a pointer shows
_WAYS = {UNSURE_ANSWER: ACTION_ANSWER, UNSURE_GENERATE: ACTION_GENERATE, UNSURE_HANDOFF: ACTION_HANDOFF}
_DOES = {
    ACTION_ANSWER: "answers from the documents, with a citation",
    ACTION_GENERATE: "lets the language model speak",
    ACTION_HANDOFF: "calls a person",
    ACTION_UNSURE: "tries what `unsure` lists",
    ACTION_FALLBACK: "for want of something better",
    ACTION_DEACTIVATE_LOOP: "ends the form",
    ACTION_RESTART: "forgets everything",
    ACTION_TWO_STAGE_FALLBACK: "asks whether the likeliest was meant, then to say it in other words",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that has a name: said, done, asked, set or required."""

    kind: Kind
    label: str
    title: str  # the whole of it, for who points at it


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next: one thing, or one of several (`or`)."""

    ways: tuple[Mark, ...]

    @property
    def is_said(self) -> bool:
        """Whether a person says it."""
        return any(way.kind == "intent" for way in self.ways)


@dataclass(frozen=True, slots=True)
class Lane:
    """One rule: when it holds, and what happens then."""

    name: str
    title: str
    conditions: tuple[Step, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A slot of a form: what asks for it, and what is said when the answer does not fit."""

    slot: Mark
    asks: Mark | None
    invalid: Mark | None


@dataclass(frozen=True, slots=True)
class Card:
    """A form."""

    form: Mark
    slots: tuple[Asked, ...]
    checked_by: Mark | None  # the custom action that looks at every answer


@dataclass(frozen=True, slots=True)
class Group:
    """Lanes that belong together, and perhaps the form to which they do."""

    heading: str
    lanes: tuple[Lane, ...]
    card: Card | None = None


@dataclass(slots=True, eq=False)
class Node:
    """Where stories are alike so far: steps, or a checkpoint, or the start (neither)."""

    steps: tuple[Step, ...] = ()
    checkpoint: str | None = None
    children: list["Node"] = field(default_factory=list)
    leads: list[str] = field(default_factory=list)  # checkpoints that come next
    stories: list[str] = field(default_factory=list)  # that end here
    told_by: list[str] = field(default_factory=list)  # stories that come through here


@dataclass(frozen=True, slots=True)
class Tree:
    """All stories by their common beginnings: those that begin by themselves, and those that go on from checkpoints."""

    start: Node
    checkpoints: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Sketch:
    """Everything that a picture of the bot shows."""

    title: str
    details: str
    groups: tuple[Group, ...]
    tree: Tree
    stories: int
    besides: tuple[Group, ...]  # what happens where no flow says so
    unused: tuple[Mark, ...]  # what no flow names


@dataclass(frozen=True, slots=True)
class Piece:
    """A rule or story from one checkpoint to the next, with its alternatives joined."""

    name: str
    place: str
    starts: tuple[Checkpoint, ...]
    ways: tuple[tuple[Event, ...], ...]  # several in one place: alternatives
    ends: tuple[str, ...]


def sketch(bot: Bot, rules: Sequence[Flow], stories: Sequence[Flow]) -> Sketch:
    """The bot as it is to be drawn."""
    words = _Words(bot)
    rule_pieces, story_pieces = pieces(rules), pieces(stories)
    lanes: dict[str | None, list[Lane]] = {name: [] for name in bot.forms}
    for piece in rule_pieces:
        lanes.setdefault(_form_of(piece, bot.forms), []).append(words.lane(piece))
    tree = _tree(story_pieces, words)
    others = lanes.pop(None, [])
    groups = [
        Group(f"{name} · {_count(len(lanes[name]), 'rule')}", tuple(lanes[name]), words.card(form))
        for name, form in bot.forms.items()
    ]
    if others:
        groups.append(Group(f"{'Other rules' if groups else 'Rules'} · {len(others)}", tuple(others)))
    otherwise = tuple(words.otherwise())
    besides = (Group("Besides rules and stories", otherwise),) if otherwise else ()
    counts = (
        _count(len({(piece.name, piece.place) for piece in rule_pieces}), "rule"),
        _count(told := len({(piece.name, piece.place) for piece in story_pieces}), "story", "stories"),
        _count(len(bot.forms), "form"),
        _count(len(bot.intents), "intent"),
        _count(len(bot.responses), "response"),
        _count(len(set(bot.actions) - BUILT_IN_ACTIONS), "custom action"),
    )
    details = " · ".join((*([bot.name] if bot.title != bot.name else []), bot.language, *counts))
    return Sketch(bot.title or bot.name, details, tuple(groups), tree, told, besides, tuple(words.unused()))


def pieces(flows: Sequence[Flow]) -> list[Piece]:
    """Rules or stories with their alternatives joined, cut at checkpoints only."""
    begun = {start.name for flow in flows for start in flow.starts}
    found: list[Piece] = []
    for _, of_one in groupby(flows, lambda flow: (flow.place, flow.name)):
        parts: list[Piece] = []
        for _, alike in groupby(of_one, lambda flow: (flow.starts, flow.events[:-1])):
            piece = _piece(list(alike))
            if parts and (met := _meetings(parts[-1], piece)):
                before = parts.pop()
                ends = tuple(end for end in before.ends if end not in met)
                if ends:  # a checkpoint follows the alternatives: they meet there
                    parts.append(replace(before, ends=ends))
                    piece = replace(piece, starts=tuple(start for start in piece.starts if start.name not in met))
                else:
                    piece = replace(piece, starts=before.starts, ways=(*before.ways, *piece.ways))
            parts.append(piece)
        found += [
            replace(part, ends=tuple(end for end in part.ends if end in begun or not _MEETING.match(end)))
            for part in parts
        ]
    return found


def _piece(alike: Sequence[Flow]) -> Piece:
    first = alike[0]
    last: list[Event] = []
    for flow in alike:
        last += [event for event in flow.events[-1:] if event not in last]
    ways = [(event,) for event in first.events[:-1]] + ([tuple(last)] if last else [])
    ends = tuple(dict.fromkeys(end for flow in alike for end in flow.ends))
    return Piece(first.name, first.place, first.starts, tuple(ways), ends)


def _meetings(before: Piece, after: Piece) -> set[str]:
    return {end for end in before.ends if _MEETING.match(end)} & {start.name for start in after.starts}


def _form_of(piece: Piece, forms: Mapping[str, Form]) -> str | None:
    """The form to which a rule belongs: the one under way, or the first that it begins."""
    events = [event for way in piece.ways for event in way]
    under_way = takewhile(lambda event: event.kind in ("active_loop", "slot"), events)
    named = [event.name for event in under_way if event.kind == "active_loop"]
    named += [event.name for event in events if event.kind == "action"]
    return next((name for name in named if name in forms), None)


def _tree(story_pieces: Iterable[Piece], words: "_Words") -> Tree:
    start, checkpoints = Node(), dict[str, Node]()
    for piece in story_pieces:
        for name in (*(begun.name for begun in piece.starts), *piece.ends):
            if name != START:
                checkpoints.setdefault(name, Node(checkpoint=name))
        steps = words.steps(piece.ways)
        for begun in piece.starts:
            node = start if begun.name == START else checkpoints[begun.name]
            required = [Step((words.slot(*slot, kind="condition"),)) for slot in begun.slots.items()]
            for step in (*required, *steps):
                node = _next(node, step)
                node.told_by.append(piece.name)
            node.leads += [end for end in piece.ends if end not in node.leads]
            if not piece.ends:
                node.stories.append(piece.name)
    for root in (start, *checkpoints.values()):
        _compact(root)
    return Tree(start, checkpoints)


def _next(node: Node, step: Step) -> Node:
    """The child of a node with this step, the order of alternatives aside; a new one if there is none."""
    for child in node.children:
        if set(child.steps[0].ways) == set(step.ways):
            return child
    node.children.append(Node((step,)))
    return node.children[-1]


def _compact(root: Node) -> None:
    """Makes one node of what the bot does between two things that a person says."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        while (
            node.steps
            and not node.steps[-1].is_said
            and not (node.leads or node.stories)
            and len(node.children) == 1
            and not node.children[0].steps[0].is_said
        ):
            (child,) = node.children
            node.steps += child.steps
            node.children, node.leads, node.stories = child.children, child.leads, child.stories
        waiting += node.children


class _Words:
    """What things of one bot are called in its picture; remembers what it was asked for."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._shown: set[str] = set()
        self._types = {slot.name: slot.type for slot in bot.slots}

    def lane(self, piece: Piece) -> Lane:
        """A rule."""
        conditions = tuple(
            takewhile(lambda way: all(event.kind in ("slot", "active_loop") for event in way), piece.ways)
        )
        ways = piece.ways[len(conditions) :]
        required = [Step(tuple(self.mark(event, kind="condition") for event in way)) for way in conditions]
        for begun in piece.starts:
            if begun.name != START:
                required.append(Step((self.checkpoint(begun.name),)))
                required += [Step((self.slot(*slot, kind="condition"),)) for slot in begun.slots.items()]
            elif not (ways and _is_snippet(ways[0])):
                required.insert(0, Step((Mark("condition", "at the start", "only when the conversation begins"),)))
        if ways and _is_snippet(ways[0]):
            ways = ways[1:]
        goes_on = bool(ways and _is_snippet(ways[-1]))
        steps = self.steps(ways[:-1] if goes_on else ways, _loop_of(conditions))
        if goes_on:
            steps += (Step((Mark("built-in", "…", "the bot goes on by itself and does not wait"),)),)
        steps += tuple(Step((self.checkpoint(end),)) for end in piece.ends)
        return Lane(piece.name, f"rule {piece.name}\n{piece.place}", tuple(required), steps)

    def steps(self, ways: Sequence[tuple[Event, ...]], loop: str | None = None) -> tuple[Step, ...]:
        """What happens, without what goes without saying: a form that is begun is under way; one that ended asks for
        nothing."""
        found: list[Step] = []
        rest = list(ways)
        while rest:
            way = rest.pop(0)
            event, follows = way[0], rest[0][0] if rest and len(rest[0]) == 1 else None
            marks = tuple(self.mark(each) for each in way)
            if len(way) == 1:
                if event.kind == "action" and follows is not None and follows.kind == "active_loop":
                    if follows.name == event.name:
                        rest.pop(0)
                        loop = event.name
                    elif follows.name is None:
                        rest.pop(0)
                        _drop_nothing_asked(rest)
                        if event.name != ACTION_DEACTIVATE_LOOP:
                            marks = (self.done(event.name),)
                        loop = None
                elif event.kind == "active_loop":
                    if event.name is None:
                        _drop_nothing_asked(rest)
                        marks = (self.done(loop),)
                    loop = event.name
            found.append(Step(marks))
        return tuple(found)

    def card(self, form: Form) -> Card:
        """A form with its questions."""
        bot, asked = self._bot, []
        for slot in form.slots:
            names = (
                f"action_ask_{form.name}_{slot}",
                f"utter_ask_{form.name}_{slot}",
                f"action_ask_{slot}",
                f"utter_ask_{slot}",
            )
            asks = next((name for name in names if name in bot.responses or name in bot.actions), None)
            check = form.checks.get(slot)
            kind = self._types.get(slot, "any")
            asked.append(
                Asked(
                    Mark("slot", slot, f"slot {slot} ({kind})" + (f", must be like {check.pattern}" if check else "")),
                    self.action(asks) if asks else None,
                    self.action(check.invalid) if check else None,
                )
            )
        validation = f"validate_{form.name}"
        checked_by = self.action(validation) if validation in bot.actions else None
        return Card(self.action(form.name), tuple(asked), checked_by)

    def otherwise(self) -> Iterable[Lane]:
        """What is said or done where no flow says so."""
        bot = self._bot
        if bot.unsure:
            steps = [self.action(_WAYS.get(way, way)) for way in bot.unsure]
            yield _said_when("nothing applies", steps, "No rule, form or story: the first that has something to say")
        elif bot.policy.fallback_enabled:
            fallback = [self.action(bot.policy.fallback_action)]
            yield _said_when("nothing applies", fallback, "No rule, form or story")
        for when, response, name in (
            (f"after {ACTION_ANSWER}", bot.answered, "After every answer from the documents"),
            (f"{ACTION_ANSWER} finds nothing", bot.declined, "The documents hold no answer"),
            ("something cannot be had", bot.fallback, "The language model, for one, is not there"),
            ("a person is called", bot.handoff.say, "Hand-off"),
            ("the person is done", bot.handoff.back, "Back from hand-off"),
        ):
            if response:
                yield _said_when(when, [self.action(response)], name)
        for name, call in bot.custom.calls.items():
            if call.say:
                slots = [
                    Mark("slot", slot, f"slot {slot} is {path} of the answer") for slot, path in call.slots.items()
                ]
                yield _said_when(f"{name} succeeds", [*slots, self.action(call.say)], f"{call.method} {call.url}")
        for name in (*bot.custom.calls, *bot.custom.lambdas):
            if failed := bot.custom.said_when_failed(name):
                yield _said_when(f"{name} fails", [self.action(failed)], f"Instead of what {name} says")

    def unused(self) -> Iterable[Mark]:
        """Intents, actions and responses that nothing else in the picture names."""
        bot = self._bot
        for intent in bot.intents:
            if f"/{intent}" not in self._shown:
                yield self.intent(intent)
        for name in (*bot.actions, *bot.responses):
            if name not in self._shown and name.partition("/")[0] not in self._shown:
                yield self.action(name)

    def mark(self, event: Event, kind: Kind = "slot") -> Mark:
        """An event; `kind` is what slots and forms under way count as."""
        match event.kind:
            case "user":
                return self.intent(str(event.value or event.name or ""), event.text, event.entities)
            case "action":
                return self.action(event.name or "")
            case "slot":
                return self.slot(event.name or "", event.value, kind)
            case "active_loop":
                if event.name is None:
                    return Mark(kind if kind == "condition" else "form", "no form", "no form is under way")
                label = f"in {event.name}"
                return Mark(kind if kind == "condition" else "form", label, f"form {event.name} is under way")
            case _:
                return Mark("built-in", f"{event.kind} {event.name or ''}".strip(), event.kind)

    def intent(self, intent: str, text: str | None = None, entities: Sequence[Entity] = ()) -> Mark:
        """What a person says."""
        self._shown |= {f"/{intent}", f"/{intent.partition('/')[0]}"}
        named = ", ".join(map(_entity, entities))
        label = (intent or f"“{text or ''}”") + (f" {{{named}}}" if named else "")
        title = f"intent {intent}" if intent else "said word for word"
        return Mark("intent", label, "\n".join(filter(None, (title, named, text and f"“{text}”"))))

    def action(self, name: str) -> Mark:
        """What the bot does."""
        bot = self._bot
        self._shown.add(name)
        if name in bot.forms:
            return Mark("form", name, f"form {name}, which asks for: {', '.join(bot.forms[name].slots) or 'nothing'}")
        if name in BUILT_IN_ACTIONS or name == SNIPPET:
            return Mark("built-in", name, " ".join(filter(None, (name, _DOES.get(name)))))
        if bot.can_say(name):
            parts = [part for part in bot.responses if part == name or part.startswith(f"{name}/")]
            texts = [f"{part}: “{_told(bot.responses[part][0].text)}”" for part in parts if bot.responses[part]]
            is_text = " " in name  # a `bot:` step, which is its own response
            return Mark("response", f"“{name}”" if is_text else name, "\n".join(["response", *texts[:8]]))
        if name in bot.custom.calls:
            call = bot.custom.calls[name]
            return Mark("custom", name, f"custom action {name}\n{call.method} {call.url}")
        if name in bot.custom.lambdas:
            return Mark("custom", name, f"custom action {name}\nfunction {bot.custom.lambdas[name].function}")
        return Mark("custom", name, f"custom action {name}" + ("" if bot.knows_action(name) else ", not in the domain"))

    def done(self, loop: str | None) -> Mark:
        """The end of a form."""
        if loop is None:
            return Mark("form", "no form", "no form is under way")
        self._shown.add(loop)
        kind: Kind = "form" if loop in self._bot.forms else "built-in"
        return Mark(kind, f"{loop} is done", f"form {loop} has what it asked for, or gave up")

    def slot(self, name: str, value: Any, kind: Kind = "slot") -> Mark:
        """A slot that is set, or must be."""
        is_named_only = (self._types.get(name), value) in (("text", "filled"), ("list", ["filled"]))
        told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        match name, value:
            case "requested_slot", None:
                label = "nothing is asked"
            case "requested_slot", _:
                label = f"{told} is asked"
            case _, None:
                label = f"{name} is not set"
            case _ if is_named_only:
                label = f"{name} is set"
            case _, "__other__":
                label = f"{name} = something else"
            case _:
                label = f"{name} = {told}"
        return Mark(kind, label, f"{'if slot' if kind == 'condition' else 'slot'} {name}: {told}")

    def checkpoint(self, name: str) -> Mark:
        """A checkpoint, named."""
        return Mark("checkpoint", name, f"checkpoint {name}")


def _is_snippet(way: tuple[Event, ...]) -> bool:
    return len(way) == 1 and (way[0].kind, way[0].name) == ("action", SNIPPET)


def _loop_of(conditions: Iterable[tuple[Event, ...]]) -> str | None:
    return next((event.name for way in conditions for event in way if event.kind == "active_loop"), None)


def _drop_nothing_asked(rest: list[tuple[Event, ...]]) -> None:
    if rest and [(event.kind, event.name, event.value) for event in rest[0]] == [("slot", REQUESTED_SLOT, None)]:
        rest.pop(0)


def _said_when(condition: str, steps: Sequence[Mark], name: str) -> Lane:
    when = Step((Mark("condition", condition, f"when {condition}"),))
    return Lane(name, name, (when,), tuple(Step((mark,)) for mark in steps))


def _entity(entity: Entity) -> str:
    name = entity.name + (f"#{entity.role}" if entity.role else "") + (f"/{entity.group}" if entity.group else "")
    return f"{name}: {entity.value}" if entity.value not in ("", None) else name


def _told(text: str) -> str:
    return text if len(text) <= _TOLD else f"{text[: _TOLD - 1]}…"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
