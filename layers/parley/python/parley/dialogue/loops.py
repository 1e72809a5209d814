"""Loops: forms, which ask until their slots are filled, and the two-stage fallback.

A loop is begun, goes on while it is not done, and ends; what that means is the loop's own. Yields what it needs from
outside, see `dialogue.doing`.

Source: `LoopAction`, `FormAction` and `TwoStageFallbackAction` of Rasa 3.6.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from parley.bots.bot import (
    ACTION_ASK_AFFIRMATION,
    ACTION_ASK_REPHRASE,
    ACTION_FALLBACK,
    ACTION_TWO_STAGE_FALLBACK,
    Form,
)
from parley.conversation import FALLBACK_INTENT, LISTEN, REQUESTED_SLOT, Dialogue, Event
from parley.dialogue.doing import Doing, Happening, Happenings, Rejected

OUT_OF_SCOPE = "out_of_scope"
Extract = Callable[[Dialogue], Happenings]  # the slots that the last utterance fills


class Does(Protocol):
    """Does an action by its name."""

    def __call__(self, action: str, dialogue: Dialogue) -> Happenings:
        """What happens when the action is done in a dialogue."""


class Loop(Protocol):
    """What a loop is made of."""

    @property
    def name(self) -> str:
        """The loop's name."""

    def begin(self, doing: Doing) -> Happenings:
        """What happens when it begins, after it is marked as under way."""

    def go_on(self, doing: Doing, so_far: Sequence[Happening]) -> Happenings:
        """What happens each time."""

    def is_done(self, doing: Doing, so_far: Sequence[Happening]) -> bool:
        """Whether it has reached its end."""

    def end(self, doing: Doing) -> Happenings:
        """What happens at its end, after it is marked as over."""

    def gathered(self, doing: Doing, so_far: Sequence[Happening]) -> Any:
        """What it leaves to those who hear of its end; later actions of the turn may forget it."""


def run(loop: Loop, doing: Doing) -> Happenings:
    """What a loop does when it is its turn."""
    happened: list[Happening] = []
    under_way = doing.dialogue.now.loop
    if under_way is None or under_way.name != loop.name:
        happened.append(Event("active_loop", loop.name))
        happened += yield from loop.begin(doing)
    if not loop.is_done(doing, happened):
        happened += yield from loop.go_on(doing, happened)
    if loop.is_done(doing, happened):
        happened.append(Event("active_loop", None, loop.gathered(doing, happened)))
        happened += yield from loop.end(doing)
    return happened


@dataclass(frozen=True)
class FormLoop:
    """A form: validates what was said, then asks for the next slot."""

    form: Form
    extract: Extract
    does: Does

    @property
    def name(self) -> str:
        """The form's name."""
        return self.form.name

    def begin(self, doing: Doing) -> Happenings:
        """Fills what can be filled from what was said, and validates what is filled already."""
        begun = doing.after([Event("active_loop", self.name)])
        extracted: list[Happening] = yield from self.extract(begun)
        filled = doing.policy.tracker.after_all(begun, _events(extracted))
        known = {slot: value for slot in self.form.slots if (value := filled.now.slots.get(slot)) is not None}
        if not self._validates(doing):
            return [each for each in extracted if _is_slot(each)]
        validated = yield from self._validated(doing, filled, known)
        settled = {event.name for event in _events(validated) if event.kind == "slot"}
        return [*validated, *(each for each in extracted if _is_slot(each) and each.name not in settled)]  # type: ignore[union-attr]

    def go_on(self, doing: Doing, so_far: Sequence[Happening]) -> Happenings:
        """Validates, unless beginning did so, and asks."""
        happened: list[Happening] = []
        if not any(not _is_loop(each) for each in so_far):
            happened = yield from self._validate_if_due(doing)
        if any(isinstance(each, Event) and each.kind == "action_execution_rejected" for each in happened):
            return happened
        happened += yield from self._ask(doing, [*so_far, *happened])
        return happened

    def is_done(self, doing: Doing, so_far: Sequence[Happening]) -> bool:
        """Whether the last word on what is asked for is nothing."""
        del doing
        events = list(_events(so_far))
        if any(event.kind == "action_execution_rejected" for event in events):
            return False
        asked = [event for event in events if event.kind == "slot" and event.name == REQUESTED_SLOT]
        loops = [event for event in events if event.kind == "active_loop"]
        return bool((asked and asked[-1].value is None) or (loops and loops[-1].name is None))

    def end(self, doing: Doing) -> Happenings:
        """Nothing more."""
        del doing
        yield from ()
        return []

    def gathered(self, doing: Doing, so_far: Sequence[Happening]) -> dict[str, Any]:
        """Its name, and the values of its slots."""
        slots = doing.after(so_far).now.slots
        return {"form": self.name, "slots": {slot: slots.get(slot) for slot in self.form.slots}}

    def _validates(self, doing: Doing) -> bool:
        return bool(self.form.checks) or self._has_validation(doing)

    def _has_validation(self, doing: Doing) -> bool:
        action = f"validate_{self.name}"
        return action in doing.bot.actions and doing.bot.custom.serves(action)

    def _validate_if_due(self, doing: Doing) -> Happenings:
        now = doing.dialogue.now
        is_beginning = now.loop is None
        if is_beginning or (now.action == LISTEN and now.loop is not None and not now.loop.interrupted):
            return (yield from self._validate(doing))
        return (yield from self._validated(doing, doing.dialogue, {}))

    def _validate(self, doing: Doing) -> Happenings:
        requested = self._requested(doing)
        wanted = {*self.form.slots, *([requested] if requested else [])}
        extracted = {
            str(event.name): event.value
            for event in _since_heard(doing.happened)
            if event.kind == "slot" and event.name in wanted
        }
        validated = yield from self._validated(doing, doing.dialogue, extracted)
        some = any(event.kind == "slot" and event.name != REQUESTED_SLOT for event in _events(validated))
        by_hand = any(event.kind == "action_execution_rejected" for event in _events(validated))
        if requested and not extracted and not some and not by_hand:
            raise Rejected
        return validated

    def _validated(self, doing: Doing, dialogue: Dialogue, candidates: Mapping[str, Any]) -> Happenings:
        """What the bot's own patterns and the form's validation action make of candidates."""
        happened: list[Happening] = []
        accepted = dict(candidates)
        for slot, check in self.form.checks.items():
            value = candidates.get(slot)
            if value is not None and not re.fullmatch(check.pattern, str(value), re.IGNORECASE):
                del accepted[slot]
                happened.append(Event("slot", slot, None))
                happened += doing.say(check.invalid, dialogue)
        if self._has_validation(doing):
            more = [
                Event("slot", REQUESTED_SLOT, self._requested(doing)),
                Event("action", self.name),
                *(Event("slot", slot, value) for slot, value in accepted.items()),
            ]
            seen = doing.policy.tracker.after_all(dialogue, [*_events(happened), more[0], *more[2:]])
            happened += yield from doing.call(f"validate_{self.name}", seen, more=more)
        return happened

    def _ask(self, doing: Doing, so_far: Sequence[Happening]) -> Happenings:
        if self.is_done(doing, so_far):
            return [Event("slot", REQUESTED_SLOT, None)]
        events = list(_events(so_far))
        chosen = next((e.value for e in events if e.kind == "slot" and e.name == REQUESTED_SLOT), None)
        dialogue = doing.policy.tracker.after_all(doing.dialogue, events)
        happened: list[Happening] = []
        if not chosen:
            slots = dialogue.now.slots
            chosen = next((slot for slot in self.form.slots if slots.get(slot) is None), None)
            happened.append(Event("slot", REQUESTED_SLOT, chosen))
        if chosen:
            happened += yield from self.question(doing, chosen, dialogue)
            return happened
        return [Event("slot", REQUESTED_SLOT, None)]

    def question(self, doing: Doing, slot: str, dialogue: Dialogue) -> Happenings:
        """Asks for a slot."""
        bot = doing.bot
        for name in (
            f"action_ask_{self.name}_{slot}",
            f"utter_ask_{self.name}_{slot}",
            f"action_ask_{slot}",
            f"utter_ask_{slot}",
        ):
            if name in bot.responses or (name in bot.actions and bot.custom.serves(name)):
                return (yield from self.does(name, dialogue))
        return []

    def _requested(self, doing: Doing) -> str | None:
        loop = doing.dialogue.now.loop
        return doing.dialogue.now.requested_slot if loop is not None and loop.name == self.name else None


