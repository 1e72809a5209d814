"""When what could not be delivered is tried again, when its addressee is left alone, and when everybody gives up.

Pure: clock and chance are handed in.

    a try fails ─▶ again after 5 s, 30 s, 2 min ... 10 h: twelve tries in a day
    five in a row ─▶ the addressee rests: nothing is tried for 10 s, then 20 s ... 5 min
    a day of failures, none of them long after the one before ─▶ it is disabled, and so it is at once by 410 Gone
    the last try, or 30 hours over ─▶ the message is dead: kept for two weeks, and can be sent again
"""

from typing import Final

from parley.ports import Delivery, Health, Taken

# Some seconds of a restart, some minutes of a deployment, hours of an outage; together a little less than a day.
PAUSES_SECONDS: Final = (5, 30, 120, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
MAX_TRIES: Final = len(PAUSES_SECONDS) + 1
GIVEN_UP_SECONDS: Final = 30 * 3_600.0  # a day, and what jitter and rests may have added
DISABLED_AFTER_SECONDS: Final = 24 * 3_600.0  # of failures without one success
ROW_SECONDS: Final = 13 * 3_600.0  # from one failure to the next of a row: the longest pause, its jitter, and a rest
RESTS_AFTER: Final = 5  # failures in a row: what is tried by then may be one hiccup's
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 10.0, 300.0  # the whole queue of an addressee is tried again at its end
LONGEST_WISH_SECONDS = 3_600.0  # of a Retry-After that is honoured
JITTER: Final = 0.2  # of a pause, so that what failed together is not tried together
NO_PLACE_SECONDS: Final = (2.0, 8.0)  # until a message is looked at again whose addressee has enough to do
MOST_DOUBLINGS: Final = 3  # of these: a long backlog is looked at less often, and a place is not empty for long

GONE: Final = 410
_ASKS_TO_WAIT: Final = frozenset({429, 503})


def is_taken(answer: Taken) -> bool:
    """Whether the addressee has the message."""
    return 200 <= answer.status < 300


def wish_seconds(answer: Taken | None) -> float:
    """For how long an addressee wants to be left alone; 0 where it says nothing of it."""
    if answer is None or answer.status not in _ASKS_TO_WAIT or answer.retry_after_seconds is None:
        return 0.0
    return min(max(answer.retry_after_seconds, 0.0), LONGEST_WISH_SECONDS)


def next_try_at(delivery: Delivery, *, now: float, chance: float, wish: float = 0.0) -> float | None:
    """When a message that just failed is tried again; None if it is not. `chance` is between 0 and 1."""
    if delivery.tries + 1 >= MAX_TRIES:
        return None
    pause = PAUSES_SECONDS[delivery.tries] * (1 - JITTER + 2 * JITTER * chance)
    due = now + max(pause, wish)
    return None if due - delivery.begun_at > GIVEN_UP_SECONDS else due


def is_too_old(delivery: Delivery, *, now: float) -> bool:
    """Whether a message has waited so long for its next try that there is none."""
    return now - delivery.begun_at > GIVEN_UP_SECONDS


def rest_seconds(failures: int, *, wish: float = 0.0) -> float:
    """For how long nothing is sent to an addressee after so many failures in a row."""
    if failures < RESTS_AFTER:
        return wish
    return max(wish, min(FIRST_REST_SECONDS * 2.0 ** min(failures - RESTS_AFTER, 10), LONGEST_REST_SECONDS))


def failed_too_long(health: Health, *, now: float) -> bool:
    """Whether an addressee has failed for so long that it is not bothered any more."""
    return health.failing_since is not None and now - health.failing_since >= DISABLED_AFTER_SECONDS


def no_place_seconds(refusals: int, *, chance: float) -> float:
    """How long a message waits that was refused a place so often."""
    return within(*NO_PLACE_SECONDS, chance=chance) * 2.0 ** min(refusals, MOST_DOUBLINGS)


def within(least: float, most: float, *, chance: float) -> float:
    """A number between two, by chance."""
    return least + (most - least) * chance
