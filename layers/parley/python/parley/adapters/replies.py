"""The reply cache's table: an item for each question that was asked, with the reply once it is shared.

DynamoDB deletes late, so the expiry is checked here too. An index by bot tells what came and went, in the order of its
coming; only items that have or had a reply are in it. The day's tally of a bot is an item of its own, and so are
the keys of what was made in one conversation.
"""

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from parley.adapters.tables import SINGLE_RACES, bind, translated
from parley.ports import Asked, Change, Clock, SharedReply, Tally

_KEPT_DAYS = 7  # a tally
_DAY_SECONDS = 86_400


class _ByBot(GlobalSecondaryIndex["_Question"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_bot"
        projection = AllProjection()

    bot = UnicodeAttribute(hash_key=True)
    changed_at = NumberAttribute(range_key=True)


class _Question(Model):
    """One item of `replies`."""

    pk = UnicodeAttribute(hash_key=True)
    expires_at = NumberAttribute()
    body = UnicodeAttribute(null=True)
    bot = UnicodeAttribute(null=True)
    changed_at = NumberAttribute(null=True)
    times = NumberAttribute(null=True)
    claimed_until = NumberAttribute(null=True)
    checked = NumberAttribute(null=True)  # tally
    wrong = NumberAttribute(null=True)  # tally
    keys = UnicodeSetAttribute(null=True)  # origin
    by_bot = _ByBot()


class DynamoReplies:
    """`ports.Replies` in the table `replies`."""

    def __init__(self, table: str, *, clock: Clock) -> None:
        self._item = bind(_Question, table)
        self._clock = clock

    def get(self, key: str) -> Asked:
        """See `ports.Replies.get`."""
        item = self._read(key)
        if item is None:
            return Asked()
        return Asked(_shared(item), int(item.times or 0), float(item.claimed_until or 0.0))

    def claim(self, key: str, *, until: float, expires_at: float) -> bool:
        """See `ports.Replies.claim`."""
        asked: list[Action] = [_Question.times.add(1), _Question.expires_at.set(int(expires_at))]
        is_free = _Question.claimed_until.does_not_exist() | (_Question.claimed_until <= self._clock())
        with translated():
            if self._update(key, [*asked, _Question.claimed_until.set(until)], is_free):
                return True
            self._item(key).update(actions=asked)
        return False

    def settle(self, key: str) -> None:
        """See `ports.Replies.settle`."""
        with translated():
            self._update(key, [_Question.claimed_until.remove()], _Question.pk.exists())

    def put(self, key: str, bot: str, shared: SharedReply, *, expires_at: float, asked: int = 0) -> bool:
        """See `ports.Replies.put`."""
        actions: list[Action] = [
            _Question.body.set(msgspec.json.encode(shared).decode()),
            _Question.bot.set(bot),
            _Question.changed_at.set(self._clock()),
            _Question.expires_at.set(int(expires_at)),  # TTL takes whole seconds only
            _Question.claimed_until.remove(),
        ]
        with translated():
            if self._update(key, actions, _Question.times >= asked if asked else None):
                made: list[Action] = [_Question.keys.add({key}), _Question.expires_at.set(int(expires_at))]
                self._item(f"origin#{shared.origin}").update(actions=made)
                return True
        self.settle(key)
        return False

    def drop(self, key: str, bot: str, *, expires_at: float) -> None:
        """See `ports.Replies.drop`."""
        actions: list[Action] = [
            _Question.body.remove(),
            _Question.times.remove(),
            _Question.claimed_until.remove(),
            _Question.bot.set(bot),
            _Question.changed_at.set(self._clock()),
            _Question.expires_at.set(int(expires_at)),
        ]
        with translated():
            self._item(key).update(actions=actions)

    def made_in(self, origin: str) -> frozenset[str]:
        """See `ports.Replies.made_in`."""
        item = self._read(f"origin#{origin}")
        return frozenset(item.keys or ()) if item else frozenset()

    def changes(self, bot: str, *, since: float, limit: int) -> list[Change]:
        """See `ports.Replies.changes`."""
        now = self._clock()
        with translated():
            items = list(
                self._item.by_bot.query(bot, _Question.changed_at > since, scan_index_forward=False, limit=limit)
            )
        return [Change(item.pk, float(item.changed_at), _shared(item)) for item in items if item.expires_at > now]

    def tally(self, bot: str, day: str, *, wrong: bool | None = None) -> Tally:
        """See `ports.Replies.tally`."""
        key = f"tally#{bot}#{day}"
        if wrong is not None:
            with translated():
                self._item(key).update(
                    actions=[
                        _Question.checked.add(1),
                        _Question.wrong.add(int(wrong)),
                        _Question.expires_at.set(int(self._clock()) + _KEPT_DAYS * _DAY_SECONDS),
                    ]
                )
        item = self._read(key)
        return Tally(int(item.checked or 0), int(item.wrong or 0)) if item else Tally()

    def _read(self, key: str) -> _Question | None:
        with translated():
            try:
                item = self._item.get(key)
            except DoesNotExist:
                return None
        return item if item.expires_at > self._clock() else None

    def _update(self, key: str, actions: list[Action], condition: Condition | None) -> bool:
        """Whether the item was as `condition` wants it, and is changed now."""
        try:
            self._item(key).update(actions=actions, condition=condition)
        except UpdateError as error:
            if error.cause_response_code in SINGLE_RACES:
                return False
            raise
        return True


def _shared(item: _Question) -> SharedReply | None:
    try:
        return msgspec.json.decode(item.body, type=SharedReply) if item.body else None
    except msgspec.MsgspecError:  # kept by another version of Parley
        return None
