"""The contract of `ports.Usage`, kept by the fake and by DynamoDB alike."""

import threading
import time
import uuid

import pytest

from parley.adapters.memory import MemoryUsage
from parley.adapters.usage import DynamoUsage
from parley.ports import Meter, Usage
from tests.contracts.conftest import Tables


@pytest.fixture(params=["memory", "dynamodb"])
def usage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Usage:
    if request.param == "memory":
        return MemoryUsage()
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    tables: Tables = request.getfixturevalue("tables")
    return DynamoUsage(tables.usage)


@pytest.fixture
def meter() -> Meter:
    return Meter(f"tenant#{uuid.uuid4().hex}#2026-11", int(time.time()) + 3600)


def test_so_many_turns_are_counted_and_no_more(usage: Usage, meter: Meter) -> None:
    assert [usage.take(meter, most_turns=2, most_tokens=None) for _ in range(4)] == [True, True, False, False]


def test_a_limit_of_none_lets_all_through_and_one_of_nothing_none(usage: Usage, meter: Meter) -> None:
    other = Meter(f"{meter.id}-other", meter.expires_at)

    assert all(usage.take(meter, most_turns=None, most_tokens=None) for _ in range(3))
    assert not usage.take(other, most_turns=0, most_tokens=None)


def test_tokens_end_what_turns_do_not(usage: Usage, meter: Meter) -> None:
    before = usage.take(meter, most_turns=9, most_tokens=100)
    usage.spend(meter, 60)
    usage.spend(meter, 39)
    below = usage.take(meter, most_turns=9, most_tokens=100)
    usage.spend(meter, 1)

    assert (before, below, usage.take(meter, most_turns=9, most_tokens=100)) == (True, True, False)


def test_meters_are_apart(usage: Usage, meter: Meter) -> None:
    other = Meter(f"{meter.id}-other", meter.expires_at)
    usage.take(meter, most_turns=1, most_tokens=None)

    assert usage.take(other, most_turns=1, most_tokens=None)


def test_of_many_at_once_none_is_one_too_many(usage: Usage, meter: Meter) -> None:
    taken: list[bool] = []
    people = [
        threading.Thread(target=lambda: taken.append(usage.take(meter, most_turns=5, most_tokens=None)))
        for _ in range(12)
    ]

    for each in people:
        each.start()
    for each in people:
        each.join()

    assert sorted(taken) == [False] * 7 + [True] * 5
