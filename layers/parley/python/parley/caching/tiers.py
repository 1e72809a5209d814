"""The tiers that hold a reply under its key: the function's memory, the cache server if there is one, the table.

Knows no question but by its key. A tier that is away costs time, never a reply: what it does not say, the next one may.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from parley.errors import Unavailable
from parley.ports import Asked, Clock, HotReplies, Replies, SharedReply

MOST_RECENT = 1_000  # replies in memory
RECENT_SECONDS = 30.0  # a reply that was dropped elsewhere is given no longer than that

logger = logging.getLogger(__name__)


class Tiers:
    """Replies by key."""

    def __init__(self, store: Replies, *, clock: Clock, ttl_seconds: int, hot: HotReplies | None = None) -> None:
        self.store, self._hot, self._clock, self._ttl_seconds = store, hot, clock, ttl_seconds
        self._recent: OrderedDict[str, tuple[float, SharedReply]] = OrderedDict()

    def get(self, key: str) -> Asked:
        """What is known under a key."""
        until, shared = self._recent.get(key, (0.0, None))
        if shared is not None and until > self._clock():
            self._recent.move_to_end(key)
            return Asked(shared)
        shared = self._from_server(key)
        if shared is not None:
            self._remember(key, shared)
            return Asked(shared)
        asked = Asked()
        with _away("read"):
            asked = self.store.get(key)
        if asked.shared is not None:
            self._remember(key, asked.shared)
            self._to_server(key, asked.shared)
        return asked

    def put(self, key: str, bot: str, shared: SharedReply, *, asked: int = 0) -> bool:
        """Shares a reply whose question was asked at least `asked` times. Whether it is shared now."""
        is_kept = False
        with _away("written"):
            until = self._clock() + self._ttl_seconds
            is_kept = self.store.put(key, bot, shared, expires_at=until, asked=asked)
        if is_kept:
            self._remember(key, shared)
            self._to_server(key, shared)
        return is_kept

    def drop(self, key: str, bot: str, *, told_seconds: float) -> None:
        """Forgets a reply, here and, within seconds, everywhere."""
        self.forget(key)
        with _away("changed"):
            self.store.drop(key, bot, expires_at=self._clock() + told_seconds)

    def forget(self, key: str) -> None:
        """Forgets what this function and the cache server hold."""
        self._recent.pop(key, None)
        if self._hot is not None:
            with _away("changed"):
                self._hot.drop(key)

    def is_over(self, shared: SharedReply) -> bool:
        """Whether a reply's time is over."""
        return shared.made_at + self._ttl_seconds <= self._clock()

    def _remember(self, key: str, shared: SharedReply) -> None:
        self._recent[key] = (min(self._clock() + RECENT_SECONDS, shared.made_at + self._ttl_seconds), shared)
        self._recent.move_to_end(key)
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)

    def _from_server(self, key: str) -> SharedReply | None:
        if self._hot is None:
            return None
        content = None
        with _away("read"):
            content = self._hot.get(key)
        try:
            return msgspec.msgpack.decode(content, type=SharedReply) if content else None
        except msgspec.MsgspecError:  # kept by another version of Parley
            return None

    def _to_server(self, key: str, shared: SharedReply) -> None:
        left = int(shared.made_at + self._ttl_seconds - self._clock())
        if self._hot is not None and left > 0:
            with _away("written"):
                self._hot.put(key, msgspec.msgpack.encode(shared), seconds=left)


@contextmanager
def _away(done: str) -> Iterator[None]:
    """Goes on where a tier does not answer."""
    try:
        yield
    except Unavailable as error:
        logger.warning("a tier of the reply cache could not be %s", done, extra={"reason": str(error)})
