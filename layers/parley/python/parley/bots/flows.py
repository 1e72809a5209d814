"""From the steps of Rasa's rules, stories and test stories to `Flow`s: the events that they tell of.

A story with checkpoints or with alternatives (`or`) becomes several flows that lead into one another. A step that
means nothing is refused by its name. Knows nothing of policies.

Source: the story files of Rasa 3.6.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from parley.bots.bot import Slot
from parley.bots.source import Faults, Placed
from parley.bots.training import parse_example
from parley.conversation import Entity, Event, read_command

START = "start of a story"
SNIPPET = "..."  # stands for whatever came before a rule, or comes after it
_NAMED_ONLY = {"text": "filled", "list": ["filled"]}  # what a slot counts as where a story only names it
_OF_RULES = frozenset({"condition", "conversation_start", "wait_for_user_input"})
_KNOWN_STEPS = "intent, user, action, bot, slot_was_set, active_loop, checkpoint or `or`"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a flow begins: at the end of others that lead there, with these slots."""

    name: str
    slots: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flow:
    """A piece of a rule or story without branches."""

    name: str
    place: str  # file:line
    is_rule: bool
    starts: tuple[Checkpoint, ...]
    events: tuple[Event, ...] = ()
    ends: tuple[str, ...] = ()  # checkpoints; none: the story ends here


class FlowReader:
    """Reads rules and stories of one bot."""

    def __init__(self, slots: Mapping[str, Slot], faults: Faults) -> None:
        self._slots = slots
        self._faults = faults
        self._numbers = count(1)

    def rules(self, items: Iterable[Placed]) -> list[Flow]:
        """The flows of `rules:`."""
        return [flow for item in items for flow in self._read(item, "rule")]

    def stories(self, items: Iterable[Placed]) -> list[Flow]:
        """The flows of `stories:`."""
        return [flow for item in items for flow in self._read(item, "story")]

    def _read(self, item: Placed, kind: str) -> list[Flow]:
        value = item.value
        name = value.get(kind) if isinstance(value, dict) else None
        if not isinstance(name, str) or not isinstance(value.get("steps"), list | None):
            self._faults.add(item.place, f"expected `{kind}` with its name, and `steps`")
            return []
        if not value.get("steps"):
            self._faults.note(item.place, f"{kind} `{name}` has no steps and is left out")
            return []
        story = _Story(name, item.place, kind == "rule", self)
        for key in value.keys() - {kind, "steps", "metadata"} - (_OF_RULES if kind == "rule" else set()):
            self._faults.add(item.place, f"{kind} `{name}`: `{key}` is not known here")
        if kind == "rule":
            for condition in value.get("condition") or ():
                story.step(condition)
            if not value.get("conversation_start"):
                story.add(Event("action", SNIPPET))
        for step in value["steps"]:
            story.step(step)
        if value.get("wait_for_user_input") is False:
            story.add(Event("action", SNIPPET))
        return story.finished()

    def fault(self, place: str, message: str) -> None:
        """Notes what cannot be read."""
        self._faults.add(place, message)

    def new_checkpoint(self) -> str:
        """A name for where alternatives meet again."""
        return f"or {next(self._numbers)}"

    def named_slot(self, slot: str) -> Any:
        """What a slot counts as where a story only names it."""
        known = self._slots.get(slot)
        return _NAMED_ONLY.get(known.type) if known else None


