"""OpenAI's API, called with API Gateway's events: keys, conversations by name and by messages, streams, errors."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from parley.access import Access
from parley.adapters.memory import (
    MemoryConversations,
    MemoryDocuments,
    MemoryGenerator,
    MemoryKeys,
    MemoryLibraries,
    MemoryQueue,
    MemoryUploads,
    memory_lines,
)
from parley.bots.bot import UploadSettings
from parley.callers import Callers
from parley.channels import api_key
from parley.errors import GenerationAsleep, Unavailable
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.keys_door import KeysDoor
from parley.knowledge_door import KnowledgeDoor
from parley.loaded import LoadedBot
from parley.openai_door import OpenAiDoor
from parley.rasa_door import RasaDoor
from parley.services import Services
from tests.builders import PNG

BOTS = ("support", "tutor")
OPERATOR = b"operator"
COMPLETIONS = "/v1/chat/completions"


class Server:
    """Somebody's server that talks for its users."""

    def __init__(self, services: Services, generator: MemoryGenerator) -> None:
        self.services, self.generator, self.keys, self.now = services, generator, MemoryKeys(), 1_000.0
        callers = Callers({bot: Access() for bot in BOTS}, services.clock, lambda: OPERATOR, self.keys)
        self._api = HttpApi(
            HttpDoor(services, MemoryQueue(), memory_lines(), callers, "support", "local"),
            RasaDoor(services, callers, "support"),
            KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
            openai_door=OpenAiDoor(services, callers),
            keys_door=KeysDoor(self.keys, callers, services.clock),
        )
        self.key = self.new_key()

    def new_key(self, **changes: Any) -> str:
        about = {
            "name": "a server",
            "scopes": ["chat"],
            "bots": [],
            "tenant": "main",
            "now": 0.0,
            "expires_at": None,
            **changes,
        }
        key, shown = api_key.new_key(about.pop("name"), about.pop("scopes"), about.pop("bots"), **about)
        self.keys.save(key)
        return shown

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, raw: str | None = None, **more: str
    ) -> SimpleNamespace:
        query = more.pop("query", "")
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "queryStringParameters": dict(pair.split("=") for pair in query.split("&")) if query else {},
            "headers": {"authorization": f"Bearer {self.key if key is None else key}", **more},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default", "requestId": "r"},
            "isBase64Encoded": False,
            "body": raw if raw is not None else None if body is None else json.dumps(body),
        }
        response = self._api(event, None)
        headers = response.get("headers", {})
        content = response.get("body", "")
        is_json = "json" in headers.get("Content-Type", "")
        return SimpleNamespace(
            status=response["statusCode"], headers=headers, body=json.loads(content) if is_json else content
        )

    def complete(self, *messages: Any, key: str | None = None, headers: Any = None, **fields: Any) -> SimpleNamespace:
        told = [messages[n] if isinstance(messages[n], dict) else _by_turns(messages, n) for n in range(len(messages))]
        body = {"model": "support", "messages": told, **fields}
        return self.call("POST", COMPLETIONS, body, key=key, **(headers or {}))

    def text(self, *messages: Any, **fields: Any) -> str:
        answered = self.complete(*messages, **fields)
        assert answered.status == 200, answered.body
        return str(answered.body["choices"][0]["message"]["content"])

    def stored(self) -> Any:
        assert isinstance(self.services.conversations, MemoryConversations)
        return self.services.conversations._stored


def _by_turns(messages: Any, n: int) -> dict[str, str]:
    """The last message is the user's, and so is every second before it."""
    return {"role": "user" if (len(messages) - n) % 2 else "assistant", "content": messages[n]}


def chunks(stream: str) -> Iterator[Any]:
    events = stream.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    for event in events[:-2]:
        assert event.startswith("data: ")
        yield json.loads(event.removeprefix("data: "))


@pytest.fixture
def server(make_services: Callable[..., Services]) -> Server:
    generator = MemoryGenerator("Very well, ", "thank you. And")
    return Server(make_services(generator), generator)


