"""Every port, in memory: for tests and for talking in the terminal.

Held to the same contract suite as the real adapters, so that it cannot drift.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Generator as Yields
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from parley.access import Access, Quotas
from parley.actions import CustomActions
from parley.callers import Callers
from parley.conversation import Feedback, RecordedTurn, Session, Turn, TurnProgress, Upload
from parley.errors import (
    ActionFailed,
    MalformedRequest,
    NotFound,
    NotKnown,
    ParleyError,
    SessionConflict,
    Unavailable,
    Undeliverable,
    Unreadable,
)
from parley.lines import Lines
from parley.metering import Metering
from parley.ports import (
    LIFETIME_SECONDS,
    MOST_NEAREST,
    ActionAnswer,
    ActionRequest,
    ApiKey,
    Asked,
    Catalogue,
    Change,
    Clock,
    DeadDelivery,
    Delivery,
    Grant,
    Health,
    Identity,
    LateTurn,
    Listed,
    Listener,
    Listeners,
    Meter,
    Opened,
    Page,
    Patience,
    Prompt,
    Remark,
    SharedReply,
    SlackPost,
    SlackThread,
    StoredDocument,
    StoredPassage,
    Subscription,
    Taken,
    Tally,
    Workspace,
)

if TYPE_CHECKING:  # a fake of one port needs no vectors for the others
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class _Stored:
    session: Session | None = None
    updated_at: float = 0.0
    turns: list[RecordedTurn] = field(default_factory=list)
    progress: dict[str, TurnProgress] = field(default_factory=dict)
    left_by: str | None = None  # of what a conversation has left: which


class MemoryConversations:
    """`ports.Conversations` in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stored: dict[str, _Stored] = {}

    def open(self, conversation_id: str, turn_id: str | None = None) -> Opened:
        """See `ports.Conversations.open`."""
        stored = self._stored.get(conversation_id, _Stored())
        progress = stored.progress.get(turn_id) if turn_id is not None else None
        if progress is None:
            return Opened(stored.session)
        is_accepted = progress.status in ("queued", "running")
        is_admitted = is_accepted and progress.is_admitted
        return Opened(stored.session, progress.recorded, is_accepted=is_accepted, is_admitted=is_admitted)

    def start(self, session: Session) -> None:
        """See `ports.Conversations.start`."""
        if session.conversation_id in self._stored:
            raise SessionConflict(f"conversation {session.conversation_id!r} exists")
        self._stored[session.conversation_id] = _Stored(session, self._clock())

    def leave(self, conversation_id: str, state: Session) -> None:
        """See `ports.Conversations.leave`."""
        if conversation_id not in self._stored:
            raise SessionConflict(f"there is no conversation {conversation_id!r}")
        self.start(state)
        self._stored[state.conversation_id].left_by = conversation_id

    def record(self, session: Session, turn: RecordedTurn, *, begins: bool = False) -> None:
        """See `ports.Conversations.record`."""
        stored = self._stored.get(session.conversation_id)
        known = stored.progress.get(turn.turn_id) if stored else None
        if known is not None and known.status == "done":
            raise SessionConflict(f"turn {turn.turn_id!r} was recorded already")
        if begins and stored is None:
            stored = self._stored[session.conversation_id] = _Stored()
        elif begins or stored is None or stored.session is None or stored.session.version != session.version - 1:
            raise SessionConflict(f"conversation {session.conversation_id!r} has moved on")
        stored.session, stored.updated_at = session, self._clock()
        stored.turns.append(turn)
        draft = known.draft if known else None
        stored.progress[turn.turn_id] = TurnProgress(turn.turn_id, "done", self._clock(), recorded=turn, draft=draft)

    def history(self, conversation_id: str, *, limit: int, before: int | None = None) -> tuple[RecordedTurn, ...]:
        """See `ports.Conversations.history`."""
        turns = self._stored.get(conversation_id, _Stored()).turns
        return tuple(turn for turn in turns if before is None or turn.number < before)[-limit:]

    def of_user(self, user_id: str, *, limit: int, before: float | None = None) -> tuple[Listed, ...]:
        """See `ports.Conversations.of_user`."""
        known = [(each.session, each) for each in self._stored.values() if each.left_by is None]
        listed = [
            Listed(session.conversation_id, each.updated_at)
            for session, each in known
            if session is not None and session.user_id == user_id and (before is None or each.updated_at < before)
        ]
        return tuple(sorted(listed, key=lambda each: -each.updated_at)[:limit])

    def erase(self, conversation_id: str) -> None:
        """See `ports.Conversations.erase`."""
        left = [key for key, each in self._stored.items() if each.left_by == conversation_id]
        for each in (conversation_id, *left):
            self._stored.pop(each, None)

    def accept(self, turn: Turn) -> TurnProgress | None:
        """See `ports.Conversations.accept`."""
        stored = self._stored.get(turn.conversation_id)
        if stored is None:
            raise NotFound(f"there is no conversation {turn.conversation_id!r}, or it was erased")
        known = stored.progress.get(turn.id)
        if known is not None and known.as_of(self._clock()).status != "failed":
            return known
        stored.progress[turn.id] = TurnProgress(turn.id, "queued", self._clock())
        return None

    def progress(self, conversation_id: str, turn_id: str) -> TurnProgress | None:
        """See `ports.Conversations.progress`."""
        known = self._stored.get(conversation_id, _Stored()).progress.get(turn_id)
        return known and known.as_of(self._clock())

    def mark_running(self, turn: Turn) -> None:
        """See `ports.Conversations.mark_running`."""
        self._mark(turn, TurnProgress(turn.id, "running", self._clock()))

    def mark_admitted(self, turn: Turn) -> None:
        """See `ports.Conversations.mark_admitted`."""
        stored = self._stored.get(turn.conversation_id, _Stored())
        if turn.id in stored.progress:
            stored.progress[turn.id] = replace(stored.progress[turn.id], is_admitted=True)

    def mark_failed(self, turn: Turn, reason: str) -> None:
        """See `ports.Conversations.mark_failed`."""
        self._mark(turn, TurnProgress(turn.id, "failed", self._clock(), reason))

    def rate(self, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        """See `ports.Conversations.rate`."""
        stored = self._stored.get(conversation_id, _Stored())
        known = stored.progress.get(turn_id)
        if known is None or known.recorded is None:
            raise NotFound(f"no turn {turn_id!r} was answered in this conversation")
        rated = replace(known.recorded, feedback=feedback)
        stored.turns[known.recorded.number - stored.turns[0].number] = rated
        stored.progress[turn_id] = replace(known, recorded=rated)

    def mark_delivered(self, conversation_id: str, turn_id: str, posts: int) -> None:
        """See `ports.Conversations.mark_delivered`."""
        stored = self._stored.get(conversation_id, _Stored())
        if turn_id in stored.progress:
            stored.progress[turn_id] = replace(stored.progress[turn_id], delivered=posts)

    def mark_drafted(self, conversation_id: str, turn_id: str, draft: str) -> None:
        """See `ports.Conversations.mark_drafted`."""
        stored = self._stored.get(conversation_id, _Stored())
        if turn_id in stored.progress:
            stored.progress[turn_id] = replace(stored.progress[turn_id], draft=draft)

    def _mark(self, turn: Turn, progress: TurnProgress) -> None:
        stored = self._stored.get(turn.conversation_id, _Stored())
        known = stored.progress.get(turn.id)
        if known is not None and known.status != "done":
            stored.progress[turn.id] = replace(
                progress, delivered=known.delivered, draft=known.draft, is_admitted=known.is_admitted
            )


class MemoryUsage:
    """`ports.Usage` in two dictionaries."""

    def __init__(self) -> None:
        self.turns: dict[str, int] = defaultdict(int)
        self.tokens: dict[str, int] = defaultdict(int)

    def take(self, meter: Meter, *, most_turns: int | None, most_tokens: int | None) -> bool:
        """See `ports.Usage.take`."""
        if most_turns is not None and self.turns[meter.id] >= most_turns:
            return False
        if most_tokens is not None and self.tokens[meter.id] >= most_tokens:
            return False
        self.turns[meter.id] += 1
        return True

    def spend(self, meter: Meter, tokens: int) -> None:
        """See `ports.Usage.spend`."""
        self.tokens[meter.id] += tokens


def unmetered(clock: Clock) -> Metering:
    """Metering without limits."""
    return Metering(MemoryUsage(), Quotas(), {}, clock)


def memory_callers(*bots: str, operator_key: bytes = b"", **more: Any) -> Callers:
    """Who callers of bots of one tenant are."""
    return Callers({bot: Access() for bot in bots}, time.time, lambda: operator_key, **more)


class MemoryIdentities:
    """`ports.Identities` in a dictionary."""

    def __init__(self, **identities: Identity) -> None:
        self._identities = identities

    def identify(self, token: str) -> Identity:
        """See `ports.Identities.identify`."""
        if token not in self._identities:
            raise NotKnown("this token is not valid here")
        return self._identities[token]


@dataclass(slots=True)
class _Question:
    asked: Asked = field(default_factory=Asked)
    expires_at: float = 0.0
    bot: str = ""
    changed_at: float = 0.0  # 0: nothing was ever shared


class MemoryReplies:
    """`ports.Replies` in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._questions: dict[str, _Question] = {}
        self._tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)

    def get(self, key: str) -> Asked:
        """See `ports.Replies.get`."""
        return self._known(key).asked

    def claim(self, key: str, *, until: float, expires_at: float) -> bool:
        """See `ports.Replies.claim`."""
        known = self._known(key).asked
        is_free = known.claimed_until <= self._clock()
        claimed = Asked(None, known.times + 1, until if is_free else known.claimed_until)
        self._questions[key] = _Question(claimed, expires_at)
        return is_free

    def settle(self, key: str) -> None:
        """See `ports.Replies.settle`."""
        known = self._known(key)
        known.asked = replace(known.asked, claimed_until=0.0)

    def put(self, key: str, bot: str, shared: SharedReply, *, expires_at: float, asked: int = 0) -> bool:
        """See `ports.Replies.put`."""
        if self._known(key).asked.times < asked:
            self.settle(key)
            return False
        self._questions[key] = _Question(Asked(shared), expires_at, bot, self._clock())
        return True

    def drop(self, key: str, bot: str, *, expires_at: float) -> None:
        """See `ports.Replies.drop`."""
        self._questions[key] = _Question(Asked(), expires_at, bot, self._clock())

    def made_in(self, origin: str) -> list[str]:
        """See `ports.Replies.made_in`."""
        known = {key: self._known(key).asked.shared for key in self._questions}
        return [key for key, shared in known.items() if shared is not None and shared.origin == origin]

    def changes(self, bot: str, *, since: float, limit: int) -> list[Change]:
        """See `ports.Replies.changes`."""
        known = [(key, self._known(key)) for key in self._questions]
        changes = [
            Change(key, question.changed_at, question.asked.shared)
            for key, question in known
            if question.bot == bot and question.changed_at > since
        ]
        return sorted(changes, key=lambda change: -change.changed_at)[:limit]

    def tally(self, bot: str, day: str, *, wrong: bool | None = None) -> Tally:
        """See `ports.Replies.tally`."""
        if wrong is not None:
            known = self._tallies[bot, day]
            self._tallies[bot, day] = Tally(known.checked + 1, known.wrong + wrong)
        return self._tallies[bot, day]

    def _known(self, key: str) -> _Question:
        known = self._questions.get(key)
        return known if known is not None and known.expires_at > self._clock() else _Question()


class MemoryHotReplies:
    """`ports.HotReplies` in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[bytes, float]] = {}
        self.fails_with: Unavailable | None = None  # what every call raises, while it is set

    def get(self, key: str) -> bytes | None:
        """See `ports.HotReplies.get`."""
        self._check()
        content, expires_at = self._kept.get(key, (None, 0.0))
        return content if expires_at > self._clock() else None

    def put(self, key: str, content: bytes, *, seconds: int) -> None:
        """See `ports.HotReplies.put`."""
        self._check()
        self._kept[key] = (content, self._clock() + seconds)

    def drop(self, key: str) -> None:
        """See `ports.HotReplies.drop`."""
        self._check()
        self._kept.pop(key, None)

    def _check(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with


class MemoryMetrics:
    """`ports.Metrics` in a list."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, value: float = 1, **dimensions: str) -> None:
        """See `ports.Metrics.count`."""
        self.counted.append((name, value, dimensions))

    def total(self, name: str, **dimensions: str) -> float:
        """The sum of what was counted under a name."""
        return sum(value for each, value, about in self.counted if each == name and dimensions.items() <= about.items())


class MemoryGenerator:
    """`ports.Generator` that says what a test gave it, or fails as a test wants it to."""

    def __init__(self, *pieces: str, fails_with: ParleyError | None = None) -> None:
        self.prompts: list[Prompt] = []
        self._pieces = pieces
        self._fails_with = fails_with

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return "memory"

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        del patience  # takes no time
        self.prompts.append(prompt)
        yield from self._pieces
        if self._fails_with is not None:
            raise self._fails_with


class MemoryResponse:
    """`ports.ResponseStream` that keeps what was sent."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.pieces: list[bytes] = []

    @property
    def has_begun(self) -> bool:
        """See `ports.ResponseStream.has_begun`."""
        return self.status is not None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """See `ports.ResponseStream.begin`."""
        self.status, self.headers = status, headers

    def write(self, content: bytes) -> None:
        """See `ports.ResponseStream.write`."""
        self.pieces.append(content)


class MemoryQueue:
    """`ports.TurnQueue` in a list."""

    def __init__(self) -> None:
        self.sent: list[Turn] = []
        self.remarks: list[Remark] = []

    def send(self, turn: Turn) -> None:
        """See `ports.TurnQueue.send`."""
        self.sent.append(replace(turn))

    def tell(self, remark: Remark) -> None:
        """See `ports.TurnQueue.tell`."""
        if remark not in self.remarks:
            self.remarks.append(remark)


class MemoryLateQueue:
    """`ports.LateQueue` in a list."""

    def __init__(self) -> None:
        self.sent: list[tuple[LateTurn, int]] = []

    def send(self, late: LateTurn, *, delay_seconds: int) -> None:
        """See `ports.LateQueue.send`."""
        self.sent.append((late, delay_seconds))


class MemoryConnections:
    """`ports.Connections` in dictionaries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listening: dict[str, tuple[str, Listener, float]] = {}  # until when
        self._cancelled: set[tuple[str, str]] = set()
        self._origins: dict[str, tuple[str, float]] = {}  # until when

    def open(self, connection_id: str, origin: str) -> None:
        """See `ports.Connections.open`."""
        self._origins[connection_id] = (origin, self._clock() + LIFETIME_SECONDS)

    def origin_of(self, connection_id: str) -> str | None:
        """See `ports.Connections.origin_of`."""
        origin, until = self._origins.get(connection_id, (None, 0.0))
        return origin if until > self._clock() else None

    def listen(self, connection_id: str, conversation_id: str, *, turn_id: str | None = None, after: int = 0) -> None:
        """See `ports.Connections.listen`."""
        until = self._clock() + LIFETIME_SECONDS
        self._listening[connection_id] = (conversation_id, Listener(connection_id, turn_id, after), until)

    def conversation_of(self, connection_id: str) -> str | None:
        """See `ports.Connections.conversation_of`."""
        conversation_id, _, until = self._listening.get(connection_id, (None, None, 0.0))
        return conversation_id if until > self._clock() else None

    def listeners(self, conversation_id: str) -> Listeners:
        """See `ports.Connections.listeners`."""
        listening = list(self._listening.values())  # a copy: who sends reads in another thread than who connects
        now = self._clock()
        return Listeners(
            tuple(who for conversation, who, until in listening if conversation == conversation_id and until > now),
            frozenset(turn for conversation, turn in set(self._cancelled) if conversation == conversation_id),
        )

    def cancel(self, conversation_id: str, turn_id: str) -> None:
        """See `ports.Connections.cancel`."""
        self._cancelled.add((conversation_id, turn_id))

    def close(self, connection_id: str) -> None:
        """See `ports.Connections.close`."""
        self._listening.pop(connection_id, None)


class MemoryKeys:
    """`ports.Keys` in a dictionary."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    def get(self, key_id: str) -> ApiKey | None:
        """See `ports.Keys.get`."""
        return self._keys.get(key_id)

    def list(self) -> tuple[ApiKey, ...]:
        """See `ports.Keys.list`."""
        return tuple(sorted(self._keys.values(), key=lambda key: key.created_at))

    def save(self, key: ApiKey) -> None:
        """See `ports.Keys.save`."""
        stored = self._keys.get(key.id)
        if (stored.version if stored else 0) != key.version - 1:
            raise SessionConflict("somebody else changed this first")
        self._keys[key.id] = key

    def delete(self, key_id: str) -> bool:
        """See `ports.Keys.delete`."""
        return self._keys.pop(key_id, None) is not None


class MemorySubscriptions:
    """`ports.Subscriptions` in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, Subscription] = {}

    def get(self, subscription_id: str) -> Subscription | None:
        """See `ports.Subscriptions.get`."""
        return self._kept.get(subscription_id)

    def list(self, tenant: str) -> Sequence[Subscription]:
        """See `ports.Subscriptions.list`."""
        own = (each for each in self._kept.values() if each.tenant == tenant)
        return sorted(own, key=lambda each: each.created_at)

    def save(self, subscription: Subscription) -> None:
        """See `ports.Subscriptions.save`."""
        known = self._kept.get(subscription.id)
        if subscription.version != (known.version if known else 0) + 1:
            raise SessionConflict("somebody else changed this first")
        self._kept[subscription.id] = subscription

    def delete(self, subscription_id: str) -> bool:
        """See `ports.Subscriptions.delete`."""
        return self._kept.pop(subscription_id, None) is not None


class MemorySealing:
    """`ports.Sealing` that seals nothing, but knows what each secret is of."""

    def seal(self, secret: str, *, of: str) -> str:
        """See `ports.Sealing.seal`."""
        return f"{of} {secret}"

    def unseal(self, sealed: str, *, of: str) -> str:
        """See `ports.Sealing.unseal`."""
        owner, _, secret = sealed.partition(" ")
        if owner != of:
            raise Unavailable("the secret could not be unsealed")
        return secret


class MemoryDeliveries:
    """`ports.Deliveries` in dictionaries."""

    def __init__(self) -> None:
        self._health: dict[str, Health] = {}
        self._dead: dict[str, list[DeadDelivery]] = defaultdict(list)

    def health(self, to: str) -> Health:
        """See `ports.Deliveries.health`."""
        return self._health.get(to, Health())

    def take_place(self, to: str, seen: Health, *, now: float, until: float) -> int | None:
        """See `ports.Deliveries.take_place`."""
        known = self._health.setdefault(to, Health())
        free = known.free_places(now=now)
        place = next((each for each in seen.free_places(now=now) if each in free), None)
        if place is not None:
            self._change(to, taken_until=_with(known.taken_until, place, until))
        return place

    def succeeded(self, to: str, place: int, *, now: float) -> None:
        """See `ports.Deliveries.succeeded`."""
        taken = _with(self.health(to).taken_until, place, 0.0)
        self._change(to, succeeded_at=now, failures=0, failing_since=None, rests_until=None, taken_until=taken)

    def failed(self, to: str, place: int, *, now: float, because: str, row_since: float) -> Health:
        """See `ports.Deliveries.failed`."""
        known = self.health(to)
        taken = _with(known.taken_until, place, 0.0)
        goes_on = known.failing_since is not None and known.failed_at is not None and known.failed_at >= row_since
        failures, since = (known.failures + 1, known.failing_since) if goes_on else (1, now)
        noted = {"failed_at": now, "failure": because, "failures": failures, "failing_since": since}
        self._change(to, **noted, taken_until=taken)
        return self.health(to)

    def rest(self, to: str, *, until: float) -> None:
        """See `ports.Deliveries.rest`."""
        self._change(to, rests_until=until)

    def disable(self, to: str, *, now: float, because: str) -> None:
        """See `ports.Deliveries.disable`."""
        self._change(to, disabled_at=now, disabled_because=because)

    def enable(self, to: str) -> None:
        """See `ports.Deliveries.enable`."""
        self._change(to, failures=0, failing_since=None, rests_until=None, disabled_at=None, disabled_because=None)

    def bury(self, dead: DeadDelivery) -> None:
        """See `ports.Deliveries.bury`."""
        self._dead[dead.delivery.to].append(dead)
        self._dead[dead.delivery.to].sort(key=lambda each: (each.died_at, each.delivery.id))

    def dead(self, to: str, *, limit: int, since: float = 0.0) -> Sequence[DeadDelivery]:
        """See `ports.Deliveries.dead`."""
        return tuple(each for each in self._dead.get(to, ()) if each.died_at >= since)[:limit]

    def count_dead(self, to: str) -> int:
        """See `ports.Deliveries.count_dead`."""
        return len(self._dead.get(to, ()))

    def unbury(self, dead: DeadDelivery) -> None:
        """See `ports.Deliveries.unbury`."""
        self._dead[dead.delivery.to] = [each for each in self._dead[dead.delivery.to] if each != dead]

    def forget(self, to: str) -> None:
        """See `ports.Deliveries.forget`."""
        self._health.pop(to, None)
        self._dead.pop(to, None)

    def _change(self, to: str, **changes: Any) -> None:
        if to in self._health:
            self._health[to] = replace(self._health[to], **changes)


def _with(taken_until: tuple[float, ...], place: int, until: float) -> tuple[float, ...]:
    return (*taken_until[:place], until, *taken_until[place + 1 :])


@dataclass(slots=True)
class MemoryDeliveryQueue:
    """`ports.DeliveryQueue` in a list, each with its delay."""

    sent: list[tuple[Delivery, int]] = field(default_factory=list)

    def send(self, deliveries: Sequence[Delivery], *, delay_seconds: int = 0) -> None:
        """See `ports.DeliveryQueue.send`."""
        self.sent += [(each, delay_seconds) for each in deliveries]


@dataclass(slots=True)
class MemoryPosts:
    """`ports.Posts` to servers that answer what is said here, and otherwise that they have taken it."""

    answers: dict[str, Taken | Unavailable] = field(default_factory=dict)  # by URL
    refused: Collection[str] = ()  # URLs that are no place to post to
    posted: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    def check(self, url: str) -> None:
        """See `ports.Posts.check`."""
        if url in self.refused:
            raise MalformedRequest("the url is not on the public internet")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """See `ports.Posts.post`."""
        self.posted.append((url, headers, body))
        answer = self.answers.get(url, Taken(204))
        if isinstance(answer, Unavailable):
            raise answer
        return answer


class MemorySockets:
    """`ports.Sockets` in lists; a connection is open until a test says that it is gone."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []  # (connection, frame), in the order of sending
        self.gone: set[str] = set()

    def send(self, connection_id: str, frame: str) -> bool:
        """See `ports.Sockets.send`."""
        if connection_id in self.gone:
            return False
        self.sent.append((connection_id, frame))
        return True


class MemorySlack:
    """`ports.Slack` in a list; what a test puts into `fails_with` is raised, one for each post or update."""

    def __init__(self) -> None:
        self.posts: list[tuple[SlackThread, SlackPost]] = []  # as they read now; the first one's name is "1"
        self.updates: list[tuple[str, SlackPost]] = []
        self.responses: list[tuple[str, SlackPost]] = []
        self.fails_with: list[ParleyError] = []

    def post(self, where: SlackThread, post: SlackPost) -> str:
        """See `ports.Slack.post`."""
        if self.fails_with:
            raise self.fails_with.pop(0)
        self.posts.append((where, post))
        return str(len(self.posts))

    def update(self, where: SlackThread, name: str, post: SlackPost) -> None:
        """See `ports.Slack.update`."""
        if self.fails_with:
            raise self.fails_with.pop(0)
        if not (name.isdecimal() and 0 < int(name) <= len(self.posts)):
            raise Undeliverable("there is no such post", reason="message_not_found")
        self.posts[int(name) - 1] = (where, post)
        self.updates.append((name, post))

    def respond(self, url: str, post: SlackPost, *, thread: str | None = None) -> None:  # noqa: ARG002
        """See `ports.SlackResponses.respond`."""
        if self.fails_with:
            raise self.fails_with.pop(0)
        self.responses.append((url, post))


class MemoryWorkspaces:
    """`ports.Workspaces` in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Workspace, str]] = {}

    def get(self, team: str) -> Workspace | None:
        """See `ports.Workspaces.get`."""
        return self._kept[team][0] if team in self._kept else None

    def token(self, team: str) -> str | None:
        """See `ports.Workspaces.token`."""
        return self._kept[team][1] if team in self._kept else None

    def save(self, workspace: Workspace, token: str) -> None:
        """See `ports.Workspaces.save`."""
        self._kept[workspace.team] = (workspace, token)

    def delete(self, team: str, *, before: float) -> bool:
        """See `ports.Workspaces.delete`."""
        if team not in self._kept or self._kept[team][0].installed_at >= before:
            return False
        del self._kept[team]
        return True


class MemorySlackApp:
    """`ports.SlackApp` that knows what each code stands for; each is good once."""

    def __init__(self, grants: Mapping[str, Grant]) -> None:
        self._grants = dict(grants)

    def grant(self, code: str) -> Grant:
        """See `ports.SlackApp.grant`."""
        if code not in self._grants:
            raise MalformedRequest("Slack does not take this code: invalid_code")
        return self._grants.pop(code)


def memory_lines(clock: Clock = time.time) -> Lines:
    """Lines to nobody yet."""
    return Lines(MemoryConnections(clock), MemorySockets(), MemoryLateQueue())


class MemoryActions:
    """`ports.Actions` that answers, by the action's name, as a test wants it to: nothing, if nothing is said."""

    def __init__(self, answers: Mapping[str, ActionAnswer | ParleyError] | None = None) -> None:
        self.requests: list[ActionRequest] = []
        self._answers = answers or {}

    def run(self, where: CustomActions, request: ActionRequest, *, budget_seconds: float) -> ActionAnswer:
        """See `ports.Actions.run`."""
        if not where.serves(request.action):
            raise ActionFailed(f"{request.action}: nobody runs it")
        if budget_seconds <= 0:
            raise ActionFailed(f"{request.action}: no time was left for it")
        self.requests.append(request)
        answer = self._answers.get(request.action, ActionAnswer())
        if isinstance(answer, ParleyError):
            raise answer
        return answer


class MemoryAnnouncements:
    """`ports.Announcements` in a list, or away."""

    def __init__(self, fails_with: ParleyError | None = None) -> None:
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self._fails_with = fails_with

    def announce(self, kind: str, detail: Mapping[str, Any]) -> None:
        """See `ports.Announcements.announce`."""
        if self._fails_with is not None:
            raise self._fails_with
        self.told.append((kind, detail))


class MemoryDocuments:
    """`ports.Documents` in a dictionary."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], bytes] = {}

    def list(self, bot: str) -> tuple[StoredDocument, ...]:
        """See `ports.Documents.list`."""
        return tuple(
            StoredDocument(name, hashlib.sha256(content).hexdigest())
            for (of, name), content in sorted(self._stored.items())
            if of == bot
        )

    def read(self, bot: str, name: str) -> bytes:
        """See `ports.Documents.read`."""
        if (bot, name) not in self._stored:
            raise NotFound("there is no such document")
        return self._stored[bot, name]

    def write(self, bot: str, name: str, content: bytes) -> None:
        """See `ports.Documents.write`."""
        self._stored[bot, name] = content

    def delete(self, bot: str, name: str) -> None:
        """See `ports.Documents.delete`."""
        self._stored.pop((bot, name), None)


class MemoryUploads:
    """`ports.Uploads` in a dictionary."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, str], tuple[Upload, bytes]] = {}

    def put(self, bot: str, conversation_id: str, upload: Upload, content: bytes) -> None:
        """See `ports.Uploads.put`."""
        self.stored[bot, conversation_id, upload.id] = upload, content

    def find(self, bot: str, conversation_id: str, upload_id: str) -> Upload | None:
        """See `ports.Uploads.find`."""
        found = self.stored.get((bot, conversation_id, upload_id))
        return found[0] if found else None

    def read(self, bot: str, conversation_id: str, upload_id: str) -> tuple[Upload, bytes]:
        """See `ports.Uploads.read`."""
        if (bot, conversation_id, upload_id) not in self.stored:
            raise NotFound(f"there is no upload {upload_id!r} in this conversation")
        return self.stored[bot, conversation_id, upload_id]

    def erase(self, bot: str, conversation_id: str) -> None:
        """See `ports.Uploads.erase`."""
        for key in [key for key in self.stored if key[:2] == (bot, conversation_id)]:
            del self.stored[key]


class MemoryPages:
    """`ports.Pages` that gives, by URL, what a test put there."""

    def __init__(self, pages: Mapping[str, Page | ParleyError] | None = None) -> None:
        self.pages = dict(pages or {})
        self.fetched: list[str] = []

    def fetch(self, url: str) -> Page:
        """See `ports.Pages.fetch`."""
        self.fetched.append(url)
        page = self.pages.get(url, Unreadable(url, "there is no such page"))
        if isinstance(page, ParleyError):
            raise page
        return page


class MemoryLibraries:
    """`ports.Libraries` in dictionaries."""

    def __init__(self) -> None:
        self._catalogues: dict[str, Catalogue] = {}
        self._files: dict[tuple[str, str], bytes] = {}

    def catalogue(self, bot: str) -> Catalogue:
        """See `ports.Libraries.catalogue`."""
        return self._catalogues.get(bot, Catalogue())

    def read(self, bot: str, file: str) -> bytes:
        """See `ports.Libraries.read`."""
        if (bot, file) not in self._files:
            raise NotFound("there is no such document")
        return self._files[bot, file]

    def publish(self, bot: str, catalogue: Catalogue, content: bytes) -> None:
        """See `ports.Libraries.publish`."""
        self._files[bot, catalogue.file] = content
        self._catalogues[bot] = catalogue


class MemoryPassages:
    """`ports.PassageStore` in dictionaries."""

    def __init__(self) -> None:
        self._shelves: dict[str, dict[str, StoredPassage]] = defaultdict(dict)

    def put(self, shelf: str, passages: Iterable[StoredPassage]) -> None:
        """See `ports.PassageStore.put`."""
        self._shelves[shelf] |= {each.id: each for each in passages}

    def delete(self, shelf: str, ids: Iterable[str]) -> None:
        """See `ports.PassageStore.delete`."""
        for id_ in ids:
            self._shelves[shelf].pop(id_, None)

    def nearest(self, shelf: str, vector: NDArray[np.float32], *, limit: int) -> tuple[bytes, ...]:
        """See `ports.PassageStore.nearest`."""
        ranked = sorted(self._shelves[shelf].values(), key=lambda each: -float(each.vector @ vector))
        return tuple(each.content for each in ranked[: min(limit, MOST_NEAREST)])

    def beginning(self, shelf: str, prefix: str) -> tuple[bytes, ...]:
        """See `ports.PassageStore.beginning`."""
        found = self._shelves[shelf]
        return tuple(found[id_].content for id_ in sorted(found) if id_.startswith(prefix))
