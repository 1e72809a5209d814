"""The socket door: what a WebSocket client may do, and what it is told."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from parley.access import Access
from parley.adapters.memory import (
    MemoryConnections,
    MemoryConversations,
    MemoryIdentities,
    MemoryLateQueue,
    MemoryQueue,
    MemorySockets,
    memory_callers,
    memory_lines,
)
from parley.conversation import Turn
from parley.errors import Unavailable
from parley.lines import Lines
from parley.socket_door import SocketDoor
from tests.builders import a_recorded_turn, a_reply


@dataclass
class Client:
    """Somebody with a connection."""

    explains: bool = False
    lines: Lines = field(default_factory=memory_lines)
    conversations: MemoryConversations = field(default_factory=lambda: MemoryConversations(time.time))
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    identities: MemoryIdentities = field(default_factory=MemoryIdentities)
    id: str = "one"
    access: Mapping[str, Access] = field(default_factory=dict)

    @property
    def door(self) -> SocketDoor:
        callers = replace(
            memory_callers("support", "clinic", operator_key=b"operator", identities=self.identities),
            own_address="https://api.example/",
        )
        callers = replace(callers, access={**callers.access, **self.access})
        return SocketDoor(self.conversations, self.lines, self.queue, callers, "support", time.time, self.explains)

    def another(self, connection_id: str) -> "Client":
        return replace(self, id=connection_id)

    def event(self, kind: str, body: str | None = None) -> dict[str, Any]:
        return {"requestContext": {"connectionId": self.id, "eventType": kind}, "body": body}

    def send(self, **frame: Any) -> dict[str, Any] | None:
        """Sends a frame; the last frame that came back, if one did."""
        return self.send_text(json.dumps(frame))

    def send_text(self, body: str) -> dict[str, Any] | None:
        before = len(self.received)
        assert self.door(self.event("MESSAGE", body), None) == {"statusCode": 200}
        return self.received[-1] if len(self.received) > before else None

    @property
    def received(self) -> list[dict[str, Any]]:
        sockets = self.lines.sockets
        assert isinstance(sockets, MemorySockets)
        return [json.loads(frame) for to, frame in sockets.sent if to == self.id]

    def visit(self, origin: str) -> int:
        """The status of a page's handshake."""
        status: int = self.door({**self.event("CONNECT"), "headers": {"Origin": origin}}, None)["statusCode"]
        return status

    def connect(self, conversation_id: str | None, authorization: str | None) -> int:
        """The status of a handshake."""
        event = {
            **self.event("CONNECT"),
            "queryStringParameters": {"conversation_id": conversation_id} if conversation_id else None,
            "headers": {"Authorization": authorization} if authorization else {},
        }
        status: int = self.door(event, None)["statusCode"]
        return status

    def begin(self, message: str = "hello") -> dict[str, Any]:
        """Begins a conversation; who it is with, to go on with it."""
        accepted = self.send(action="message", message=message)
        assert accepted is not None
        return {name: accepted[name] for name in ("conversation_id", "conversation_token")}

    def answered(self, conversation_id: str, turn_id: str, **reply: Any) -> None:
        """The worker has answered a turn."""
        session = self.conversations.open(conversation_id).session
        assert session is not None
        after = replace(session, version=session.version + 1)
        recorded = a_recorded_turn(
            turn_id=turn_id, number=after.version, message="hello", reply=replace(a_reply(), **reply)
        )
        self.conversations.record(after, recorded)


def test_a_message_begins_a_conversation_and_goes_to_the_queue() -> None:
    client = Client()

    accepted = client.send(action="message", message="hello", turn_id="t1")

    assert accepted is not None
    assert (accepted["type"], accepted["turn_id"], accepted["number"]) == ("accepted", "t1", 0)
    assert accepted["conversation_token"]
    (sent,) = client.queue.sent
    assert (sent.id, sent.text, sent.bot, sent.channel) == ("t1", "hello", "support", "websocket")
    assert client.lines.connections.conversation_of("one") == sent.conversation_id


def test_a_connection_goes_on_with_its_conversation_and_the_token_is_told_once() -> None:
    client = Client()
    begun = client.begin()

    accepted = client.send(action="message", message="and then?")

    assert accepted is not None
    assert accepted["conversation_id"] == begun["conversation_id"]
    assert "conversation_token" not in accepted


