"""Webhooks of the deployed stack: what is said there reaches a subscriber's server, signed, and once for its id."""

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.contracts.subscriber import SubscriberServer
from tests.stack.person import Answer, Person, ask

WITHIN_SECONDS = 60


class Operator:
    """Somebody who keeps subscriptions of the deployed stack."""

    def __init__(self, stack: Any) -> None:
        secret = stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
        self._key = stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
        self._root = f"{stack.http}/v1/subscriptions"

    def call(self, path: str = "", *, method: str = "GET", body: Any = None, key: str | None = None) -> Answer:
        return ask(f"{self._root}{path}", method=method, body=body, Authorization=f"Bearer {key or self._key}")

    def subscribe(self, url: str, **fields: Any) -> Any:
        answer = self.call(method="POST", body={"name": "a test", "url": url, **fields})
        assert answer.status == 201, answer
        return answer.body


@pytest.fixture(scope="module")
def operator(deployed_stack: Any) -> Operator:
    return Operator(deployed_stack)


@pytest.fixture
def server() -> Iterator[SubscriberServer]:
    with SubscriberServer() as server:
        yield server


@pytest.fixture
def subscribed(operator: Operator, server: SubscriberServer) -> Iterator[Any]:
    made = operator.subscribe(f"{server.url}/hook")
    yield made
    operator.call(f"/{made['id']}", method="DELETE")


def until(happened: Callable[[], Any]) -> Any:
    """What `happened` gives once it is something."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"not within {WITHIN_SECONDS} s")


def told(server: SubscriberServer, kind: str, conversation_id: str | None) -> list[tuple[dict[str, str], bytes]]:
    """What has arrived of a kind about a conversation."""
    found = []
    for _, headers, body in list(server.posts):
        said = json.loads(body)
        if said["type"] == kind and said["data"].get("conversation_id") == conversation_id:
            found.append((headers, body))
    return found


def test_a_turn_arrives_signed_and_feedback_after_it(
    deployed_stack: Any, server: SubscriberServer, subscribed: Any
) -> None:
    person = Person(deployed_stack.http)

    answer = person.say("hello")
    conversation = person.conversation_id
    headers, body = until(lambda: told(server, "turn.answered", conversation))[0]
    until(lambda: told(server, "conversation.started", conversation))
    turn = answer.body["turn_id"]
    rated = ask(
        f"{deployed_stack.http}/v1/conversations/{conversation}/turns/{turn}/feedback",
        method="POST",
        body={"rating": "down", "comment": "too short"},
        Authorization=f"Bearer {answer.body['conversation_token']}",
    )
    _, feedback = until(lambda: told(server, "feedback.given", conversation))[0]

    data = Webhook(subscribed["secret"]).verify(body, headers)["data"]
    assert (data["message"], data["replies"], data["bot"]) == ("hello", answer.body["replies"], "support")
    assert rated.status == 204
    assert json.loads(feedback)["data"]["comment"] == "too short"
    assert json.loads(body)["id"] == headers["webhook-id"]


def test_a_form_that_is_filled_is_told(deployed_stack: Any, server: SubscriberServer, subscribed: Any) -> None:
    person = Person(deployed_stack.http)

    person.say("where is my order?")
    person.say("WB-204518")
    _, body = until(lambda: told(server, "form.completed", person.conversation_id))[0]

    assert "WB-204518" in json.loads(body)["data"]["slots"].values()


def test_what_fails_is_sent_again_with_the_same_id(
    deployed_stack: Any, server: SubscriberServer, subscribed: Any
) -> None:
    person = Person(deployed_stack.http)
    server.answers += [(500, {}), (500, {})]

    person.say("hello")
    attempts = until(lambda: len(found := all_told(server, person)) >= 4 and found)

    ids = [headers["webhook-id"] for headers, _ in attempts]
    assert sorted(ids) == sorted(2 * list(set(ids)))
    for headers, body in attempts:
        assert Webhook(subscribed["secret"]).verify(body, headers)


def test_one_that_is_gone_is_disabled_and_what_it_missed_is_sent_again(
    deployed_stack: Any, operator: Operator, server: SubscriberServer, subscribed: Any
) -> None:
    one, person = f"/{subscribed['id']}", Person(deployed_stack.http)
    server.answers += [(410, {})] * 2  # both that the first turn is told with may be under way at once

    person.say("hello")
    state = until(lambda: (now := operator.call(one).body["state"])["dead"] == 2 and now)
    replayed_too_early = operator.call(f"{one}/deliveries").body
    server.answers.clear()
    operator.call(f"{one}/enable", method="POST", body={})
    replayed = operator.call(f"{one}/replay", method="POST", body={})
    until(lambda: len(all_told(server, person)) >= 3)

    assert (state["status"], state["disabled_because"]) == ("disabled", "answered 410")
    assert replayed_too_early["count"] == 2
    assert (replayed.status, replayed.body) == (202, {"replayed": 2, "left": 0})
    assert operator.call(one).body["state"]["dead"] == 0


def test_a_ping_is_answered_at_once_and_a_new_secret_signs_beside_the_old(
    operator: Operator, server: SubscriberServer, subscribed: Any
) -> None:
    rotated = operator.call(f"/{subscribed['id']}/rotate", method="POST", body={}).body

    pinged = operator.call(f"/{subscribed['id']}/test", method="POST", body={}).body

    ((headers, body),) = told(server, "ping", None)
    assert (pinged["delivered"], pinged["status"]) == (True, 200)
    for secret in (subscribed["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, headers)


def test_only_operators_subscribe(operator: Operator, server: SubscriberServer) -> None:
    assert operator.call(key="guessed").status == 403
    assert operator.call(method="POST", body={"name": "x", "url": "https://192.168.0.1/"}).status == 400


def test_a_neighbour_that_hangs_delays_nobody(
    deployed_stack: Any, operator: Operator, server: SubscriberServer, subscribed: Any
) -> None:
    slow = operator.subscribe(f"{server.url}/hang")
    person = Person(deployed_stack.http)
    try:
        for _ in range(4):
            person.say("hello")
        arrived = until(lambda: len(found := told_quickly(server, person)) >= 4 and found)
    finally:
        operator.call(f"/{slow['id']}", method="DELETE")

    assert len(arrived) >= 4


def all_told(server: SubscriberServer, person: Person) -> list[tuple[dict[str, str], bytes]]:
    """What has arrived of a conversation's first turn."""
    kinds = ("turn.answered", "conversation.started")
    return [each for kind in kinds for each in told(server, kind, person.conversation_id)]


