"""The contract of `ports.Deliveries`, kept by the fake and by DynamoDB alike; and the queue, as SQS has it."""

import uuid
from dataclasses import replace

import boto3
import pytest

from parley.adapters.deliveries import DynamoDeliveries
from parley.adapters.memory import MemoryDeliveries
from parley.adapters.sqs import SqsDeliveries, read_delivery
from parley.ports import PLACES, Callback, DeadDelivery, Deliveries, Delivery, Health
from tests.contracts.conftest import Tables


@pytest.fixture(params=["memory", "dynamodb"])
def deliveries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Deliveries:
    if request.param == "memory":
        return MemoryDeliveries()
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    tables: Tables = request.getfixturevalue("tables")
    return DynamoDeliveries(tables.deliveries, clock=lambda: 4e9)


@pytest.fixture
def to() -> str:
    return uuid.uuid4().hex[:16]


def a_delivery(to: str, **changes: object) -> Delivery:
    delivery = Delivery(to, "msg_1", "turn.answered", '{"data":{"message":"Grüße"}}', 1_000.5)
    return replace(delivery, **changes)  # type: ignore[arg-type]


def taken(deliveries: Deliveries, to: str, now: float = 1_000.0) -> int:
    place = take_place(deliveries, to, now)
    assert place is not None
    return place


def take_place(deliveries: Deliveries, to: str, now: float) -> int | None:
    return deliveries.take_place(to, deliveries.health(to), now=now, until=now + 60)


def test_nothing_is_known_of_an_address_at_first(deliveries: Deliveries, to: str) -> None:
    assert deliveries.health(to) == Health()
    assert list(deliveries.dead(to, limit=10)) == []
    assert deliveries.count_dead(to) == 0


def test_failures_are_counted_from_the_first_on_until_a_success(deliveries: Deliveries, to: str) -> None:
    deliveries.failed(to, taken(deliveries, to), now=1_000.5, because="answered 500", row_since=0.0)
    told = deliveries.failed(to, taken(deliveries, to), now=1_010.0, because="answered 503", row_since=0.0)
    deliveries.rest(to, until=1_020.0)
    failing = deliveries.health(to)
    deliveries.succeeded(to, taken(deliveries, to), now=1_030.0)

    assert told == Health(failed_at=1_010.0, failure="answered 503", failures=2, failing_since=1_000.5)
    assert failing == replace(told, rests_until=1_020.0)
    assert deliveries.health(to) == Health(succeeded_at=1_030.0, failed_at=1_010.0, failure="answered 503")


def test_a_failure_long_after_the_last_one_is_the_first_of_a_new_row(deliveries: Deliveries, to: str) -> None:
    for at in (1_000.5, 1_010.0):
        deliveries.failed(to, taken(deliveries, to), now=at, because="answered 500", row_since=0.0)

    in_row = deliveries.failed(to, taken(deliveries, to), now=1_020.0, because="answered 500", row_since=1_010.0)
    anew = deliveries.failed(to, taken(deliveries, to), now=9_000.0, because="answered 503", row_since=1_020.5)

    assert (in_row.failures, in_row.failing_since) == (3, 1_000.5)
    assert anew == Health(failed_at=9_000.0, failure="answered 503", failures=1, failing_since=9_000.0)
    assert deliveries.health(to) == anew


def test_of_an_address_it_is_seen_which_places_are_taken_and_those_are_not_asked_for(
    deliveries: Deliveries, to: str
) -> None:
    before = deliveries.health(to)
    place = taken(deliveries, to)
    seen = deliveries.health(to)

    others = [deliveries.take_place(to, seen, now=1_001.0, until=1_061.0) for _ in range(PLACES)]

    assert before.free_places(now=1_001.0) == tuple(range(PLACES))
    assert seen.taken_until[place] == 1_060.0
    assert set(seen.free_places(now=1_001.0)) == set(range(PLACES)) - {place}
    assert others[-1] is None
    assert {*others, place} == {*range(PLACES), None}
    assert deliveries.take_place(to, before, now=1_001.0, until=1_061.0) is None  # others were faster


