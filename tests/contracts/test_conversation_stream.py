"""What `dynamodb` writes is what `conversation_stream` reads: by the very items, as DynamoDB shows them."""

import time
import uuid
from dataclasses import replace
from typing import Any

import boto3
import pytest

from parley.adapters.conversation_stream import kept_in
from parley.adapters.dynamodb import DynamoConversations
from parley.conversation import Feedback, Message, RecordedTurn, Reply, Session, Understanding
from tests.contracts.conftest import Tables

HEARD = Understanding("greet", 0.9, (), (), "en")


@pytest.mark.parametrize(("user_id", "handed_off_at"), [("u1", None), (None, 1_700_000_000.123456)])
def test_a_turn_is_read_as_it_was_recorded(
    aws: dict[str, str],
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
    user_id: str | None,
    handed_off_at: float | None,
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    conversations = DynamoConversations(tables.conversations, retention_days=1, clock=time.time)
    session = Session(uuid.uuid4().hex, "support", "digest", 1_000.0, user_id, 1, handed_off_at=handed_off_at)
    turn = RecordedTurn("t1", 1, "hello", "http", 1_700_000_000.123456, Reply((Message("Hi."),), "scripted"), HEARD)
    client: Any = boto3.client("dynamodb")
    key = {"pk": {"S": f"conversation#{session.conversation_id}"}, "sk": {"S": "turn#000001"}}

    conversations.record(session, turn, begins=True)
    new = client.get_item(TableName=tables.conversations, Key=key)["Item"]
    conversations.rate(session.conversation_id, "t1", Feedback("up", 5.5, "thanks"))
    rated = client.get_item(TableName=tables.conversations, Key=key)["Item"]

    kept = kept_in({"eventName": "INSERT", "dynamodb": {"NewImage": new}})
    again = kept_in({"eventName": "MODIFY", "dynamodb": {"NewImage": rated}})
    assert kept is not None
    assert (kept.turn, kept.conversation_id, kept.bot) == (turn, session.conversation_id, "support")
    assert (kept.user_id, kept.handed_off_at, kept.is_new) == (user_id, handed_off_at, True)
    assert again == replace(kept, turn=replace(turn, feedback=Feedback("up", 5.5, "thanks")), is_new=False)
