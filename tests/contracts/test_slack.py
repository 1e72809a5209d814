"""The contract of `ports.Slack`, kept by the fake and, before a server that behaves as Slack does, by the Web API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from parley.adapters.memory import MemorySlack
from parley.adapters.slack import UNTIL_ASKED_AGAIN_SECONDS, WebApiSlack
from parley.channels.slack_posts import render_reply
from parley.conversation import Button, Citation, Message, Reply
from parley.errors import ParleyError, Throttled, Unavailable, Undeliverable
from parley.ports import Slack, SlackPost, SlackThread
from tests.contracts.slack_server import TOKEN, SlackServer

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


def test_what_we_render_is_what_slack_takes(spoken: Spoken) -> None:
    cited = tuple(Citation(f"Title {n}", "a.md", "section", "") for n in range(5))
    buttons = tuple(Button("x" * 100, "/y") for _ in range(30))
    messages = (Message("schön 😀 **b** <!here>\n" * 900, buttons, "https://x.example/a.png", cited),) * 3
    posts = render_reply(Reply(messages, "knowledge"), "slack:T1:C1:1700000000.000100", bot="support")

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
