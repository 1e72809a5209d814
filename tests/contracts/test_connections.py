"""The contract of `ports.Connections`, kept by the fake and by DynamoDB alike."""

import uuid

import pytest

from parley.adapters.connections import DynamoConnections
from parley.adapters.memory import MemoryConnections
from parley.ports import LIFETIME_SECONDS, Connections, Listener
from tests.contracts.conftest import Tables
from tests.contracts.test_conversations import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "dynamodb"])
def connections(request: pytest.FixtureRequest, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Connections:
    if request.param == "memory":
        return MemoryConnections(clock)
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    tables: Tables = request.getfixturevalue("tables")
    return DynamoConnections(tables.connections, clock=clock)


@pytest.fixture
def conversation() -> str:
    return uuid.uuid4().hex


def test_who_listens_is_found_by_conversation_and_by_connection(connections: Connections, conversation: str) -> None:
    connections.listen(conversation + "-1", conversation)
    connections.listen(conversation + "-2", conversation, turn_id="t", after=7)

    assert set(connections.listeners(conversation).listeners) == {
        Listener(conversation + "-1"),
        Listener(conversation + "-2", "t", 7),
    }
    assert connections.conversation_of(conversation + "-1") == conversation


def test_nobody_listens_to_a_conversation_that_nobody_named(connections: Connections, conversation: str) -> None:
    assert connections.listeners(conversation).listeners == ()
    assert connections.conversation_of(conversation) is None


def test_who_asks_again_listens_once_from_where_he_is_now(connections: Connections, conversation: str) -> None:
    connections.listen("c" + conversation, conversation)
    connections.listen("c" + conversation, conversation, turn_id="t", after=3)

    assert connections.listeners(conversation).listeners == (Listener("c" + conversation, "t", 3),)


def test_a_connection_listens_to_one_conversation_at_a_time(connections: Connections, conversation: str) -> None:
    connections.listen("c" + conversation, conversation)
    connections.listen("c" + conversation, conversation + "-other")

    assert connections.listeners(conversation).listeners == ()
    assert connections.conversation_of("c" + conversation) == conversation + "-other"


def test_a_connection_that_is_closed_listens_no_more_and_may_be_closed_again(
    connections: Connections, conversation: str
) -> None:
    connections.listen("c" + conversation, conversation)

    connections.close("c" + conversation)
    connections.close("c" + conversation)

    assert connections.listeners(conversation).listeners == ()
    assert connections.conversation_of("c" + conversation) is None


def test_whose_page_has_connected_is_known_whatever_it_listens_to(connections: Connections, conversation: str) -> None:
    connections.open("c" + conversation, "https://shop.example")
    connections.listen("c" + conversation, conversation)

    assert connections.origin_of("c" + conversation) == "https://shop.example"
    assert connections.origin_of("d" + conversation) is None
    assert connections.conversation_of("c" + conversation) == conversation


def test_whose_page_has_connected_is_forgotten_when_no_connection_can_be_open_any_more(
    connections: Connections, conversation: str, clock: Clock
) -> None:
    connections.open("c" + conversation, "https://shop.example")

    clock.now += LIFETIME_SECONDS + 1

    assert connections.origin_of("c" + conversation) is None


def test_what_was_cancelled_is_seen_in_its_own_conversation_only(connections: Connections, conversation: str) -> None:
    connections.cancel(conversation, "t1")
    connections.cancel(conversation, "t2")

    assert connections.listeners(conversation).cancelled == {"t1", "t2"}
    assert connections.listeners(conversation + "-other").cancelled == frozenset()


def test_a_connection_is_forgotten_when_it_can_be_open_no_more(
    connections: Connections, clock: Clock, conversation: str
) -> None:
    connections.listen("c" + conversation, conversation)

    clock.now += LIFETIME_SECONDS + 1

    assert connections.listeners(conversation).listeners == ()
    assert connections.conversation_of("c" + conversation) is None
