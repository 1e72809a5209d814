"""From the steps of Rasa's rules to `Rule`s: the intent or the form's end that sets one off, then its actions.

A step that means nothing here is refused by its name.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, pairwise
from typing import Any

from parley.bots.bot import ACTION_DEACTIVATE_LOOP, ANY_FORM, Rule
from parley.bots.shapes import RuleShape, shaped
from parley.bots.source import Faults, Placed

Pair = tuple[str, Any]  # a step or a condition: what it is, and its value


def read_rules(rules: Iterable[Placed], forms: Collection[str], faults: Faults) -> Iterator[tuple[Rule, str]]:
    """The rules, each with its place."""
    for placed in rules:
        shape: RuleShape | None = shaped(placed, RuleShape, "rule", faults)
        if shape is not None:
            rule = _rule(shape, forms, placed.place, faults)
            if rule is not None:
                yield rule, placed.place


def _rule(shape: RuleShape, forms: Collection[str], place: str, faults: Faults) -> Rule | None:
    steps = _pairs(shape.steps)
    form, slots = _condition(shape, place, faults)
    match steps:
        case [("intent", str(intent)), *_]:
            return Rule(shape.rule, _actions(shape, steps, None, place, faults), intent, None, form, slots)
        case [("action", str(ended)), ("active_loop", None), *_] if ended in forms:
            if form not in (ANY_FORM, ended):
                faults.add(place, f"rule `{shape.rule}` ends form `{ended}`, but its condition is another")
            return Rule(shape.rule, _actions(shape, steps, ended, place, faults), None, ended, form, slots)
        case _:
            begin = "begins neither with an intent nor with a form and `active_loop: null`, where that form has ended"
            faults.add(place, f"rule `{shape.rule}` {begin}")
            return None


def _actions(shape: RuleShape, steps: list[Pair], ended: str | None, place: str, faults: Faults) -> tuple[str, ...]:
    """The actions after the first step. What only repeats how an action leaves the form is read over."""
    actions = []
    for before, step in pairwise(steps):
        match step:
            case ("action", str(action)):
                actions.append(action)
            case ("active_loop", str(form)) if before == ("action", form):
                pass
            case ("active_loop", None) if before in (("action", ended), ("action", ACTION_DEACTIVATE_LOOP)):
                pass
            case ("slot_was_set", [{"requested_slot": None, **others}]) if before[0] == "active_loop" and not others:
                pass
            case (kind, value):
                faults.add(place, f"rule `{shape.rule}`: the step `{kind}: {value}` is not supported here")
    return tuple(actions)


def _condition(shape: RuleShape, place: str, faults: Faults) -> tuple[str | None, Mapping[str, str | None]]:
    form: str | None = ANY_FORM
    slots: dict[str, str | None] = {}
    for kind, value in _pairs(shape.condition):
        match kind, value:
            case "active_loop", (str() | None) if form == ANY_FORM:
                form = value
            case "slot_was_set", [*items] if all(isinstance(item, dict) for item in items):
                for slot, wanted in chain.from_iterable(item.items() for item in items):
                    if slot in slots or not isinstance(wanted, str | int | float | None) or isinstance(wanted, bool):
                        faults.add(place, f"rule `{shape.rule}`: `{slot}` must be one text or null, not {wanted!r}")
                    slots[slot] = None if wanted is None else str(wanted)
            case "slot_was_set", _:
                faults.add(place, f"rule `{shape.rule}`: `slot_was_set` needs `slot: value` or `slot: null`")
            case _:
                faults.add(place, f"rule `{shape.rule}`: the condition `{kind}: {value}` is not supported")
    return form, slots


def _pairs(items: Iterable[Mapping[str, Any]]) -> list[Pair]:
    return list(chain.from_iterable(item.items() for item in items))
