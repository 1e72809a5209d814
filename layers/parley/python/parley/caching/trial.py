"""Is the semantic tier to be trusted? A share of its hits is answered afresh, and the two replies are compared.

Too many wrong ones in a day, and the tier turns itself off for the rest of that day and the next, in every function.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from parley.conversation import Reply
from parley.ports import Clock, Encoder, Replies

SHARE = 0.02  # of the semantic hits
MOST_WRONG = 0.01  # of what is served
MIN_ALIKE = 0.8  # cosine of two replies that say the same
_Z = 1.645  # one-sided, 95 %
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Trial:
    """Which hits are compared, and what the comparisons say."""

    store: Replies
    clock: Clock
    encoder: Encoder
    random: Callable[[], float]  # in [0, 1)
    share: float = SHARE

    def is_due(self) -> bool:
        """Whether this hit is to be answered afresh."""
        return self.random() < self.share

    def note(self, bot: str, *, wrong: bool) -> None:
        """Counts a comparison. Raises Unavailable."""
        self.store.tally(bot, self._day(), wrong=wrong)

    def is_passed(self, bot: str) -> bool:
        """Whether the tier may serve this bot. Raises Unavailable."""
        days = self._day(), self._day(before=1)
        tallies = [self.store.tally(bot, day) for day in days]
        return all(least_wrong(tally.wrong, tally.checked) <= MOST_WRONG for tally in tallies)

    def agree(self, fresh: Reply, shared: Reply) -> bool:
        """Whether two replies answer the same: they cite a passage in common, or say nearly the same."""
        cited = [
            {citation.text for message in reply.messages for citation in message.citations} for reply in (fresh, shared)
        ]
        if cited[0] and cited[1]:
            return bool(cited[0] & cited[1])
        texts = [" ".join(message.text for message in reply.messages) for reply in (fresh, shared)]
        one, other = self.encoder.embed(texts)
        return float(one @ other) >= MIN_ALIKE

    def _day(self, *, before: int = 0) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self.clock() - before * _DAY_SECONDS))


def least_wrong(wrong: int, checked: int) -> float:
    """The share of wrong ones that the comparisons prove, with 95 % certainty.

    Source: Wilson 1927, the lower end of the score interval, https://doi.org/10.2307/2276774
    """
    if not checked:
        return 0.0
    share, squared = wrong / checked, _Z * _Z / checked
    spread = _Z * math.sqrt(share * (1 - share) / checked + squared / (4 * checked))
    return (share + squared / 2 - spread) / (1 + squared)
