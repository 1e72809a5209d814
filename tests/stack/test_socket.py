"""Replies over the WebSocket of the deployed stack: streamed, resumed, cancelled, refused."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.stack.person import Person
from tests.stack.test_failures import without_grant

WITHIN_SECONDS = 60
LATE_SECONDS = 100  # the first try is made after 20 s, the second a minute later
# Nobody has a script for these, and nobody has asked them before: what was asked is answered from the cache.
STORIES = (
    f"please tell me something nice about your {what}"
    for what in ("evening", "weekend", "week", "holiday", "family", "friends", "birthday", "lunch", "Sunday", "cat")
)


class Client:
    """Somebody with an open connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, **frame: Any) -> None:
        self._connection.send(json.dumps(frame))

    def next(self, *, within: float = WITHIN_SECONDS) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self._connection.recv(timeout=within))
        return frame

    def until(
        self, is_last: Callable[[dict[str, Any]], bool], *, within: float = WITHIN_SECONDS
    ) -> list[dict[str, Any]]:
        """The frames up to one, each within so many seconds of the one before."""
        frames = [self.next(within=within)]
        while not is_last(frames[-1]):
            frames.append(self.next(within=within))
        return frames

    def to_the_end(self) -> list[dict[str, Any]]:
        return self.until(lambda frame: frame["type"] in ("done", "failed"))

    def begin(self, message: str, **more: Any) -> dict[str, Any]:
        """Begins a conversation; the frame that says that it was accepted."""
        self.send(action="message", message=message, **more)
        return self.next()


@contextmanager
def connected(stack: Any) -> Iterator[Client]:
    with connect(stack.websocket, open_timeout=WITHIN_SECONDS) as connection:
        yield Client(connection)


@pytest.fixture
def client(deployed_stack: Any) -> Iterator[Client]:
    with connected(deployed_stack) as client:
        yield client


def opened(accepted: dict[str, Any]) -> dict[str, Any]:
    """What opens the conversation to whoever has it."""
    return {name: accepted[name] for name in ("conversation_id", "conversation_token")}


def text_of(frames: list[dict[str, Any]]) -> str:
    """What the deltas have made of the reply."""
    text = ""
    for frame in frames:
        if frame["type"] == "delta":
            text = text[: frame["at"]] + frame["text"]
    return text


def test_a_reply_comes_over_the_socket_and_the_conversation_goes_on(client: Client) -> None:
    accepted = client.begin("where is my order?", turn_id="first")
    asked = client.to_the_end()[-1]
    client.send(action="message", message="WB-204518")
    told = client.to_the_end()[-1]

    assert (accepted["type"], accepted["turn_id"], accepted["number"]) == ("accepted", "first", 0)
    assert "WB-" in asked["replies"][0]["text"]
    assert "WB-204518" in told["replies"][0]["text"]
    assert told["conversation_id"] == accepted["conversation_id"]


def test_a_generated_reply_is_seen_to_grow(client: Client) -> None:
    client.begin(next(STORIES))

    frames = client.to_the_end()

    assert frames[-1]["source"] == "generated"
    assert [frame["number"] for frame in frames] == list(range(1, len(frames) + 1))
    whole = frames[-1]["replies"][0]["text"]
    assert whole.startswith(text_of(frames).rstrip()) or text_of(frames).startswith(whole)


def test_a_citation_comes_with_an_answer(client: Client) -> None:
    client.begin("how long do I have to return something?")

    done = client.to_the_end()[-1]

    assert done["replies"][0]["citations"][0]["document"] == "returns.md"


def test_who_lost_the_connection_gets_the_reply_on_another(deployed_stack: Any) -> None:
    with connected(deployed_stack) as client:
        accepted = client.begin(next(STORIES))

    with connected(deployed_stack) as back:
        back.send(action="resume", turn_id=accepted["turn_id"], after=0, **opened(accepted))
        done = back.to_the_end()[-1]

    assert done["type"] == "done"
    assert done["turn_id"] == accepted["turn_id"]