def test_a_reply_is_a_chat_completion(server: Server) -> None:
    body = server.complete("how long do I have to return something?").body

    choice = body["choices"][0]
    assert (body["object"], body["model"]) == ("chat.completion", "support")
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    assert body["id"].startswith("chatcmpl-")
    assert "Sources:\n[1] " in choice["message"]["content"]
    assert "(returns.md)" in choice["message"]["content"]
    assert body["parley"]["source"] == "knowledge"
    assert body["parley"]["replies"][0]["citations"][0]["document"] == "returns.md"


def test_buttons_are_a_list(server: Server) -> None:
    body = server.complete("hello").body

    for button in body["parley"]["replies"][0]["buttons"]:
        assert f"\n- {button['title']}" in body["choices"][0]["message"]["content"]


def test_usage_is_what_the_generator_read_and_wrote(server: Server) -> None:
    spoken = server.complete("how are you today?").body
    scripted = server.complete("hello").body

    prompt = server.generator.prompts[0]
    count = server.services.window.count
    assert spoken["parley"]["source"] == "generated"
    assert spoken["usage"] == {
        "prompt_tokens": (read := sum(count(text) for _, text in prompt.messages)),
        "completion_tokens": (wrote := count("Very well, thank you.")),
        "total_tokens": read + wrote,
    }
    assert scripted["usage"]["prompt_tokens"] == count("hello")
    assert scripted["usage"]["completion_tokens"] == count(scripted["choices"][0]["message"]["content"])


def test_a_stream_is_the_same_reply_in_pieces(server: Server) -> None:
    whole = server.text("how are you today?")  # a greeting has several wordings

    streamed = server.complete("how are you today?", stream=True)

    told = list(chunks(streamed.body))
    deltas = [each["choices"][0]["delta"] for each in told]
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert {each["object"] for each in told} == {"chat.completion.chunk"}
    assert len({each["id"] for each in told}) == 1
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == whole
    assert [each["choices"][0]["finish_reason"] for each in told] == [None] * (len(told) - 1) + ["stop"]
    assert "usage" not in told[0]
    assert told[-1]["parley"]["source"] == "generated"


def test_a_stream_tells_the_usage_at_the_end_if_asked(server: Server) -> None:
    told = list(chunks(server.complete("hello", stream=True, stream_options={"include_usage": True}).body))

    assert [each["usage"] for each in told[:-1]] == [None] * (len(told) - 1)
    assert told[-1]["choices"] == []
    assert told[-1]["usage"]["total_tokens"] > 0


def test_messages_that_were_exchanged_bring_their_state_back(server: Server) -> None:
    asked = server.text("where is my order?")
    explained = server.text("where is my order?", asked, "12")
    told = server.text("where is my order?", asked, "12", explained, "WB-204518")

    assert "WB-" in asked
    assert "six digits" in explained
    assert "WB-204518" in told


def test_an_exchange_may_go_on_in_two_ways(server: Server) -> None:
    asked = server.text("where is my order?")

    one = server.text("where is my order?", asked, "WB-204518")
    other = server.text("where is my order?", asked, "WB-204519")

    assert "WB-204518" in one
    assert "WB-204519" in other
    assert "WB-204518" not in other


def test_an_exchange_goes_on_whenever_it_was_first_had(make_services: Callable[..., Services]) -> None:
    now = [1_000_000.0]
    server = Server(make_services(clock=lambda: now[0]), MemoryGenerator())
    asked = server.text("where is my order?")

    now[0] += 86_400
    told = server.text("where is my order?", asked, "WB-204518")

    assert "WB-204518" in told


def test_instructions_in_between_change_nothing(server: Server) -> None:
    system = {"role": "system", "content": "It is Tuesday."}
    question = {"role": "user", "content": [{"type": "text", "text": "where is my order?"}]}
    asked = server.text(system, question)

    answered = server.text(
        {"role": "developer", "content": "It is Wednesday."},
        question,
        {"role": "assistant", "content": asked},
        {"role": "user", "content": "WB-204518"},
    )

    assert "WB-204518" in answered


