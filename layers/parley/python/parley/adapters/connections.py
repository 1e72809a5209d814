"""Open WebSocket connections in the table `connections`.

Two small items for each: by connection, which conversation it listens to, and by
conversation, who listens. What was cancelled lies beside the latter, so that the worker
sees both with one query. A third says whose page has connected, where that matters. All
of it expires by itself.
"""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from parley.adapters.tables import PATIENCE, bind, translated
from parley.ports import LIFETIME_SECONDS, Clock, Listener, Listeners

_CONNECTION, _CANCELLED, _SELF, _PAGE = "connection#", "cancelled#", "listens", "page"


class _Item(Model):
    """What every item of `connections` may carry. The table is bound in `tables.bind`."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()
    conversation_id = UnicodeAttribute(null=True)  # by connection
    turn_id = UnicodeAttribute(null=True)  # by conversation: of the turn that it follows
    after = NumberAttribute(null=True)
    origin = UnicodeAttribute(null=True)  # by connection


class DynamoConnections:
    """`ports.Connections` in the table `connections`."""

    def __init__(self, table: str, *, clock: Clock) -> None:
        self._item = bind(_Item, table)
        self._connection = Connection(**PATIENCE)
        self._clock = clock

    def open(self, connection_id: str, origin: str) -> None:
        """See `ports.Connections.open`."""
        with translated():
            self._new(_by_connection(connection_id), _PAGE, origin=origin).save()

    def origin_of(self, connection_id: str) -> str | None:
        """See `ports.Connections.origin_of`."""
        with translated():
            try:
                item = self._item.get(_by_connection(connection_id), _PAGE, consistent_read=True)
            except DoesNotExist:
                return None
        return item.origin if item.expires_at > self._clock() else None

    def listen(self, connection_id: str, conversation_id: str, *, turn_id: str | None = None, after: int = 0) -> None:
        """See `ports.Connections.listen`."""
        before = self.conversation_of(connection_id)
        listens = self._new(_by_connection(connection_id), _SELF, conversation_id=conversation_id)
        listener = self._new(
            _by_conversation(conversation_id), _CONNECTION + connection_id, turn_id=turn_id, after=after
        )
        with translated(), TransactWrite(connection=self._connection) as transaction:
            transaction.save(listens)
            transaction.save(listener)
            if before is not None and before != conversation_id:
                transaction.delete(self._item(_by_conversation(before), _CONNECTION + connection_id))

    def conversation_of(self, connection_id: str) -> str | None:
        """See `ports.Connections.conversation_of`."""
        with translated():
            try:
                item = self._item.get(_by_connection(connection_id), _SELF, consistent_read=True)
            except DoesNotExist:
                return None
        return item.conversation_id if item.expires_at > self._clock() else None

    def listeners(self, conversation_id: str) -> Listeners:
        """See `ports.Connections.listeners`."""
        with translated():
            items = [
                item
                for item in self._item.query(_by_conversation(conversation_id), consistent_read=True)
                if item.expires_at > self._clock()
            ]
        return Listeners(
            tuple(
                Listener(item.sk.removeprefix(_CONNECTION), item.turn_id, int(item.after or 0))
                for item in items
                if item.sk.startswith(_CONNECTION)
            ),
            frozenset(item.sk.removeprefix(_CANCELLED) for item in items if item.sk.startswith(_CANCELLED)),
        )

    def cancel(self, conversation_id: str, turn_id: str) -> None:
        """See `ports.Connections.cancel`."""
        with translated():
            self._new(_by_conversation(conversation_id), _CANCELLED + turn_id).save()

    def close(self, connection_id: str) -> None:
        """See `ports.Connections.close`."""
        conversation_id = self.conversation_of(connection_id)
        if conversation_id is None:
            return
        with translated(), TransactWrite(connection=self._connection) as transaction:
            transaction.delete(self._item(_by_connection(connection_id), _SELF))
            transaction.delete(self._item(_by_conversation(conversation_id), _CONNECTION + connection_id))

    def _new(
        self,
        pk: str,
        sk: str,
        *,
        conversation_id: str | None = None,
        turn_id: str | None = None,
        after: int | None = None,
        origin: str | None = None,
    ) -> _Item:
        return self._item(
            pk,
            sk,
            expires_at=int(self._clock()) + LIFETIME_SECONDS,
            conversation_id=conversation_id,
            turn_id=turn_id,
            after=after,
            origin=origin,
        )


def _by_connection(connection_id: str) -> str:
    return f"connection#{connection_id}"


def _by_conversation(conversation_id: str) -> str:
    return f"conversation#{conversation_id}"
