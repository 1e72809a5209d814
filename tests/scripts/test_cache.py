"""scripts/cache.py: an operator looks up, drops and warms what is shared."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import cache
from parley.adapters.memory import MemoryReplies
from parley.caching.packing import pack
from parley.caching.sameness import Question
from parley.conversation import Citation, Message, Reply
from parley.nlu.encoder import OnnxEncoder
from steps import Stop
from tests.builders import a_shared_reply

BOT = "support"


@pytest.fixture
def read(encoder: OnnxEncoder) -> Callable[[str], Question]:
    """Reads a question as a turn does."""
    return lambda text: Question.of(encoder.encode(text), encoder.knows)


@pytest.fixture
def store(read: Callable[[str], Question]) -> MemoryReplies:
    """Two shared replies; one cites a document."""
    replies = MemoryReplies(time.time)
    cited = Citation("Returns", "returns.md", "How long", "You have 30 days.")
    for key, text, citations in (
        ("one", "How long do I have to return something?", (cited,)),
        ("two", "Which bicycle is best for the city?", ()),
    ):
        shared = a_shared_reply(question=pack(read(text)), made_at=time.time() - 90)
        shared = replace(shared, reply=Reply((Message("Of course.", citations=citations),), "generated"))
        replies.put(key, BOT, shared, expires_at=time.time() + 60)
        time.sleep(0.002)
    return replies


def test_what_is_shared_is_listed_the_newest_first(store: MemoryReplies) -> None:
    entries = cache.entries_of(store, BOT)

    assert [entry.key for entry in entries] == ["two", "one"]
    told = entries[1].told(time.time())
    assert told.startswith("How long do I have to return something?\n    Of course.\n")
    assert "0:01:30 old, 100 tokens, cites returns.md, one" in told


def test_a_question_finds_the_reply_it_would_get_and_why_it_would_not_get_another(
    store: MemoryReplies, read: Callable[[str], Question]
) -> None:
    entries = cache.entries_of(store, BOT)

    same = cache.looked_up(entries, read("how long do I have to return something"))
    otherwise = cache.looked_up(entries, read("How long have I got to return something?"))
    opposite = cache.looked_up(entries, read("How long do I not have to return something?"))
    nothing = cache.looked_up(entries, read("Tell me about elephants"))

    assert [(entry.key, why) for entry, why in same] == [("one", "the same words")]
    assert [entry.key for entry, _ in otherwise] == ["one"]
    assert [why for _, why in opposite] == ["not given: negation"]
    assert nothing == []


@pytest.mark.parametrize(
    ("named", "going"),
    [
        ({"question": "  HOW LONG do I have to return something"}, ["one"]),
        ({"document": "returns.md"}, ["one"]),
        ({"document": "unknown.md"}, []),
        ({"everything": True}, ["two", "one"]),
        ({"question": "How long?"}, []),
    ],
)
def test_an_operator_drops_what_they_name(store: MemoryReplies, named: dict[str, str], going: list[str]) -> None:
    assert [entry.key for entry in cache.to_drop(cache.entries_of(store, BOT), **named)] == going


class Bot(BaseHTTPRequestHandler):
    """A bot that shares a reply when it is asked for the second time, but never what is secret."""

    asked: list[str]

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))["message"]
        known = self.asked.count(message) >= 2 and message != "a secret"
        self.asked.append(message)
        content = json.dumps({"source": "cached" if known else "generated"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Bot.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_each_question_is_asked_until_it_is_cached_and_what_is_not_is_told(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.warm(url, BOT, ["what is new?", "a secret"])

    said = capsys.readouterr().out
    assert Bot.asked == ["what is new?"] * 3 + ["a secret"] * 3
    assert "1 cached, 1 generated" in said
    assert "not shared: a secret" in said


def test_a_bot_that_is_away_is_named() -> None:
    with pytest.raises(Stop, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        cache.warm("http://127.0.0.1:9", BOT, ["hello"])
