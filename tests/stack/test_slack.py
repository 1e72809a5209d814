"""The Slack channel of the deployed stack: requests, signed as Slack signs them, and what comes of them there."""

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from slack_sdk.signature import Clock, SignatureVerifier

from tests.contracts.slack_server import CLIENT_SECRET, TOKEN, SlackServer, a_grant, tell
from tests.stack.person import Answer, ask
from tests.stack.test_handoff import listening

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
WITHIN_SECONDS = 60
NOTHING_WITHIN_SECONDS = 6
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def slack(deployed_stack: Any) -> Iterator[SlackServer]:
    """What stands in for Slack, with the secrets that somebody has put in by hand."""
    secrets = deployed_stack.client("secretsmanager")
    given = {"slack-signing-secret": SECRET, "slack-bot-token": TOKEN, "slack-client-secret": CLIENT_SECRET}
    for name, value in given.items():
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


def until(found: Callable[[], list[dict[str, Any]]], count: int = 1) -> list[dict[str, Any]]:
    """What is found, once there is so much."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        if len(there := found()) >= count:
            return there
        time.sleep(0.1)
    raise TimeoutError(f"not {count} within {WITHIN_SECONDS} s: {found()}")


def posted(slack: SlackServer, thread: str, count: int = 1) -> list[dict[str, Any]]:
    """The posts in a thread, once there are so many."""
    return until(lambda: [post for post in slack.posts if post.get("thread_ts") == thread], count)


def posts_in(slack: SlackServer, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The posts in the thread of what was told, so far."""
    return [post for post in slack.posts if post.get("thread_ts") == told["event"]["ts"]]


def workspaces_table(stack: Any) -> str:
    (name,) = [each for each in stack.client("dynamodb").list_tables()["TableNames"] if "Workspaces" in each]
    return str(name)


