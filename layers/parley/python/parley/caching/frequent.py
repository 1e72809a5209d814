"""The frequent questions of a bot, in memory: the reply that was shared for another wording of the same question.

Follows the store every few seconds on a thread of its own, so that looking costs no network. What is not here yet is a
miss; what was dropped elsewhere is gone here a few seconds later.
"""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parley.caching.packing import unpack
from parley.caching.sameness import MIN_COSINE, Question, compare
from parley.caching.tiers import Tiers
from parley.caching.trial import Trial
from parley.errors import Unavailable
from parley.ports import Clock, Metrics, SharedReply

REFRESH_SECONDS = 5.0
LATE_SECONDS = 10.0  # the index may show a change that much later than one that came after it
MOST = 5_000  # questions of a bot
MOST_COMPARED = 3  # of a lookup: the nearest; a comparison costs half a millisecond

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Shelf:
    """What is known of one bot. Replaced whole, so that whoever looks sees the one or the other."""

    kept: dict[str, tuple[float, SharedReply, Question]] = field(default_factory=dict)
    replies: list[SharedReply] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    scopes: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    seen: dict[str, float] = field(default_factory=dict)  # the changes that the last look gave: key -> when
    seen_until: float = 0.0
    looked_at: float = float("-inf")
    is_trusted: bool = True


def on_a_thread(work: Callable[[], None]) -> None:
    """Does `work` while the turn goes on."""
    threading.Thread(target=work, daemon=True).start()


class FrequentQuestions:
    """The semantic tier."""

    def __init__(
        self,
        tiers: Tiers,
        trial: Trial,
        *,
        clock: Clock,
        metrics: Metrics,
        spawn: Callable[[Callable[[], None]], None] = on_a_thread,
    ) -> None:
        self._tiers, self._trial, self._clock, self._metrics, self._spawn = tiers, trial, clock, metrics, spawn
        self._shelves: dict[str, _Shelf] = {}
        self._refreshing = threading.Lock()

    def exact(self, bot: str, key: str) -> SharedReply | None:
        """What is kept under `key`, if it is in memory."""
        kept = self._current(bot).kept.get(key)
        return kept[1] if kept and not self._tiers.is_over(kept[1]) else None

    def nearest(self, bot: str, scope: str, asked: Callable[[], Question]) -> SharedReply | None:
        """The reply to the same question in other words; None where there is none, or the tier is off."""
        shelf = self._current(bot)
        if not shelf.is_trusted or not shelf.replies:
            return None
        question = asked()
        near = shelf.vectors @ question.vector
        near[shelf.scopes != _scope(scope)] = -1.0
        count = min(MOST_COMPARED, len(near))
        nearest = np.argpartition(-near, count - 1)[:count]
        candidates = sorted((at for at in nearest if near[at] >= MIN_COSINE), key=lambda at: -near[at])
        same = (shelf.replies[at] for at in candidates if compare(question, shelf.questions[at]).same)
        return next((shared for shared in same if not self._tiers.is_over(shared)), None)

    def forget(self, bot: str, key: str) -> None:
        """Drops what is in memory under `key`."""
        shelf = self._shelves.get(bot)
        if shelf and key in shelf.kept:
            self._shelves[bot] = _built({other: kept for other, kept in shelf.kept.items() if other != key}, shelf)

    def refresh(self, bot: str) -> None:
        """Takes in what changed in the store. What cannot be had leaves what is known."""
        with self._refreshing:
            shelf = self._shelves.get(bot, _Shelf())
            try:
                since = max(0.0, shelf.seen_until - LATE_SECONDS)
                changes = self._tiers.store.changes(bot, since=since, limit=MOST)
                is_trusted = self._trial.is_passed(bot)
            except Unavailable as error:
                logger.warning("frequent questions could not be had", extra={"bot": bot, "reason": str(error)})
                return
            kept = dict(shelf.kept)
            new = [change for change in reversed(changes) if shelf.seen.get(change.key) != change.changed_at]
            for change in new:
                kept.pop(change.key, None)
                if change.shared is None:
                    self._tiers.forget(change.key)
                question = unpack(change.shared.question) if change.shared else None
                if change.shared and question:
                    kept[change.key] = (change.changed_at, change.shared, question)
            if new or is_trusted != shelf.is_trusted:
                newest = dict(sorted(kept.items(), key=lambda item: -item[1][0])[:MOST])
                seen = {change.key: change.changed_at for change in changes}
                self._shelves[bot] = _built(newest, shelf, seen=seen, is_trusted=is_trusted)
            if not is_trusted:
                self._metrics.count("CacheSemanticOff")
                logger.error("too many shared replies were wrong: the semantic tier is off", extra={"bot": bot})

    def _current(self, bot: str) -> _Shelf:
        shelf = self._shelves.setdefault(bot, _Shelf())
        if self._clock() - shelf.looked_at >= REFRESH_SECONDS:
            shelf.looked_at = self._clock()
            self._spawn(lambda: self.refresh(bot))
        return self._shelves[bot]


def _built(
    kept: dict[str, tuple[float, SharedReply, Question]],
    before: _Shelf,
    *,
    seen: dict[str, float] | None = None,
    is_trusted: bool | None = None,
) -> _Shelf:
    return _Shelf(
        kept,
        [shared for _, shared, _ in kept.values()],
        [question for _, _, question in kept.values()],
        np.array([_scope(shared.scope) for _, shared, _ in kept.values()], np.uint64),
        np.stack([question.vector for _, _, question in kept.values()]) if kept else np.empty((0, 0), np.float32),
        before.seen if seen is None else seen,
        max([before.seen_until, *(seen or {}).values()]),
        before.looked_at,
        before.is_trusted if is_trusted is None else is_trusted,
    )


def _scope(scope: str) -> np.uint64:
    """A scope as a number, so that thousands are compared at once; it is a hash already, of which 64 bits will do."""
    return np.uint64(int.from_bytes(hashlib.sha256(scope.encode()).digest()[:8]))
