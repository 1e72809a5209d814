"""The reply cache: the same words first, then the same question in other words, then one generation for all who ask.

A reply is shared once its question has been asked twice, if it is complete, grounded and passed by the guard. It is
given only while the passages that it was made from are still found for the question.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from parley.caching.eligibility import Refusal
from parley.caching.frequent import FrequentQuestions
from parley.caching.key import keyed_hash
from parley.caching.packing import pack
from parley.caching.sameness import Question
from parley.caching.tiers import Tiers
from parley.caching.trial import Trial
from parley.conversation import Reply
from parley.errors import Unavailable
from parley.ports import Clock, Metrics, SharedReply

CLAIM_SECONDS = 20.0  # no generation takes longer
NOTED_SECONDS = 86_400.0  # for how long it is remembered that a question was asked
TOLD_SECONDS = 3_600.0  # for how long functions are told that a reply went
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.05, 0.4  # for what somebody else is answering
ASKED_TO_SHARE = 2

logger = logging.getLogger(__name__)


class How(StrEnum):
    """How a reply was found."""

    EXACT = "exact"
    SEMANTIC = "semantic"
    AWAITED = "awaited"  # somebody else was answering the question at that moment


@dataclass(frozen=True, slots=True)
class Asking:
    """A question whose reply may be shared. What costs time is asked for when it is needed."""

    bot: str
    key: str
    scope: str
    origin: str  # a keyed hash of the conversation
    library: str
    support: Callable[[], str]  # a hash of the passages that are found for it now
    found: Callable[[], frozenset[str]]  # those passages, each as a hash
    question: Callable[[], Question]
    in_other_words: bool = True  # whether other words may be the same question: it is in English


@dataclass(frozen=True, slots=True)
class Made:
    """A reply as it was just made."""

    reply: Reply
    cited: tuple[str, ...]  # a hash of each passage that it cites
    tokens: int  # of prompt and completion
    refusal: Refusal | None  # why it is not to be shared


@dataclass(frozen=True, slots=True)
class ReplyCache:
    """The reply cache of a function."""

    tiers: Tiers
    frequent: FrequentQuestions
    trial: Trial
    secret: Callable[[], bytes]  # asked for when first needed
    clock: Clock
    metrics: Metrics
    dollars_per_million_tokens: float = 0.0  # 0: what a token costs is not known
    sleep: Callable[[float], None] = time.sleep

    def key(self) -> bytes | None:
        """The secret that keys are made with; None while it cannot be had, and nothing is shared."""
        try:
            return self.secret()
        except Unavailable as error:
            logger.warning("the reply cache is not used", extra={"reason": str(error)})
            return None

    def refuse(self, why: Refusal) -> None:
        """Counts a reply that is not shared."""
        self.metrics.count("CacheRefused", why=why)

    def reply(self, asking: Asking, make: Callable[[], Made | None]) -> Reply | None:
        """The reply that somebody else got to this question, marked as cached, or the one that `make` makes."""
        shared = self._exact(asking)
        if shared is not None:
            return self._given(shared, How.EXACT)
        shared = self._semantic(asking)
        if shared is not None:
            return self._compared(asking, shared, make) if self.trial.is_due() else self._given(shared, How.SEMANTIC)
        self.metrics.count("CacheMiss")
        is_ours = self._claim(asking)
        if not is_ours and (shared := self._awaited(asking)) is not None:
            return self._given(shared, How.AWAITED)
        made = None
        try:
            made = make()
        finally:
            if made is None or made.refusal is not None:
                self._settle(asking, is_ours=is_ours)
        if made is None:
            return None
        self._keep(asking, made)
        return made.reply

    def erase(self, bot: str, conversation_id: str) -> None:
        """Drops every reply that was made in a conversation.

        Raises:
            Unavailable: the table did not answer.
        """
        if (secret := self.key()) is None:
            raise Unavailable("what was shared out of the conversation could not be looked for")
        for key in self.tiers.store.made_in(keyed_hash(secret, conversation_id)):
            self._drop(key, bot)

    def _exact(self, asking: Asking) -> SharedReply | None:
        shared = self.frequent.exact(asking.bot, asking.key) or self.tiers.get(asking.key).shared
        if shared is None:
            return None
        if shared.library == asking.library or shared.support == asking.support():
            return shared
        self.metrics.count("CacheStale")
        self._drop(asking.key, asking.bot)
        return None

    def _semantic(self, asking: Asking) -> SharedReply | None:
        if not asking.in_other_words:
            return None
        shared = self.frequent.nearest(asking.bot, asking.scope, asking.question)
        if shared is None:
            return None
        is_supported = {*shared.cited} <= asking.found() if shared.cited else shared.support == asking.support()
        return shared if is_supported else None

    def _given(self, shared: SharedReply, how: How) -> Reply:
        self.metrics.count("CacheHit", how=how)
        self.metrics.count("CacheSavedTokens", shared.tokens)
        if self.dollars_per_million_tokens:
            self.metrics.count("CacheSavedDollars", shared.tokens * self.dollars_per_million_tokens / 1e6)
        return shared.reply.recalled()

    def _compared(self, asking: Asking, shared: SharedReply, make: Callable[[], Made | None]) -> Reply | None:
        """What is made afresh, after noting whether the shared reply would have said the same."""
        made = make()
        if made is None or made.refusal is not None:
            return self._given(shared, How.SEMANTIC) if made is None else made.reply
        is_wrong = not self.trial.agree(made.reply, shared.reply)
        self.metrics.count("CacheChecked")
        self.metrics.count("CacheWrong", int(is_wrong))
        try:
            self.trial.note(asking.bot, wrong=is_wrong)
        except Unavailable as error:
            logger.warning("a comparison of the reply cache is lost", extra={"reason": str(error)})
        return made.reply

    def _claim(self, asking: Asking) -> bool:
        now = self.clock()
        try:
            return self.tiers.store.claim(asking.key, until=now + CLAIM_SECONDS, expires_at=now + NOTED_SECONDS)
        except Unavailable as error:
            logger.warning("a question could not be claimed", extra={"reason": str(error)})
            return True

    def _awaited(self, asking: Asking) -> SharedReply | None:
        """What somebody else is making at this moment; None if nothing comes of it."""
        pause = FIRST_LOOK_SECONDS
        asked = self.tiers.get(asking.key)
        while asked.shared is None and asked.claimed_until > self.clock():
            self.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
            asked = self.tiers.get(asking.key)
        return asked.shared

    def _settle(self, asking: Asking, *, is_ours: bool) -> None:
        if not is_ours:
            return
        try:
            self.tiers.store.settle(asking.key)
        except Unavailable as error:
            logger.warning("a question could not be settled", extra={"reason": str(error)})

    def _keep(self, asking: Asking, made: Made) -> None:
        """Shares what was made, if it may be and the question was asked before."""
        if made.refusal is not None:
            self.refuse(made.refusal)
            return
        shared = SharedReply(
            made.reply,
            asking.scope,
            pack(asking.question()),
            asking.support(),
            made.cited,
            asking.library,
            asking.origin,
            made.tokens,
            self.clock(),
        )
        if self.tiers.put(asking.key, asking.bot, shared, asked=ASKED_TO_SHARE):
            self.metrics.count("CacheKept")
        else:
            self.refuse(Refusal.ONCE)

    def _drop(self, key: str, bot: str) -> None:
        self.frequent.forget(bot, key)
        self.tiers.drop(key, bot, told_seconds=TOLD_SECONDS)
