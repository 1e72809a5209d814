"""Conversations in DynamoDB.

`conversations` holds, for each conversation, one `state` item, one item per turn and
one small `request#` item per turn id, and a `left#` item for a state that it has left to
others, which is kept as a `state` item of its own. No item grows, so a conversation of thousands of
turns works like its first. What an item means stands in its `body` as JSON; the other
attributes are what DynamoDB itself must compare, index or expire.
"""

from dataclasses import replace
from typing import Any

import msgspec
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from parley.adapters.tables import LOST, PATIENCE, SINGLE_RACES, Held, again_where_held, bind, translated
from parley.conversation import Feedback, RecordedTurn, Session, Turn, TurnProgress
from parley.conversation.session import GIVEN_UP_SECONDS
from parley.errors import NotFound, SessionConflict, Unavailable
from parley.ports import Clock, Listed, Opened

SECONDS_PER_DAY = 86_400
_ERASURE_TRIES = 5  # turns under way may hold the state item for a moment
_STATE = "state"
_LEFT = "left#"


class _ByUser(GlobalSecondaryIndex["_Item"]):  # type: ignore[no-untyped-call]
    """The state items of users, in the order in which their conversations went on."""

    class Meta:
        """What PynamoDB reads."""

        index_name = "by_user"
        projection = KeysOnlyProjection()

    user_id = UnicodeAttribute(hash_key=True)
    updated_at = NumberAttribute(range_key=True)