def test_a_client_that_can_set_headers_shows_its_token_when_it_connects() -> None:
    client = Client()
    begun = client.begin()
    phone = client.another("phone")

    status = phone.connect(begun["conversation_id"], f"Bearer {begun['conversation_token']}")
    accepted = phone.send(action="message", message="and then?")

    assert status == 200
    assert accepted is not None
    assert accepted["conversation_id"] == begun["conversation_id"]


@pytest.mark.parametrize("authorization", [None, "Bearer guessed", "Bearer "])
def test_a_handshake_with_a_wrong_token_is_refused(authorization: str | None) -> None:
    client = Client()
    begun = client.begin()
    stranger = client.another("two")

    assert stranger.connect(begun["conversation_id"], authorization) == 403
    assert stranger.connect("nobody", authorization) == 404
    assert client.lines.connections.conversation_of("two") is None


def test_who_names_no_conversation_may_connect_and_begin_one() -> None:
    assert Client().connect(None, None) == 200


def test_another_connection_needs_the_token() -> None:
    client = Client()
    begun = client.begin()
    stranger = client.another("two")

    refused = stranger.send(action="message", message="hi", conversation_id=begun["conversation_id"])
    wrong = stranger.send(action="message", message="hi", **{**begun, "conversation_token": "guessed"})
    allowed = stranger.send(action="message", message="hi", **begun)

    assert [frame and frame["type"] for frame in (refused, wrong, allowed)] == ["failed", "failed", "accepted"]
    assert refused is not None
    assert refused["problem"]["status"] == 403
    assert len(client.queue.sent) == 2


@pytest.mark.parametrize("action", ["resume", "cancel", "wait"])
def test_whoever_does_not_hold_the_token_can_do_nothing_to_a_turn(action: str) -> None:
    client = Client()
    begun = client.begin()
    turn_id = client.queue.sent[0].id
    after = {"after": 0} if action == "resume" else {}
    stranger = client.another("two")

    refused = stranger.send(
        action=action, conversation_id=begun["conversation_id"], conversation_token="no", turn_id=turn_id, **after
    )

    assert refused is not None
    assert refused["problem"]["status"] == 403
    assert client.lines.connections.listeners(begun["conversation_id"]).cancelled == frozenset()
    assert client.lines.connections.conversation_of("two") is None


def test_the_same_turn_sent_again_is_queued_once_and_told_its_reply_when_it_has_one() -> None:
    client = Client()
    begun = client.begin()
    client.send(action="message", message="hello", turn_id="t1")
    client.answered(begun["conversation_id"], "t1")

    told = client.send(action="message", message="hello", turn_id="t1")

    assert told is not None
    assert (told["type"], told["turn_id"]) == ("done", "t1")
    assert told["replies"] == [{"text": "Hello!"}]
    assert [turn.id for turn in client.queue.sent].count("t1") == 1


def test_who_resumes_a_turn_under_way_is_followed_from_his_number() -> None:
    client = Client()
    begun = client.begin()
    turn_id = client.queue.sent[0].id
    back = client.another("two")

    nothing_yet = back.send(action="resume", turn_id=turn_id, after=7, **begun)

    assert nothing_yet is None
    (listener,) = [
        each
        for each in client.lines.connections.listeners(begun["conversation_id"]).listeners
        if each.connection_id == "two"
    ]
    assert (listener.turn_id, listener.after) == (turn_id, 7)


def test_who_resumes_a_turn_that_is_over_is_told_its_end() -> None:
    client = Client()
    begun = client.begin()
    turn = client.queue.sent[0]
    client.answered(begun["conversation_id"], turn.id)

    done = client.another("two").send(action="resume", turn_id=turn.id, after=7, **begun)

    assert done is not None
    assert (done["type"], done["number"]) == ("done", 8)


def test_who_comes_back_is_told_that_a_person_has_the_conversation() -> None:
    client = Client()
    begun = client.begin()
    turn = client.queue.sent[0]
    client.answered(begun["conversation_id"], turn.id)
    session = client.conversations.open(begun["conversation_id"]).session
    assert session is not None
    client.conversations.record(
        replace(session, version=session.version + 1, handed_off_at=1_000.0),
        a_recorded_turn(number=session.version + 1),
    )

    done = client.send(action="resume", turn_id=turn.id, after=0)

    assert done is not None
    assert done["handed_off"] is True