@dataclass(frozen=True)
class TwoStageFallback:
    """Asks whether the likeliest was meant, then to say it in other words, then gives up."""

    does: Does
    name: str = ACTION_TWO_STAGE_FALLBACK

    def begin(self, doing: Doing) -> Happenings:
        """Nothing more."""
        del doing
        yield from ()
        return []

    def go_on(self, doing: Doing, so_far: Sequence[Happening]) -> Happenings:
        """Asks for a yes, or for other words."""
        heard = doing.dialogue.now.heard
        begun = any(_is_loop(each) for each in so_far)
        unclear = begun or heard is None or heard.name in (None, FALLBACK_INTENT)
        action = ACTION_ASK_AFFIRMATION if unclear else ACTION_ASK_REPHRASE
        return (yield from self.does(action, doing.dialogue))

    def is_done(self, doing: Doing, so_far: Sequence[Happening]) -> bool:
        """Whether it is clear what was meant, or that it will not become so."""
        del so_far
        heard = doing.dialogue.now.heard
        clear = heard is not None and heard.name not in (None, FALLBACK_INTENT, OUT_OF_SCOPE)
        return clear or self._gives_up(doing)

    def end(self, doing: Doing) -> Happenings:
        """Gives up, or takes what was said last as if it had been said at once."""
        if self._gives_up(doing):
            return (yield from self.does(ACTION_FALLBACK, doing.dialogue))
        heard = doing.dialogue.now.heard
        return [Event("rewind"), Event("action", LISTEN), *([heard] if heard else [])]

    def gathered(self, doing: Doing, so_far: Sequence[Happening]) -> None:
        """Nothing."""

    @staticmethod
    def _gives_up(doing: Doing) -> bool:
        intents = doing.dialogue.intents
        return intents[-2:] == (FALLBACK_INTENT,) * 2 or intents[-3:] == (OUT_OF_SCOPE, FALLBACK_INTENT, OUT_OF_SCOPE)


def _events(happenings: Sequence[Happening]) -> list[Event]:
    return [each for each in happenings if isinstance(each, Event)]


def _since_heard(events: Sequence[Event]) -> list[Event]:
    for place in range(len(events) - 1, -1, -1):
        if events[place].kind in ("user", "restart"):
            return list(events[place:])
    return list(events)


def _is_slot(happening: Happening) -> bool:
    return isinstance(happening, Event) and happening.kind == "slot"


def _is_loop(happening: Happening) -> bool:
    return isinstance(happening, Event) and happening.kind == "active_loop"
