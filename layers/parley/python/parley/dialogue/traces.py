"""Traces: every way through a bot's rules and stories, each as the dialogue that it tells of.

Pure; used when a bot is compiled, and to replay test stories. Flows that lead into one another are strung together;
a circle is gone through twice at most.

Source: `TrainingDataGenerator` and `StoryStep.explicit_events` of Rasa 3.6.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from parley.bots.bot import Bot
from parley.bots.flows import START, Flow
from parley.conversation import LISTEN, Dialogue, Event
from parley.dialogue.tracker import NOT_SET, Tracker

ROUNDS = 2  # how often one way may pass through the same flow
MOST_WAYS = 500  # that are followed from one checkpoint
BEGINNING = "beginning"  # the mark of an action that nothing went before, so that nothing foretells it


@dataclass(frozen=True, slots=True)
class Trace:
    """One way through rules or stories."""

    flows: tuple[Flow, ...]
    events: tuple[Event, ...]  # all of them, with what goes without saying: listening, slots filled from entities
    dialogue: Dialogue  # where they lead

    @property
    def is_rule(self) -> bool:
        """Whether it is a rule's."""
        return self.flows[0].is_rule

    @property
    def title(self) -> str:
        """The trace by name and place, for people."""
        names = " > ".join(dict.fromkeys(flow.name for flow in self.flows))
        return f"{'rule' if self.is_rule else 'story'} `{names}` at {self.flows[-1].place}"


@dataclass(frozen=True, slots=True)
class Traced:
    """All traces, and what is worth telling about them, each with its place."""

    traces: tuple[Trace, ...]
    loose_ends: tuple[tuple[str, str], ...]


def trace(bot: Bot, flows: Sequence[Flow]) -> Traced:
    """Every way through flows that are all of rules, or all of stories."""
    tracker = Tracker(_without_initial_values(bot) if any(flow.is_rule for flow in flows) else bot)
    begun = {start.name for flow in flows for start in flow.starts}
    arrived: Mapping[str, list[Trace]] = {START: [Trace((), (), tracker.begin())]}
    reached, finished, cut = {START}, [], set()
    while arrived:
        onward: dict[str, list[Trace]] = defaultdict(list)
        for flow in flows:
            for way in _arriving(flow, arrived):
                longer = _longer(tracker, way, flow)
                ends = begun.intersection(flow.ends)
                if not ends:
                    finished.append(longer)
                for end in ends:
                    if len(onward[end]) < MOST_WAYS:
                        onward[end].append(longer)
                    else:
                        cut.add(end)
        reached |= onward.keys()
        arrived = {end: _distinct(ways) for end, ways in onward.items()}
    return Traced(tuple(_distinct(finished)), tuple(dict.fromkeys(_loose_ends(flows, begun, reached, cut))))


def explicit(bot: Bot, flow: Flow) -> Iterator[Event]:
    """The events of a flow with what goes without saying: listening before somebody speaks, and slots from entities."""
    before: Event | None = None
    is_first = any(start.name == START for start in flow.starts)
    for event in flow.events:
        match event.kind:
            case "user":
                if before is None or (before.kind, before.name) != ("action", LISTEN):
                    yield Event("action", LISTEN)
                yield event
                yield from slots_from_entities(bot, event)
                is_first = False
            case "action" if is_first:
                yield event._replace(policy=BEGINNING)
                is_first = False
            case "slot" if flow.is_rule and event.value is None:
                yield event._replace(value=NOT_SET)
            case "active_loop" if flow.is_rule and event.name is None:
                yield event._replace(name=NOT_SET)
            case _:
                yield event
        before = event
    if not flow.ends and (before is None or (before.kind, before.name) != ("action", LISTEN)):
        yield Event("action", LISTEN)


def slots_from_entities(bot: Bot, heard: Event) -> Iterator[Event]:
    """The slots that a story takes for filled when these entities are named."""
    for slot in bot.slots:
        values = [
            entity.value
            for mapping in slot.mappings
            if mapping.type == "from_entity" and not (mapping.conditions and mapping.conditions[0].loop is not None)
            for entity in heard.entities
            if (entity.name, entity.role, entity.group) == (mapping.entity, mapping.role, mapping.group)
        ]
        if values:
            yield Event("slot", slot.name, values if slot.type == "list" else values[-1])


def _arriving(flow: Flow, arrived: Mapping[str, list[Trace]]) -> Iterator[Trace]:
    for start in flow.starts:
        for way in arrived.get(start.name, ()):
            slots = way.dialogue.now.slots
            if way.flows.count(flow) < ROUNDS and all(slots.get(name) == value for name, value in start.slots.items()):
                yield way


def _longer(tracker: Tracker, way: Trace, flow: Flow) -> Trace:
    events = tuple(explicit(tracker.bot, flow))
    return Trace((*way.flows, flow), (*way.events, *events), tracker.after_all(way.dialogue, events))


def _distinct(ways: Iterable[Trace]) -> list[Trace]:
    return list({repr(way.events): way for way in reversed(list(ways))}.values())[::-1]


def _loose_ends(flows: Sequence[Flow], begun: set[str], reached: set[str], cut: set[str]) -> Iterator[tuple[str, str]]:
    for flow in flows:
        for end in flow.ends:
            if end not in begun:
                yield flow.place, f"`{flow.name}` ends at checkpoint `{end}`, where nothing begins"
            if end in cut:
                yield (
                    flow.place,
                    f"more than {MOST_WAYS} ways lead to `{end}` in `{flow.name}`; the others are not told",
                )
        for start in flow.starts:
            if start.name not in reached:
                yield flow.place, f"`{flow.name}` begins at checkpoint `{start.name}`, where nothing ends"


def _without_initial_values(bot: Bot) -> Bot:
    """The bot as rules see it: what a slot begins with is no condition of theirs."""
    return replace(bot, slots=tuple(replace(slot, initial_value=None) for slot in bot.slots))
