"""Meters in the table `usage`: an item for each of whom is counted and each window.

The count and its limit are one conditional write, so that however many functions count at once, none is one too many.
"""

from functools import reduce
from operator import and_
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.expressions.update import Action
from pynamodb.models import Model

from parley.adapters.tables import bind, translated
from parley.errors import SessionConflict
from parley.ports import Meter


class _Item(Model):
    """A meter. The table is bound in `tables.bind`."""

    pk = UnicodeAttribute(hash_key=True)
    turns = NumberAttribute(null=True)
    tokens = NumberAttribute(null=True)
    expires_at = NumberAttribute()


class DynamoUsage:
    """`ports.Usage` in the table `usage`."""

    def __init__(self, table: str) -> None:
        self._item = bind(_Item, table)

    def take(self, meter: Meter, *, most_turns: int | None, most_tokens: int | None) -> bool:
        """See `ports.Usage.take`."""
        if 0 in (most_turns, most_tokens):
            return False
        limits = ((self._item.turns, most_turns), (self._item.tokens, most_tokens))
        below = [counted.does_not_exist() | (counted < most) for counted, most in limits if most is not None]
        try:
            self._add(meter, self._item.turns, 1, reduce(and_, below) if below else None)
        except SessionConflict:
            return False
        return True

    def spend(self, meter: Meter, tokens: int) -> None:
        """See `ports.Usage.spend`."""
        self._add(meter, self._item.tokens, tokens, None)

    def _add(self, meter: Meter, counted: NumberAttribute, more: int, condition: Any) -> None:
        actions: list[Action] = [counted.add(more), self._item.expires_at.set(meter.expires_at)]
        with translated():
            self._item(meter.id).update(actions, condition=condition)
