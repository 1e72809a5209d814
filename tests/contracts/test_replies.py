"""The contract of `ports.Replies`, kept by the fake and by DynamoDB alike."""

import time
import uuid

import pytest

from parley.adapters.memory import MemoryReplies
from parley.adapters.replies import DynamoReplies
from parley.ports import Asked, Replies, Tally
from tests.builders import a_shared_reply

SOON = 60.0


@pytest.fixture(params=["memory", "dynamodb"])
def replies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Replies:
    if request.param == "memory":
        return MemoryReplies(time.time)
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    return DynamoReplies(request.getfixturevalue("tables").replies, clock=time.time)


@pytest.fixture
def bot() -> str:
    """A bot that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return uuid.uuid4().hex


def later(seconds: float = SOON) -> float:
    return time.time() + seconds


def test_nothing_is_known_of_a_new_question(replies: Replies, key: str) -> None:
    assert replies.get(key) == Asked()


def test_a_shared_reply_is_read_back_whole(replies: Replies, key: str, bot: str) -> None:
    shared = a_shared_reply("Delivery costs €4.90.", question=b"\x00\xff", cited=("a", "b"))

    assert replies.put(key, bot, shared, expires_at=later())

    assert replies.get(key).shared == shared


def test_an_expired_reply_is_not_given_even_if_it_is_still_stored(replies: Replies, key: str, bot: str) -> None:
    replies.put(key, bot, a_shared_reply(), expires_at=later(-1))

    assert replies.get(key) == Asked()
    assert replies.changes(bot, since=0, limit=10) == []


def test_the_first_who_asks_is_to_answer_and_nobody_else(replies: Replies, key: str) -> None:
    claims = [replies.claim(key, until=later(), expires_at=later()) for _ in range(3)]

    assert claims == [True, False, False]
    assert replies.get(key).times == 3
    assert replies.get(key).claimed_until > time.time()


def test_a_claim_that_is_over_or_given_back_is_the_next_ones(replies: Replies, key: str) -> None:
    replies.claim(key, until=later(-1), expires_at=later())

    assert replies.claim(key, until=later(), expires_at=later())

    replies.settle(key)

    assert replies.claim(key, until=later(), expires_at=later())


def test_giving_back_what_was_never_claimed_is_nothing(replies: Replies, key: str) -> None:
    replies.settle(key)

    assert replies.get(key) == Asked()


def test_a_reply_is_kept_only_if_the_question_was_asked_often_enough(replies: Replies, key: str, bot: str) -> None:
    replies.claim(key, until=later(), expires_at=later())

    once = replies.put(key, bot, a_shared_reply(), expires_at=later(), asked=2)
    is_free_again = replies.claim(key, until=later(), expires_at=later())
    twice = replies.put(key, bot, a_shared_reply(), expires_at=later(), asked=2)

    assert (once, is_free_again, twice) == (False, True, True)
    assert replies.get(key).shared == a_shared_reply()


def test_what_came_and_went_is_told_in_the_order_of_its_coming(replies: Replies, bot: str) -> None:
    begun = time.time()
    names = [f"{name}-{bot}" for name in "abc"]
    for name in names:
        replies.put(name, bot, a_shared_reply(name), expires_at=later())
        time.sleep(0.01)
    replies.drop(names[0], bot, expires_at=later())

    changes = replies.changes(bot, since=begun - 1, limit=10)

    assert [change.key for change in changes] == [names[0], names[2], names[1]]
    assert [change.shared and change.shared.reply.messages[0].text for change in changes] == [None, names[2], names[1]]
    assert [change.key for change in replies.changes(bot, since=changes[1].changed_at, limit=10)] == [names[0]]
    assert len(replies.changes(bot, since=0, limit=2)) == 2
    assert replies.changes("another", since=0, limit=10) == []


def test_a_dropped_reply_is_not_given(replies: Replies, key: str, bot: str) -> None:
    replies.put(key, bot, a_shared_reply(), expires_at=later())

    replies.drop(key, bot, expires_at=later())

    assert replies.get(key) == Asked()


def test_what_was_made_in_a_conversation_is_found_by_it(replies: Replies, bot: str) -> None:
    mine, theirs = f"mine-{bot}", f"theirs-{bot}"
    for key in (mine, f"{mine}-2"):
        replies.put(key, bot, a_shared_reply(origin=mine), expires_at=later())
    replies.put(theirs, bot, a_shared_reply(origin=theirs), expires_at=later())

    assert set(replies.made_in(mine)) == {mine, f"{mine}-2"}
    assert not replies.made_in(f"nobody-{bot}")


def test_a_days_comparisons_are_counted(replies: Replies, bot: str) -> None:
    assert replies.tally(bot, "2026-01-01") == Tally(0, 0)

    replies.tally(bot, "2026-01-01", wrong=True)
    replies.tally(bot, "2026-01-01", wrong=False)

    assert replies.tally(bot, "2026-01-01") == Tally(2, 1)
    assert replies.tally(bot, "2026-01-02") == Tally(0, 0)


def test_what_another_version_kept_is_a_miss(
    aws: dict[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    replies = DynamoReplies(request.getfixturevalue("tables").replies, clock=time.time)
    replies._item("odd", expires_at=int(later()), body='{"text": "of another shape"}').save()

    assert replies.get("odd").shared is None