class _Item(Model):
    """What every item of `conversations` may carry. The table is bound in `_bind`."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()
    body = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)  # state: the number of the last turn; negative while it is being erased
    user_id = UnicodeAttribute(null=True)  # state: for the index by user
    updated_at = NumberAttribute(null=True)
    status = UnicodeAttribute(null=True)  # request
    reason = UnicodeAttribute(null=True)
    number = NumberAttribute(null=True)
    feedback = UnicodeAttribute(null=True)  # turn: as JSON
    bot = UnicodeAttribute(null=True)  # turn: this and the next two for who follows the table's stream, which
    said_by = UnicodeAttribute(null=True)  # shows one item at a time (`conversation_stream`)
    handed_off_at = NumberAttribute(null=True)
    delivered = NumberAttribute(null=True)  # request: posts that the channel has taken
    draft = UnicodeAttribute(null=True)  # request: the post that shows the reply while it is made
    is_admitted = BooleanAttribute(null=True)  # request: counted against the quotas
    by_user = _ByUser()


class DynamoConversations:
    """`ports.Conversations` in the table `conversations`."""

    def __init__(self, table: str, *, retention_days: int, clock: Clock) -> None:
        self._item = bind(_Item, table)
        self._connection = Connection(**PATIENCE)
        self._retention_seconds = retention_days * SECONDS_PER_DAY
        self._clock = clock

    def open(self, conversation_id: str, turn_id: str | None = None) -> Opened:
        """See `ports.Conversations.open`."""
        pk = _pk(conversation_id)
        keys = [(pk, _STATE)] if turn_id is None else [(pk, _STATE), (pk, _request(turn_id))]
        with translated():
            found = {item.sk: item for item in self._item.batch_get(keys, consistent_read=True)}
        state = found.get(_STATE)
        request = found.get(_request(turn_id)) if turn_id is not None else None
        recorded = self._recorded(pk, request) if request is not None and request.status == "done" else None
        accepted = request if request is not None and request.status in ("queued", "running") else None
        return Opened(
            None if state is None else _session(state),
            recorded,
            is_accepted=accepted is not None,
            is_admitted=accepted is not None and bool(accepted.is_admitted),
        )

    def start(self, session: Session) -> None:
        """See `ports.Conversations.start`."""
        with translated():
            self._state(session).save(condition=self._item.pk.does_not_exist())

    def leave(self, conversation_id: str, state: Session) -> None:
        """See `ports.Conversations.leave`. Without its user, since the index by user has what is listed."""
        pk, left = _pk(conversation_id), state.conversation_id
        kept = self._new(_pk(left), _STATE, body=_json(state), version=state.version)
        with translated(), TransactWrite(connection=self._connection) as transaction:
            transaction.condition_check(self._item, pk, _STATE, condition=self._item.version >= 0)
            transaction.save(kept, condition=self._item.pk.does_not_exist())
            transaction.save(self._new(pk, f"{_LEFT}{left}"))

    def record(self, session: Session, turn: RecordedTurn, *, begins: bool = False) -> None:
        """See `ports.Conversations.record`. A note on the turn that comes between must not have it run again."""
        again_where_held(lambda: self._record(session, turn, begins=begins))

    def history(self, conversation_id: str, *, limit: int, before: int | None = None) -> tuple[RecordedTurn, ...]:
        """See `ports.Conversations.history`."""
        if before is not None and before <= 1:
            return ()
        last = _turn(before - 1) if before is not None else "turn#~"
        with translated():
            newest_first = self._item.query(
                _pk(conversation_id),
                self._item.sk.between(_turn(1), last),
                scan_index_forward=False,
                limit=limit,
                consistent_read=True,
            )
            return tuple(reversed([_decode_turn(item) for item in newest_first]))

    def of_user(self, user_id: str, *, limit: int, before: float | None = None) -> tuple[Listed, ...]:
        """See `ports.Conversations.of_user`."""
        earlier = None if before is None else self._item.updated_at < before
        with translated():
            found = self._item.by_user.query(user_id, earlier, scan_index_forward=False, limit=limit)
            return tuple(Listed(item.pk.removeprefix(_pk("")), float(item.updated_at)) for item in found)

    def erase(self, conversation_id: str) -> None:
        """See `ports.Conversations.erase`. The state goes last, so that what broke off can be done again.

        What was left goes before the item that tells of it, for the same reason.
        """
        pk = _pk(conversation_id)
        if not self._mark_erasing(pk):
            return
        with translated():
            keys = self._item.query(pk, attributes_to_get=["pk", "sk"], consistent_read=True)
            with self._item.batch_write() as batch:
                for item in keys:
                    if item.sk.startswith(_LEFT):
                        self._item(_pk(item.sk.removeprefix(_LEFT)), _STATE).delete()
                    if item.sk != _STATE:
                        batch.delete(item)
            self._item(pk, _STATE).delete()

    def accept(self, turn: Turn) -> TurnProgress | None:
        """See `ports.Conversations.accept`."""
        pk, now = _pk(turn.conversation_id), self._clock()
        free = self._item.pk.does_not_exist() | (self._item.status == "failed")
        stale = self._item.status.is_in("queued", "running") & (self._item.updated_at < now - GIVEN_UP_SECONDS)
        queued = self._new(pk, _request(turn.id), status="queued", updated_at=now)
        try:
            with translated(), TransactWrite(connection=self._connection) as transaction:
                transaction.condition_check(self._item, pk, _STATE, condition=self._item.version >= 0)
                transaction.save(queued, condition=free | stale)
        except SessionConflict:
            session = self.open(turn.conversation_id).session
            if session is None or session.is_being_erased:
                raise NotFound(f"there is no conversation {turn.conversation_id!r}, or it was erased") from None
            known = self.progress(turn.conversation_id, turn.id)
            if known is None:  # another turn held the state item: nothing was noted, so nothing may be queued
                raise
            return known
        return None

    def progress(self, conversation_id: str, turn_id: str) -> TurnProgress | None:
        """See `ports.Conversations.progress`."""
        pk = _pk(conversation_id)
        with translated():
            try:
                item = self._item.get(pk, _request(turn_id), consistent_read=True)
            except DoesNotExist:
                return None
        recorded = self._recorded(pk, item) if item.status == "done" else None
        progress = TurnProgress(
            turn_id,
            item.status,  # type: ignore[arg-type]
            float(item.updated_at),
            item.reason,
            recorded,
            int(item.delivered or 0),
            item.draft,
            bool(item.is_admitted),
        )
        return progress.as_of(self._clock())

    def mark_running(self, turn: Turn) -> None:
        """See `ports.Conversations.mark_running`."""
        self._mark(turn, "running", self._item.reason.remove())

    def mark_admitted(self, turn: Turn) -> None:
        """See `ports.Conversations.mark_admitted`."""
        self._note(turn.conversation_id, turn.id, self._item.is_admitted.set(True))

    def mark_failed(self, turn: Turn, reason: str) -> None:
        """See `ports.Conversations.mark_failed`."""
        self._mark(turn, "failed", self._item.reason.set(reason))

    def rate(self, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        """See `ports.Conversations.rate`. An attribute of its own, so that no turn's body is ever written again."""
        pk, missing = _pk(conversation_id), NotFound(f"no turn {turn_id!r} was answered in this conversation")
        with translated():
            try:
                request = self._item.get(pk, _request(turn_id), consistent_read=True)
            except DoesNotExist:
                raise missing from None
        if request.status != "done":
            raise missing
        turn = self._item(pk, _turn(int(request.number)))
        try:
            with translated():
                turn.update([self._item.feedback.set(_json(feedback))], condition=self._item.pk.exists())
        except SessionConflict:  # erased since
            raise missing from None

    def mark_delivered(self, conversation_id: str, turn_id: str, posts: int) -> None:
        """See `ports.Conversations.mark_delivered`."""
        self._note(conversation_id, turn_id, self._item.delivered.set(posts))

    def mark_drafted(self, conversation_id: str, turn_id: str, draft: str) -> None:
        """See `ports.Conversations.mark_drafted`."""
        self._note(conversation_id, turn_id, self._item.draft.set(draft))

    def _record(self, session: Session, turn: RecordedTurn, *, begins: bool) -> None:
        follows = self._item.pk.does_not_exist() if begins else self._item.version == session.version - 1
        pk, now = _pk(session.conversation_id), self._clock()
        with translated(), TransactWrite(connection=self._connection) as transaction:
            transaction.save(self._state(session), condition=follows)
            transaction.save(self._turn(session, turn))
            done = (
                self._item.status.set("done"),
                self._item.number.set(turn.number),
                self._item.updated_at.set(now),
                self._item.expires_at.set(int(now) + self._retention_seconds),
                self._item.reason.remove(),
                self._item.delivered.remove(),
            )
            unanswered = self._item.pk.does_not_exist() | (self._item.status != "done") | (self._item.expires_at < now)
            transaction.update(self._item(pk, _request(turn.turn_id)), [*done], condition=unanswered)

    def _note(self, conversation_id: str, turn_id: str, change: Any) -> None:
        item = self._item(_pk(conversation_id), _request(turn_id))
        self._update(item, [change], self._item.pk.exists())  # else it was erased

    def _mark_erasing(self, pk: str) -> bool:
        """Keeps turns under way from being saved; False if there is no conversation."""
        for _ in range(_ERASURE_TRIES):
            try:
                self._item(pk, _STATE).update([self._item.version.set(-1)], condition=self._item.pk.exists())
            except UpdateError as error:
                if error.cause_response_code == f"{LOST}Exception":
                    return False
                if error.cause_response_code not in SINGLE_RACES:
                    raise Unavailable("the database did not take the change") from error
            else:
                return True
        raise Unavailable("the conversation is being written to; try again")

    def _mark(self, turn: Turn, status: str, *more: Any) -> None:
        item = self._item(_pk(turn.conversation_id), _request(turn.id))
        changes = [self._item.status.set(status), self._item.updated_at.set(self._clock()), *more]
        # Else it is done, or erased: both stay as they are.
        self._update(item, changes, self._item.pk.exists() & (self._item.status != "done"))

    def _update(self, item: _Item, changes: list[Any], condition: Any) -> None:
        """Changes an item where the condition holds, and nothing where it does not."""

        def write() -> None:
            with translated():
                item.update(changes, condition=condition)

        try:
            again_where_held(write)
        except Held as error:
            raise Unavailable("the conversation is being written to; try again") from error
        except SessionConflict:
            return

    def _state(self, session: Session) -> _Item:
        return self._new(
            _pk(session.conversation_id),
            _STATE,
            body=_json(session),
            version=session.version,
            user_id=session.user_id,
            updated_at=self._clock(),
        )

    def _turn(self, session: Session, turn: RecordedTurn) -> _Item:
        return self._new(
            _pk(session.conversation_id),
            _turn(turn.number),
            number=turn.number,
            body=_json(turn),
            bot=session.bot,
            said_by=session.user_id,
            handed_off_at=session.handed_off_at,
        )

    def _new(self, pk: str, sk: str, **attributes: Any) -> _Item:
        return self._item(pk, sk, expires_at=int(self._clock()) + self._retention_seconds, **attributes)

    def _recorded(self, pk: str, request: _Item) -> RecordedTurn | None:
        with translated():
            try:
                return _decode_turn(self._item.get(pk, _turn(int(request.number)), consistent_read=True))
            except DoesNotExist:  # expired, or being erased, a moment before its request
                return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _decode_turn(item: _Item) -> RecordedTurn:
    turn = msgspec.json.decode(item.body, type=RecordedTurn)
    return replace(turn, feedback=msgspec.json.decode(item.feedback, type=Feedback)) if item.feedback else turn


def _session(item: _Item) -> Session:
    session = msgspec.json.decode(item.body, type=Session)
    return session if item.version >= 0 else replace(session, version=-1)


def _pk(conversation_id: str) -> str:
    return f"conversation#{conversation_id}"


def _turn(number: int) -> str:
    return f"turn#{number:06d}"


def _request(turn_id: str) -> str:
    return f"request#{turn_id}"
