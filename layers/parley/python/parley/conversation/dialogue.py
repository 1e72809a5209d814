"""The dialogue: what has happened in a conversation, and the situation in which that leaves it.

Events and their names are those of Rasa's tracker, so that what custom actions send and read means the same here.
How an event changes a dialogue is `dialogue.tracker`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from parley.conversation.understanding import Entity
from parley.conversation.upload import Upload

EventKind = Literal[
    "user",
    "action",
    "action_execution_rejected",
    "slot",
    "active_loop",
    "loop_interrupted",
    "bot",
    "rewind",
    "undo",
    "restart",
    "session_started",
    "followup",
    "pause",
    "resume",
    "reset_slots",
]

LISTEN = "action_listen"
REQUESTED_SLOT = "requested_slot"  # the slot in which a form notes what it asked for
FALLBACK_INTENT = "nlu_fallback"  # what rules and stories call an utterance that was not understood


class Event(NamedTuple):
    """One thing that happened. A tuple, because the state of a conversation keeps dozens of them as JSON arrays."""

    kind: EventKind
    name: str | None = None  # of the action, slot or loop; of what somebody said, the intent
    value: Any = (
        None  # of the slot; of `loop_interrupted`, whether it was; of a form that ends itself, its name and slots
    )
    text: str | None = None  # what was said
    entities: tuple[Entity, ...] = ()
    hidden: bool = False  # of an action: by a rule that no story tells of, so that stories look past it
    policy: str | None = None  # of an action: what decided
    because: str | None = None  # of an action: the rule, story or form step, for people
    uploads: tuple[Upload, ...] = ()  # of what was said: the files that were sent with it


@dataclass(frozen=True, slots=True)
class Loop:
    """The form, or other loop, that is under way."""

    name: str
    interrupted: bool = False  # something else was talked about, so that what was said last is no answer to it
    rejected: bool = False  # it could not use what was said


@dataclass(frozen=True, slots=True)
class Situation:
    """What the policy sees at one moment."""

    slots: Mapping[str, Any] = field(default_factory=dict)
    loop: Loop | None = None
    action: str | None = None  # the last one done; None before anything has happened
    heard: Event | None = None  # what was said last
    followup: str | None = LISTEN  # the action that comes next, whatever the policy would say
    paused: bool = False

    @property
    def requested_slot(self) -> str | None:
        """The slot that the form under way asked for."""
        return self.slots.get(REQUESTED_SLOT) if self.loop else None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The events that still count, and the situations before and after them."""

    now: Situation = field(default_factory=Situation)
    before: Situation = field(default_factory=Situation)
    trail: tuple[Event, ...] = ()
    intents: tuple[str | None, ...] = ()  # of the last three utterances; None: one was taken back
    heard_at: float | None = None  # when somebody spoke last, in seconds since the Unix epoch, UTC
