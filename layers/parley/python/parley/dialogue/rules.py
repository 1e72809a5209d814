"""Rules: which of them hold in a situation, and which one says the most about it.

Pure. A rule holds if each of its states is found in the conversation's, counted from the present backwards. Rules are
filed by the action before and the intent, so that few of hundreds are looked at.

Source: `RulePolicy` of Rasa 3.6.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from parley.bots.learned import Learned, LearnedRule, LoopExit, State
from parley.dialogue.states import loop_of
from parley.dialogue.tracker import NOT_SET

Filed = TypeVar("Filed", LearnedRule, LoopExit)
_START = "conversation start"


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rules say: the one that holds, if there is one, and what becomes of the loop under way."""

    rule: LearnedRule | None
    interrupts: bool = False  # the loop under way must not take the last words for an answer
    leaves: bool = False  # the loop under way is not to go on now

    @property
    def only_listens(self) -> bool:
        """Whether the rule only ends the bot's turn, and knows of no loop."""
        return self.rule is not None and self.rule.action == "action_listen" and loop_of(self.rule.states[-1]) is None


@dataclass(frozen=True)
class RuleBook:
    """The rules of one bot, filed."""

    learned: Learned

    @cached_property
    def longest(self) -> int:
        """States that a rule looks at, at most."""
        rules = max((len(rule.states) for rule in self.learned.rules), default=1)
        return max(rules, *(len(each.states) for each in self.learned.loop_exits), 1)

    @cached_property
    def _rules(self) -> dict[tuple[str, str | None], list[LearnedRule]]:
        return _filed(self.learned.rules)

    @cached_property
    def _exits(self) -> dict[tuple[str, str | None], list[LoopExit]]:
        return _filed(self.learned.loop_exits)

    def judge(self, states: Sequence[State]) -> Ruled:
        """What the rules say about the last of these states."""
        rule = max(_holding(self._rules, states), key=lambda rule: rule.length, default=None)
        if loop_of(states[-1]) is None:
            return Ruled(rule)
        exits = {each.kind for each in _holding(self._exits, states)}
        return Ruled(rule, "interrupted" in exits, "left" in exits)


def _filed(rules: Iterable[Filed]) -> dict[tuple[str, str | None], list[Filed]]:
    files: dict[tuple[str, str | None], list[Filed]] = defaultdict(list)
    for rule in rules:
        files[_action(rule.states[-1]), _intent(rule.states[-1])].append(rule)
    return dict(files)


def _holding(files: dict[tuple[str, str | None], list[Filed]], states: Sequence[State]) -> Iterable[Filed]:
    now = states[-1]
    for intent in {_intent(now), None}:
        for rule in files.get((_action(now), intent), ()):
            if all(map(_agrees, reversed(rule.states), reversed(states))):
                yield rule


def _agrees(ruled: State, state: State) -> bool:
    """Whether a rule's state is found in the conversation's. The beginning agrees with the beginning only."""
    if ("prev_action" in ruled) != ("prev_action" in state):
        return False
    if "prev_action" not in ruled:
        return True
    return all(_part_agrees(part, state.get(kind, {})) for kind, part in ruled.items())


def _part_agrees(ruled: Any, part: Any) -> bool:
    for key, wanted in ruled.items():
        found = part.get(key)
        if wanted == NOT_SET:
            if found and found != NOT_SET:
                return False
        elif wanted and not _same(found, wanted):
            return False
    return True


def _same(found: Any, wanted: Any) -> bool:
    return found == wanted or (isinstance(wanted, list | tuple) and found is not None and tuple(found) == tuple(wanted))


def _action(state: State) -> str:
    return str(state["prev_action"]["action_name"]) if "prev_action" in state else _START


def _intent(state: State) -> str | None:
    return state.get("user", {}).get("intent")
