"""The Slack door: whom it believes, what goes to the queue, and that nothing is lost or said twice."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.signature import SignatureVerifier

from parley.adapters.memory import MemoryConversations, MemoryQueue, MemorySlack, MemoryWorkspaces
from parley.channels.slack import REPLAY_SECONDS
from parley.conversation import Turn
from parley.errors import Unavailable
from parley.ports import Remark, Workspace
from parley.slack_door import COMMANDS, EVENTS, INTERACTIONS, SlackDoor
from tests.builders import a_recorded_turn, a_session
from tests.parley.test_slack import COMMANDED, RESPONSE_URL, THREAD, a_click, a_command, a_thumb, an_event

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_700_000_000.0
PACKAGES = Path(__file__).parents[2] / "layers/parley/python"


@dataclass
class Slack:
    """Slack, as the function hears it."""

    conversations: MemoryConversations = field(default_factory=lambda: MemoryConversations(lambda: NOW))
    queue: Any = field(default_factory=MemoryQueue)
    spoken: MemorySlack = field(default_factory=MemorySlack)
    workspaces: MemoryWorkspaces = field(default_factory=MemoryWorkspaces)

    def sends(
        self, body: bytes, path: str = EVENTS, *, secret: str = SECRET, at: float = NOW, encoded: bool = False
    ) -> tuple[int, str]:
        """The status and the body of the response."""
        timestamp = str(int(at))
        signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
        return self.sends_raw(
            body, path, {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature}, encoded=encoded
        )

    def sends_raw(self, body: bytes, path: str, headers: Any, *, encoded: bool = False) -> tuple[int, str]:
        door = SlackDoor(
            self.conversations,
            self.queue,
            lambda: SECRET.encode(),
            "support",
            lambda: NOW,
            self.spoken,
            self.workspaces,
        )
        text = base64.b64encode(body).decode() if encoded else body.decode()
        response = door({"rawPath": path, "headers": headers, "body": text, "isBase64Encoded": encoded}, None)
        return response["statusCode"], response["body"]

    @property
    def queued(self) -> list[Turn]:
        return list(self.queue.sent)


class FailsOnce(MemoryQueue):
    """A queue that takes nothing the first time; or the function ends before it can ask."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error: BaseException | None = error

    def send(self, turn: Turn) -> None:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        super().send(turn)


def test_a_mention_is_queued_and_acknowledged() -> None:
    slack = Slack()

    assert slack.sends(an_event()) == (200, "")

    (turn,) = slack.queued
    assert (turn.conversation_id, turn.text, turn.channel, turn.bot) == (THREAD, "hi", "slack", "support")
    session = slack.conversations.open(THREAD).session
    assert session is not None
    assert session.user_id == "slack:T1:U1"


def test_a_click_is_queued() -> None:
    slack = Slack()

    assert slack.sends(a_click(), INTERACTIONS, encoded=True) == (200, "")

    assert [turn.text for turn in slack.queued] == ["/greet"]


def test_a_workspace_talks_to_the_bot_that_was_installed_there() -> None:
    slack = Slack()
    slack.workspaces.save(Workspace("T1", "clinic", 0.0), "xoxb-1")

    slack.sends(an_event())

    assert [turn.bot for turn in slack.queued] == ["clinic"]


