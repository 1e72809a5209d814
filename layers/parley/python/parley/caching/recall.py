"""Recalling and keeping shared replies."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from parley.bots.bot import Bot
from parley.caching.key import cache_key
from parley.conversation import Reply
from parley.errors import Unavailable
from parley.ports import Clock, Replies

logger = logging.getLogger(__name__)

CACHEABLE_SOURCES = frozenset({"knowledge", "generated"})  # never errors, fallbacks or what rules say for free


@dataclass(frozen=True, slots=True)
class ReplyCache:
    """The reply cache of a function: exact questions, absolute expiry."""

    store: Replies
    secret: Callable[[], bytes]  # asked for when first needed
    ttl_seconds: int
    clock: Clock

    def key(self, bot: Bot, *, decided: str, library: str, model: str, text: str) -> str | None:
        """The key under which a reply to `text` is shared; None while the secret cannot be had."""
        try:
            secret = self.secret()
        except Unavailable as error:
            logger.warning("the reply cache is not used", extra={"reason": str(error)})
            return None
        return cache_key(secret, bot, decided=decided, library=library, model=model, language=bot.language, text=text)

    def recall(self, key: str) -> Reply | None:
        """The reply that somebody else got, marked as cached. A store that is away is a miss, not an error."""
        try:
            reply = self.store.get(key)
        except Unavailable as error:
            logger.warning("the reply cache could not be read", extra={"reason": str(error)})
            return None
        return reply.recalled() if reply is not None else None

    def keep(self, key: str, reply: Reply) -> None:
        """Shares `reply`. A store that is away costs the next one a miss."""
        try:
            self.store.put(key, reply, expires_at=self.clock() + self.ttl_seconds)
        except Unavailable as error:
            logger.warning("the reply cache could not be written", extra={"reason": str(error)})
