"""The contract of `ports.Slack`, kept by the fake and, before a server that behaves as Slack does, by the Web API;
and those of what Slack does for the app itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from parley.adapters.memory import MemorySlack, MemorySlackApp, MemoryWorkspaces
from parley.adapters.slack import WebApiSlack
from parley.adapters.slack_app import WebApiSlackApp
from parley.adapters.slack_responses import UNTIL_ASKED_AGAIN_SECONDS, WebhookResponses
from parley.adapters.slack_tokens import SlackTokens
from parley.channels.slack_posts import render_reply
from parley.conversation import Button, Citation, Message, Reply
from parley.errors import MalformedRequest, ParleyError, Throttled, Unavailable, Undeliverable
from parley.ports import Grant, Slack, SlackApp, SlackPost, SlackThread, Workspace
from tests.contracts.slack_server import CLIENT_ID, CLIENT_SECRET, TOKEN, SlackServer, a_grant

THREAD = SlackThread("T1", "C1", "1700000000.000100")
HELLO = SlackPost("hello")


@dataclass
class Spoken:
    """A way into Slack, and what has arrived there: channel, thread, text, blocks."""

    slack: Slack
    server: SlackServer | None

    def arrived(self) -> list[tuple[str, str | None, str, list[Mapping[str, Any]]]]:
        if self.server is None:
            assert isinstance(self.slack, MemorySlack)
            return [(at.channel, at.thread, post.text, list(post.blocks)) for at, post in self.slack.posts]
        posts = self.server.posts
        return [(post["channel"], post.get("thread_ts"), post["text"], post.get("blocks", [])) for post in posts]

    def fails(self, answer: tuple[int, Mapping[str, str], dict[str, Any]], error: ParleyError) -> None:
        """The next post meets this: from the server the answer, from the fake what it stands for."""
        if self.server is None:
            assert isinstance(self.slack, MemorySlack)
            self.slack.fails_with.append(error)
        else:
            self.server.next_answers.append(answer)


@pytest.fixture(params=["memory", "web api"])
def spoken(request: pytest.FixtureRequest) -> Iterator[Spoken]:
    if request.param == "memory":
        yield Spoken(MemorySlack(), None)
        return
    with SlackServer() as server:
        yield Spoken(WebApiSlack(lambda team: {"T1": TOKEN}[team], f"{server.url}/api/"), server)


def test_a_post_arrives_in_its_thread(spoken: Spoken) -> None:
    spoken.slack.post(THREAD, HELLO)
    spoken.slack.post(SlackThread("T1", "D1"), HELLO)

    assert spoken.arrived() == [("C1", THREAD.thread, "hello", []), ("D1", None, "hello", [])]


def test_a_post_says_something_else_once_it_is_updated(spoken: Spoken) -> None:
    name = spoken.slack.post(THREAD, HELLO)

    for text in ("hello y", "hello you"):
        spoken.slack.update(THREAD, name, SlackPost(text))

    assert [text for _, _, text, _ in spoken.arrived()] == ["hello you"]


def test_what_is_not_there_cannot_be_updated(spoken: Spoken) -> None:
    with pytest.raises(Undeliverable) as error:
        spoken.slack.update(THREAD, "1600000000.000100", HELLO)

    assert error.value.reason == "message_not_found"


def test_an_update_is_told_to_come_later_too(spoken: Spoken) -> None:
    name = spoken.slack.post(THREAD, HELLO)
    answer = (429, {"Retry-After": "7"}, {"ok": False, "error": "ratelimited"})
    spoken.fails(answer, Throttled("", retry_after_seconds=7))

    with pytest.raises(Throttled) as error:
        spoken.slack.update(THREAD, name, SlackPost("more"))

    assert error.value.retry_after_seconds == 7


def test_a_response_reaches_the_one_who_did_something(spoken: Spoken) -> None:
    url = spoken.server.response_url("r1") if spoken.server else "https://hooks.slack.com/r1"

    spoken.slack.respond(url, HELLO)

    if spoken.server:
        ((_, told),) = spoken.server.responses
        assert (told["response_type"], told["replace_original"], told["text"]) == ("ephemeral", False, "hello")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((429, {"Retry-After": "7"}, {}), Throttled("", retry_after_seconds=7)),
        ((503, {}, {}), Unavailable("away")),
        ((404, {}, {"ok": False, "error": "expired_url"}), Undeliverable("", reason="expired_url")),
    ],
    ids=["too much", "away", "too late"],
)
def test_a_response_that_cannot_be_given_says_why(spoken: Spoken, answer: Any, error: ParleyError) -> None:
    url = spoken.server.response_url("r1") if spoken.server else "https://hooks.slack.com/r1"
    spoken.fails(answer, error)

    with pytest.raises(type(error)) as raised:
        spoken.slack.respond(url, HELLO)

    assert getattr(raised.value, "reason", None) == getattr(error, "reason", None)


def test_no_sixth_response_is_taken() -> None:
    with SlackServer() as server:
        responses = WebhookResponses(f"{server.url}/api/")
        for _ in range(5):
            responses.respond(server.response_url("r1"), HELLO)
        with pytest.raises(Undeliverable, match="used_url"):
            responses.respond(server.response_url("r1"), HELLO)


@pytest.mark.parametrize(
    "url", ["", "http://hooks.slack.com/a", "https://slack.com.evil.example/", "http://169.254.169.254/", "file:///x"]
)
def test_nothing_is_said_to_an_address_that_is_not_slacks(url: str) -> None:
    with pytest.raises(Undeliverable, match="no address"):
        WebhookResponses("https://slack.com/api/").respond(url, HELLO)


@pytest.fixture(params=["memory", "web api"])
def app_and_codes(request: pytest.FixtureRequest) -> Iterator[SlackApp]:
    """An app for which the code "good" is good once."""
    if request.param == "memory":
        yield MemorySlackApp({"good": Grant("T2", "T2 <Ltd>", "xoxb-2")})
        return
    with SlackServer() as server:
        server.codes["good"] = a_grant("T2", "xoxb-2")
        yield WebApiSlackApp(CLIENT_ID, lambda: f"{CLIENT_SECRET}\n".encode(), f"{server.url}/api/")


def test_a_code_is_good_once(app_and_codes: SlackApp) -> None:
    granted = app_and_codes.grant("good")

    assert granted == Grant("T2", "T2 <Ltd>", "xoxb-2")
    assert "xoxb" not in repr(granted)
    for code in ("good", "guessed"):
        with pytest.raises(MalformedRequest, match="invalid_code"):
            app_and_codes.grant(code)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"is_enterprise_install": True, "team": None}, "organisation"),
        ({"refresh_token": "xoxe-1", "expires_in": 43_200}, "rotation"),
        ({"token_type": "user"}, "no bot"),
    ],
)
def test_a_grant_that_is_of_no_use_says_why(changes: dict[str, Any], why: str) -> None:
    with SlackServer() as server:
        server.codes["good"] = a_grant("T2", "xoxb-2", **changes)
        with pytest.raises(MalformedRequest, match=why):
            WebApiSlackApp(CLIENT_ID, CLIENT_SECRET.encode, f"{server.url}/api/").grant("good")


def test_a_token_that_slack_does_not_take_any_more_is_looked_up_anew() -> None:
    workspaces = MemoryWorkspaces()
    workspaces.save(Workspace("T1", "support", 0.0), "xoxb-old")
    tokens = SlackTokens(workspaces, lambda: None, lambda: 0.0)
    with SlackServer() as server:
        slack = WebApiSlack(tokens, f"{server.url}/api/", tokens.forget)
        with pytest.raises(Undeliverable, match="invalid_auth"):
            slack.post(THREAD, HELLO)
        workspaces.save(Workspace("T1", "support", 1.0), TOKEN)

        slack.post(THREAD, HELLO)

        assert len(server.posts) == 1


def test_what_we_render_is_what_slack_takes(spoken: Spoken) -> None:
    cited = tuple(Citation(f"Title {n}", "a.md", "section", "") for n in range(5))
    buttons = tuple(Button("x" * 100, "/y") for _ in range(30))
    messages = (Message("schön 😀 **b** <!here>\n" * 900, buttons, "https://x.example/a.png", cited),) * 3
    posts = render_reply(Reply(messages, "knowledge"), "slack:T1:C1:1700000000.000100", bot="support", turn_id="m1")

    for post in posts:
        spoken.slack.post(THREAD, post)

    assert [blocks for *_, blocks in spoken.arrived()] == [list(post.blocks) for post in posts]


def test_too_much_is_told_with_when_to_come_again(spoken: Spoken) -> None:
    answer = (429, {"Retry-After": "7"}, {"ok": False, "error": "ratelimited"})
    spoken.fails(answer, Throttled("", retry_after_seconds=7))

    with pytest.raises(Throttled) as error:
        spoken.slack.post(THREAD, HELLO)
    spoken.slack.post(THREAD, HELLO)

    assert error.value.retry_after_seconds == 7
    assert len(spoken.arrived()) == 1


@pytest.mark.parametrize("reason", ["channel_not_found", "not_in_channel", "token_revoked", "invalid_blocks"])
def test_what_is_refused_is_told_with_slacks_reason_and_without_the_token(spoken: Spoken, reason: str) -> None:
    spoken.fails((200, {}, {"ok": False, "error": reason}), Undeliverable(reason, reason=reason))

    with pytest.raises(Undeliverable, match=reason) as error:
        spoken.slack.post(THREAD, HELLO)

    assert error.value.reason == reason
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("answer", [(200, "internal_error"), (500, "internal_error"), (503, "")])
def test_troubles_of_slacks_own_pass(spoken: Spoken, answer: tuple[int, str]) -> None:
    status, reason = answer
    spoken.fails((status, {}, {"ok": False, "error": reason}), Unavailable("away"))

    with pytest.raises(Unavailable):
        spoken.slack.post(THREAD, HELLO)

    assert spoken.arrived() == []


def test_a_wrong_token_is_refused_by_the_server() -> None:
    with SlackServer() as server, pytest.raises(Undeliverable, match="invalid_auth"):
        WebApiSlack(lambda _: "xoxb-other", f"{server.url}/api/").post(THREAD, HELLO)


def test_without_a_number_it_is_left_alone_for_a_while() -> None:
    with SlackServer() as server:
        server.next_answers.append((429, {}, {"ok": False, "error": "ratelimited"}))
        with pytest.raises(Throttled) as error:
            WebApiSlack(lambda _: TOKEN, f"{server.url}/api/").post(THREAD, HELLO)

    assert error.value.retry_after_seconds == UNTIL_ASKED_AGAIN_SECONDS


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        WebApiSlack(lambda _: TOKEN, "http://127.0.0.1:1/api/").post(THREAD, HELLO)
