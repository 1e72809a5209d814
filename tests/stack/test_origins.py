"""Whose pages a bot of the deployed stack talks on: the bot `desk` names one site, the bot `support` none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect

from tests.builders import PNG
from tests.stack.person import WITHIN_SECONDS, Answer, ask
from tests.stack.test_socket import Client

SITE, ELSEWHERE = "https://desk.example", "https://elsewhere.example"
FOREIGN = (ELSEWHERE, "http://desk.example", "https://desk.example.evil.example", "null")


def chat(stack: Any, *, origin: str | None, token: str | None = None, **fields: Any) -> Answer:
    """What a page of this origin is answered; None: no browser asks."""
    headers = {"Origin": origin} if origin is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = {"message": "hello", **fields}
    return ask(f"{stack.http}/v1/chat", method="POST", body=body, **headers)


@contextmanager
def page(stack: Any, origin: str | None) -> Iterator[Client]:
    """A WebSocket that a page of this origin has opened; None: no browser has."""
    with connect(stack.websocket, origin=origin, open_timeout=WITHIN_SECONDS) as connection:
        yield Client(connection)


def own_origin(stack: Any) -> str:
    """Of the deployment's own chat page."""
    return "{0.scheme}://{0.netloc}".format(urlsplit(stack.http))


def test_the_bot_talks_on_its_site_on_the_chat_page_and_with_who_is_no_browser(deployed_stack: Any) -> None:
    for origin in (SITE, own_origin(deployed_stack), None):
        answer = chat(deployed_stack, origin=origin, bot="desk")
        with page(deployed_stack, origin) as client:
            accepted = client.begin("hello", bot="desk")
            done = client.to_the_end()[-1]

        assert answer.status == 200, (origin, answer)
        assert accepted["type"] == "accepted", (origin, accepted)
        assert done["replies"] == answer.body["replies"] == [{"text": "This is the desk."}]


@pytest.mark.parametrize("origin", FOREIGN)
def test_over_http_a_page_of_another_origin_is_refused_and_can_read_why(deployed_stack: Any, origin: str) -> None:
    refused = chat(deployed_stack, origin=origin, bot="desk")
    elsewhere = chat(deployed_stack, origin=origin, bot="support")

    assert refused.status == 403
    assert f"does not talk on pages of {origin};" in refused.body["detail"]
    assert refused.headers["Access-Control-Allow-Origin"] == "*"
    assert elsewhere.status == 200


def test_over_http_it_neither_goes_on_with_a_conversation_nor_begins_one_for_files(deployed_stack: Any) -> None:
    begun = chat(deployed_stack, origin=SITE, bot="desk").body
    conversation, token = begun["conversation_id"], begun["conversation_token"]
    conversations, shown = f"{deployed_stack.http}/v1/conversations", f"Bearer {token}"

    refused = [
        chat(deployed_stack, origin=ELSEWHERE, token=token, conversation_id=conversation),
        ask(conversations, method="POST", body={"bot": "desk"}, Origin=ELSEWHERE),
        ask(
            f"{conversations}/{conversation}/uploads?name=a.png",
            method="POST",
            raw=PNG,
            Origin=ELSEWHERE,
            Authorization=shown,
            Content_Type="image/png",
        ),
    ]

    assert [answer.status for answer in refused] == [403] * 3, refused
    assert all(f"does not talk on pages of {ELSEWHERE};" in answer.body["detail"] for answer in refused)
    assert len(ask(f"{conversations}/{conversation}", Authorization=shown).body["turns"]) == 1
    assert ask(conversations, method="POST", body={"bot": "desk"}, Origin=SITE).status == 201


@pytest.mark.parametrize("origin", FOREIGN)
def test_over_the_socket_a_page_of_another_origin_gets_in_to_another_bot_only(deployed_stack: Any, origin: str) -> None:
    begun = chat(deployed_stack, origin=None, bot="desk").body
    opened = {name: begun[name] for name in ("conversation_id", "conversation_token")}

    with page(deployed_stack, origin) as client:
        refused = client.begin("hello", bot="desk"), client.begin("hello", **opened)
        accepted = client.begin("hello", bot="support")

    for frame in refused:
        assert (frame["type"], frame["problem"]["status"]) == ("failed", 403), json.dumps(frame)
        assert f"does not talk on pages of {origin};" in frame["problem"]["detail"]
    assert accepted["type"] == "accepted"
