"""Stories: what comes next where the conversation goes as one of them does, or nearly so.

Pure. The whole trail is looked up first; then the trail without its oldest turn, as if the conversation had begun
there with nothing in its slots, and so on. A near match is asked for where Rasa would ask a network: the last few
states, the more of them and in the more detail the better.

Source: `AugmentedMemoizationPolicy` of Rasa 3.6 for the first part; the second is Parley's own.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from parley.bots.learned import Learned, State, Step
from parley.conversation import LISTEN, Dialogue, Event
from parley.dialogue.states import States, after_listening

# How a near match is sought: how many states back, which parts of them are looked at, and what it is worth. Entities
# never are, since authors seldom tell of all that people mention.
_ALL, NO_SLOTS = frozenset({"intent", "action", "loop", "slots"}), frozenset({"intent", "action", "loop"})
NEAR: tuple[tuple[int, frozenset[str], float], ...] = (
    (4, _ALL, 0.95),
    (3, _ALL, 0.9),
    (4, NO_SLOTS, 0.85),
    (3, NO_SLOTS, 0.8),
    (2, _ALL, 0.75),
    (2, NO_SLOTS, 0.7),
    (1, _ALL, 0.65),
    (1, NO_SLOTS, 0.6),
    (1, frozenset({"intent", "action"}), 0.55),
    (1, frozenset({"action"}), 0.5),  # not for what was just said: there the action before is always listening
)
LONGEST_NEAR = max(count for count, _, _ in NEAR)


@dataclass(frozen=True)
class StoryBook:
    """The stories of one bot."""

    learned: Learned
    states: States
    max_history: int | None

    def recall(self, dialogue: Dialogue) -> Step | None:
        """The step that follows in a story that went just so."""
        if not self.learned.stories:
            return None
        whole = self.states.for_stories(dialogue)
        step = self._known(whole)
        if step is not None:
            return step
        for view in self._later_views(dialogue, self._longest_hope(whole)):
            if (step := self._known(self.states.for_stories(view))) is not None:
                return step
        return None

    def nearest(self, dialogue: Dialogue) -> tuple[Step, float] | None:
        """The step that follows in a story that went nearly so, and what that is worth, 0 to 1."""
        if not self.learned.near:
            return None
        states = self.states.for_stories(dialogue)
        for count, parts, worth in NEAR:
            key = near_key(states, count, parts)
            if key is not None and (step := self.learned.near.get(key)) is not None:
                return step, worth
        return None

    def _known(self, states: list[dict[str, Any]]) -> Step | None:
        recent = self._recent(states)
        return self.learned.stories.get(digest(recent)) if len(recent) <= self.learned.memory else None

    def _longest_hope(self, states: list[dict[str, Any]]) -> int:
        """How many states a story may have that still could lead here: where the last few are in none, fewer."""
        for count in range(1, LONGEST_NEAR + 1):
            last = states[-count:]
            begun_later = [_without_first(last, "active_loop"), _without_first(last, "user")]
            seen = [last, *begun_later, _without_first(begun_later[0], "user")]
            if len(last) == count and not any(near_key(each, count, NO_SLOTS) in self.learned.near for each in seen):
                return count
        return self.learned.memory + 1

    def _later_views(self, dialogue: Dialogue, most_states: int) -> Iterator[Dialogue]:
        """What the dialogue would be had it begun later, with nothing in its slots."""
        start, trail = self.states.tracker.start, dialogue.trail
        actions = [place for place, event in enumerate(trail) if event.kind == "action"]
        if self.max_history:
            begun = self._first_looked_at(trail, actions, self.max_history)
            yield from (replace(dialogue, before=start, trail=trail[place:]) for place in actions if place >= begun)
            return
        shown = [not trail[place].hidden for place in actions]
        for number, place in enumerate(actions):
            if trail[place].name in self.learned.beginnings and sum(shown[number:]) <= most_states:
                yield replace(dialogue, before=start, trail=trail[place:])

    @staticmethod
    def _first_looked_at(trail: Sequence[Event], actions: Sequence[int], max_history: int) -> int:
        """The last listening before as many actions as stories look back at."""
        before = reversed(actions[:-max_history])
        return next((place for place in before if trail[place].name == LISTEN), 0)

    def _recent(self, states: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return states[-self.max_history :] if self.max_history else states


def digest(states: Sequence[State]) -> str:
    """A short name for these states."""
    content = json.dumps(states, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.blake2b(content, digest_size=9).hexdigest()


def _without_first(states: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    """The states as they are where the conversation begins later than what the first of them has of this part."""
    first = states[0].get(part)
    same = next((place for place, state in enumerate(states) if state.get(part) != first), len(states))
    return [{key: each for key, each in state.items() if key != part} for state in states[:same]] + states[same:]


def near_key(states: Sequence[State], count: int, parts: frozenset[str]) -> str | None:
    """A short name for the last `count` states in less detail; None where the detail says nothing."""
    if "intent" not in parts and after_listening(states[-1]):
        return None
    outline = [[_part(state, part) for part in sorted(parts)] for state in states[-count:]]
    content = json.dumps([count, outline], sort_keys=True, separators=(",", ":")).encode()
    return hashlib.blake2b(content, digest_size=9).hexdigest()


def _part(state: State, part: str) -> Any:
    match part:
        case "intent":
            heard = state.get("user", {})
            return heard.get("intent") or heard.get("text")
        case "action":
            return state.get("prev_action", {}).get("action_name")
        case "loop":
            return state.get("active_loop", {}).get("name")
        case _:
            return state.get("slots")
