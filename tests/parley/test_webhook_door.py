"""Webhooks in: whom to believe, what becomes of a server's JSON, and how the reply gets back to it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Standard

from parley import callback_delivery
from parley.adapters.memory import (
    MemoryConversations,
    MemoryDeliveryQueue,
    MemoryDocuments,
    MemoryGenerator,
    MemoryLateQueue,
    MemoryLibraries,
    MemoryQueue,
    memory_callers,
    memory_lines,
)
from parley.bots.webhook import CallbackSettings, Verify, Webhook
from parley.channels.signing import new_secret
from parley.channels.webhooks import MOST_BYTES
from parley.conversation import Turn
from parley.errors import GenerationAsleep, GenerationFailed
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.lines import Lines
from parley.loaded import LoadedBot
from parley.ports import Delivery
from parley.queue_door import MAX_DELIVERIES, QueueDoor
from parley.rasa_door import RasaDoor
from parley.services import Services
from parley.webhook_door import WebhookDoor
from tests.builders import a_recorded_turn, a_reply
from tests.parley.test_queue_door import a_record

OPERATOR = "the operator's key"
SECRETS = {"tickets-webhook": new_secret(), "hmac-key": "s3cret\n", "a-token": "t0ken\n"}
TICKETS = Webhook(
    verify=Verify("standard", "tickets-webhook"),
    id="{event.id}",
    conversation="{ticket.id}",
    user="{ticket.requester.email}",
    message="{ticket.subject}\n{ticket.comments.0.text}",
    only_if={"event.type": ["ticket.created", "ticket.answered"], "test": False},
    reply={"text": "{reply.text}", "ticket": "{ticket.id}", "tags": ["bot", "from {reply.source}"]},
)
CALLED_BACK = replace(
    TICKETS, callback=CallbackSettings("https://desk.example/api/tickets/{ticket.id}/reply", "desk", {"X-Key": "k"})
)
UNSIGNED = Verify("token", "a-token", "X-Token")


def an_event(**changes: Any) -> dict[str, Any]:
    ticket = {
        "id": 7001,
        "subject": "Opening hours",
        "comments": [{"text": "how long do I have to return something?"}],
        "requester": {"email": "ana@example.com"},
    }
    return {"event": {"id": "e/1", "type": "ticket.created"}, "test": False, "ticket": {**ticket, **changes}}


class Caller:
    """A server that calls the API of a bot with these webhooks."""

    def __init__(self, make_services: Callable[..., Services], support: LoadedBot, **webhooks: Webhook) -> None:
        loaded = replace(support, bot=replace(support.bot, webhooks=webhooks))
        self.conversations = MemoryConversations(time.time)
        self.services = replace(make_services(conversations=self.conversations), bots=lambda _: loaded)
        self.queue, self.callbacks = MemoryQueue(), MemoryDeliveryQueue()
        self.lines: Lines = replace(memory_lines(), callbacks=self.callbacks)
        self.serve()

    def serve(self) -> None:
        """Serves the API with the services as they are now."""
        bucket = MemoryDocuments(), MemoryLibraries()
        callers = memory_callers("support", operator_key=OPERATOR.encode())
        self._api = HttpApi(
            HttpDoor(self.services, self.queue, self.lines, callers, "support", "test"),
            RasaDoor(self.services, callers, "support"),
            KnowledgeDoor(self.services.bots, *bucket, callers),
            webhook_door=WebhookDoor(self.services, self.queue, SECRETS.__getitem__, "support"),
        )

    def send(self, payload: Any, *, name: str = "tickets", age: float = 0, secret: str | None = None) -> Any:
        """Sends what is signed as Standard Webhooks has it."""
        body = json.dumps(payload, ensure_ascii=False)
        at = datetime.fromtimestamp(int(time.time() - age), UTC)
        signature = Standard(secret or SECRETS["tickets-webhook"]).sign("msg_1", at, body)
        stamp = str(int(at.timestamp()))
        headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": stamp, "Webhook-Signature": signature}
        return self.post(body, headers, name=name)

    def post(
        self, body: str, headers: dict[str, str], *, name: str = "tickets", path: str | None = None
    ) -> tuple[int, Any]:
        path = path or f"/v1/webhooks/{name}"
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
            "body": base64.b64encode(body.encode()).decode(),
            "isBase64Encoded": True,
        }
        response = self._api(event, None)
        return response["statusCode"], json.loads(response["body"]) if response["body"] else None

    def work(self, turn: Turn | None = None, *, delivery: int = 1) -> None:
        """Lets the worker have the turn that was queued last."""
        QueueDoor(self.services, self.lines)(a_record(turn or self.queue.sent[-1], delivery=delivery))

    def called_back(self) -> list[tuple[str, Any]]:
        return [(_url(delivery), json.loads(delivery.body)) for delivery, _ in self.callbacks.sent]


def _url(delivery: Delivery) -> str:
    assert delivery.callback is not None
    return delivery.callback.url


@pytest.fixture
def call(make_services: Callable[..., Services], support: LoadedBot) -> Callable[..., Caller]:
    return lambda **webhooks: Caller(make_services, support, **webhooks)


def test_what_a_server_says_is_answered_in_the_form_that_it_wants(call: Callable[..., Caller]) -> None:
    caller = call(tickets=TICKETS)

    status, body = caller.send(an_event())

    assert status == 200
    assert body["ticket"] == 7001
    assert "30 days" in body["text"]
    assert body["tags"] == ["bot", "from knowledge"]


def test_the_same_twice_gets_the_same_reply_and_is_one_turn(call: Callable[..., Caller]) -> None:
    caller = call(tickets=TICKETS)

    first, second = caller.send(an_event()), caller.send(an_event())

    (conversation,) = caller.conversations._stored
    assert first == second
    assert len(caller.conversations.history(conversation, limit=10)) == 1


def test_one_ticket_is_one_conversation_and_another_ticket_another(call: Callable[..., Caller]) -> None:
    caller = call(tickets=TICKETS)

    for number, ticket in enumerate((7001, 7001, 7002)):
        caller.send({**an_event(id=ticket), "event": {"id": f"e{number}", "type": "ticket.answered"}})

    turns = [len(caller.conversations.history(each, limit=10)) for each in caller.conversations._stored]
    assert turns == [2, 1]
    session = caller.conversations.open(next(iter(caller.conversations._stored))).session
    assert session is not None
    assert (session.user_id, session.bot) == ("webhook/ana@example.com", "support")


@pytest.mark.parametrize("changes", [{"event": {"id": "e1", "type": "ticket.closed"}}, {"test": True}, {"event": {}}])
def test_what_the_author_wants_to_hear_nothing_of_is_passed_over(
    call: Callable[..., Caller], changes: dict[str, Any]
) -> None:
    caller = call(tickets=TICKETS)

    assert caller.send({**an_event(), **changes}) == (200, {"status": "ignored"})
    assert not caller.conversations._stored


@pytest.mark.parametrize("how", [{"secret": new_secret()}, {"age": 301}, {"age": -301}])
def test_what_is_not_signed_now_by_who_is_expected_is_refused(call: Callable[..., Caller], how: dict[str, Any]) -> None:
    caller = call(tickets=TICKETS)

    status, problem = caller.send(an_event(), **how)

    assert (status, problem["title"]) == (401, "Unauthorized")
    assert not caller.conversations._stored


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_an_hmac_in_a_header_is_believed_and_no_other(
    call: Callable[..., Caller], algorithm: Any, encoding: Any, prefix: str
) -> None:
    verify = Verify("hmac", "hmac-key", "X-Hub-Signature-256", prefix, algorithm, encoding)
    caller = call(tickets=replace(TICKETS, verify=verify))
    body = json.dumps(an_event(subject="Grüße"), ensure_ascii=False)

    def signed(key: str, content: str = body) -> dict[str, str]:
        made = hmac.new(key.encode(), content.encode(), getattr(hashlib, algorithm))
        said = made.hexdigest() if encoding == "hex" else base64.b64encode(made.digest()).decode()
        return {"x-hub-signature-256": f"{prefix}{said}"}

    assert caller.post(body, signed("s3cret"))[0] == 200
    assert caller.post(body, signed("guessed"))[0] == 401
    assert caller.post(body, signed("s3cret", body + " "))[0] == 401
    assert caller.post(body, {})[0] == 401
    assert caller.post(body, {"x-hub-signature-256": "sha256=é"})[0] == 401


def test_a_token_in_a_header_is_believed_and_no_other(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(TICKETS, verify=UNSIGNED))
    body = json.dumps(an_event())

    assert caller.post(body, {"x-token": "t0ken"})[0] == 200
    assert [caller.post(body, headers)[0] for headers in ({"x-token": "t0ke"}, {"x-token": ""}, {})] == [401] * 3


@pytest.mark.parametrize("verify", [UNSIGNED, Verify("hmac", "a-token", "X-Token"), Verify("standard", "a-token")])
@pytest.mark.parametrize("secret", ["", " ", "\n", "whsec_"])
def test_a_webhook_whose_secret_is_empty_opens_to_nobody(
    call: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, verify: Verify, secret: str
) -> None:
    monkeypatch.setitem(SECRETS, "a-token", secret)
    caller = call(tickets=replace(TICKETS, verify=verify))
    body = json.dumps(an_event())
    by_nothing = hmac.new(secret.strip().encode(), body.encode(), hashlib.sha256).hexdigest()

    answers = [caller.post(body, headers)[0] for headers in ({}, {"x-token": secret}, {"x-token": by_nothing})]

    assert answers == [503] * 3
    assert not caller.conversations._stored


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"ticket": {}}, "`event.id`, `ticket.comments.0.text`, `ticket.id`, `ticket.requester.email`"),
        (an_event(comments=[]), "`ticket.comments.0.text`"),
        (an_event(requester=None), "`ticket.requester.email`"),
        (an_event(subject=None), "`ticket.subject`"),
        ([], "`event.id`"),
        (an_event(id=" "), "`conversation` is empty"),
        (an_event(id="x" * 501), "`conversation` is longer than 500"),
        (an_event(subject="x" * 4_001), "`message` is longer than 4,000"),
        (an_event(subject="\u0007"), "`message`: the message holds the control character"),
    ],
)
def test_what_does_not_fit_the_mapping_is_refused_by_its_path(
    call: Callable[..., Caller], payload: Any, said: str
) -> None:
    caller = call(tickets=replace(TICKETS, only_if={}))

    status, problem = caller.send(payload)

    assert status == 400
    assert said in problem["detail"]
    assert not caller.conversations._stored


def test_what_is_no_json_or_too_large_is_refused(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(TICKETS, verify=UNSIGNED))

    assert caller.post("{", {"x-token": "t0ken"})[0] == 400
    assert caller.post(json.dumps({"a": "x" * 140_000}), {"x-token": "t0ken"})[0] == 413
    assert caller.send(an_event(), name="nothing")[0] == 404


def test_nobody_with_a_token_gets_into_such_a_conversation(call: Callable[..., Caller]) -> None:
    caller = call(tickets=TICKETS)
    caller.send(an_event())
    (conversation,) = caller.conversations._stored

    asked = json.dumps({"message": "hi", "conversation_id": conversation})
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer guessed"}):
        assert caller.post(asked, headers, path="/v1/chat")[0] == 403


def test_with_a_callback_the_turn_is_acknowledged_and_its_reply_posted_later(call: Callable[..., Caller]) -> None:
    caller = call(tickets=CALLED_BACK)

    status, body = caller.send(an_event())
    caller.work()

    assert (status, body["status"]) == (202, "queued")
    ((url, told),) = caller.called_back()
    assert url == "https://desk.example/api/tickets/7001/reply"
    assert "30 days" in told["text"]
    assert told["ticket"] == 7001
    ((delivery, _),) = caller.callbacks.sent
    assert delivery.to == "callback.support.tickets"
    assert delivery.callback is not None
    assert (delivery.callback.secret, delivery.callback.headers) == ("desk", {"X-Key": "k"})


def test_a_turn_that_the_queue_delivers_twice_is_called_back_with_the_same_id(call: Callable[..., Caller]) -> None:
    caller = call(tickets=CALLED_BACK)

    answers = [caller.send(an_event()) for _ in range(2)]
    for turn in (*caller.queue.sent, caller.queue.sent[0]):
        caller.work(turn)
    answers.append(caller.send(an_event()))

    ids = {delivery.id for delivery, _ in caller.callbacks.sent}
    assert len(ids) == 1
    assert [status for status, _ in answers] == [202] * 3
    assert answers[2][1]["status"] == "done"


def test_what_a_server_says_cannot_lead_the_callback_elsewhere(call: Callable[..., Caller]) -> None:
    caller = call(tickets=CALLED_BACK)

    assert caller.send(an_event(id=".."))[0] == 400
    caller.send(an_event(id="../../admin?x=1#y"))
    caller.work()

    ((url, _),) = caller.called_back()
    assert url == "https://desk.example/api/tickets/..%2F..%2Fadmin%3Fx%3D1%23y/reply"


def test_that_there_will_be_no_reply_is_called_back(
    call: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(tickets=CALLED_BACK)
    caller.send(an_event())

    def fail(*_: object, **__: object) -> None:
        raise GenerationFailed("the generator is broken")

    monkeypatch.setattr("parley.queue_door.answer", fail)
    with pytest.raises(GenerationFailed):
        caller.work(delivery=MAX_DELIVERIES)

    ((_, told),) = caller.called_back()
    assert (told["text"], told["tags"]) == ("the generator is broken", ["bot", "from failed"])


def test_a_reply_after_a_failure_has_another_id_also_where_the_body_tells_no_source(
    call: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = call(tickets=replace(CALLED_BACK, reply={"text": "{reply.text}"}))
    caller.send(an_event())

    def fail(*_: object, **__: object) -> None:
        raise GenerationFailed("the generator is broken")

    with monkeypatch.context() as broken:
        broken.setattr("parley.queue_door.answer", fail)
        with pytest.raises(GenerationFailed):
            caller.work(delivery=MAX_DELIVERIES)
    caller.send(an_event())
    caller.work()

    (failure, _), (reply, _) = caller.callbacks.sent
    assert ("broken" in failure.body, "30 days" in reply.body) == (True, True)
    assert failure.id != reply.id


def test_a_path_that_the_author_adds_later_is_found_in_the_message_that_is_answered(
    make_services: Callable[..., Services], support: LoadedBot
) -> None:
    caller = Caller(make_services, support, tickets=CALLED_BACK)
    caller.send(an_event())
    caller.work()
    more = replace(
        CALLED_BACK,
        callback=CallbackSettings("https://desk.example/{ticket.thread}", "desk"),
        reply={"text": "About {ticket.subject}: {reply.text}"},
    )
    loaded = replace(support, bot=replace(support.bot, webhooks={"tickets": more}))
    caller.services = replace(caller.services, bots=lambda _: loaded)
    caller.serve()

    status, _ = caller.send({**an_event(thread="t-2"), "event": {"id": "e2", "type": "ticket.answered"}})
    caller.work()
    person = replace(caller.queue.sent[-1], origin=None)  # what comes with no message of the caller's
    callback_delivery.deliver_failure(person, "later", caller.services, caller.callbacks)

    assert status == 202
    (_, (url, told), (later_url, later)) = caller.called_back()
    assert url == later_url == "https://desk.example/t-2"
    assert told["text"].startswith("About Opening hours: ")
    assert later["text"] == "About Opening hours: later"


def test_a_reply_that_is_too_large_is_told_to_be(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(CALLED_BACK, reply={"text": "{reply.text}", "again": ["{ticket.note}"]}))
    long = replace(a_recorded_turn(), reply=a_reply("ж" * (MOST_BYTES // 10)))
    caller.send(an_event(note='"' * (MOST_BYTES // 8)))

    callback_delivery.deliver(long, caller.queue.sent[-1], caller.services, caller.callbacks)

    ((_, told),) = caller.called_back()
    assert told["text"] == "what would be posted to the callback is too large"


def test_what_leaves_no_room_for_a_reply_is_refused_while_somebody_hears_it(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(CALLED_BACK, reply={"text": "{reply.text}", "again": ["{ticket.note}"]}))

    status, _ = caller.send(an_event(note='"' * (MOST_BYTES // 4)))

    assert (status, caller.queue.sent) == (413, [])


def test_a_late_answer_is_called_back(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(CALLED_BACK, message="{ticket.comments.0.text}"))
    awake, asleep = caller.services, MemoryGenerator(fails_with=GenerationAsleep("no instance is up"))
    caller.services = replace(awake, generator=asleep)
    caller.send(an_event(comments=[{"text": "how are you today?"}]))
    caller.work()
    assert isinstance(caller.lines.late, MemoryLateQueue)
    ((late, _),) = caller.lines.late.sent

    QueueDoor(awake, caller.lines)(a_record(late))

    (_, first), (_, second) = caller.called_back()
    assert first["tags"][1] == "from fallback"
    assert second["text"].startswith("Very well")


def test_what_a_person_writes_who_has_taken_over_is_called_back(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(CALLED_BACK, message="{ticket.comments.0.text}"))
    caller.send(an_event(comments=[{"text": "can I talk to a human?"}]))
    caller.work()
    (conversation,) = caller.conversations._stored
    taken_over = caller.conversations.open(conversation).session
    assert taken_over is not None
    if taken_over.handed_off_at is None:
        after = replace(taken_over, version=taken_over.version, handed_off_at=1.0)
        caller.conversations._stored[conversation].session = after
    told_before = len(caller.called_back())

    path = f"/v1/conversations/{conversation}/person"
    status, _ = caller.post('{"message": "Ana here."}', {"authorization": f"Bearer {OPERATOR}"}, path=path)
    caller.work()

    assert status == 201
    assert [told["text"] for _, told in caller.called_back()[told_before:]] == ["Ana here."]


def test_nothing_that_people_say_is_logged(call: Callable[..., Caller], caplog: pytest.LogCaptureFixture) -> None:
    caller = call(tickets=CALLED_BACK)
    with caplog.at_level("DEBUG", logger="parley"):
        caller.send(an_event())
        caller.work()
        caller.send(an_event(), secret=new_secret())

    told = str([record.__dict__ for record in caplog.records])
    assert not [word for word in ("ana@example.com", "return something", SECRETS["tickets-webhook"]) if word in told]


def test_a_webhook_cannot_speak_as_somebody_who_is_signed_in(call: Callable[..., Caller]) -> None:
    caller = call(tickets=replace(TICKETS, user="{ticket.id}"))

    caller.send(an_event(id="@0123456789abcdef"))

    (conversation,) = caller.conversations._stored
    session = caller.conversations.open(conversation).session
    assert session is not None
    assert session.user_id == "webhook/@0123456789abcdef"
