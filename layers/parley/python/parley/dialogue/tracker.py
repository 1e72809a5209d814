"""How events change a dialogue: `after(dialogue, event)`.

Pure. What somebody takes back is undone by doing again what came before it. While a form gets its answers, the
answers and the form's own steps leave the trail, so that rules and stories see one step of it, however many questions
it asked.

Source: the semantics are those of `DialogueStateTracker` of Rasa 3.6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from parley.bots.bot import ACTION_SESSION_START, ACTION_TWO_STAGE_FALLBACK, Bot
from parley.conversation import FALLBACK_INTENT, REQUESTED_SLOT, Dialogue, Event, Loop, Situation

REMEMBERED_INTENTS = 3
SPARE_STATES = 8  # more than policies look at, so that a few turns can be taken back
SESSION_METADATA_SLOT = "session_started_metadata"
NOT_SET = "should_not_be_set"  # what a rule says of a slot or loop that must be empty
_ALWAYS_SLOTS = {REQUESTED_SLOT, SESSION_METADATA_SLOT}


@dataclass(frozen=True)
class Tracker:
    """Knows a bot's slots and loops, and so what an event does to a dialogue with it."""

    bot: Bot

    @cached_property
    def start(self) -> Situation:
        """The situation before anything has happened."""
        return Situation(slots=self.bot.initial_slots())

    @cached_property
    def _slot_types(self) -> dict[str, str]:
        return {**{slot.name: slot.type for slot in self.bot.slots}, **dict.fromkeys(_ALWAYS_SLOTS, "any")}

    @cached_property
    def _loops(self) -> frozenset[str]:
        return frozenset({*self.bot.forms, ACTION_TWO_STAGE_FALLBACK})

    def begin(self) -> Dialogue:
        """A dialogue in which nothing has happened."""
        return Dialogue(now=self.start, before=self.start)

    def after_all(self, dialogue: Dialogue, events: Iterable[Event]) -> Dialogue:
        """The dialogue after several events."""
        for event in events:
            dialogue = self.after(dialogue, event)
        return dialogue

    def after(self, dialogue: Dialogue, event: Event) -> Dialogue:
        """The dialogue after an event."""
        match event.kind:
            case "restart":
                now = replace(self.start, followup=ACTION_SESSION_START)
                return replace(dialogue, now=now, before=self.start, trail=())
            case "session_started":
                return replace(dialogue, now=self.start, before=self.start, trail=())
            case "rewind":
                kept = _until_previous("action", _until_previous("user", dialogue.trail))
                intents = (*dialogue.intents, None)[-REMEMBERED_INTENTS:]
                return self._replayed(replace(dialogue, trail=kept, intents=intents))
            case "undo":
                return self._replayed(replace(dialogue, trail=_until_previous("action", dialogue.trail)))
            case "bot":
                return dialogue
            case "action" if event.name in self._loops and _goes_on(event.name, dialogue.trail):
                now, trail = self.step(dialogue.now, event), _without_answers(event.name, dialogue.trail)
                return replace(dialogue, now=now, trail=trail)
            case "user":
                intents = (*dialogue.intents, event.name or FALLBACK_INTENT)[-REMEMBERED_INTENTS:]
                now = self.step(dialogue.now, event)
                return replace(dialogue, now=now, trail=(*dialogue.trail, event), intents=intents)
            case _:
                return replace(dialogue, now=self.step(dialogue.now, event), trail=(*dialogue.trail, event))

    def step(self, now: Situation, event: Event) -> Situation:
        """The situation after an event that takes nothing back. Written out: it is done dozens of times a turn."""
        match event.kind:
            case "user":
                return Situation(now.slots, now.loop, now.action, event, None, now.paused)
            case "action":
                loop = now.loop
                if loop is not None and (loop.interrupted or loop.rejected):
                    loop = Loop(loop.name, rejected=loop.rejected and event.name != loop.name)
                return Situation(now.slots, loop, event.name, now.heard, None, now.paused)
            case "slot" if event.name in self._slot_types:
                slots = {**now.slots, event.name: self._fit(event.name, event.value)}
                return Situation(slots, now.loop, now.action, now.heard, now.followup, now.paused)
            case "active_loop":
                loop = Loop(event.name) if event.name else None
                return Situation(now.slots, loop, now.action, now.heard, now.followup, now.paused)
            case "action_execution_rejected":
                loop = now.loop
                if loop is not None and loop.name == event.name:
                    loop = replace(loop, rejected=True)
                followup = None if now.followup == event.name else now.followup
                return Situation(now.slots, loop, now.action, now.heard, followup, now.paused)
            case "loop_interrupted" if now.loop is not None:
                return replace(now, loop=replace(now.loop, interrupted=bool(event.value)))
            case "followup":
                return replace(now, followup=event.name)
            case "reset_slots":
                return replace(now, slots=self.bot.initial_slots())
            case "pause" | "resume":
                return replace(now, paused=event.kind == "pause")
            case _:
                return now

    def trimmed(self, dialogue: Dialogue) -> Dialogue:
        """The dialogue without what is too long ago to matter, so that the thousandth turn costs what the first did."""
        keep = self.bot.learned.memory + SPARE_STATES
        seen = [place for place, event in enumerate(dialogue.trail) if event.kind == "action"]
        telling = [place for place in seen if not dialogue.trail[place].hidden]
        if len(seen) <= 2 * keep and len(telling) <= keep:
            return dialogue
        cut = max(telling[-keep] if len(telling) > keep else 0, seen[-2 * keep] if len(seen) > 2 * keep else 0)
        before = dialogue.before
        for event in dialogue.trail[:cut]:
            before = self.step(before, event)
        return replace(dialogue, before=before, trail=dialogue.trail[cut:])

    def _replayed(self, dialogue: Dialogue) -> Dialogue:
        now = dialogue.before
        for event in dialogue.trail:
            now = self.step(now, event)
        return replace(dialogue, now=now)

    def _fit(self, slot: str, value: Any) -> Any:
        """The value as a slot keeps it: a list slot keeps lists."""
        if self._slot_types[slot] != "list" or not value or value == NOT_SET or isinstance(value, list):
            return value
        return [value]


def _until_previous(kind: str, trail: Sequence[Event]) -> tuple[Event, ...]:
    """The trail up to the last event of a kind, which goes too."""
    for place in range(len(trail) - 1, -1, -1):
        if trail[place].kind == kind:
            return tuple(trail[:place])
    return ()


def _goes_on(loop: str | None, trail: Sequence[Event]) -> bool:
    """Whether the loop has run before and has since got nothing but answers."""
    following: str | None = None
    for event in reversed(trail):
        if event.kind == "active_loop" and event.name is None:
            return False
        if event.kind == "action_execution_rejected" and event.name == loop:
            return False
        if event.kind == "user" and following is not None and following != loop:
            return False
        if event.kind == "action":
            if event.name == loop:
                return True
            following = event.name
    return False


def _without_answers(loop: str | None, trail: Sequence[Event]) -> tuple[Event, ...]:
    """The trail without actions and utterances since the loop ran last."""
    for place in range(len(trail) - 1, -1, -1):
        if trail[place].kind == "action" and trail[place].name == loop:
            since = (event for event in trail[place + 1 :] if event.kind not in ("action", "user"))
            return (*trail[: place + 1], *since)
    return tuple(trail)