def test_messages_that_nobody_exchanged_with_the_bot_are_its_prompts_history(
    make_services: Callable[..., Services], support: LoadedBot
) -> None:
    generation = replace(support.bot.generation, history_turns=4)
    remembering = replace(support, bot=replace(support.bot, generation=generation))
    generator = MemoryGenerator("Very well.")
    server = Server(replace(make_services(generator), bots=lambda _: remembering), generator)

    server.text("my cat is called Tom", "a lovely name", "how are you today?")

    said = server.generator.prompts[0].messages[1:]
    assert said == (
        ("user", "my cat is called Tom"),
        ("assistant", "a lovely name"),
        ("user", "how are you today?"),
    )


def test_another_key_or_user_does_not_find_the_state_of_an_exchange(server: Server) -> None:
    asked = server.text("where is my order?", user="jo")
    goes_on = ("where is my order?", asked, "12")

    own = server.text(*goes_on, user="jo")

    assert "six digits" in own
    assert "six digits" not in server.text(*goes_on, user="al")
    assert "six digits" not in server.text(*goes_on, user="jo", key=server.new_key())


def test_what_was_said_is_no_part_of_the_names_under_which_it_is_kept(server: Server) -> None:
    asked = server.text("where is my order?")
    names = set(server.stored())

    other = Server(server.services, server.generator)
    other.text("where is my order?", asked, "WB-204518")

    assert not [name for name in names if "order" in name]
    assert all(name.startswith("openai-") or len(name) == 32 for name in names)


def named(name: str = "c-1") -> dict[str, Any]:
    return {"metadata": {"conversation_id": name}}


def test_a_named_conversation_goes_on(server: Server) -> None:
    asked = server.text("where is my order?", **named())
    told = server.text("WB-204518", **named())

    assert "WB-" in asked
    assert "WB-204518" in told


def test_another_keys_name_is_as_unknown_as_one_that_nobody_used(server: Server) -> None:
    server.text("where is my order?", **named())
    stranger = server.new_key()

    taken = server.complete("12", key=stranger, **named())
    free = server.complete("12", key=stranger, **named("c-2"))
    mine = server.text("12", **named())

    for each in (taken, free):
        assert (each.status, each.body["parley"]["source"]) == (200, "fallback")
        assert each.body["parley"].keys() == taken.body["parley"].keys()
    assert "six digits" in mine


def test_a_name_belongs_to_one_user_of_a_key(server: Server) -> None:
    server.text("where is my order?", user="jo", **named())

    assert "six digits" not in server.text("12", user="al", **named())
    assert "six digits" in server.text("12", user="jo", **named())


def test_a_conversation_of_a_key_is_read_back_and_erased_by_its_bearer_and_no_other(server: Server) -> None:
    conversation = server.complete("hello", **named()).body["parley"]["conversation_id"]
    path = f"/v1/conversations/{conversation}"
    others = [
        server.call(method, path, key=key).status for method in ("GET", "DELETE") for key in ("", server.new_key())
    ]

    read = server.call("GET", path)
    erased = server.call("DELETE", path)

    assert others == [403] * 4
    assert [turn["message"] for turn in read.body["turns"]] == ["hello"]
    assert erased.status == 204
    assert not server.stored()


def test_a_conversation_without_a_name_is_erased_with_the_state_that_it_left(server: Server) -> None:
    first = server.complete("where is my order?").body
    asked = first["choices"][0]["message"]["content"]
    second = server.complete("where is my order?", asked, "12").body

    erased = [
        server.call("DELETE", f"/v1/conversations/{each['parley']['conversation_id']}").status
        for each in (first, second)
    ]

    assert erased == [204, 204]
    assert not server.stored()


def test_of_two_who_had_the_same_exchange_one_is_erased_and_the_other_goes_on_with_the_messages(server: Server) -> None:
    def exchange() -> Any:  # the bot asks in one of several wordings
        bodies = (server.complete("where is my order?").body for _ in range(100))
        return next(body for body in bodies if "dash and six digits" in body["choices"][0]["message"]["content"])

    one, other = exchange(), exchange()
    asked = one["choices"][0]["message"]["content"]

    server.call("DELETE", f"/v1/conversations/{one['parley']['conversation_id']}")
    without_state = server.text("where is my order?", asked, "12")
    again = exchange()

    assert other["parley"]["conversation_id"] in server.stored()
    assert "six digits" not in without_state
    assert again["choices"] == one["choices"]
    assert "six digits" in server.text("where is my order?", asked, "12")


