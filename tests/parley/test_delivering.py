"""When what could not be delivered is tried again: the policy, by itself."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.delivering import (
    DISABLED_AFTER_SECONDS,
    GIVEN_UP_SECONDS,
    LONGEST_REST_SECONDS,
    MAX_TRIES,
    PAUSES_SECONDS,
    ROW_SECONDS,
    failed_too_long,
    is_taken,
    is_too_old,
    next_try_at,
    no_place_seconds,
    rest_seconds,
    wish_seconds,
)
from parley.ports import Delivery, Health, Taken

FIRST = Delivery("a", "msg_1", "turn.answered", "{}", begun_at=1_000.0)


def tried_at(chance: float) -> list[float]:
    """When a message is tried that nobody ever takes."""
    delivery, times = FIRST, [FIRST.begun_at]
    while (due := next_try_at(delivery, now=times[-1], chance=chance)) is not None:
        times.append(due)
        delivery = replace(delivery, tries=delivery.tries + 1)
    return times


@given(chance=st.floats(0, 1))
def test_a_message_is_tried_twelve_times_in_about_a_day_after_growing_pauses(chance: float) -> None:
    times = tried_at(chance)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]

    assert len(times) == MAX_TRIES == 12
    assert pauses == sorted(pauses)
    assert 18 * 3_600 < times[-1] - times[0] < GIVEN_UP_SECONDS


def test_tries_of_one_message_are_of_one_row_however_long_their_pauses() -> None:
    due = next_try_at(replace(FIRST, tries=len(PAUSES_SECONDS) - 1), now=1_000.0, chance=1.0)

    assert due is not None
    assert due - 1_000.0 + LONGEST_REST_SECONDS < ROW_SECONDS < DISABLED_AFTER_SECONDS


def test_who_finds_no_place_waits_longer_each_time_but_never_long() -> None:
    waits = [no_place_seconds(refusals, chance=0.0) for refusals in range(9)]

    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert no_place_seconds(10**6, chance=1.0) == 64.0


def test_what_failed_together_is_not_tried_together() -> None:
    assert next_try_at(FIRST, now=1_000.0, chance=0.0) == 1_004.0
    assert next_try_at(FIRST, now=1_000.0, chance=1.0) == 1_006.0


def test_a_message_that_rests_kept_waiting_is_given_up_after_the_same_time() -> None:
    late = FIRST.begun_at + GIVEN_UP_SECONDS

    assert next_try_at(replace(FIRST, tries=3), now=late - 10, chance=0.5) is None
    assert is_too_old(FIRST, now=late + 1)
    assert not is_too_old(FIRST, now=late - 1)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Taken(429, 30.0), 30.0),
        (Taken(503, 86_400.0), 3_600.0),
        (Taken(503, None), 0.0),
        (Taken(500, 30.0), 0.0),
        (None, 0.0),
    ],
)
def test_a_wish_to_be_left_alone_is_honoured_up_to_an_hour(answer: Taken | None, seconds: float) -> None:
    assert wish_seconds(answer) == seconds


def test_a_wish_puts_off_the_next_try_and_the_addressees_other_messages() -> None:
    assert next_try_at(FIRST, now=1_000.0, chance=0.5, wish=600.0) == 1_600.0
    assert rest_seconds(1, wish=600.0) == 600.0


def test_one_that_fails_again_and_again_rests_longer_and_longer_but_never_long() -> None:
    rests = [rest_seconds(failures) for failures in range(1, 200)]

    assert rests[:4] == [0.0] * 4
    assert rests[4:7] == [10.0, 20.0, 40.0]
    assert max(rests) == rests[-1] == LONGEST_REST_SECONDS


@pytest.mark.parametrize(("age", "is_over"), [(DISABLED_AFTER_SECONDS - 1, False), (DISABLED_AFTER_SECONDS, True)])
def test_one_that_failed_for_a_day_is_bothered_no_more(age: float, is_over: bool) -> None:
    assert failed_too_long(Health(failures=3, failing_since=1_000.0), now=1_000.0 + age) is is_over


def test_one_that_never_failed_has_not_failed_too_long() -> None:
    assert not failed_too_long(Health(), now=1e9)


@pytest.mark.parametrize(
    ("status", "is_good"), [(200, True), (202, True), (204, True), (199, False), (301, False), (400, False)]
)
def test_only_2xx_is_a_yes(status: int, is_good: bool) -> None:
    assert is_taken(Taken(status)) is is_good
