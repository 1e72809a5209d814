"""Notices: what subscribers are told of what was recorded.

Pure. One recorded turn may be several notices. The id of a notice comes from what it tells, so that the same one told
twice is known as the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from parley.channels.rendering import render_feedback, render_message
from parley.conversation import RecordedTurn
from parley.ports import Delivery, Subscription

Kind = Literal["turn.answered", "conversation.started", "conversation.handed_off", "feedback.given", "form.completed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PING = "ping"  # what a test sends
MOST_BYTES = 200_000  # of a delivery as it is queued and buried; a message of SQS holds 256 KB, an item of DynamoDB 400


@dataclass(frozen=True, slots=True)
class Kept:
    """A turn as it was kept, or kept again with what somebody thinks of it."""

    turn: RecordedTurn
    conversation_id: str
    bot: str
    user_id: str | None
    handed_off_at: float | None  # since when a person has the conversation, after the turn
    is_new: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened."""

    id: str
    kind: str
    at: float  # seconds since the Unix epoch, UTC
    bot: str
    about: Mapping[str, Any]
    words: Mapping[str, Any] = field(default_factory=dict)  # of people and bots; not for every subscriber

    def body(self, *, content: bool) -> str:
        """What is posted, as JSON."""
        return self._written({**self.about, **self.words} if content else self.about)

    def body_left_out(self) -> str:
        """What is posted where the words would be too large for the queue."""
        return self._written({**self.about, "content_left_out": True})

    def _written(self, data: Mapping[str, Any]) -> str:
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"id": self.id, "type": self.kind, "timestamp": at, "data": data}, separators=(",", ":"))


def notices_of(kept: Kept) -> Iterator[Notice]:
    """What is to be told of a turn, in the order in which it happened."""
    turn = kept.turn
    if not kept.is_new:
        if turn.feedback is not None:
            given = render_feedback(turn.feedback)
            words = {"comment": given.pop("comment")} if "comment" in given else {}
            yield _notice(kept, "feedback.given", turn.feedback.at, given, words, which=str(turn.feedback.at))
        return
    if turn.number == 1:
        yield _notice(kept, "conversation.started", turn.sent_at)
    words = {"message": turn.message, "replies": [render_message(each) for each in turn.reply.messages]}
    yield _notice(kept, "turn.answered", turn.sent_at, _of_turn(turn), words)
    for number, form in enumerate(_completed(turn)):
        slots = {"slots": form["slots"]}
        yield _notice(kept, "form.completed", turn.sent_at, {"form": form["form"]}, slots, which=str(number))
    if kept.handed_off_at == turn.sent_at:
        yield _notice(kept, "conversation.handed_off", turn.sent_at)


def ping(message_id: str, *, now: float) -> Notice:
    """What a test sends."""
    return Notice(message_id, PING, now, "", {})


def delivery_to(subscription: Subscription, notice: Notice, *, now: float) -> Delivery:
    """The notice on its way to a subscriber, without its words if they are too large for the queue."""
    whole = Delivery(subscription.id, notice.id, notice.kind, notice.body(content=subscription.content), now)
    return whole if fits(whole) else replace(whole, body=notice.body_left_out())


def fits(delivery: Delivery) -> bool:
    """Whether the queue takes it: there its body is a JSON text within JSON, which doubles every quotation mark."""
    return len(msgspec.json.encode(delivery)) <= MOST_BYTES


def wants(subscription: Subscription, notice: Notice) -> bool:
    """Whether a subscriber, whose tenant the bot is of, wants to be told of this."""
    return notice.kind in subscription.kinds and (not subscription.bots or notice.bot in subscription.bots)


def _notice(
    kept: Kept,
    kind: Kind,
    at: float,
    about: Mapping[str, Any] | None = None,
    words: Mapping[str, Any] | None = None,
    *,
    which: str = "",
) -> Notice:
    turn = kept.turn
    told = f"{kind}\0{kept.conversation_id}\0{turn.turn_id}\0{which}"
    base = {
        "conversation_id": kept.conversation_id,
        "turn_id": turn.turn_id,
        "number": turn.number,
        "bot": kept.bot,
        "channel": turn.channel,
        "user_id": kept.user_id,
    }
    name = f"msg_{hashlib.sha256(told.encode()).hexdigest()[:32]}"
    return Notice(name, kind, at, kept.bot, {**base, **(about or {})}, words or {})


def _of_turn(turn: RecordedTurn) -> dict[str, Any]:
    found = turn.understanding
    about = {"source": turn.reply.source, "intent": found.intent, "confidence": round(found.confidence, 4)}
    return {**about, "may_wait": True} if turn.reply.may_wait else about


def _completed(turn: RecordedTurn) -> Iterator[dict[str, Any]]:
    """The forms that came to their own end with a value for each of their slots."""
    for event in turn.events:
        ended = event.value if event.kind == "active_loop" and event.name is None else None
        if ended and None not in ended["slots"].values():
            yield ended
