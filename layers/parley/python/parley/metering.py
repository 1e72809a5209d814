"""Metering: counts turns and tokens against the quotas of users, API keys and tenants.

A turn is counted before anything is done for it, and refused where a limit is reached; what the generator read and
wrote is counted after it. Windows are those of the calendar, in UTC. What has no limit is not counted.
"""

import calendar
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from parley.access import Access, Limits, Quotas
from parley.conversation import Session
from parley.errors import OverQuota, Unavailable
from parley.ports import Clock, Meter, Usage

_MINUTE, _DAY = 60, 86_400
_KEPT_SECONDS = 7 * _DAY  # after its window, for who looks

logger = logging.getLogger(__name__)


class _Subject(NamedTuple):
    """Who is counted."""

    kind: str  # "user", "key" or "tenant"
    id: str
    limits: Limits


class _Window(NamedTuple):
    """A stretch of the calendar, and what may be used in it."""

    name: str  # "minute"
    begins: str  # 2026-11-26T12:59
    ends_at: float  # not before this, in seconds since the Unix epoch
    most_turns: int | None
    most_tokens: int | None


@dataclass(frozen=True, slots=True)
class Metering:
    """Keeps everybody within their limits."""

    usage: Usage
    quotas: Quotas
    access: Mapping[str, Access]  # by bot
    clock: Clock

    def admit(self, session: Session, *, begins: bool = False) -> bool:
        """Counts a turn of this conversation, or a file that is sent into it, or that it `begins` without either.

        False if nothing of it has limits. A visitor is counted by conversation, so one that begins counts for the
        tenant alone.

        Raises:
            OverQuota: a limit is reached; whoever is narrower than the one who reached it has been charged.
            Unavailable: it could not be counted.
        """
        is_counted = False
        for subject, window in self._windows(session):
            if begins and subject.id == session.conversation_id:
                continue
            meter = _meter(subject, window)
            is_counted = True
            if not self.usage.take(meter, most_turns=window.most_turns, most_tokens=window.most_tokens):
                left = max(1, round(window.ends_at - self.clock()))
                about = {"kind": subject.kind, "window": window.name, "conversation_id": session.conversation_id}
                logger.warning("over quota", extra=about)
                message = (
                    f"all that this {subject.kind} may ask in a {window.name} has been asked; come again in {left} s"
                )
                raise OverQuota(message, retry_after_seconds=left)
        return is_counted

    def spend(self, session: Session, tokens: int) -> None:
        """Counts tokens of the generator. They are spent already: if they cannot be counted, the turn goes on."""
        for subject, window in self._windows(session):
            if window.most_tokens is None:
                continue
            try:
                self.usage.spend(_meter(subject, window), tokens)
            except Unavailable as error:
                logger.warning("tokens were not counted", extra={"kind": subject.kind, "reason": str(error)})

    def _windows(self, session: Session) -> Iterator[tuple[_Subject, _Window]]:
        """The narrowest first: what a user is refused is not charged to the tenant."""
        now = self.clock()
        for subject in self._subjects(session):
            for window in _limited(subject.limits, now):
                yield subject, window

    def _subjects(self, session: Session) -> Iterator[_Subject]:
        yield _Subject("user", session.user_id or session.conversation_id, self.quotas.user)
        if session.key_id is not None:
            yield _Subject("key", session.key_id, self.quotas.key)
        tenant = self.access.get(session.bot, Access()).tenant
        yield _Subject("tenant", tenant, self.quotas.tenants.get(tenant, self.quotas.tenant))


def _limited(limits: Limits, now: float) -> Iterator[_Window]:
    at = time.gmtime(now)
    year, month = (at.tm_year + at.tm_mon // 12, at.tm_mon % 12 + 1)
    ends = (now - now % _MINUTE + _MINUTE, now - now % _DAY + _DAY, calendar.timegm((year, month, 1, 0, 0, 0)))
    begins = (time.strftime(form, at) for form in ("%Y-%m-%dT%H:%M", "%Y-%m-%d", "%Y-%m"))
    turns = (limits.turns_per_minute, limits.turns_per_day, limits.turns_per_month)
    tokens = (limits.tokens_per_minute, limits.tokens_per_day, limits.tokens_per_month)
    for window in map(_Window, ("minute", "day", "month"), begins, ends, turns, tokens):
        if (window.most_turns, window.most_tokens) != (None, None):
            yield window


def _meter(subject: _Subject, window: _Window) -> Meter:
    return Meter(f"{subject.kind}#{subject.id}#{window.begins}", int(window.ends_at) + _KEPT_SECONDS)
