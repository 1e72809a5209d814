"""The reply cache of the deployed stack: other words get the same reply, operators drop it, erasure reaches it."""

import time
from collections.abc import Callable
from typing import Any

import pytest

import cache
from parley.adapters.replies import DynamoReplies
from tests.stack.person import Person

ASKED = "please tell me something nice about your weekend"
OTHERWISE = "could you tell me something nice about your weekend?"
WITHIN_SECONDS = 45


@pytest.fixture
def store(deployed_stack: Any, monkeypatch: pytest.MonkeyPatch) -> DynamoReplies:
    """The deployed table, as an operator's credentials reach it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", deployed_stack.aws_endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", deployed_stack.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", deployed_stack.credentials.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", deployed_stack.credentials.secret_access_key)
    return DynamoReplies(deployed_stack.outputs["Parley-local-Chat"]["RepliesTable"], clock=time.time)


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold in time."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(2)
    return False


def source(stack: Any, text: str) -> str:
    return str(Person(stack.http).say(text).body["source"])


def shared(store: DynamoReplies, text: str) -> list[cache.Entry]:
    return cache.to_drop(cache.entries_of(store, "support"), question=text)


def test_a_reply_is_shared_in_other_words_until_an_operator_drops_it(deployed_stack: Any, store: DynamoReplies) -> None:
    first = [source(deployed_stack, ASKED) for _ in range(3)]

    assert first == ["generated", "generated", "cached"]
    assert until(lambda: source(deployed_stack, OTHERWISE) == "cached")

    for entry in [*shared(store, ASKED), *shared(store, OTHERWISE)]:
        store.drop(entry.key, "support", expires_at=time.time() + 3600)

    assert until(lambda: source(deployed_stack, ASKED) == "generated")


def test_what_was_shared_out_of_a_conversation_goes_with_it(deployed_stack: Any, store: DynamoReplies) -> None:
    question = "what do you like best about the spring?"
    source(deployed_stack, question)
    person = Person(deployed_stack.http)
    person.say(question)
    assert shared(store, question)

    erased = person.own(method="DELETE")

    assert erased.status == 204
    assert not shared(store, question)