def test_a_server_lists_and_erases_what_it_said_for_a_user_and_for_no_other(server: Server) -> None:
    for user in ("jo", "jo", "al"):
        server.text("hello", user=user)
    stranger = server.new_key()

    unnamed = server.call("GET", "/v1/conversations")
    foreign = server.call("GET", "/v1/conversations", query="user_id=jo", key=stranger)
    listed = server.call("GET", "/v1/conversations", query="user_id=jo")
    erased = server.call("DELETE", "/v1/conversations", query="user_id=jo")

    assert unnamed.status == 400
    assert foreign.body["conversations"] == []
    assert len(listed.body["conversations"]) == 2
    assert erased.body == {"erased": 2, "more": False}
    assert all(each.session.user_id.endswith("/al") for each in server.stored().values())
    assert server.call("GET", "/v1/conversations", query="user_id=jo").body["conversations"] == []
    assert len(server.call("GET", "/v1/conversations", query="user_id=al").body["conversations"]) == 1


@pytest.mark.parametrize("fields", [{}, named()])
def test_a_request_with_an_idempotency_key_is_answered_once(server: Server, fields: dict[str, Any]) -> None:
    first = server.complete("how are you today?", headers={"idempotency-key": "k"}, **fields).body
    again = server.complete("how are you today?", headers={"idempotency-key": "k"}, **fields).body
    other = server.complete("what is new?", headers={"idempotency-key": "k"}, **fields)

    assert again["id"] == first["id"]
    assert again["choices"] == first["choices"]
    assert len(server.generator.prompts) == 1
    assert other.status == 400


def test_without_one_it_is_answered_anew(server: Server) -> None:
    assert server.complete("hello").body["id"] != server.complete("hello").body["id"]


def test_models_are_the_bots_that_a_key_opens(server: Server) -> None:
    limited = server.new_key(bots=["tutor"])

    assert [each["id"] for each in server.call("GET", "/v1/models").body["data"]] == ["support", "tutor"]
    assert [each["id"] for each in server.call("GET", "/v1/models", key=limited).body["data"]] == ["tutor"]
    assert server.call("GET", "/v1/models/support").body["object"] == "model"
    assert server.call("GET", "/v1/models/support", key=limited).status == 403
    assert server.complete("hello", key=limited).status == 403
    assert server.call("GET", "/v1/models/nobody").status == 404


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/support", COMPLETIONS])
def test_a_wrong_key_is_401_in_openais_shape(server: Server, path: str) -> None:
    revoked = server.new_key()
    for key in server.keys.list():
        if revoked.startswith(f"parley_{key.id}_"):
            server.keys.delete(key.id)
    body = {"model": "support", "messages": [{"role": "user", "content": "hello"}]} if path == COMPLETIONS else None

    for key in ("wrong", "", server.new_key(expires_at=1.0), server.key[:-1] + "!", revoked):
        refused = server.call("POST" if body else "GET", path, body, key=key)

        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.body["error"]["code"] == "invalid_api_key"
        assert set(refused.body["error"]) == {"message", "type", "param", "code"}
    assert server.stored() == {}


def test_a_key_without_the_scope_is_403(server: Server) -> None:
    refused = server.complete("hello", key=server.new_key(scopes=["another"]))

    assert (refused.status, refused.body["error"]["code"]) == (403, "insufficient_permissions")