def unfollowed(url: str) -> Answer:
    """The answer to a GET, also if it leads elsewhere."""

    class Stays(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    try:
        with urllib.request.build_opener(Stays).open(url, timeout=WITHIN_SECONDS) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def click(stack: Any, block: dict[str, Any], number: int, **more: Any) -> Answer:
    button = {**block["elements"][number], "block_id": block["block_id"], "action_ts": f"{time.time():.6f}"}
    payload = {"type": "block_actions", "user": {"id": "U1"}, "team": {"id": "T1"}, "actions": [button], **more}
    return send(stack, "/slack/interactions", f"payload={quote(json.dumps(payload))}", media="form")


def command(stack: Any, slack: SlackServer, text: str, name: str) -> Answer:
    """Somebody gives a command; its responses go to the address of that name."""
    fields = {"command": "/wren", "text": text, "team_id": "T1", "channel_id": "C9", "user_id": "U1"}
    fields |= {"trigger_id": f"{time.time()}.{next(_numbers)}", "response_url": slack.response_url(name)}
    return send(stack, "/slack/commands", urlencode(fields), media="form")


def responded(slack: SlackServer, name: str, count: int = 1) -> list[dict[str, Any]]:
    """What came to an address for responses, once there is so much."""
    return until(lambda: [told for to, told in slack.responses if to == name], count)


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
    answer = click(deployed_stack, actions, 0)
    after = posted(slack, thread, 2)

    assert answer.status == 200
    assert after[1]["text"]


def test_a_thumb_is_kept_and_only_its_owner_is_thanked(deployed_stack: Any, slack: SlackServer) -> None:
    told = a_mention("how long do I have to return something?")
    mention(deployed_stack, told)
    (post,) = posted(slack, told["event"]["ts"])
    thumbs = post["blocks"][-1]

    answer = click(deployed_stack, thumbs, 1, response_url=slack.response_url("thumb"))

    assert answer.status == 200
    (thanks,) = responded(slack, "thumb")
    assert thanks["response_type"] == "ephemeral"
    table = deployed_stack.outputs["Parley-local-Chat"]["ConversationsTable"]
    conversation = thumbs["block_id"].partition("/")[0]
    item = deployed_stack.client("dynamodb").get_item(
        TableName=table, Key={"pk": {"S": f"conversation#{conversation}"}, "sk": {"S": "turn#000001"}}
    )["Item"]
    assert json.loads(item["feedback"]["S"])["rating"] == "down"


def test_a_command_is_answered_where_only_its_person_sees_it(deployed_stack: Any, slack: SlackServer) -> None:
    before = len(slack.posts)

    answer = command(deployed_stack, slack, "where is my order?", "asked")
    (asked,) = responded(slack, "asked")
    command(deployed_stack, slack, "WB-204518", "told")
    (told,) = responded(slack, "told")
    help_answer = command(deployed_stack, slack, "help", "help")
    (about,) = responded(slack, "help")

    assert (answer.status, answer.body["text"]) == (200, "> where is my order?")
    assert "WB-" in asked["text"]
    assert "WB-204518" in told["text"]
    assert help_answer.status == 200
    assert [block["type"] for block in about["blocks"]] == ["section", "actions"]
    assert len(slack.posts) == before


def test_another_workspace_installs_the_app_talks_to_its_bot_and_leaves(
    deployed_stack: Any, slack: SlackServer
) -> None:
    slack.codes["good"] = a_grant("T2", "xoxb-2-of-a-test")
    begun = unfollowed(f"{deployed_stack.http}/slack/install?bot=clinic")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
    back = f"{deployed_stack.http}/slack/oauth_redirect?code=good&state={quote(asked['state'])}"

    elsewhere = ask(back)
    here = ask(back, Cookie=begun.headers["Set-Cookie"].partition(";")[0])
    slack.channels.add("C2")
    told = {**a_mention("hello", channel="C2"), "team_id": "T2"}
    mention(deployed_stack, told)
    (greeting,) = posted(slack, told["event"]["ts"])

    assert begun.status == 302
    assert (elsewhere.status, here.status) == (403, 200)
    assert "T2 &lt;Ltd&gt;" in here.body
    assert greeting["authorization"] == "Bearer xoxb-2-of-a-test"
    dynamodb, table = deployed_stack.client("dynamodb"), workspaces_table(deployed_stack)
    key = {"pk": {"S": "workspace#T2"}}
    item = dynamodb.get_item(TableName=table, Key=key)["Item"]
    assert item["bot"]["S"] == "clinic"
    assert "xoxb" not in str(item)

    gone = {"type": "event_callback", "team_id": "T2", "event_time": int(time.time()) + 1}
    answer = mention(deployed_stack, {**gone, "event": {"type": "app_uninstalled"}})

    assert answer.status == 200
    assert "Item" not in dynamodb.get_item(TableName=table, Key=key)


def test_a_generated_reply_ends_as_one_post(deployed_stack: Any, slack: SlackServer) -> None:
    told = a_mention("how are you today?")

    mention(deployed_stack, told)
    until(lambda: [post for post in posts_in(slack, told) if not post["text"].endswith("…")])
    time.sleep(NOTHING_WITHIN_SECONDS)

    (post,) = posts_in(slack, told)
    assert not post["text"].endswith(" …")


def test_a_person_takes_a_direct_conversation_over(deployed_stack: Any, slack: SlackServer) -> None:
    secret = deployed_stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
    key = deployed_stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    thread = a_mention("")["event"]["ts"]

    def says(text: str) -> None:
        direct = {"type": "message", "channel": "D1", "channel_type": "im", "thread_ts": thread}
        told = a_mention("", **direct)
        told["event"]["text"] = text
        assert mention(deployed_stack, told).status == 200

    with listening(deployed_stack) as heard:
        says("I want to talk to a person")
        announced = heard()["detail"]
        calmed = posted(slack, thread)
        says("is anybody there?")
        message = heard()["detail"]
        conversation = f"{deployed_stack.http}/v1/conversations/{announced['conversation_id']}"
        body, bearer = {"message": "Good day, Maeve here."}, f"Bearer {key}"
        written = ask(f"{conversation}/person", method="POST", body=body, Authorization=bearer)
        after = posted(slack, thread, len(calmed) + 1)

    assert announced["conversation_id"] == f"slack:T1:D1:{thread}"
    assert [line["text"] for line in message["transcript"]] == ["is anybody there?"]
    assert written.status in (201, 202)
    assert [post["text"] for post in after[len(calmed) :]] == ["Good day, Maeve here."]


def test_what_slack_tells_until_it_is_acknowledged_is_acknowledged_in_time(
    deployed_stack: Any, slack: SlackServer
) -> None:
    told = a_mention("hello")
    body, at = json.dumps(told), int(Clock().now())
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=str(at), body=body) or ""
    headers = {"Content-Type": "application/json", "X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": signature}

    statuses = tell(f"{deployed_stack.http}/slack/events", body.encode(), headers)

    assert statuses[-1] == 200
    assert len(posted(slack, told["event"]["ts"])) == 1


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
