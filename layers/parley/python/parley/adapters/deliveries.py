"""What becomes of messages, in the table `deliveries`: a `health` item for each address, and one for each dead message.

The places of those that are posted at once are attributes of the health item, each with the time until which it is
taken, so that taking one is one write on a condition, and a function that ended in the middle holds none for long.
"""

import random
from typing import Any

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from parley.adapters.tables import bind, translated
from parley.errors import SessionConflict
from parley.ports import Clock, DeadDelivery, Health

DEAD_SECONDS = 14 * 86_400
_HEALTH, _DEAD = "health", "dead#"


class _Item(Model):
    """What every item of `deliveries` may carry. The table is bound in `tables.bind`."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute(null=True)  # dead: two weeks after it died
    body = UnicodeAttribute(null=True)  # dead: as JSON
    succeeded_at = NumberAttribute(null=True)  # this and the rest: health
    failed_at = NumberAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    failures = NumberAttribute(null=True)
    failing_since = NumberAttribute(null=True)
    rests_until = NumberAttribute(null=True)
    disabled_at = NumberAttribute(null=True)
    disabled_because = UnicodeAttribute(null=True)
    place_0 = NumberAttribute(null=True)
    place_1 = NumberAttribute(null=True)
    place_2 = NumberAttribute(null=True)
    place_3 = NumberAttribute(null=True)


class DynamoDeliveries:
    """`ports.Deliveries` in the table `deliveries`."""

    def __init__(self, table: str, *, clock: Clock) -> None:
        self._item = bind(_Item, table)
        self._places = (self._item.place_0, self._item.place_1, self._item.place_2, self._item.place_3)
        self._clock = clock

    def health(self, to: str) -> Health:
        """See `ports.Deliveries.health`."""
        with translated():
            try:
                return _health(self._item.get(_pk(to), _HEALTH, consistent_read=True))
            except DoesNotExist:
                return Health()

    def take_place(self, to: str, seen: Health, *, now: float, until: float) -> int | None:
        """See `ports.Deliveries.take_place`. A place that is taken costs no write, for an item takes few."""
        free = seen.free_places(now=now)
        for place in random.sample(free, len(free)):  # so that those who come together rarely meet
            taken = self._places[place]
            if self._change(self._at(to), [taken.set(until)], taken.does_not_exist() | (taken < now)):
                return place
        return None

    def succeeded(self, to: str, place: int, *, now: float) -> None:
        """See `ports.Deliveries.succeeded`."""
        item = self._item
        over = [item.failures.remove(), item.failing_since.remove(), item.rests_until.remove()]
        self._note(to, item.succeeded_at.set(now), *over, self._places[place].remove())

    def failed(self, to: str, place: int, *, now: float, because: str, row_since: float) -> Health:
        """See `ports.Deliveries.failed`."""
        item, at = self._item, self._at(to)
        noted: list[Action] = [item.failed_at.set(now), item.failure.set(because), self._places[place].remove()]
        next_one = [*noted, item.failures.add(1), item.failing_since.set(item.failing_since | now)]
        first_one = [*noted, item.failures.set(1), item.failing_since.set(now)]
        is_known = item.pk.exists()
        if self._change(at, next_one, is_known & (item.failed_at.does_not_exist() | (item.failed_at >= row_since))):
            return _health(at)
        return _health(at) if self._change(at, first_one, is_known) else Health()

    def rest(self, to: str, *, until: float) -> None:
        """See `ports.Deliveries.rest`."""
        self._note(to, self._item.rests_until.set(until))

    def disable(self, to: str, *, now: float, because: str) -> None:
        """See `ports.Deliveries.disable`."""
        self._note(to, self._item.disabled_at.set(now), self._item.disabled_because.set(because))

    def enable(self, to: str) -> None:
        """See `ports.Deliveries.enable`."""
        item = self._item
        counted = (item.failures, item.failing_since, item.rests_until, item.disabled_at, item.disabled_because)
        self._note(to, *(each.remove() for each in counted))

    def bury(self, dead: DeadDelivery) -> None:
        """See `ports.Deliveries.bury`."""
        body = msgspec.json.encode(dead).decode()
        with translated():
            self._grave(dead, body=body, expires_at=int(self._clock()) + DEAD_SECONDS).save()

    def dead(self, to: str, *, limit: int, since: float = 0.0) -> tuple[DeadDelivery, ...]:
        """See `ports.Deliveries.dead`."""
        later = self._item.sk.between(f"{_DEAD}{_sortable(since)}", f"{_DEAD}~")
        with translated():
            found = self._item.query(_pk(to), later, limit=limit, consistent_read=True)
            return tuple(msgspec.json.decode(item.body, type=DeadDelivery) for item in found)

    def count_dead(self, to: str) -> int:
        """See `ports.Deliveries.count_dead`."""
        with translated():
            return int(self._item.count(_pk(to), self._item.sk.startswith(_DEAD), consistent_read=True))

    def unbury(self, dead: DeadDelivery) -> None:
        """See `ports.Deliveries.unbury`."""
        with translated():
            self._grave(dead).delete()

    def forget(self, to: str) -> None:
        """See `ports.Deliveries.forget`."""
        with translated():
            keys = self._item.query(_pk(to), attributes_to_get=["pk", "sk"], consistent_read=True)
            with self._item.batch_write() as batch:
                for item in keys:
                    batch.delete(item)

    def _note(self, to: str, *changes: Action) -> None:
        """Nothing, where the address was forgotten: a post that was under way must not bring it back."""
        self._change(self._at(to), [*changes], self._item.pk.exists())

    def _change(self, item: _Item, changes: list[Action], condition: Condition) -> bool:
        """Whether the condition held."""
        try:
            with translated():
                item.update(changes, condition=condition)
        except SessionConflict:
            return False
        return True

    def _at(self, to: str) -> _Item:
        return self._item(_pk(to), _HEALTH)

    def _grave(self, dead: DeadDelivery, **attributes: Any) -> _Item:
        name = f"{_DEAD}{_sortable(dead.died_at)}#{dead.delivery.id}"
        return self._item(_pk(dead.delivery.to), name, **attributes)


def _health(item: _Item) -> Health:
    return Health(
        item.succeeded_at,
        item.failed_at,
        item.failure,
        int(item.failures or 0),
        item.failing_since,
        item.rests_until,
        item.disabled_at,
        item.disabled_because,
        tuple(float(until or 0.0) for until in (item.place_0, item.place_1, item.place_2, item.place_3)),
    )


def _sortable(at: float) -> str:
    return f"{at:017.6f}"


def _pk(to: str) -> str:
    return f"to#{to}"