USER = {"role": "user", "content": "hello"}
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/y.png"}}]}
REFUSED: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "broken JSON": ({"raw": '{"model": '}, 400, None),
    "no body": ({"raw": ""}, 400, None),
    "too large": ({"raw": '"' + "x" * 140_000 + '"'}, 413, None),
    "no messages": ({"body": {"model": "support"}}, 400, "messages"),
    "no message": ({"body": {"model": "support", "messages": []}}, 400, "messages"),
    "no model": ({"body": {"messages": [USER]}}, 400, "model"),
    "unknown model": ({"body": {"model": "gpt-4", "messages": [USER]}}, 404, "model"),
    "model of the wrong type": ({"body": {"model": 4, "messages": [USER]}}, 400, "model"),
    "an image": ({"body": {"model": "support", "messages": [IMAGE]}}, 400, "messages"),
    "unknown role": ({"body": {"model": "support", "messages": [{**USER, "role": "robot"}]}}, 400, "messages"),
    "not the user's turn": (
        {"body": {"model": "support", "messages": [USER, {"role": "assistant", "content": "Hi"}]}},
        400,
        "messages",
    ),
    "nothing said": ({"body": {"model": "support", "messages": [{**USER, "content": " "}]}}, 400, "messages"),
    "too much said": ({"body": {"model": "support", "messages": [{**USER, "content": "x" * 4001}]}}, 400, "messages"),
    "stream of the wrong type": ({"body": {"model": "support", "messages": [USER], "stream": "yes"}}, 400, "stream"),
    "user of the wrong type": ({"body": {"model": "support", "messages": [USER], "user": 7}}, 400, "user"),
    "temperature of the wrong type": (
        {"body": {"model": "support", "messages": [USER], "temperature": "hot"}},
        400,
        "temperature",
    ),
    "several replies": ({"body": {"model": "support", "messages": [USER], "n": 2}}, 400, "n"),
    "metadata of the wrong type": (
        {"body": {"model": "support", "messages": [USER], "metadata": {"conversation_id": 7}}},
        400,
        "metadata",
    ),
    "a conversation without a name": (
        {"body": {"model": "support", "messages": [USER], "metadata": {"conversation_id": ""}}},
        400,
        "metadata",
    ),
}


