"""Recalling and keeping shared replies."""

from collections.abc import Callable
from dataclasses import dataclass

from parley.bots.bot import Bot
from parley.caching.key import cache_key
from parley.conversation import Reply
from parley.ports import Clock, Replies

CACHEABLE_SOURCES = frozenset({"knowledge", "generated"})  # never errors, fallbacks or what rules say for free


@dataclass(frozen=True, slots=True)
class ReplyCache:
    """The reply cache of a function: exact questions, absolute expiry."""

    store: Replies
    secret: Callable[[], bytes]  # asked for when first needed
    ttl_seconds: int
    clock: Clock

    def key(self, bot: Bot, *, model: str, text: str) -> str:
        """The key under which a reply to `text` is shared."""
        return cache_key(self.secret(), bot, model=model, language=bot.language, text=text)

    def recall(self, key: str) -> Reply | None:
        """The reply that somebody else got, marked as cached."""
        reply = self.store.get(key)
        return reply.recalled() if reply is not None else None

    def keep(self, key: str, reply: Reply) -> None:
        """Shares `reply`, if it is of a kind that may be shared."""
        if reply.source in CACHEABLE_SOURCES:
            self.store.put(key, reply, expires_at=self.clock() + self.ttl_seconds)