@pytest.mark.parametrize(
    ("event", "remains"),
    [
        ({"type": "app_uninstalled"}, False),
        ({"type": "tokens_revoked", "tokens": {"bot": ["UBOT"], "oauth": []}}, False),
        ({"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}}, True),  # of a person, whose token we never had
    ],
)
def test_a_workspace_that_does_not_want_the_app_any_more_is_forgotten(event: dict[str, Any], remains: bool) -> None:
    slack = Slack()
    slack.workspaces.save(Workspace("T1", "support", NOW - 60), "xoxb-1")
    told = {"type": "event_callback", "team_id": "T1", "event_time": int(NOW), "event": event}

    assert slack.sends(json.dumps(told).encode()) == (200, "")

    assert (slack.workspaces.token("T1") is not None) == remains


def test_a_command_is_queued_and_its_question_shown_to_the_one_who_asked() -> None:
    slack = Slack()

    status, body = slack.sends(a_command(text="is <!here> open?"), COMMANDS)

    (turn,) = slack.queued
    assert (turn.conversation_id, turn.reply_to, turn.waits) == (COMMANDED, RESPONSE_URL, True)
    assert (status, json.loads(body)) == (200, {"response_type": "ephemeral", "text": "> is @here open?"})


@pytest.mark.parametrize("text", ["", " help ", "HELP"])
def test_a_command_for_help_is_no_turn(text: str) -> None:
    slack = Slack()

    assert slack.sends(a_command(text=text), COMMANDS) == (200, "")

    assert slack.queued == []
    (remark,) = slack.queue.remarks
    assert (remark.about, remark.bot, remark.reply_to) == ("bot", "support", RESPONSE_URL)


def test_a_command_that_slack_did_not_sign_does_nothing() -> None:
    slack = Slack()

    assert slack.sends(a_command(), COMMANDS, secret="guessed")[0] == 401
    assert slack.queued == []


def test_a_thumb_is_kept_with_the_reply_and_only_its_owner_is_thanked() -> None:
    slack = Slack()
    slack.conversations.start(session := a_session(conversation_id=THREAD))
    slack.conversations.record(replace(session, version=1), a_recorded_turn(turn_id="m1"))

    for rating in ("up", "down"):
        assert slack.sends(a_thumb("m1", rating), INTERACTIONS) == (200, "")

    (recorded,) = slack.conversations.history(THREAD, limit=1)
    assert recorded.feedback is not None
    assert (recorded.feedback.rating, recorded.feedback.at) == ("down", 1_700_000_009.5)
    assert [url for url, _ in slack.spoken.responses] == [RESPONSE_URL] * 2
    assert slack.queued == []


def test_a_thumb_is_kept_also_where_nobody_can_be_thanked() -> None:
    slack = Slack()
    slack.conversations.start(session := a_session(conversation_id=THREAD))
    slack.conversations.record(replace(session, version=1), a_recorded_turn(turn_id="m1"))
    slack.spoken.fails_with = [Unavailable("away")]

    assert slack.sends(a_thumb("m1", "up"), INTERACTIONS) == (200, "")
    assert slack.conversations.history(THREAD, limit=1)[0].feedback is not None


def test_a_thumb_for_a_reply_that_is_gone_is_told_so() -> None:
    slack = Slack()

    assert slack.sends(a_thumb("m1", "up"), INTERACTIONS) == (200, "")
    assert "too old" in slack.spoken.responses[0][1].text


def test_who_sends_files_is_told_once_that_nobody_reads_them() -> None:
    slack = Slack()
    for ts in ("1700000001.0", "1700000002.0"):
        slack.sends(an_event(type="message", channel="D1", text="", ts=ts, subtype="file_share", files=[{"id": "F1"}]))
    slack.sends(an_event(files=[{"id": "F1"}]))

    assert [turn.text for turn in slack.queued] == ["hi"]
    assert slack.queue.remarks == [
        Remark("files", "slack:T1:D1", "support", "files"),
        Remark("files", THREAD, "support", "files"),
    ]


def test_the_challenge_is_answered() -> None:
    status, body = Slack().sends(b'{"type": "url_verification", "challenge": "abc"}')

    assert (status, json.loads(body)) == (200, {"challenge": "abc"})


@pytest.mark.parametrize(
    "how",
    [{"secret": "guessed"}, {"at": NOW - REPLAY_SECONDS - 1}, {"at": NOW + REPLAY_SECONDS + 1}],
    ids=["by somebody else", "long ago", "tomorrow"],
)
def test_what_slack_did_not_sign_now_does_nothing(how: dict[str, Any]) -> None:
    slack = Slack()

    assert slack.sends(an_event(), **how)[0] == 401
    assert slack.queued == []


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1e9", "9" * 40, "１７００"])
@pytest.mark.parametrize("signature", ["", "v0=", "v0=é"])
def test_no_header_makes_it_stumble(timestamp: str, signature: str) -> None:
    headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature}

    assert Slack().sends_raw(an_event(), EVENTS, headers)[0] == 401
    assert Slack().sends_raw(b"", INTERACTIONS, None)[0] == 401


def test_an_event_told_again_after_it_was_worked_on_is_dropped() -> None:
    slack = Slack()
    slack.sends(an_event())
    slack.conversations.mark_running(slack.queued[0])

    assert slack.sends(an_event()) == (200, "")
    assert len(slack.queued) == 1


def test_an_event_whose_function_died_before_the_queue_is_not_lost() -> None:
    slack = Slack(queue=FailsOnce(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        slack.sends(an_event())

    assert slack.sends(an_event()) == (200, "")
    assert len(slack.queued) == 1


def test_one_that_waits_in_the_queue_is_the_same_to_the_letter_so_that_sqs_drops_it() -> None:
    slack = Slack()
    slack.sends(an_event())
    slack.sends(an_event())

    assert len(set(slack.queued)) == 1


def test_where_the_queue_is_away_slack_is_asked_to_tell_it_again() -> None:
    slack = Slack(queue=FailsOnce(Unavailable("away")))

    assert slack.sends(an_event())[0] == 503
    assert slack.sends(an_event())[0] == 200
    assert len(slack.queued) == 1


def test_what_is_not_for_the_bot_is_acknowledged() -> None:
    slack = Slack()

    assert slack.sends(an_event(bot_id="B1")) == (200, "")
    assert slack.queued == []


def test_nonsense_that_is_signed_is_refused_readably() -> None:
    status, body = Slack().sends(b"{}")

    assert status == 400
    assert json.loads(body)["detail"] == "this is no event of Slack's"


def test_the_function_loads_nothing_heavy() -> None:
    script = "import sys, parley.slack_door, parley.adapters.lines, parley.adapters.slack_app; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout

    assert not {"onnxruntime", "numpy", "tokenizers", "slack_sdk"} & set(told.split())
