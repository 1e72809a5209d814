"""The session: what is remembered of a conversation between turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from parley.conversation.dialogue import Dialogue, Event, Loop
from parley.conversation.feedback import Feedback
from parley.conversation.reply import Reply
from parley.conversation.understanding import Understanding
from parley.conversation.upload import Upload

TurnStatus = Literal["queued", "running", "done", "failed"]

GIVEN_UP_SECONDS = 900.0  # longer than the queue tries: three deliveries, each hidden for two minutes


@dataclass(frozen=True, slots=True)
class Session:
    """The stored state of one conversation."""

    conversation_id: str
    bot: str
    token_digest: str  # SHA-256 of the conversation's token, hexadecimal; the token itself is never stored
    started_at: float  # seconds since the Unix epoch, UTC
    user_id: str | None = None
    key_id: str | None = None  # of the API key through which it began
    version: int = 0  # turns saved so far; a save succeeds only on the version it was read at
    dialogue: Dialogue | None = None  # None until the first turn
    handed_off_at: float | None = None  # since then a person has it, in seconds since the Unix epoch, UTC
    origin: Mapping[str, Any] | None = None  # of one that a server began: what of its JSON the way back wants, by path

    @property
    def slots(self) -> Mapping[str, Any]:
        """What the bot remembers."""
        return self.dialogue.now.slots if self.dialogue else {}

    @property
    def form(self) -> Loop | None:
        """The form, or other loop, that is under way."""
        return self.dialogue.now.loop if self.dialogue else None

    @property
    def is_being_erased(self) -> bool:
        """Whether an erasure has begun: no turn can be saved any more."""
        return self.version < 0


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """One turn as it is kept in the history, with its reply."""

    turn_id: str
    number: int  # 1 for the first turn of a conversation
    message: str
    channel: str
    sent_at: float  # seconds since the Unix epoch, UTC
    reply: Reply
    understanding: Understanding
    events: tuple[Event, ...] = field(default=())  # all that happened, also what was taken back
    feedback: Feedback | None = None  # what the person thinks of the reply, if they said so
    uploads: tuple[Upload, ...] = ()  # the files that were sent with the message


@dataclass(frozen=True, slots=True)
class TurnProgress:
    """How far an accepted turn has come."""

    turn_id: str
    status: TurnStatus
    changed_at: float  # seconds since the Unix epoch, UTC
    reason: str | None = None  # why it failed
    recorded: RecordedTurn | None = None  # once done
    delivered: int = 0  # posts of the reply that its channel has taken, where a channel takes posts
    draft: str | None = None  # the post in which the channel shows the reply while it is made
    is_admitted: bool = False  # it is counted against the quotas

    def as_of(self, now: float) -> "TurnProgress":
        """The progress seen at `now`: what should long have ended and has not is failed."""
        if self.status in ("queued", "running") and now - self.changed_at > GIVEN_UP_SECONDS:
            return replace(self, status="failed", reason="the turn was not finished in time; send it again")
        return self
