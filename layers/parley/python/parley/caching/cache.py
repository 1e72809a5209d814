"""The reply cache put together."""

import random
import time
from collections.abc import Callable

from parley.caching.frequent import FrequentQuestions, on_a_thread
from parley.caching.recall import ReplyCache
from parley.caching.tiers import Tiers
from parley.caching.trial import SHARE, Trial
from parley.ports import Clock, Encoder, HotReplies, Metrics, Replies


def reply_cache(
    store: Replies,
    secret: Callable[[], bytes],
    encoder: Encoder,
    metrics: Metrics,
    *,
    clock: Clock,
    ttl_seconds: int,
    hot: HotReplies | None = None,
    dollars_per_million_tokens: float = 0.0,
    share_compared: float = SHARE,
    spawn: Callable[[Callable[[], None]], None] = on_a_thread,
) -> ReplyCache:
    """A reply cache over `store`, behind the cache server `hot` if there is one."""
    tiers = Tiers(store, clock=clock, ttl_seconds=ttl_seconds, hot=hot)
    trial = Trial(store, clock, encoder, random.random, share_compared)
    frequent = FrequentQuestions(tiers, trial, clock=clock, metrics=metrics, spawn=spawn)
    return ReplyCache(tiers, frequent, trial, secret, clock, metrics, dollars_per_million_tokens, time.sleep)
