"""Files over HTTP: sent into a conversation, named in a message, read back, erased; and what is refused."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote

import pytest

from parley.access import Limits, Quotas
from parley.adapters.memory import (
    MemoryAnnouncements,
    MemoryConversations,
    MemoryDocuments,
    MemoryLibraries,
    MemoryQueue,
    MemoryUploads,
    MemoryUsage,
    memory_callers,
    memory_lines,
)
from parley.bots.bot import UploadSettings
from parley.conversation import Upload
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.loaded import LoadedBot
from parley.metering import Metering
from parley.ports import Conversations
from parley.rasa_door import RasaDoor
from parley.services import Services
from tests.builders import PNG

Body = dict[str, Any] | bytes


class Person:
    """Somebody with a conversation in which nobody has said anything yet."""

    def __init__(self, services: Services) -> None:
        self.services, self.queue = services, MemoryQueue()
        callers = memory_callers("support", operator_key=b"operator")
        self._api = HttpApi(
            HttpDoor(services, self.queue, memory_lines(), callers, "support", "local"),
            RasaDoor(services, callers, "support"),
            KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
        )
        begun = self.call("POST", "/v1/conversations", {}, token="")
        assert begun.status == 201, begun.body
        self.id, self.token = begun.body["conversation_id"], begun.body["conversation_token"]

    def call(self, method: str, path: str, body: Body | None = None, **more: Any) -> SimpleNamespace:
        path, _, query = path.partition("?")
        shown = more.pop("token", None)
        shown = getattr(self, "token", "") if shown is None else shown
        is_file = isinstance(body, bytes)
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "queryStringParameters": {
                name: unquote(value) for name, value in (pair.split("=") for pair in query.split("&") if pair)
            },
            "headers": {**({"authorization": f"Bearer {shown}"} if shown else {}), **more},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default", "requestId": "r"},
            "isBase64Encoded": is_file,
            "body": base64.b64encode(body).decode() if isinstance(body, bytes) else json.dumps(body) if body else "{}",
        }
        response = self._api(event, None)
        headers, content = response.get("headers", {}), response.get("body") or ""
        if response.get("isBase64Encoded"):
            content = base64.b64decode(content)
        elif "json" in headers.get("Content-Type", ""):
            content = json.loads(content)
        return SimpleNamespace(status=response["statusCode"], headers=headers, body=content)

    def send(self, content: bytes = PNG, name: str = "photo.png", kind: str = "image/png") -> SimpleNamespace:
        path = f"/v1/conversations/{self.id}/uploads?name={quote(name, safe='')}"
        return self.call("POST", path, content, **{"content-type": kind})

    def say(self, message: str, *uploads: str, **fields: Any) -> SimpleNamespace:
        headers = {"prefer": fields.pop("prefer")} if "prefer" in fields else {}
        said = {"message": message, "conversation_id": self.id, "uploads": list(uploads), **fields}
        return self.call("POST", "/v1/chat", said, **headers)

    def own(self, path: str = "", method: str = "GET", **more: Any) -> SimpleNamespace:
        return self.call(method, f"/v1/conversations/{self.id}{path}", **more)

    @property
    def kept(self) -> int:
        assert isinstance(self.services.uploads, MemoryUploads)
        return len(self.services.uploads.stored)

    @property
    def conversations(self) -> Any:
        assert isinstance(self.services.conversations, MemoryConversations)
        return self.services.conversations._stored


@pytest.fixture
def services(make_services: Callable[..., Services], support: LoadedBot) -> Services:
    taking = UploadSettings(("image/png", "application/pdf", "text/plain"), 4.0, "photos")
    bot = replace(support, bot=replace(support.bot, uploads=taking))
    return replace(make_services(announcements=MemoryAnnouncements()), bots=lambda _: bot)


@pytest.fixture
def person(services: Services) -> Person:
    return Person(services)


def test_a_file_is_sent_named_in_a_message_and_read_back(person: Person) -> None:
    sent = person.send()
    answered = person.say("hello", sent.body["upload_id"])
    back = person.own(f"/uploads/{sent.body['upload_id']}")

    assert sent.status == 201
    assert sent.body == {"upload_id": sent.body["upload_id"], "name": "photo.png", "type": "image/png", "bytes": 67}
    assert answered.status == 200
    assert (back.status, back.body, back.headers["Content-Type"]) == (200, PNG, "image/png")


def test_a_file_is_given_back_to_be_saved_and_runs_nowhere(person: Person) -> None:
    sent = person.send(name='Grüße "1".png')

    headers = person.own(f"/uploads/{sent.body['upload_id']}").headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"Gr__e_1.png\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%201.png"
    )


def test_the_history_keeps_what_was_sent_with_a_message(person: Person) -> None:
    sent = person.send().body
    person.say("hello", sent["upload_id"])
    person.say("thanks")

    first, second = person.own().body["turns"]

    assert first["uploads"] == [{"id": sent["upload_id"], "name": "photo.png", "type": "image/png", "bytes": 67}]
    assert "uploads" not in second


def test_a_file_may_come_without_a_word_and_is_not_understood(person: Person) -> None:
    answered = person.say("", person.send().body["upload_id"])

    assert answered.status == 200
    assert answered.body["understanding"]["intent"] is None
    assert answered.body["replies"]


@pytest.mark.parametrize("message", ["", " \n"])
def test_a_message_without_words_and_files_says_nothing(person: Person, message: str) -> None:
    refused = person.say(message)

    assert refused.status == 422
    assert "message: the message is empty" in refused.body["detail"]


def test_six_files_are_too_many_for_a_message(person: Person) -> None:
    assert person.say("hello", *"abcdef").status == 422


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_file_that_was_never_sent_is_not_found_and_nothing_is_done(person: Person, prefer: str) -> None:
    refused = person.say("hello", "never", prefer=prefer)

    assert refused.status == 404
    assert "never" in refused.body["detail"]
    assert person.own().body["turns"] == []
    assert person.queue.sent == []


def test_a_file_of_another_conversation_is_not_there(person: Person, services: Services) -> None:
    other = Person(services)
    upload_id = other.send().body["upload_id"]

    assert person.say("hello", upload_id).status == 404
    assert person.own(f"/uploads/{upload_id}").status == 404
    assert other.own(f"/uploads/{upload_id}", token=person.token).status == 403


def test_files_are_named_in_the_conversation_into_which_they_were_sent(person: Person) -> None:
    refused = person.call("POST", "/v1/chat", {"message": "hello", "uploads": ["u1"]}, token="")

    assert refused.status == 400
    assert "conversation" in refused.body["detail"]


def test_a_queued_turn_names_its_files(person: Person) -> None:
    upload_id = person.send().body["upload_id"]

    assert person.say("", upload_id, prefer="respond-async").status == 202
    assert person.queue.sent[0].uploads == (upload_id,)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    {
        "nothing": (b"", "image/png", 400),
        "a script that claims to be an image": (b"#!/bin/sh\necho", "image/png", 415),
        "an image that the bot does not take": (b"GIF89a\x01\x00", "image/png", 415),
        "a page before a PDF": (b"<html>%PDF-1.7", "application/pdf", 415),
        "6 MB": (PNG + bytes(6_000_000), "image/png", 413),
    }.values(),
)
def test_what_a_bot_does_not_take_is_refused_with_what_it_takes(
    person: Person, content: bytes, kind: str, status: int
) -> None:
    refused = person.send(content, kind=kind)

    assert refused.status == status
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "this bot takes image/png, application/pdf, text/plain, 4 MB at most" in refused.body["detail"]
    assert person.kept == 0


def test_a_bot_that_takes_no_files_says_so(services: Services, support: LoadedBot) -> None:
    deaf = replace(support, bot=replace(support.bot, uploads=UploadSettings()))
    person = Person(replace(services, bots=lambda _: deaf))

    assert person.send().status == 415
    assert "uploads" not in person.call("GET", "/v1/health").body["bot"]


def test_health_tells_a_page_what_may_be_sent(person: Person) -> None:
    told = person.call("GET", "/v1/health?bot=support").body["bot"]["uploads"]

    assert told == {"types": ["image/png", "application/pdf", "text/plain"], "most_bytes": 4 * 1024 * 1024}


@pytest.mark.parametrize(
    ("name", "kept"), [("../../etc/passwd.png", "passwd.png"), ("a\r\nb.png", "ab.png"), ("", "file.png")]
)
def test_a_name_has_no_folders_and_nothing_that_does_not_show(person: Person, name: str, kept: str) -> None:
    assert person.send(name=name).body["name"] == kept


def test_the_type_that_is_kept_is_that_of_the_content(person: Person) -> None:
    assert person.send(kind="text/plain").body["type"] == "image/png"


def test_only_those_whose_conversation_it_is_and_operators_send_and_read(person: Person) -> None:
    upload_id = person.send().body["upload_id"]

    for token, status in (("", 403), ("x" * 43, 403), ("operator", 200)):
        assert person.own(f"/uploads/{upload_id}", token=token).status == status
    assert person.own("/uploads", "POST", body=PNG, token="").status == 403


def test_erasing_a_conversation_erases_its_files_and_no_others(person: Person, services: Services) -> None:
    other = Person(services)
    person.send()
    other.send()

    assert person.own(method="DELETE").status == 204
    assert person.kept == 1
    assert person.send().status == 404


def test_erasing_all_of_a_user_erases_their_files(services: Services) -> None:
    person = Person(services)
    begun = person.call("POST", "/v1/conversations", {"user_id": "jo"}, token="").body
    person.id, person.token = begun["conversation_id"], begun["conversation_token"]
    person.send()

    erased = person.call("DELETE", "/v1/conversations?user_id=jo", token="operator")

    assert (erased.status, erased.body["erased"], person.kept) == (200, 1, 0)


class Slow(MemoryUploads):
    """Files that take so long to keep that their conversation is erased meanwhile."""

    def __init__(self, conversations: Conversations) -> None:
        super().__init__()
        self._conversations = conversations

    def put(self, bot: str, conversation_id: str, upload: Upload, content: bytes) -> None:
        super().put(bot, conversation_id, upload, content)
        self._conversations.erase(conversation_id)


def test_a_file_that_comes_while_its_conversation_is_erased_goes_too(services: Services) -> None:
    person = Person(replace(services, uploads=Slow(services.conversations)))

    assert person.send().status == 404
    assert person.kept == 0


def test_a_file_is_counted_as_a_turn_is(services: Services) -> None:
    metering = Metering(MemoryUsage(), Quotas(user=Limits(turns_per_minute=1)), {}, services.clock)
    person = Person(replace(services, metering=metering))

    assert person.send().status == 201
    refused = person.send()

    assert (refused.status, person.kept) == (429, 1)
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_conversation_that_begins_is_counted_as_a_turn_is(services: Services) -> None:
    metering = Metering(MemoryUsage(), Quotas(tenant=Limits(turns_per_minute=1)), {}, services.clock)
    person = Person(replace(services, metering=metering))

    refused = person.call("POST", "/v1/conversations", {}, token="")

    assert refused.status == 429
    assert len(person.conversations) == 1


def test_a_conversation_without_a_turn_is_no_trouble(person: Person) -> None:
    history = person.own()
    wait = person.own("/turns/never/wait", "POST", body={})
    back = person.own("/handback", "POST", body={}, token="operator")

    assert (history.status, history.body["turns"]) == (200, [])
    assert (wait.status, back.status) == (404, 400)
    assert person.say("hello").status == 200
    assert person.own(method="DELETE").status == 204


def test_whoever_takes_over_sees_what_was_sent(person: Person, services: Services) -> None:
    first, second = (person.send().body["upload_id"] for _ in range(2))
    person.say("hello", first)
    handed_off = person.say("/human_handoff", second)
    third = person.send().body["upload_id"]
    person.say("", third)

    assert isinstance(services.announcements, MemoryAnnouncements)
    told = [detail["transcript"] for _, detail in services.announcements.told]
    sent = [[upload["id"] for line in lines for upload in line.get("uploads", ())] for lines in told]
    assert handed_off.body["handed_off"]
    assert sent == [[first, second], [third]]
