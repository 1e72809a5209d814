"""A reply in Slack while it is made: one post that grows, no faster than Slack grants, and no second one."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from parley.adapters.memory import MemoryConversations, MemorySlack, memory_lines
from parley.adapters.slack import WebApiSlack
from parley.conversation import Message, RecordedTurn, Reply, Turn
from parley.errors import ParleyError, Throttled, Unavailable, Undeliverable
from parley.lines import Lines
from parley.ports import SlackPost, SlackThread
from parley.slack_delivery import deliver, deliver_failure
from parley.slack_draft import EVERY_SECONDS, FIRST_SECONDS, SlackDraft
from tests.builders import a_recorded_turn, a_reply, a_session, a_turn
from tests.contracts.slack_server import TOKEN, SlackServer

CONVERSATION = "slack:T1:C1:1700000000.000100"
QUICK = {"first_seconds": 0.001, "every_seconds": 0.001}


class Slack(MemorySlack):
    """Which waits for what a test expects."""

    def until(self, is_so: Callable[[MemorySlack], bool]) -> None:
        deadline = time.monotonic() + 5
        while not is_so(self):
            assert time.monotonic() < deadline, (self.posts, self.updates)
            time.sleep(0.002)


@pytest.fixture
def slack() -> Slack:
    return Slack()


@pytest.fixture
def lines(slack: Slack) -> Lines:
    return replace(memory_lines(), slack=slack)


@pytest.fixture
def conversations() -> MemoryConversations:
    kept = MemoryConversations(lambda: 0.0)
    kept.start(a_session(conversation_id=CONVERSATION))
    return kept


@pytest.fixture
def turn(conversations: MemoryConversations) -> Turn:
    turn = a_turn(bot="support", channel="slack", conversation_id=CONVERSATION)
    conversations.accept(turn)
    return turn


def recorded(turn: Turn, conversations: MemoryConversations, text: str) -> RecordedTurn:
    """The turn with its reply, kept."""
    session = conversations.open(CONVERSATION).session
    assert session is not None
    kept = a_recorded_turn(turn_id=turn.id, reply=a_reply(text))
    conversations.record(replace(session, version=1), kept)
    return kept


def test_it_keeps_within_what_slack_grants_a_minute() -> None:
    assert 60 / EVERY_SECONDS <= 50
    assert FIRST_SECONDS >= 1  # a post a second is what a channel takes


def test_a_reply_grows_in_one_post_which_in_the_end_is_the_reply(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    with SlackDraft(turn, lines, conversations, **QUICK) as draft:
        draft.write("Very ", at=0)
        slack.until(lambda slack: bool(slack.posts))
        draft.write("well, *<!here>*", at=5)
        slack.until(lambda slack: bool(slack.updates))
    grown = slack.posts[0][1].text
    deliver(recorded(turn, conversations, "Very well, thank you."), turn, lines, conversations)

    assert grown == "Very well, _&lt;!here&gt;_ …"
    assert [post.text for _, post in slack.posts] == ["Very well, thank you."]


def test_what_is_whole_within_a_second_is_posted_once(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    with SlackDraft(turn, lines, conversations) as draft:
        draft.write("Very well.", at=0)
    deliver(recorded(turn, conversations, "Very well."), turn, lines, conversations)

    assert (len(slack.posts), slack.updates) == (1, [])


def test_where_the_worker_died_the_next_one_goes_on_in_the_same_post(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    with SlackDraft(turn, lines, conversations, **QUICK) as draft:
        draft.write("Very ", at=0)
        slack.until(lambda slack: bool(slack.posts))

    with SlackDraft(turn, lines, conversations, delivery=2, **QUICK) as draft:
        draft.write("Quite well", at=0)
        slack.until(lambda slack: bool(slack.updates))
    kept = recorded(turn, conversations, "Quite well.")
    for _ in range(2):
        deliver(kept, turn, lines, conversations)

    assert [post.text for _, post in slack.posts] == ["Quite well."]


def test_what_slack_wants_to_have_waited_is_waited_and_then_it_goes_slower(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    with SlackDraft(turn, lines, conversations, **QUICK) as draft:
        draft.write("Very ", at=0)
        slack.until(lambda slack: bool(slack.posts))
        slack.fails_with = [Throttled("", retry_after_seconds=0.2)]
        draft.write("well", at=5)
        slack.until(lambda slack: not slack.fails_with)
        refused_at = time.monotonic()
        slack.until(lambda slack: bool(slack.updates))

    assert time.monotonic() - refused_at >= 0.15


@pytest.mark.parametrize("error", [Unavailable("no answer"), Undeliverable("", reason="channel_not_found")])
def test_a_first_post_that_may_be_there_is_not_made_again(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations, error: ParleyError
) -> None:
    slack.fails_with = [error]
    with SlackDraft(turn, lines, conversations, **QUICK) as draft:
        draft.write("Very ", at=0)
        slack.until(lambda slack: not slack.fails_with)
        draft.write("well", at=5)
        time.sleep(0.05)

    assert slack.posts == []


def test_a_failure_takes_the_place_of_what_was_begun(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    conversations.mark_drafted(CONVERSATION, turn.id, slack.post(*_begun()))

    deliver_failure(turn, "away", lines, conversations)

    assert [post.text for _, post in slack.posts] == [":warning: Sorry, that did not work: away"]


def test_where_somebody_deleted_the_draft_the_reply_is_posted(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    conversations.mark_drafted(CONVERSATION, turn.id, "7")

    deliver(recorded(turn, conversations, "Very well."), turn, lines, conversations)

    assert [post.text for _, post in slack.posts] == ["Very well."]


def test_a_draft_whose_reply_is_none_says_no_more(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations
) -> None:
    conversations.mark_drafted(CONVERSATION, turn.id, slack.post(*_begun()))
    kept = replace(recorded(turn, conversations, ""), reply=Reply((), "handoff"))

    deliver(kept, turn, lines, conversations)

    assert [post.text for _, post in slack.posts] == ["…"]


@pytest.mark.parametrize("conversation_id", ["c1", "slack:T1:C1:U1"], ids=["elsewhere", "a command's"])
def test_nothing_grows_elsewhere_nor_where_slack_takes_five_posts_only(
    lines: Lines, slack: Slack, conversations: MemoryConversations, conversation_id: str
) -> None:
    with SlackDraft(a_turn(conversation_id=conversation_id), lines, conversations, **QUICK) as draft:
        draft.write("Very ", at=0)
        time.sleep(0.05)

    assert slack.posts == []


def _begun() -> tuple[SlackThread, SlackPost]:
    return SlackThread("T1", "C1", "1700000000.000100"), SlackPost("Very …")


def test_before_slacks_own_client_and_limits_a_reply_grows_and_is_whole_in_the_end(
    turn: Turn, conversations: MemoryConversations
) -> None:
    with SlackServer() as server:
        lines = replace(memory_lines(), slack=WebApiSlack(lambda _: TOKEN, f"{server.url}/api/"))
        with SlackDraft(turn, lines, conversations, first_seconds=0.001, every_seconds=0.01) as draft:
            draft.write("Very ", at=0)
            deadline = time.monotonic() + 5
            while not server.posts and time.monotonic() < deadline:
                time.sleep(0.002)
            server.next_answers.append((429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}))
            draft.write("well", at=5)
            while not server.updates and time.monotonic() < deadline:
                time.sleep(0.01)
        deliver(recorded(turn, conversations, "Very well."), turn, lines, conversations)

        assert [post["text"] for post in server.posts] == ["Very well."]
        assert [update["text"] for _, update in server.updates] == ["Very well …", "Very well."]


def test_a_long_reply_takes_the_place_of_its_draft_as_slack_takes_it_and_nothing_is_lost(
    turn: Turn, conversations: MemoryConversations
) -> None:
    with SlackServer() as server:
        slack = WebApiSlack(lambda _: TOKEN, f"{server.url}/api/")
        lines = replace(memory_lines(), slack=slack)
        conversations.mark_drafted(CONVERSATION, turn.id, slack.post(*_begun()))
        deliver(recorded(turn, conversations, "word " * 1_600), turn, lines, conversations)

        assert "…" not in server.posts[0]["text"]
        assert " ".join(post["text"] for post in server.posts).count("word") == 1_600


def test_a_block_of_an_authors_that_is_too_long_for_the_draft_is_posted_anew(
    turn: Turn, conversations: MemoryConversations
) -> None:
    theirs = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 5_000}}
    with SlackServer() as server:
        slack = WebApiSlack(lambda _: TOKEN, f"{server.url}/api/")
        lines = replace(memory_lines(), slack=slack)
        conversations.mark_drafted(CONVERSATION, turn.id, slack.post(*_begun()))
        kept = replace(
            recorded(turn, conversations, ""), reply=Reply((Message("", custom={"blocks": [theirs]}),), "scripted")
        )
        deliver(kept, turn, lines, conversations)

        assert [post["text"] for post in server.posts] == ["Very …", "x" * 5_000]


@pytest.mark.parametrize("failures", [1, 3])
def test_a_draft_that_could_not_be_noted_at_once_is_the_replys_all_the_same(
    turn: Turn, lines: Lines, slack: Slack, conversations: MemoryConversations, failures: int
) -> None:
    class Away(MemoryConversations):
        left = failures

        def mark_drafted(self, conversation_id: str, turn_id: str, draft: str) -> None:
            if self.left:
                self.left -= 1
                raise Unavailable("the database did not take the change")
            conversations.mark_drafted(conversation_id, turn_id, draft)

    with SlackDraft(turn, lines, Away(lambda: 0.0), **QUICK) as draft:
        draft.write("Very ", at=0)
        slack.until(lambda slack: bool(slack.posts))
    deliver(recorded(turn, conversations, "Very well."), turn, lines, conversations)

    assert [post.text for _, post in slack.posts] == ["Very well."]
