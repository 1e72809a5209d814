"""The queue door: what succeeds, what is tried again, what is given up, and who is told."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from parley.adapters.memory import MemoryConversations, MemoryGenerator, MemoryLateQueue, MemorySockets, memory_lines
from parley.conversation import Turn
from parley.errors import GenerationAsleep, GenerationFailed, Unavailable
from parley.lines import Lines
from parley.ports import LateTurn, Remark
from parley.queue_door import BETWEEN_SECONDS, MAX_DELIVERIES, MAX_TRIES, QueueDoor
from parley.services import Services
from tests.builders import PNG, a_photo, a_session, a_turn

ASLEEP = GenerationAsleep("no instance is up")


def a_record(errand: Turn | LateTurn | Remark, *, delivery: int = 1) -> SQSRecord:
    return SQSRecord(
        {
            "messageId": "m",
            "body": msgspec.json.encode(errand).decode(),
            "attributes": {"ApproximateReceiveCount": str(delivery)},
        }
    )


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services()


@pytest.fixture
def lines() -> Lines:
    return memory_lines()


@pytest.fixture
def door(services: Services, lines: Lines) -> QueueDoor:
    return QueueDoor(services, lines)


def accepted(services: Services, lines: Lines | None = None, **changes: Any) -> Turn:
    """A turn that waits in the queue; its person listens, if there are lines."""
    session = a_session(bot="support")
    services.conversations.start(session)
    turn = a_turn(bot="support", conversation_id=session.conversation_id, **changes)
    services.conversations.accept(turn)
    if lines is not None:
        lines.connections.listen("one", session.conversation_id, turn_id=turn.id)
    return turn


def told(lines: Lines) -> list[dict[str, Any]]:
    """The frames that the person has got."""
    assert isinstance(lines.sockets, MemorySockets)
    return [json.loads(frame) for to, frame in lines.sockets.sent if to == "one"]


def in_the_late_queue(lines: Lines) -> list[tuple[LateTurn, int]]:
    assert isinstance(lines.late, MemoryLateQueue)
    return lines.late.sent


def status(services: Services, turn: Turn) -> tuple[str, str | None]:
    progress = services.conversations.progress(turn.conversation_id, turn.id)
    assert progress is not None
    return progress.status, progress.reason


def broken(*_: Any, **__: Any) -> None:
    raise Unavailable("the database did not answer")


def test_a_turn_from_the_queue_is_answered(services: Services, door: QueueDoor) -> None:
    turn = accepted(services)

    door(a_record(turn))

    assert status(services, turn) == ("done", None)


def test_a_turn_delivered_twice_is_answered_once(services: Services, door: QueueDoor) -> None:
    turn = accepted(services)

    door(a_record(turn))
    door(a_record(turn, delivery=2))

    assert len(services.conversations.history(turn.conversation_id, limit=10)) == 1


def test_what_may_succeed_later_goes_back_to_the_queue(
    services: Services, door: QueueDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = accepted(services)
    monkeypatch.setattr(MemoryConversations, "record", broken)

    with pytest.raises(Unavailable):
        door(a_record(turn))

    assert status(services, turn) == ("running", None)


def test_after_the_last_delivery_the_turn_has_failed_with_a_reason(
    services: Services, lines: Lines, door: QueueDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = accepted(services, lines)
    monkeypatch.setattr(MemoryConversations, "record", broken)

    with pytest.raises(Unavailable):
        door(a_record(turn, delivery=MAX_DELIVERIES))

    assert status(services, turn) == ("failed", "the database did not answer")
    (failed,) = told(lines)
    assert (failed["type"], failed["turn_id"], failed["problem"]["status"]) == ("failed", turn.id, 503)


def test_a_turn_of_an_erased_conversation_is_dropped_without_a_retry(services: Services, door: QueueDoor) -> None:
    turn = accepted(services)
    services.conversations.erase(turn.conversation_id)

    door(a_record(turn))

    assert services.conversations.progress(turn.conversation_id, turn.id) is None


def test_who_listens_is_told_the_reply_as_it_comes_and_whole(services: Services, lines: Lines, door: QueueDoor) -> None:
    turn = accepted(services, lines, text="how are you today?")

    door(a_record(turn))

    frames = told(lines)
    assert frames[-1]["type"] == "done"
    assert frames[-1]["replies"] == [{"text": "Very well, thank you."}]
    assert [frame["number"] for frame in frames] == list(range(1, len(frames) + 1))


def test_a_turn_delivered_again_numbers_its_frames_on(services: Services, lines: Lines, door: QueueDoor) -> None:
    turn = accepted(services, lines)

    door(a_record(turn, delivery=2))

    (done,) = told(lines)
    assert done["number"] > 10_000


def test_a_connection_that_is_gone_does_not_stop_the_turn(services: Services, lines: Lines, door: QueueDoor) -> None:
    turn = accepted(services, lines)
    assert isinstance(lines.sockets, MemorySockets)
    lines.sockets.gone.add("one")

    door(a_record(turn))

    assert status(services, turn) == ("done", None)
    assert lines.connections.conversation_of("one") is None


def test_who_stopped_a_turn_gets_what_had_come_and_nobody_else_gets_it_from_the_cache(
    make_services: Callable[..., Services], lines: Lines
) -> None:
    services = make_services(MemoryGenerator(*["Very well, thank you. "] * 2, "And how are you? " * 20))
    turn = accepted(services, lines, text="how are you today?")
    lines.connections.cancel(turn.conversation_id, turn.id)

    QueueDoor(services, lines)(a_record(turn))

    assert told(lines)[-1]["type"] == "done"
    another = accepted(services, text="how are you today?")
    QueueDoor(services, lines)(a_record(another))
    (recorded,) = services.conversations.history(another.conversation_id, limit=1)
    assert recorded.reply.source != "cached"


class TestWaiting:
    """Somebody who agreed to wait for a generator that was away."""

    def test_gets_the_fallback_at_once_and_a_place_in_the_queue(
        self, make_services: Callable[..., Services], lines: Lines
    ) -> None:
        services = make_services(MemoryGenerator(fails_with=ASLEEP))
        turn = accepted(services, lines, text="how are you today?", waits=True)

        QueueDoor(services, lines)(a_record(turn))

        done = told(lines)[-1]
        assert (done["source"], done["may_wait"]) == ("fallback", True)
        ((late, _),) = in_the_late_queue(lines)
        assert (late.turn.text, late.before) == ("how are you today?", 1)

    def test_gets_nothing_later_without_having_agreed(
        self, make_services: Callable[..., Services], lines: Lines
    ) -> None:
        services = make_services(MemoryGenerator(fails_with=ASLEEP))

        QueueDoor(services, lines)(a_record(accepted(services, lines, text="how are you today?")))

        assert in_the_late_queue(lines) == []

    def test_waits_on_while_the_generator_is_away(self, make_services: Callable[..., Services], lines: Lines) -> None:
        services, late = self.agreed(make_services, lines)

        QueueDoor(services, lines)(a_record(late))

        again, delay = in_the_late_queue(lines)[-1]
        assert (again, delay) == (replace(late, tries=1), BETWEEN_SECONDS)
        assert status(services, late.turn) == ("running", None)

    def test_gets_the_answer_when_it_is_back_as_a_turn_of_the_bots_own(
        self, make_services: Callable[..., Services], lines: Lines
    ) -> None:
        services, late = self.agreed(make_services, lines)
        awake = replace(services, generator=MemoryGenerator("Fine, thanks."))

        QueueDoor(awake, lines)(a_record(late))

        turn = told(lines)[-1]
        assert (turn["type"], turn["turn_id"], turn["message"]) == ("turn", late.turn.id, "")
        assert turn["replies"] == [{"text": "Fine, thanks."}]
        assert status(services, late.turn) == ("done", None)

    def test_is_answered_once(self, make_services: Callable[..., Services], lines: Lines) -> None:
        services, late = self.agreed(make_services, lines)
        awake = replace(services, generator=MemoryGenerator("Fine, thanks."))

        QueueDoor(awake, lines)(a_record(late))
        QueueDoor(awake, lines)(a_record(late, delivery=2))

        assert len(services.conversations.history(late.turn.conversation_id, limit=10)) == 2

    def test_is_told_when_it_is_given_up(self, make_services: Callable[..., Services], lines: Lines) -> None:
        services, late = self.agreed(make_services, lines)

        QueueDoor(services, lines)(a_record(replace(late, tries=MAX_TRIES - 1)))

        assert told(lines)[-1]["type"] == "failed"
        assert status(services, late.turn) == ("failed", "no instance is up")

    def test_is_told_when_the_generator_is_broken(self, make_services: Callable[..., Services], lines: Lines) -> None:
        services, late = self.agreed(make_services, lines)
        broken = replace(services, generator=MemoryGenerator(fails_with=GenerationFailed("it broke")))

        QueueDoor(broken, lines)(a_record(late))

        assert status(services, late.turn) == ("failed", "it broke")

    def test_is_not_talked_to_by_the_bot_once_a_person_has_the_conversation(
        self, make_services: Callable[..., Services], lines: Lines
    ) -> None:
        services, late = self.agreed(make_services, lines)
        session = services.conversations.open(late.turn.conversation_id).session
        assert session is not None
        wanting = a_turn(bot="support", conversation_id=session.conversation_id, text="I want to talk to a person")
        services.conversations.accept(wanting)
        QueueDoor(services, lines)(a_record(wanting))

        QueueDoor(replace(services, generator=MemoryGenerator("Fine, thanks.")), lines)(a_record(late))

        assert status(services, late.turn)[0] == "failed"

    def agreed(self, make_services: Callable[..., Services], lines: Lines) -> tuple[Services, LateTurn]:
        """Somebody waits, and the generator is asleep."""
        services = make_services(MemoryGenerator(fails_with=ASLEEP))
        turn = accepted(services, lines, text="how are you today?", waits=True)
        QueueDoor(services, lines)(a_record(turn))
        ((late, _),) = in_the_late_queue(lines)
        return services, late


def test_a_queued_turn_is_told_which_files_came_with_it(services: Services, door: QueueDoor) -> None:
    turn = accepted(services, text="hello", uploads=("u1",))
    services.uploads.put(turn.bot, turn.conversation_id, a_photo(), PNG)

    door(a_record(turn))

    (recorded,) = services.conversations.history(turn.conversation_id, limit=1)
    assert recorded.uploads == (a_photo(),)


def test_a_turn_with_a_file_that_was_never_sent_fails_and_says_so(services: Services, lines: Lines) -> None:
    turn = accepted(services, lines, uploads=("never",))

    QueueDoor(services, lines)(a_record(turn))

    assert status(services, turn)[0] == "failed"
    assert told(lines)[-1]["problem"]["status"] == 404
