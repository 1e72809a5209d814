"""The queue door: what succeeds, what is tried again, what is given up."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from parley.adapters.memory import MemoryConversations
from parley.conversation import Turn
from parley.errors import Unavailable
from parley.queue_door import MAX_DELIVERIES, QueueDoor
from parley.services import Services
from tests.builders import a_session, a_turn


def a_record(turn: Turn, *, delivery: int = 1) -> SQSRecord:
    return SQSRecord(
        {
            "messageId": "m",
            "body": msgspec.json.encode(turn).decode(),
            "attributes": {"ApproximateReceiveCount": str(delivery)},
        }
    )


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


def accepted(services: Services) -> Turn:
    session = a_session(bot="support")
    services.conversations.start(session)
    turn = a_turn(bot="support", conversation_id=session.conversation_id)
    services.conversations.accept(turn)
    return turn


def status(services: Services, turn: Turn) -> tuple[str, str | None]:
    progress = services.conversations.progress(turn.conversation_id, turn.id)
    assert progress is not None
    return progress.status, progress.reason


def broken(*_: Any, **__: Any) -> None:
    raise Unavailable("the database did not answer")


def test_a_turn_from_the_queue_is_answered(services: Services) -> None:
    turn = accepted(services)

    QueueDoor(services)(a_record(turn))

    assert status(services, turn) == ("done", None)


def test_a_turn_delivered_twice_is_answered_once(services: Services) -> None:
    turn = accepted(services)

    QueueDoor(services)(a_record(turn))
    QueueDoor(services)(a_record(turn, delivery=2))

    assert len(services.conversations.history(turn.conversation_id, limit=10)) == 1


def test_what_may_succeed_later_goes_back_to_the_queue(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = accepted(services)
    monkeypatch.setattr(MemoryConversations, "record", broken)

    with pytest.raises(Unavailable):
        QueueDoor(services)(a_record(turn))

    assert status(services, turn) == ("running", None)


def test_after_the_last_delivery_the_turn_has_failed_with_a_reason(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = accepted(services)
    monkeypatch.setattr(MemoryConversations, "record", broken)

    with pytest.raises(Unavailable):
        QueueDoor(services)(a_record(turn, delivery=MAX_DELIVERIES))

    assert status(services, turn) == ("failed", "the database did not answer")


def test_a_turn_of_an_erased_conversation_is_dropped_without_a_retry(services: Services) -> None:
    turn = accepted(services)
    services.conversations.erase(turn.conversation_id)

    QueueDoor(services)(a_record(turn))

    assert services.conversations.progress(turn.conversation_id, turn.id) is None