def test_who_resumes_a_turn_that_failed_is_told_why() -> None:
    client = Client()
    client.begin()
    turn = client.queue.sent[0]
    client.conversations.mark_failed(turn, "the database did not answer")

    failed = client.send(action="resume", turn_id=turn.id, after=0)

    assert failed is not None
    assert failed["problem"]["detail"] == "the database did not answer"


def test_a_turn_that_nobody_accepted_cannot_be_resumed() -> None:
    client = Client()
    client.begin()

    failed = client.send(action="resume", turn_id="never", after=0)

    assert failed is not None
    assert failed["problem"]["status"] == 404


def test_a_cancellation_is_noted() -> None:
    client = Client()
    begun = client.begin()

    assert client.send(action="cancel", turn_id="t1") is None
    assert client.lines.connections.listeners(begun["conversation_id"]).cancelled == {"t1"}


def test_who_agrees_to_wait_is_put_into_the_queue_once() -> None:
    client = Client()
    begun = client.begin()
    turn = client.queue.sent[0]
    client.answered(begun["conversation_id"], turn.id, source="fallback", may_wait=True)

    accepted = client.send(action="wait", turn_id=turn.id)
    client.send(action="wait", turn_id=turn.id)

    assert accepted is not None
    assert (accepted["type"], accepted["turn_id"]) == ("accepted", f"{turn.id}.late")
    late = client.lines.late
    assert isinstance(late, MemoryLateQueue)
    ((waiting, _),) = late.sent
    assert (waiting.turn.text, waiting.before) == ("hello", 1)
    assert waiting.turn.id != turn.id


def test_whoever_is_back_resumes_the_answer_to_a_turn_of_the_longest_id() -> None:
    client = Client()
    begun = client.send(action="message", message="hello", turn_id="t" * 128) or {}
    client.answered(begun["conversation_id"], "t" * 128, source="fallback", may_wait=True)

    accepted = client.send(action="wait", turn_id="t" * 128) or {}

    assert client.send(action="resume", turn_id=accepted["turn_id"], after=0) is None
    assert (client.send(action="resume", turn_id=f"{accepted['turn_id']}r", after=0) or {})["type"] == "failed"


def test_there_is_nothing_to_wait_for_where_there_was_a_reply() -> None:
    client = Client()
    begun = client.begin()
    turn = client.queue.sent[0]
    client.answered(begun["conversation_id"], turn.id)

    refused = client.send(action="wait", turn_id=turn.id)

    assert refused is not None
    assert refused["problem"]["status"] == 400


def test_a_ping_is_answered() -> None:
    assert Client().send(action="ping") == {"type": "pong"}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("", "JSON"),
        ("hello", "JSON"),
        ("[]", "object"),
        ("{}", "action"),
        ('{"action": "shout"}', "shout"),
        ('{"action": "message"}', "message"),
        ('{"action": "message", "message": ""}', "message"),
        ('{"action": "message", "message": "\\u0007"}', "U+0007"),
        ('{"action": "message", "message": 7}', "message"),
        ('{"action": "message", "message": "hi", "turn_id": "../.."}', "turn_id"),
        ('{"action": "message", "message": "hi", "surprise": 1}', "surprise"),
        ('{"action": "resume", "turn_id": "t"}', "after"),
        ("[" * 50_000, "frame"),
    ],
)
def test_what_is_no_frame_is_refused_by_name_and_changes_nothing(body: str, names: str) -> None:
    client = Client()

    refused = client.send_text(body)

    assert refused is not None
    assert refused["type"] == "failed"
    assert refused["problem"]["status"] == 400
    assert names in refused["problem"]["detail"]
    assert client.queue.sent == []


@pytest.mark.parametrize(("frame", "status"), [({"bot": "nobody"}, 404), ({"explain": True}, 403)])
def test_a_message_that_may_not_be_is_refused(frame: dict[str, Any], status: int) -> None:
    client = Client()

    refused = client.send(action="message", message="hello", **frame)

    assert refused is not None
    assert refused["problem"]["status"] == status
    assert client.queue.sent == []


def test_why_is_told_where_everybody_may_ask() -> None:
    client = Client(explains=True)

    client.send(action="message", message="hello", explain=True)

    assert client.queue.sent[0].explain