class _Story:
    """One rule or story while it is being read: the flows that are still open."""

    def __init__(self, name: str, place: str, is_rule: bool, reader: FlowReader) -> None:
        self._name, self._place, self._is_rule, self._reader = name, place, is_rule, reader
        self._done: list[Flow] = []
        self._open: list[Flow] = []
        self._starts: list[Checkpoint] = []

    def step(self, step: Any) -> None:
        """Takes one item of `steps` or `condition`."""
        match step:
            case {"user": str()} | {"intent": str()}:
                self.add(self._utterance(step))
            case {"or": [*ways]}:
                self._alternatives(ways)
            case {"action": str(action)} if action:
                self.add(Event("action", action))
            case {"bot": str(text)}:
                self.add(Event("action", text))
            case {"checkpoint": str(checkpoint), **rest}:
                self._checkpoint(checkpoint, dict(self._set(rest.get("slot_was_set") or [])))
            case {"slot_was_set": slots}:
                for slot, value in self._set(slots):
                    self.add(Event("slot", slot, value))
            case {"active_loop": loop} | {"form": loop} if isinstance(loop, str | None):
                self.add(Event("active_loop", loop))
            case {"metadata": _}:
                pass
            case _:
                what = "rule" if self._is_rule else "story"
                self._reader.fault(self._place, f"{what} `{self._name}`: the step {step!r} is none of {_KNOWN_STEPS}")

    def add(self, event: Event) -> None:
        """Adds an event to every open flow."""
        self._ensure_open()
        self._open = [replace(flow, events=(*flow.events, event)) for flow in self._open]

    def finished(self) -> list[Flow]:
        """All flows of the story."""
        return [*self._done, *self._open]

    def _ensure_open(self) -> None:
        self._done += [flow for flow in self._open if flow.ends]
        still_open = [flow for flow in self._open if not flow.ends]
        if still_open:
            self._open = still_open
            return
        ends = dict.fromkeys(end for flow in self._open for end in flow.ends)
        starts = [Checkpoint(name) for name in ends] if self._open else self._starts
        self._open = [Flow(self._name, self._place, self._is_rule, tuple(starts or [Checkpoint(START)]))]

    def _checkpoint(self, name: str, slots: Mapping[str, Any]) -> None:
        if not self._open:
            self._starts.append(Checkpoint(name, slots))
            return
        closed = [replace(flow, ends=(name,)) for flow in self._open if flow.ends]
        self._open = [flow if flow.ends else replace(flow, ends=(name,)) for flow in self._open] + closed

    def _alternatives(self, ways: list[Any]) -> None:
        events: list[Event] = []
        for way in ways:
            match way:
                case {"intent": str()} | {"user": str()}:
                    events.append(self._utterance(way))
                case {"slot_was_set": slots}:
                    events += [Event("slot", slot, value) for slot, value in self._set(slots)]
                case _:
                    self._reader.fault(self._place, f"`{self._name}`: {way!r} cannot stand in `or`")
        self._ensure_open()
        meeting = self._reader.new_checkpoint()
        self._open = [
            replace(flow, events=(*flow.events, event), ends=(meeting,)) for flow in self._open for event in events
        ]

    def _utterance(self, step: Mapping[str, Any]) -> Event:
        """What somebody says: by intent and entities, or as a marked text."""
        intent = step["intent"].strip().removeprefix("/") if isinstance(step.get("intent"), str) else None
        text = None
        if isinstance(step.get("user"), str):
            example = parse_example(step["user"].strip(), intent or "", self._place, Faults())
            text, entities = example.text, example.entities
            if (said := read_command(text)) is not None:
                intent, entities = intent or said.intent, said.entities
        else:
            entities = tuple(map(self._entity, step.get("entities") or ()))
        return Event("user", intent.partition("/")[0] if intent else None, value=intent, text=text, entities=entities)

    def _entity(self, entity: Any) -> Entity:
        match entity:
            case str(name):
                return Entity(name, "", 0, 0, "")
            case dict() as fields:
                role, group = (None if fields.get(key) is None else str(fields[key]) for key in ("role", "group"))
                named = {key: value for key, value in fields.items() if key not in ("role", "group")}
                if "entity" in named and "value" in named:
                    named = {named["entity"]: named["value"]}
                name, value = next(iter(named.items()), ("", ""))
                return Entity(str(name), value, 0, 0, "", role, group)
            case _:
                self._reader.fault(self._place, f"`{self._name}`: {entity!r} is no entity")
                return Entity("", "", 0, 0, "")

    def _set(self, slots: Any) -> Iterable[tuple[str, Any]]:
        for slot in slots if isinstance(slots, list) else [slots]:
            match slot:
                case {**values}:
                    yield from ((str(name), value) for name, value in values.items())
                case str(name):
                    yield name, self._reader.named_slot(name)
                case _:
                    self._reader.fault(self._place, f"`{self._name}`: {slot!r} does not say which slot was set")
