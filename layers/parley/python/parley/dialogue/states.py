"""States: what rules and stories see of a situation, and of a whole trail.

Pure. A state is made before every action and holds what was heard, the slots that influence the conversation (as
features, not values), the action before, and the loop under way.

Source: `Domain.get_active_state` and `states_for_tracker_history` of Rasa 3.6, so that its rules mean the same here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from parley.bots.bot import OTHER_VALUE, Bot, Slot
from parley.bots.learned import State
from parley.conversation import Dialogue, Entity, Event, Situation
from parley.dialogue.tracker import NOT_SET, Tracker

_TRUE, _FALSE = "true", "false"


_Moment = tuple[Situation, Mapping[str, Any], bool]


@dataclass(frozen=True, slots=True)
class _Walk:
    """A trail that was gone through, and where it led."""

    before: Situation
    trail: tuple[Event, ...]
    moments: list[_Moment]
    now: Situation
    features: Mapping[str, Any]


@dataclass(frozen=True)
class States:
    """Makes the states of one bot."""

    tracker: Tracker
    _walked: _Walk = field(default=_Walk(Situation(), (), [], Situation(), {}), compare=False, repr=False)

    @property
    def _bot(self) -> Bot:
        return self.tracker.bot

    @cached_property
    def _telling(self) -> tuple[Slot, ...]:
        return tuple(slot for slot in self._bot.slots if slot.influences and slot.type != "any")

    def of(self, now: Situation, *, slots: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The state of a situation; `slots` are its features where they are known."""
        state: dict[str, Any] = {}
        if now.heard is not None and (heard := self.heard(now.heard)):
            state["user"] = heard
        features = self.features(now.slots) if slots is None else slots
        if features:
            state["slots"] = features
        if now.action is not None:
            state["prev_action"] = {"action_name": now.action}
        if now.loop is not None:
            state["active_loop"] = {"name": now.loop.name}
        return state

    def of_trail(self, dialogue: Dialogue, last: int | None = None) -> list[dict[str, Any]]:
        """The states before each action of the trail, and that of now; or only the `last` of them."""
        moments = self._moments(dialogue)
        return [self.of(now, slots=features) for now, features, _ in (moments[-last:] if last else moments)]

    def for_stories(self, dialogue: Dialogue) -> list[dict[str, Any]]:
        """The same, as stories see it: without the steps of rules that no story tells of."""
        states: list[dict[str, Any]] = []
        action: str | None = None
        was_hidden = False
        for now, features, hidden in self._moments(dialogue):
            if not was_hidden:
                action = now.action
            if not now.followup and not (now.loop is not None and now.action == now.loop.name):
                was_hidden = hidden
            if was_hidden:
                continue
            states.append(self._without_rules(self.of(now, slots=features), states, action))
        return states

    def _without_rules(
        self, state: dict[str, Any], earlier: list[dict[str, Any]], action: str | None
    ) -> dict[str, Any]:
        """A state less what only rules know of: slots, loops, what was said to them, the action before."""
        learned = self._bot.learned
        if learned.rule_only_slots and "slots" in state:
            kept = {name: value for name, value in state["slots"].items() if name not in learned.rule_only_slots}
            state["slots"] = kept
        if state.get("active_loop", {}).get("name") in learned.rule_only_loops:
            state.pop("active_loop", None)
        if earlier and not after_listening(state):
            heard = earlier[-1].get("user")
            if heard:
                state["user"] = heard
            else:
                state.pop("user", None)
        if action is not None:
            state["prev_action"] = {"action_name": action}
        return {part: value for part, value in state.items() if value}

    def _moments(self, dialogue: Dialogue) -> list[_Moment]:
        """The situation before each action, its slots as features, and whether the action is hidden; then the last.

        The last is what the trail leads to, which knows nothing of the answers that a form has got. What is known from
        the time before, when the trail was a few events shorter, is not gone through again.
        """
        walk = self._walked
        if walk.before is not dialogue.before or dialogue.trail[: len(walk.trail)] != walk.trail:
            walk = _Walk(dialogue.before, (), [], dialogue.before, self.features(dialogue.before.slots))
        now, features, moments = walk.now, walk.features, list(walk.moments)
        for event in dialogue.trail[len(walk.trail) :]:
            if event.kind == "action":
                moments.append((now, features, event.hidden))
            now = self.tracker.step(now, event)
            if event.kind in ("slot", "reset_slots"):
                features = self.features(now.slots)
        object.__setattr__(self, "_walked", _Walk(dialogue.before, dialogue.trail, moments, now, features))
        return [*moments, (now, features, False)]

    def heard(self, event: Event) -> dict[str, Any]:
        """What was said, as intent and names of entities; without an intent, as text."""
        if event.name is None:
            return {"text": event.text} if event.text else {}
        names = sorted(self._names(event.entities).intersection(self._seen_with(event.name, event.entities)))
        return {"intent": event.name, "entities": tuple(names)} if names else {"intent": event.name}

    def _seen_with(self, intent: str, entities: tuple[Entity, ...]) -> set[str]:
        seen = self._bot.intents.get(intent)
        return self._names(entities) if seen is None else set(seen)

    @staticmethod
    def _names(entities: tuple[Entity, ...]) -> set[str]:
        plain = {entity.name for entity in entities}
        roles = {f"{entity.name}#{entity.role}" for entity in entities if entity.role is not None}
        groups = {f"{entity.name}#{entity.group}" for entity in entities if entity.group is not None}
        return plain | roles | groups

    def features(self, slots: Mapping[str, Any]) -> dict[str, Any]:
        """The slots that have features, each with its own."""
        made: dict[str, Any] = {}
        for slot in self._telling:
            value = slots.get(slot.name)
            if value is None:
                continue
            if value == NOT_SET:
                made[slot.name] = NOT_SET
            elif any(features := _features(slot, value)):
                made[slot.name] = features
        return made


def after_listening(state: State) -> bool:
    """Whether somebody has just said something."""
    return state.get("prev_action", {}).get("action_name") == "action_listen"


def loop_of(state: State) -> str | None:
    """The loop under way."""
    name = state.get("active_loop", {}).get("name")
    return None if name == NOT_SET else name


def _features(slot: Slot, value: Any) -> tuple[float, ...]:
    match slot.type:
        case "text":
            return (1.0,)
        case "list":
            return (1.0,) if isinstance(value, list | tuple | str) and len(value) > 0 else ()
        case "bool":
            truth = _truth(value)
            return () if truth is None else (1.0, float(truth))
        case "float":
            try:
                number = max(slot.least, min(slot.most, float(value)))
            except (TypeError, ValueError):
                return ()
            return (1.0, (number - slot.least) / (slot.most - slot.least))
        case "categorical":
            wanted = str(value).lower()
            known = wanted if wanted in slot.values else OTHER_VALUE
            return tuple(float(each == known) for each in slot.values)
        case _:
            return ()


def _truth(value: Any) -> bool | None:
    """A truth value however it is written; None where it is none."""
    match value:
        case bool():
            return value
        case int() | float():
            return value == 1
        case str() if value.isnumeric():
            return float(value) == 1
        case str() if value.strip().lower() in (_TRUE, _FALSE):
            return value.strip().lower() == _TRUE
        case _:
            return None