def test_a_queue_that_is_away_fails_the_turn_readably() -> None:
    class Away(MemoryQueue):
        def send(self, turn: Turn) -> None:
            raise Unavailable("the queue did not take the turn")

    client = Client(queue=Away())

    failed = client.send(action="message", message="hello", turn_id="t1")

    assert failed is not None
    assert (failed["type"], failed["turn_id"], failed["problem"]["status"]) == ("failed", "t1", 503)
    progress = client.conversations.progress(client.received[0]["conversation_id"], "t1")
    assert progress is not None
    assert progress.status == "failed"


def test_a_mistake_of_ours_tells_the_client_nothing_but_that() -> None:
    class Broken(MemoryConnections):
        def conversation_of(self, connection_id: str) -> str | None:
            raise RuntimeError("secret detail")

    client = Client(lines=Lines(Broken(time.time), MemorySockets(), MemoryLateQueue()))

    failed = client.send(action="message", message="hello")

    assert failed is not None
    assert failed["problem"]["status"] == 500
    assert "secret" not in json.dumps(failed)


def test_a_connection_that_closes_listens_no_more() -> None:
    client = Client()
    client.begin()

    client.door(client.event("DISCONNECT"), None)

    assert client.lines.connections.conversation_of("one") is None


OF_THE_SHOP = {"support": Access(origins=("https://shop.example",))}


@pytest.mark.parametrize("origin", ["https://shop.example", "https://api.example"])
def test_a_bot_talks_on_the_pages_of_its_origins_and_on_the_apis_own(origin: str) -> None:
    client = Client(access=OF_THE_SHOP)

    assert client.visit(origin) == 200

    assert (client.send(action="message", message="hello") or {})["type"] == "accepted"


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://shop.example", "null", "https://[::1"])
def test_a_page_of_another_origin_is_refused_and_begins_nothing(origin: str) -> None:
    client = Client(access=OF_THE_SHOP)
    assert client.visit(origin) == 200, "there is another bot, which talks everywhere"

    refused = client.send(action="message", message="hello", turn_id="t")

    assert refused is not None
    assert refused["problem"]["status"] == 403
    assert f"does not talk on pages of {origin};" in refused["problem"]["detail"]
    assert client.queue.sent == []
    assert (client.send(action="message", message="hello", bot="clinic") or {})["type"] == "accepted"


def test_a_page_of_another_origin_goes_on_with_no_conversation_either() -> None:
    shop = Client(access=OF_THE_SHOP)
    shop.visit("https://shop.example")
    conversation = shop.begin()
    elsewhere = shop.another("two")
    elsewhere.visit("https://elsewhere.example")

    for frame in ({"action": "message", "message": "hi"}, {"action": "resume", "turn_id": "t", "after": 0}):
        assert ((elsewhere.send(**conversation, **frame) or {})["problem"])["status"] == 403


def test_a_page_on_which_no_bot_talks_is_not_let_in() -> None:
    client = Client(access={**OF_THE_SHOP, "clinic": Access(origins=("https://clinic.example",))})

    assert client.visit("https://elsewhere.example") == 403
    assert client.visit("https://clinic.example") == 200


def test_who_is_no_browser_has_no_origin_and_is_let_in() -> None:
    client = Client(access=OF_THE_SHOP)

    assert client.connect(None, None) == 200
    assert (client.send(action="message", message="hello") or {})["type"] == "accepted"


def test_a_message_names_the_files_that_were_sent_into_its_conversation() -> None:
    client = Client()
    begun = client.begin()

    accepted = client.send(action="message", message="", uploads=["u1", "u2"], **begun)

    assert accepted is not None
    assert accepted["type"] == "accepted"
    assert (client.queue.sent[-1].text, client.queue.sent[-1].uploads) == ("", ("u1", "u2"))


@pytest.mark.parametrize(
    "frame",
    [
        {"message": "look", "uploads": ["u1"]},  # into which conversation?
        {"message": ""},
        {"message": "look", "uploads": ["../u1"]},
        {"message": "look", "uploads": list("abcdef")},
    ],
)
def test_files_without_a_conversation_and_too_many_are_refused(frame: dict[str, Any]) -> None:
    client = Client()

    failed = client.send(action="message", **frame)

    assert failed is not None
    assert (failed["type"], failed["problem"]["status"]) == ("failed", 400)
    assert client.queue.sent == []
