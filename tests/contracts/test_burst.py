"""A burst: 200 conversations at once, a generator that fails one call in five, and a queue that delivers twice."""

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

import msgspec
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from parley.act import Actor
from parley.adapters.dynamodb import DynamoConversations
from parley.adapters.memory import MemorySockets, memory_lines
from parley.adapters.sagemaker import SageMakerGenerator
from parley.conversation import Turn
from parley.generation.persistence import Persistent
from parley.ports import Patience
from parley.queue_door import MAX_DELIVERIES, QueueDoor
from parley.services import Services
from tests.builders import a_session, a_turn
from tests.contracts.conftest import Tables
from tests.contracts.misbehaving import ENDPOINT, Misbehaving

CONVERSATIONS = 200
AT_ONCE = 8  # turns; what the pace function allows an endpoint of eight places
FAILURES = ("throttle", "unavailable", "model error", "break", "stream failure")
PATIENCE = Patience(first_seconds=20, whole_seconds=45)
DELIVERED_TWICE = 10  # one message of so many, as a queue does that delivers at least once


@pytest.fixture
def endpoint() -> Iterator[Misbehaving]:
    """An endpoint of which one call in five fails, each time in another way."""

    def choose(call: int) -> str:
        return "answer" if call % 5 else FAILURES[call // 5 % len(FAILURES)]

    with Misbehaving(choose) as endpoint:
        yield endpoint


@pytest.fixture
def services(
    make_services: Callable[..., Services],
    aws: dict[str, str],
    tables: Tables,
    endpoint: Misbehaving,
    monkeypatch: pytest.MonkeyPatch,
) -> Services:
    """The worker's services: a real table, and the endpoint behind SageMaker's protocol."""
    for name, value in {**aws, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Actor, "_asking", lambda *_, **__: None)  # or one reply would do for all
    generator = Persistent(
        SageMakerGenerator(ENDPOINT, silence_seconds=5),
        sleep=time.sleep,
        clock=time.monotonic,
        random=random.Random(5).random,
    )
    conversations = DynamoConversations(tables.conversations, retention_days=1, clock=time.time)
    return replace(make_services(generator, conversations), patience=PATIENCE)


class Queue:
    """Turns on their way to the workers: what is not taken comes back, and some comes twice."""

    def __init__(self, turns: list[Turn]) -> None:
        self._waiting: SimpleQueue[tuple[Turn, int]] = SimpleQueue()
        self.dead: list[Turn] = []
        for number, turn in enumerate(turns):
            self._waiting.put((turn, 1))
            if number % DELIVERED_TWICE == 0:
                self._waiting.put((turn, 2))

    def work(self, door: QueueDoor) -> None:
        """Takes turns until none is left."""
        with suppress(Empty):
            while True:
                turn, delivery = self._waiting.get_nowait()
                try:
                    door(a_record(turn, delivery))
                except Exception:  # noqa: BLE001  (whatever it is, the queue delivers again)
                    if delivery < MAX_DELIVERIES:
                        self._waiting.put((turn, delivery + 1))
                    else:
                        self.dead.append(turn)


def a_record(turn: Turn, delivery: int) -> SQSRecord:
    attributes = {"ApproximateReceiveCount": str(delivery)}
    return SQSRecord({"messageId": "m", "body": msgspec.json.encode(turn).decode(), "attributes": attributes})


@pytest.mark.timeout(300)
def test_every_turn_ends_and_none_is_answered_twice(services: Services, endpoint: Misbehaving) -> None:
    conversations, lines = services.conversations, memory_lines()
    turns = []
    for _ in range(CONVERSATIONS):
        session = a_session(bot="support", conversation_id=f"burst-{random.getrandbits(64):x}")
        conversations.start(session)
        turn = a_turn(bot="support", conversation_id=session.conversation_id, text="how are you today?")
        conversations.accept(turn)
        lines.connections.listen(f"of {turn.id}", session.conversation_id, turn_id=turn.id)
        turns.append(turn)
    queue = Queue(turns)

    with ThreadPoolExecutor(AT_ONCE) as workers:
        for _ in range(AT_ONCE):
            workers.submit(queue.work, QueueDoor(services, lines))

    histories = [conversations.history(turn.conversation_id, limit=10) for turn in turns]
    sources = Counter(recorded.reply.source for history in histories for recorded in history)
    assert [len(history) for history in histories] == [1] * CONVERSATIONS
    assert sources["generated"] >= 0.9 * CONVERSATIONS
    assert set(sources) <= {"generated", "fallback"}
    assert queue.dead == []
    assert {
        progress.status for turn in turns if (progress := conversations.progress(turn.conversation_id, turn.id))
    } == {"done"}
    failed = sum(endpoint.did[kind] for kind in FAILURES)
    assert failed == len(endpoint.calls) // 5
    assert isinstance(lines.sockets, MemorySockets)
    assert ends(lines.sockets) == {
        f"of {turn.id}": {history[0].reply.source} for turn, history in zip(turns, histories, strict=True)
    }


def ends(sockets: MemorySockets) -> dict[str, set[str]]:
    """By connection, what the frames say that end its turn."""
    told: dict[str, set[str]] = defaultdict(set)
    for connection, text in sockets.sent:
        frame = json.loads(text)
        if frame["type"] in ("done", "failed"):
            told[connection].add(frame.get("source", "failed"))
    return told