def test_a_stranger_can_neither_read_nor_stop_a_turn(client: Client, deployed_stack: Any) -> None:
    accepted = client.begin("hello")
    client.to_the_end()

    with connected(deployed_stack) as stranger:
        for action in ({"action": "resume", "after": 0}, {"action": "cancel"}, {"action": "wait"}):
            stranger.send(
                **action,
                turn_id=accepted["turn_id"],
                conversation_id=accepted["conversation_id"],
                conversation_token="guessed",
            )
            refused = stranger.next()
            assert (refused["type"], refused["problem"]["status"]) == ("failed", 403)


def test_a_client_that_can_set_headers_shows_its_token_when_it_connects(client: Client, deployed_stack: Any) -> None:
    accepted = client.begin("hello")
    client.to_the_end()
    url = f"{deployed_stack.websocket}?conversation_id={accepted['conversation_id']}"

    with connect(url, additional_headers={"Authorization": f"Bearer {accepted['conversation_token']}"}) as connection:
        again = Client(connection).begin("hello")
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers={"Authorization": "Bearer guessed"}):
        pass

    assert again["conversation_id"] == accepted["conversation_id"]
    assert refused.value.response.status_code == 403


def test_the_same_message_sent_twice_is_answered_once(client: Client, deployed_stack: Any) -> None:
    accepted = client.begin("hello", turn_id="once")
    client.to_the_end()
    client.send(action="message", message="hello", turn_id="once")
    again = client.to_the_end()[-1]

    assert again["turn_id"] == "once"
    person = Person(deployed_stack.http)
    person.resume(**opened(accepted))
    assert person.messages() == ["hello"]


def test_a_ping_is_answered(client: Client) -> None:
    client.send(action="ping")

    assert client.next() == {"type": "pong"}


def test_what_is_no_frame_is_refused_and_the_connection_stays(client: Client) -> None:
    client.send(action="shout")
    refused = client.next()

    assert (refused["type"], refused["problem"]["status"]) == ("failed", 400)
    assert client.begin("hello")["type"] == "accepted"


def test_whoever_agreed_to_wait_gets_the_answer_when_the_generator_is_back(client: Client, deployed_stack: Any) -> None:
    client.begin("hello")
    client.to_the_end()
    deployed_stack.stop_generator()
    try:
        client.send(action="message", message=next(STORIES), wait=True)
        fallback = client.to_the_end()[-1]
    finally:
        deployed_stack.start_generator()

    late = client.until(lambda frame: frame["type"] == "turn", within=LATE_SECONDS)[-1]

    assert (fallback["source"], fallback["may_wait"]) == ("fallback", True)
    assert late["turn_id"] == f"{fallback['turn_id']}.late"
    assert late["source"] == "generated"


def test_without_the_grant_to_post_the_turn_is_answered_all_the_same(deployed_stack: Any) -> None:
    outputs = deployed_stack.outputs["Parley-local-Chat"]
    with connected(deployed_stack) as client:
        accepted = client.begin("hello")
        client.to_the_end()
        with without_grant(deployed_stack, outputs["WorkerFunction"], "execute-api:"):
            client.send(action="message", message="where is my order?", turn_id="unheard")
            client.next()
            person = Person(deployed_stack.http)
            person.resume(**opened(accepted))
            progress = person.follow("unheard")

    assert progress["status"] == "done"


def test_of_a_turn_that_is_stopped_before_it_begins_nothing_is_generated(client: Client) -> None:
    client.begin("hello")
    client.to_the_end()
    client.send(action="cancel", turn_id="enough")  # first, so that the worker cannot be faster
    client.send(action="message", message=next(STORIES), turn_id="enough")

    frames = client.to_the_end()

    assert [frame["type"] for frame in frames] == ["accepted", "done"]
    assert frames[-1]["source"] == "fallback"