def test_a_post_that_was_under_way_does_not_bring_back_who_was_forgotten(deliveries: Deliveries, to: str) -> None:
    places = [taken(deliveries, to) for _ in range(2)]

    deliveries.forget(to)
    deliveries.succeeded(to, places[0], now=1_001.0)
    told = deliveries.failed(to, places[1], now=1_001.0, because="answered 410", row_since=0.0)
    deliveries.rest(to, until=1_002.0)
    deliveries.disable(to, now=1_002.0, because="answered 410")
    deliveries.enable(to)

    assert told == deliveries.health(to) == Health()


def test_few_are_posted_at_once_to_one_address_and_others_have_places_of_their_own(
    deliveries: Deliveries, to: str
) -> None:
    places = {taken(deliveries, to) for _ in range(PLACES)}

    assert len(places) == PLACES
    assert take_place(deliveries, to, 1_001.0) is None
    assert take_place(deliveries, f"{to}-neighbour", 1_001.0) is not None


@pytest.mark.parametrize("how", ["succeeded", "failed"])
def test_a_place_that_is_given_back_is_the_next_ones(deliveries: Deliveries, to: str, how: str) -> None:
    places = [taken(deliveries, to) for _ in range(PLACES)]

    if how == "succeeded":
        deliveries.succeeded(to, places[2], now=1_001.0)
    else:
        deliveries.failed(to, places[2], now=1_001.0, because="answered 500", row_since=0.0)

    assert take_place(deliveries, to, 1_002.0) == places[2]


def test_a_place_that_nobody_gives_back_is_free_after_its_time(deliveries: Deliveries, to: str) -> None:
    for _ in range(PLACES):
        taken(deliveries, to, now=1_000.0)

    assert take_place(deliveries, to, 1_059.0) is None
    assert take_place(deliveries, to, 1_061.0) is not None


def test_what_is_disabled_stays_so_until_it_is_enabled(deliveries: Deliveries, to: str) -> None:
    deliveries.failed(to, taken(deliveries, to), now=1_000.0, because="answered 410", row_since=0.0)

    deliveries.disable(to, now=1_001.0, because="answered 410")
    disabled = deliveries.health(to)
    deliveries.enable(to)

    assert (disabled.disabled_at, disabled.disabled_because) == (1_001.0, "answered 410")
    assert deliveries.health(to) == Health(failed_at=1_000.0, failure="answered 410")


def test_the_dead_are_kept_whole_the_oldest_first(deliveries: Deliveries, to: str) -> None:
    callback = Callback("https://desk.example/", "desk", {"X-Key": "{secret:desk-key}"})
    later = DeadDelivery(a_delivery(to, id="msg_2", callback=callback), 2_000.0, "answered 404")
    first = DeadDelivery(a_delivery(to, tries=12), 1_999.5, "answered 500")
    for each in (later, first):
        deliveries.bury(each)

    assert list(deliveries.dead(to, limit=10)) == [first, later]
    assert list(deliveries.dead(to, limit=1)) == [first]
    assert list(deliveries.dead(to, limit=10, since=2_000.0)) == [later]
    assert deliveries.count_dead(to) == 2


def test_one_that_is_sent_again_is_dead_no_more(deliveries: Deliveries, to: str) -> None:
    dead = DeadDelivery(a_delivery(to), 2_000.0, "answered 500")
    deliveries.bury(dead)

    deliveries.unbury(dead)
    deliveries.unbury(dead)

    assert deliveries.count_dead(to) == 0


def test_everything_of_an_address_is_forgotten_together(deliveries: Deliveries, to: str) -> None:
    deliveries.failed(to, taken(deliveries, to), now=1_000.0, because="answered 410", row_since=0.0)
    deliveries.disable(to, now=1_000.0, because="answered 410")
    deliveries.bury(DeadDelivery(a_delivery(to), 2_000.0, "answered 500"))

    deliveries.forget(to)

    assert deliveries.health(to) == Health()
    assert deliveries.count_dead(to) == 0


def test_the_queue_knows_whose_each_message_is(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=f"deliveries-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    sent = a_delivery("a", callback=Callback("https://desk.example/", "desk"))

    SqsDeliveries(url).send([sent])
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageSystemAttributeNames=["MessageGroupId"])[
        "Messages"
    ]

    assert read_delivery(message["Body"]) == sent
    assert message["Attributes"]["MessageGroupId"] == "a"
