"""Callbacks of the deployed stack: a server that asks is acknowledged, and the reply is posted to it, signed."""

import secrets
from typing import Any
from urllib.parse import quote

import pytest
from standardwebhooks.webhooks import Webhook

from tests.contracts.subscriber import SubscriberServer
from tests.stack.test_webhooks import Sender, made_secret, until


@pytest.fixture(scope="module")
def sender(deployed_stack: Any) -> Sender:
    """The server of the tickets that the bot `desk` answers."""
    return Sender(deployed_stack, "desk", "tickets")


@pytest.fixture(scope="module")
def callback_secret(deployed_stack: Any) -> str:
    return made_secret(deployed_stack, "tickets-callback")


@pytest.fixture
def ticket() -> str:
    """One that would lead elsewhere if it stood in a path as it is."""
    return f"../{secrets.token_hex(4)}"


def a_question(ticket: str, text: str = "hello") -> dict[str, Any]:
    return {"ticket": ticket, "message": {"id": f"m-{secrets.token_hex(4)}", "text": text}}


def called_back(server: SubscriberServer, ticket: str) -> list[tuple[dict[str, str], bytes]]:
    """What has arrived about a ticket, each try."""
    path = f"/tickets/{quote(ticket, safe='')}/reply"
    return [(headers, body) for at, headers, body in list(server.posts) if at == path]


def dead(stack: Any) -> list[str]:
    """The messages to this callback that were given up, as the table has them."""
    found = stack.client("dynamodb").query(
        TableName=stack.outputs["Parley-local-Chat"]["DeliveriesTable"],
        KeyConditionExpression="pk = :to AND begins_with(sk, :dead)",
        ExpressionAttributeValues={":to": {"S": "to#callback.desk.tickets"}, ":dead": {"S": "dead#"}},
    )
    return [item["body"]["S"] for item in found["Items"]]


def test_who_asks_is_acknowledged_and_gets_the_reply_signed(
    sender: Sender, desk_server: SubscriberServer, callback_secret: str, ticket: str
) -> None:
    question = a_question(ticket)

    asked = sender.post(question)
    ((headers, body),) = until(lambda: called_back(desk_server, ticket))

    assert (asked.status, asked.body["status"]) == (202, "queued"), asked
    told = Webhook(callback_secret).verify(body, headers)
    assert told == {"text": "This is the desk.", "ticket": ticket, "turn": question["message"]["id"]}


def test_a_callback_that_fails_is_tried_again_with_the_same_id(
    sender: Sender, desk_server: SubscriberServer, callback_secret: str, ticket: str
) -> None:
    desk_server.answers.append((500, {}))

    sender.post(a_question(ticket, "goodbye"))
    first, second = until(lambda: len(tries := called_back(desk_server, ticket)) == 2 and tries)

    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    for headers, body in (first, second):
        assert Webhook(callback_secret).verify(body, headers)["text"] == "Until the next ticket."


def test_a_reply_that_a_callback_calls_gone_is_given_up_and_the_next_is_posted_all_the_same(
    deployed_stack: Any, sender: Sender, desk_server: SubscriberServer, callback_secret: str, ticket: str
) -> None:
    desk_server.answers.append((410, {}))

    sender.post(a_question(ticket))
    given_up = until(lambda: [body for body in dead(deployed_stack) if ticket in body])
    sender.post(a_question(f"{ticket}-next"))
    until(lambda: called_back(desk_server, f"{ticket}-next"))

    assert len(given_up) == 1
    assert "answered 410" in given_up[0]
    assert len(called_back(desk_server, ticket)) == 1


def test_who_is_not_known_is_not_called_back(
    sender: Sender, desk_server: SubscriberServer, callback_secret: str, ticket: str
) -> None:
    refused = [sender.post(a_question(ticket), secret=callback_secret), sender.post(a_question(ticket), age=3_600)]
    sender.post(a_question(f"{ticket}-known"))
    until(lambda: called_back(desk_server, f"{ticket}-known"))

    assert [answer.status for answer in refused] == [401, 401]
    assert called_back(desk_server, ticket) == []