def told_quickly(server: SubscriberServer, person: Person) -> list[Any]:
    """The turns that arrived where nothing hangs."""
    at = [post for post in list(server.posts) if post[0] == "/hook"]
    bodies = [json.loads(body) for _, _, body in at]
    return [
        body
        for body in bodies
        if body["type"] == "turn.answered" and body["data"]["conversation_id"] == person.conversation_id
    ]


def made_secret(stack: Any, name: str) -> str:
    """A secret of Standard Webhooks, put where the functions look for it."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    stack.client("secretsmanager").create_secret(Name=f"parley/local/{name}", SecretString=secret)
    return secret


class Sender:
    """The server of a bot's webhook, which signs by Standard Webhooks."""

    def __init__(self, stack: Any, bot: str, name: str) -> None:
        self._url = f"{stack.http}/v1/webhooks/{name}?bot={bot}"
        self._secret = made_secret(stack, f"{name}-webhook")

    def post(self, body: Any, *, secret: str | None = None, age: float = 0) -> Answer:
        content, at = json.dumps(body), datetime.fromtimestamp(int(time.time() - age), UTC)
        signature = Webhook(secret or self._secret).sign("msg_1", at, content)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        return ask(self._url, method="POST", raw=content.encode(), **headers)


@pytest.fixture(scope="module")
def board(deployed_stack: Any) -> Sender:
    """The company's message board."""
    return Sender(deployed_stack, "assistant", "intranet")


def a_message(text: str, room: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message.created", "room": room, "message": {"id": f"{room}-1", "text": text}, **fields}


def test_another_server_talks_to_a_bot_and_gets_the_reply_that_its_author_describes(board: Sender) -> None:
    room = secrets.token_hex(4)

    asked = board.post(a_message("can I take my bicycle on the train?", room))
    again = board.post(a_message("can I take my bicycle on the train?", room))

    assert asked.status == 200, asked
    assert "bicycle" in asked.body["text"]
    assert asked.body["in_reply_to"] == f"{room}-1"
    assert again.body == asked.body


def test_what_is_not_signed_or_not_of_interest_gets_no_reply(board: Sender) -> None:
    forged = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    room = secrets.token_hex(4)

    refused = [board.post(a_message("hello", room), secret=forged), board.post(a_message("hello", room), age=3_600)]
    passed_over = board.post(a_message("hello", room, type="message.deleted"))
    incomplete = board.post({"type": "message.created", "room": room, "message": {"id": "1"}})

    assert [answer.status for answer in refused] == [401, 401]
    assert (passed_over.status, passed_over.body) == (200, {"status": "ignored"})
    assert incomplete.status == 400
    assert "message.text" in incomplete.body["detail"]