@pytest.mark.parametrize(("request_", "status", "param"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_request_is_refused_in_openais_shape(
    server: Server, request_: dict[str, Any], status: int, param: str | None
) -> None:
    refused = server.call("POST", COMPLETIONS, **request_)

    assert refused.status == status
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.body["error"]["param"] == param
    assert refused.body["error"]["message"]
    assert server.stored() == {}


def test_an_image_of_another_server_is_refused_by_name(server: Server) -> None:
    message = server.call("POST", COMPLETIONS, {"model": "support", "messages": [IMAGE]}).body["error"]["message"]

    assert "image_url takes no https URLs" in message


def shown(content: bytes = PNG, text: str = "what is it?") -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    return {
        "role": "user",
        "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}],
    }


def test_an_image_is_kept_as_a_file_of_its_conversation(server: Server) -> None:
    conversation_id = server.complete(shown(), **named()).body["parley"]["conversation_id"]
    path = f"/v1/conversations/{conversation_id}"

    (turn,) = server.call("GET", path).body["turns"]
    (upload,) = turn["uploads"]

    assert (upload["name"], upload["type"], upload["bytes"]) == ("image.png", "image/png", len(PNG))
    assert server.call("GET", f"{path}/uploads/{upload['id']}").status == 200
    assert server.call("GET", f"{path}/uploads/{upload['id']}", key=server.new_key()).status == 403


def test_a_large_image_fits_and_a_large_text_beside_it_does_not(server: Server) -> None:
    fits = server.complete(shown(PNG + bytes(4 * 1024 * 1024 - len(PNG))))
    larger = server.complete(shown(PNG + bytes(4 * 1024 * 1024)))
    wordy = server.complete({"role": "system", "content": "x" * 140_000}, shown())

    assert [fits.status, larger.status, wordy.status] == [200, 413, 413]


def test_a_script_that_claims_to_be_an_image_is_refused(server: Server) -> None:
    refused = server.complete(shown(b"#!/bin/sh"))

    assert refused.status == 400
    assert "this bot takes image/png" in refused.body["error"]["message"]
    assert server.stored() == {}


def test_the_same_words_with_another_image_are_another_exchange(server: Server) -> None:
    first = server.text(shown(text="hello"))
    server.text(shown(PNG + b"x", text="hello"))

    server.text(shown(text="hello"), first, "thanks")

    sessions = [stored.session for stored in server.stored().values()]
    kept = [each.slots["photos"][0]["bytes"] for each in sessions if each.slots.get("photos")]
    assert sorted(set(kept)) == [len(PNG), len(PNG) + 1]


def test_an_image_that_is_sent_twice_with_one_idempotency_key_is_kept_once(server: Server) -> None:
    for _ in range(2):
        assert server.complete(shown(), headers={"idempotency-key": "k"}).status == 200

    assert isinstance(server.services.uploads, MemoryUploads)
    assert len(server.services.uploads.stored) == 1


def test_a_bot_that_takes_no_files_takes_text_only(server: Server, support: LoadedBot) -> None:
    deaf = replace(support, bot=replace(support.bot, uploads=UploadSettings()))
    server = Server(replace(server.services, bots=lambda _: deaf), server.generator)

    refused = server.complete(shown())

    assert refused.status == 400
    assert "text parts only, no 'image_url'" in refused.body["error"]["message"]


def test_what_openai_has_and_a_bot_has_not_is_passed_over(server: Server) -> None:
    answered = server.complete(
        {"role": "tool", "tool_call_id": "x", "content": "42"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {**USER, "name": "jo"},
        temperature=1,
        max_tokens=5,
        max_completion_tokens=5,
        top_p=0.5,
        seed=7,
        tools=[],
        n=1,
    )

    assert answered.status == 200


def test_who_is_busy_says_when_to_come_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("the database did not answer")

    monkeypatch.setattr(MemoryConversations, "record", away)

    refused = server.complete("hello")

    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    assert refused.body["error"]["type"] == "server_error"


def test_what_breaks_inside_stays_inside(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(MemoryConversations, "record", explode)

    refused = server.complete("hello")

    assert refused.status == 500
    assert "secret" not in json.dumps(refused.body)


def test_a_reply_is_given_also_where_its_state_cannot_be_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("the database did not take the change")

    monkeypatch.setattr(MemoryConversations, "start", away)

    assert server.text("hello")


def test_a_person_cannot_be_heard_without_a_named_conversation_so_the_bot_goes_on(server: Server) -> None:
    handed = server.complete("let me talk to a human")
    calmed = handed.body["choices"][0]["message"]["content"]

    goes_on = server.complete("let me talk to a human", calmed, "hello").body
    server.complete("let me talk to a human", **named())
    silent = server.complete("hello", **named()).body

    assert handed.body["parley"]["handed_off"] is True
    assert goes_on["choices"][0]["message"]["content"]
    assert silent["choices"][0]["message"]["content"] == ""
    assert silent["parley"]["handed_off"] is True


def test_the_log_names_the_key_and_neither_its_secret_nor_what_was_said(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "parley"):
        server.text("where is my order?", **named("the-name"))
        server.complete("hello", key=server.key[:-2])

    logged = str([record.__dict__ for record in caplog.records])
    _, key_id, secret = server.key.split("_", 2)
    assert key_id in logged
    assert not [words for words in (secret[:-2], "where is my order", "the-name") if words in logged]


def test_who_cannot_wait_is_not_asked_to(make_services: Callable[..., Services]) -> None:
    generator = MemoryGenerator(fails_with=GenerationAsleep("no instance is up"))

    body = Server(make_services(generator), generator).complete("how are you today?").body

    assert body["parley"]["source"] == "fallback"
    assert "may_wait" not in body["parley"]


def test_the_routes_are_in_the_openapi_document(server: Server) -> None:
    paths = server.call("GET", "/openapi.json").body["paths"]

    assert {COMPLETIONS, "/v1/models", "/v1/models/{name}"} <= set(paths)
    assert {"/v1/keys", "/v1/keys/{key_id}", "/v1/keys/{key_id}/rotate"} <= set(paths)
    assert "401" in paths[COMPLETIONS]["post"]["responses"]
