"""The Slack channel of the deployed stack: requests, signed as Slack signs them, and what comes of them there."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from slack_sdk.signature import Clock, SignatureVerifier

from tests.contracts.slack_server import TOKEN, SlackServer
from tests.stack.person import Answer, ask

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
WITHIN_SECONDS = 60
NOTHING_WITHIN_SECONDS = 6
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def slack(deployed_stack: Any) -> Iterator[SlackServer]:
    """What stands in for Slack, with the secrets that somebody has put in by hand."""
    secrets = deployed_stack.client("secretsmanager")
    for name, value in (("slack-signing-secret", SECRET), ("slack-bot-token", TOKEN)):
        with suppress(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=f"parley/local/{name}", SecretString=value)
    with SlackServer(port=urlsplit(deployed_stack.slack).port or 0) as server:
        yield server


def send(stack: Any, path: str, body: str, *, secret: str = SECRET, age: float = 0, media: str = "json") -> Answer:
    at = Clock().now() - age
    signature = SignatureVerifier(secret).generate_signature(timestamp=str(int(at)), body=body)
    headers = {"X_Slack_Request_Timestamp": str(int(at)), "X_Slack_Signature": signature or ""}
    media = {"json": "application/json", "form": "application/x-www-form-urlencoded"}[media]
    return ask(f"{stack.http}{path}", method="POST", raw=body.encode(), Content_Type=media, **headers)


def a_mention(text: str, **changes: Any) -> dict[str, Any]:
    number = next(_numbers)
    event = {"type": "app_mention", "user": "U1", "text": f"<@UBOT> {text}", "channel": "C1"}
    event |= {"ts": f"{int(time.time())}.{number:06d}", **changes}
    authorizations = [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}]
    outer = {"type": "event_callback", "team_id": "T1", "event_id": f"Ev{number}", "event_time": int(time.time())}
    return {**outer, "authorizations": authorizations, "event": event}


def mention(stack: Any, told: dict[str, Any], **how: Any) -> Answer:
    return send(stack, "/slack/events", json.dumps(told), **how)


def posted(slack: SlackServer, thread: str, count: int = 1) -> list[dict[str, Any]]:
    """The posts in a thread, once there are so many."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        found = [post for post in slack.posts if post.get("thread_ts") == thread]
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"not {count} posts within {WITHIN_SECONDS} s: {slack.posts}")


def test_slack_finds_us(deployed_stack: Any, slack: SlackServer) -> None:
    answer = mention(deployed_stack, {"type": "url_verification", "challenge": "3eZbrw1a"})

    assert (answer.status, answer.body) == (200, {"challenge": "3eZbrw1a"})


def test_a_mention_gets_its_reply_in_the_thread_and_the_conversation_goes_on(
    deployed_stack: Any, slack: SlackServer
) -> None:
    first = a_mention("where is my order?")
    thread = first["event"]["ts"]

    answer = mention(deployed_stack, first)
    (asked,) = posted(slack, thread)
    mention(deployed_stack, a_mention("WB-204518", thread_ts=thread))
    told = posted(slack, thread, 2)[1]

    assert answer.status == 200
    assert asked["channel"] == "C1"
    assert "WB-" in asked["text"]
    assert "WB-204518" in told["text"]


def test_a_citation_is_a_link_to_the_document(deployed_stack: Any, slack: SlackServer) -> None:
    told = a_mention("how long do I have to return something?")

    mention(deployed_stack, told)
    (post,) = posted(slack, told["event"]["ts"])

    (context,) = [block for block in post["blocks"] if block["type"] == "context"]
    url = context["elements"][0]["text"].partition("<")[2].partition("|")[0]
    assert ask(url.partition("#")[0]).status == 200


def test_what_slack_tells_twice_is_answered_once(deployed_stack: Any, slack: SlackServer) -> None:
    told = a_mention("hello")

    answers = [mention(deployed_stack, told) for _ in range(2)]
    posted(slack, told["event"]["ts"])
    answers.append(mention(deployed_stack, told))
    time.sleep(NOTHING_WITHIN_SECONDS)

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len(posted(slack, told["event"]["ts"])) == 1


@pytest.mark.parametrize("how", [{"secret": "guessed"}, {"age": 301}], ids=["by somebody else", "long ago"])
def test_what_slack_did_not_sign_now_is_refused(deployed_stack: Any, slack: SlackServer, how: dict[str, Any]) -> None:
    told = a_mention("hello")

    answer = mention(deployed_stack, told, **how)

    assert answer.status == 401
    assert not [post for post in slack.posts if post.get("thread_ts") == told["event"]["ts"]]


def test_a_button_is_a_turn(deployed_stack: Any, slack: SlackServer) -> None:
    told = a_mention("hello")
    thread = told["event"]["ts"]
    mention(deployed_stack, told)
    (greeting,) = posted(slack, thread)
    (actions,) = [block for block in greeting["blocks"] if block["type"] == "actions"]
    button = {**actions["elements"][0], "block_id": actions["block_id"], "action_ts": f"{time.time():.6f}"}

    payload = {"type": "block_actions", "user": {"id": "U1"}, "team": {"id": "T1"}, "actions": [button]}
    body = f"payload={quote(json.dumps(payload))}"
    answer = send(deployed_stack, "/slack/interactions", body, media="form")
    after = posted(slack, thread, 2)

    assert answer.status == 200
    assert after[1]["text"]


def test_where_slack_wants_to_be_left_alone_for_a_second_the_reply_comes_after_it(
    deployed_stack: Any, slack: SlackServer
) -> None:
    told = a_mention("hello")
    slack.next_answers.append((429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}))

    mention(deployed_stack, told)

    assert len(posted(slack, told["event"]["ts"])) == 1


def test_what_slack_did_not_take_is_posted_when_the_queue_delivers_again(
    deployed_stack: Any, slack: SlackServer
) -> None:
    queue, sqs = deployed_stack.outputs["Parley-local-Chat"]["TurnsQueue"], deployed_stack.client("sqs")
    patience = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    told = a_mention("hello")
    slack.next_answers.append((503, {}, {"ok": False, "error": "service_unavailable"}))
    try:
        mention(deployed_stack, told)
        (post,) = posted(slack, told["event"]["ts"])
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=patience)

    assert post["text"]
