"""The contract of `ports.Replies`, kept by the fake and by DynamoDB alike."""

import time

import pytest

from parley.adapters.dynamodb import DynamoReplies
from parley.adapters.memory import MemoryReplies
from parley.ports import Replies
from tests.builders import a_reply


@pytest.fixture(params=["memory", "dynamodb"])
def replies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Replies:
    if request.param == "memory":
        return MemoryReplies(time.time)
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    return DynamoReplies(request.getfixturevalue("tables").replies, clock=time.time)


def test_nothing_is_kept_under_an_unknown_key(replies: Replies) -> None:
    assert replies.get("nothing") is None


def test_a_kept_reply_is_read_back_whole(replies: Replies) -> None:
    replies.put("k", a_reply("Delivery costs €4.90.", "knowledge"), expires_at=time.time() + 60)

    assert replies.get("k") == a_reply("Delivery costs €4.90.", "knowledge")


def test_an_expired_reply_is_not_given_even_if_it_is_still_stored(replies: Replies) -> None:
    replies.put("old", a_reply(), expires_at=time.time() - 1)

    assert replies.get("old") is None


def test_what_another_version_kept_is_a_miss(
    aws: dict[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    replies = DynamoReplies(request.getfixturevalue("tables").replies, clock=time.time)
    replies._item("odd", expires_at=int(time.time()) + 60, body='{"text": "of another shape"}').save()

    assert replies.get("odd") is None
