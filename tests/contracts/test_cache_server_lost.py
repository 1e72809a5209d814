"""The reply cache over real servers, DynamoDB's and the cache's: losing the cache server costs time, never a reply."""

import time
import uuid
from collections.abc import Iterator

import pytest

from parley.adapters.memory import MemoryMetrics
from parley.adapters.replies import DynamoReplies
from parley.adapters.valkey import ValkeyHotReplies
from parley.caching.cache import reply_cache
from parley.caching.key import key_of
from parley.caching.recall import Asking, Made, ReplyCache
from parley.caching.sameness import Question
from parley.nlu.encoder import OnnxEncoder
from tests.builders import a_reply
from tests.contracts.cache_server import CacheServer
from tests.contracts.conftest import Tables
from tests.contracts.loopback import CERTIFICATE

ROUNDS, LOST_AFTER, BACK_AFTER = 12, 4, 8


@pytest.fixture
def server() -> Iterator[CacheServer]:
    with CacheServer() as running:
        yield running


def function(tables: Tables, server: CacheServer, encoder: OnnxEncoder, metrics: MemoryMetrics) -> ReplyCache:
    """A function with nothing in its memory."""
    return reply_cache(
        DynamoReplies(tables.replies, clock=time.time),
        lambda: b"secret",
        encoder,
        metrics,
        clock=time.time,
        ttl_seconds=600,
        hot=ValkeyHotReplies(server.address, lambda: (server.user, server.password), authorities=str(CERTIFICATE)),
        share_compared=0.0,
        spawn=lambda _: None,
    )


def test_losing_the_cache_server_in_between_costs_no_reply(
    tables: Tables, aws: dict[str, str], server: CacheServer, encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    bot, metrics, made = uuid.uuid4().hex, MemoryMetrics(), []
    question = Question.of(encoder.encode("How do I change my address?"), encoder.knows)
    asking = Asking(
        bot, key_of(b"secret", bot, question.text), bot, "", "", lambda: "", frozenset, lambda: question
    )  # fmt: skip

    def make() -> Made:
        made.append(question.text)
        return Made(a_reply("In your account.", "generated"), (), 100, None)

    replies = []
    for number in range(ROUNDS):
        if number == LOST_AFTER:
            server.kill()
        if number == BACK_AFTER:
            server.start()
        replies.append(function(tables, server, encoder, metrics).reply(asking, make))

    assert all(reply and reply.messages[0].text == "In your account." for reply in replies)
    assert [reply and reply.source for reply in replies] == ["generated"] * 2 + ["cached"] * (ROUNDS - 2)
    assert len(made) == 2
