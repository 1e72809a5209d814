"""The contract of the HTTP API, called with API Gateway's events."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from parley.access import Access, Limits, Quotas
from parley.adapters.memory import (
    MemoryConversations,
    MemoryDocuments,
    MemoryGenerator,
    MemoryLateQueue,
    MemoryLibraries,
    MemoryQueue,
    MemoryUsage,
    memory_callers,
    memory_lines,
)
from parley.conversation import Turn
from parley.errors import GenerationAsleep, Unavailable
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.lines import Lines
from parley.metering import Metering
from parley.ports import LateTurn
from parley.rasa_door import RasaDoor
from parley.services import Services
from parley.turn import answer

ANYBODY = Access()


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Client:
    """Calls the API as API Gateway does."""

    api: HttpApi
    queue: MemoryQueue
    services: Services
    lines: Lines = field(default_factory=memory_lines)
    token: str | None = None
    conversation_id: str | None = None

    def call(self, method: str, path: str, body: Any = None, *, raw: str | None = None, **headers: str) -> Response:
        path, _, query = path.partition("?")
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "queryStringParameters": dict(pair.split("=") for pair in query.split("&")) if query else {},
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": raw if raw is not None else None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        response = self.api(event, None)
        content = response.get("body") or ""
        is_json = "json" in response.get("headers", {}).get("Content-Type", "")
        return Response(
            int(response["statusCode"]), response.get("headers", {}), json.loads(content) if is_json else content
        )

    def chat(self, message: Any, **fields: Any) -> Response:
        headers = {"prefer": fields.pop("prefer")} if "prefer" in fields else {}
        if self.conversation_id:
            fields.setdefault("conversation_id", self.conversation_id)
            headers["authorization"] = f"Bearer {self.token}"
        response = self.call("POST", "/v1/chat", {"message": message, **fields}, **headers)
        if response.status < 300 and "conversation_token" in response.body:
            self.token, self.conversation_id = response.body["conversation_token"], response.body["conversation_id"]
        return response

    def own(self, method: str, path: str) -> Response:
        return self.call(method, path, authorization=f"Bearer {self.token}")


def a_client(services: Services, *, access: Access = ANYBODY) -> Client:
    queue, lines = MemoryQueue(), memory_lines()
    callers = replace(memory_callers(operator_key=b"operator"), access={"support": access})
    door = HttpDoor(services, queue, lines, callers, "support", "local")
    return Client(
        HttpApi(
            door,
            RasaDoor(services, callers, "support"),
            KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
        ),
        queue,
        services,
        lines,
    )


@pytest.fixture
def client(make_services: Callable[..., Services]) -> Client:
    return a_client(make_services())


def test_a_first_message_begins_a_conversation(client: Client) -> None:
    response = client.chat("hello")

    assert response.status == 200
    assert set(response.body) == {
        "conversation_id",
        "conversation_token",
        "turn_id",
        "replies",
        "source",
        "understanding",
        "timings_ms",
    }
    assert response.body["source"] == "scripted"
    assert response.body["understanding"]["intent"] == "greet"


def test_the_token_is_given_once(client: Client) -> None:
    client.chat("hello")

    assert "conversation_token" not in client.chat("thanks").body


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic abc", "Bearer "])
def test_a_conversation_needs_its_token(client: Client, authorization: str) -> None:
    client.chat("hello")
    path = f"/v1/conversations/{client.conversation_id}"

    refused = client.call(
        "POST",
        "/v1/chat",
        {"message": "let me in", "conversation_id": client.conversation_id},
        authorization=authorization,
    )

    assert refused.status == 403
    assert client.call("GET", path, authorization=authorization).status == 403
    assert client.call("DELETE", path, authorization=authorization).status == 403
    assert len(client.own("GET", path).body["turns"]) == 1


def test_the_same_turn_id_gets_the_same_reply_and_acts_once(client: Client) -> None:
    client.chat("hello")

    first = client.chat("where is my order?", turn_id="t-1").body
    again = client.chat("where is my order?", turn_id="t-1").body

    assert again["replies"] == first["replies"]
    assert len(client.own("GET", f"/v1/conversations/{client.conversation_id}").body["turns"]) == 2


def test_a_knowledge_reply_shows_its_citation(client: Client) -> None:
    body = client.chat("how long do I have to return something?").body

    assert body["source"] == "knowledge"
    assert set(body["replies"][0]["citations"][0]) == {"title", "document", "section", "text", "place"}


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "broken JSON": ({"raw": '{"message": '}, 400),
    "no body": ({"raw": ""}, 422),
    "not an object": ({"raw": '["hello"]'}, 422),
    "nested too deeply": ({"raw": "[" * 100_000}, 400),
    "a number of thousands of digits": ({"raw": '{"message": ' + "9" * 5_000 + "}"}, 400),
    "body over 128 KB in few characters": ({"raw": '{"message": "' + "😀" * 33_000 + '"}'}, 413),
    "turn id that a path would swallow": ({"body": {"message": "hello", "turn_id": ".."}}, 422),
    "message of the wrong type": ({"body": {"message": 7}}, 422),
    "no message": ({"body": {}}, 422),
    "empty message": ({"body": {"message": ""}}, 422),
    "blank message": ({"body": {"message": " \n\t "}}, 422),
    "message over 4,000 characters": ({"body": {"message": "x" * 4001}}, 422),
    "control characters": ({"body": {"message": "he\u0000llo"}}, 422),
    "half a character": ({"raw": '{"message": "\\ud800"}'}, 422),
    "body over 128 KB": ({"body": {"message": "hello", "user_id": "x" * 131_072}}, 413),
    "unknown field": ({"body": {"message": "hello", "mesage": "typo"}}, 422),
    "conversation id of the wrong form": ({"body": {"message": "hello", "conversation_id": "a b"}}, 422),
    "turn id of the wrong type": ({"body": {"message": "hello", "turn_id": 1}}, 422),
    "unknown bot": ({"body": {"message": "hello", "bot": "nobody"}}, 404),
    "unknown conversation": ({"body": {"message": "hello", "conversation_id": "nobody"}}, 404),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_request_is_a_problem_and_changes_nothing(client: Client, request_: dict[str, Any], status: int) -> None:
    before = dict(client.services.conversations._stored)

    response = client.call("POST", "/v1/chat", **request_)

    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.body["status"] == status
    assert response.body["detail"]
    assert "Traceback" not in json.dumps(response.body)
    assert client.services.conversations._stored == before


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/nothing"), ("GET", "/v1/chat"), ("PUT", "/v1/health"), ("POST", "/v2/chat")]
)
def test_an_unknown_route_is_a_problem(client: Client, method: str, path: str) -> None:
    response = client.call(method, path)

    assert (response.status, response.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("body", [base64.b64encode(b"\xff\xfe").decode(), "no base64!", "abc"])
def test_a_body_that_is_not_text_is_a_problem(client: Client, body: str) -> None:
    event = {
        "rawPath": "/v1/chat",
        "headers": {},
        "requestContext": {"http": {"method": "POST", "path": "/v1/chat"}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": True,
    }

    assert client.api(event, None)["statusCode"] == 400


def test_a_body_in_base64_is_read(client: Client) -> None:
    event = {
        "rawPath": "/v1/chat",
        "headers": {},
        "requestContext": {"http": {"method": "POST", "path": "/v1/chat"}, "stage": "$default"},
        "body": base64.b64encode(b'{"message": "hello"}').decode(),
        "isBase64Encoded": True,
    }

    assert client.api(event, None)["statusCode"] == 200


def test_a_form_content_type_is_read_as_json(client: Client) -> None:
    response = client.call("POST", "/v1/chat", {"message": "hello"}, content_type="application/x-www-form-urlencoded")

    assert response.status == 200


def test_another_bot_in_the_same_conversation_is_refused(client: Client) -> None:
    client.chat("hello")

    assert client.chat("hello", bot="other").status == 400


def test_another_user_in_the_same_conversation_is_refused(client: Client) -> None:
    client.chat("hello", user_id="jo")

    assert client.chat("hello", user_id="jo").status == 200
    assert client.chat("hello", user_id="al").status == 400


def test_what_breaks_inside_stays_inside(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(MemoryConversations, "record", explode)

    response = client.chat("hello")

    assert response.status == 500
    assert "secret" not in json.dumps(response.body)


def test_respond_async_is_accepted_and_can_be_followed(client: Client) -> None:
    accepted = client.chat("hello", prefer="respond-async")
    path = f"/v1/conversations/{client.conversation_id}/turns/{accepted.body['turn_id']}"
    queued = client.own("GET", path)

    answer(client.queue.sent[0], client.services)
    done = client.own("GET", path)

    assert accepted.status == 202
    assert accepted.headers["Location"] == path
    assert queued.body["status"] == "queued"
    assert done.body["status"] == "done"
    assert done.body["source"] == "scripted"
    assert done.body["replies"]


def test_a_turn_that_is_queued_is_not_queued_again(client: Client) -> None:
    client.chat("hello")

    client.chat("where is my order?", turn_id="t-1", prefer="respond-async")
    again = client.chat("where is my order?", turn_id="t-1", prefer="respond-async")

    assert again.status == 202
    assert len(client.queue.sent) == 1


def test_a_queue_that_is_away_fails_the_turn_readably(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: MemoryQueue, turn: Turn) -> None:
        raise Unavailable("the queue did not take the turn")

    client.chat("hello")
    monkeypatch.setattr(MemoryQueue, "send", away)

    response = client.chat("hello again", turn_id="t-2", prefer="respond-async")

    progress = client.own("GET", f"/v1/conversations/{client.conversation_id}/turns/t-2").body
    assert response.status == 503
    assert (progress["status"], progress["reason"]) == ("failed", "the queue did not take the turn")


def test_who_asks_for_too_much_is_told_before_the_turn_is_queued(make_services: Callable[..., Services]) -> None:
    usage = MemoryUsage()
    metering = Metering(usage, Quotas(tenant=Limits(turns_per_day=2)), {}, time.time)
    client = a_client(replace(make_services(), metering=metering))
    client.chat("hello")
    client.chat("where is my order?", prefer="respond-async")

    refused = client.chat("hello again", turn_id="t-3", prefer="respond-async")

    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert client.own("GET", f"/v1/conversations/{client.conversation_id}/turns/t-3").body["status"] == "failed"
    answer(client.queue.sent[0], client.services)
    assert [*usage.turns.values()] == [2], "the worker does not count it again"
    assert len(client.queue.sent) == 1


def test_a_turn_that_nobody_accepted_is_not_found(client: Client) -> None:
    client.chat("hello")

    assert client.own("GET", f"/v1/conversations/{client.conversation_id}/turns/none").status == 404


@pytest.fixture
def waiting(make_services: Callable[..., Services]) -> Client:
    """A client whose bot has a generator that is asleep."""
    return a_client(make_services(MemoryGenerator(fails_with=GenerationAsleep("no instance is up"))))


def late(client: Client) -> list[LateTurn]:
    assert isinstance(client.lines.late, MemoryLateQueue)
    return [each for each, _ in client.lines.late.sent]


def test_who_agrees_to_wait_for_the_generator_is_told_where_to_look(waiting: Client) -> None:
    reply = waiting.chat("how are you today?", turn_id="t1").body

    accepted = waiting.own("POST", f"/v1/conversations/{waiting.conversation_id}/turns/t1/wait")

    assert (reply["source"], reply["may_wait"]) == ("fallback", True)
    assert (accepted.status, accepted.body["status"]) == (202, "queued")
    assert waiting.own("GET", accepted.headers["Location"]).body["status"] == "queued"
    (waits,) = late(waiting)
    assert waits.turn.text == "how are you today?"


def test_the_answer_to_a_turn_of_the_longest_id_is_found(waiting: Client) -> None:
    longest = "t" * 128
    waiting.chat("how are you today?", turn_id=longest, wait=True)
    accepted = waiting.own("POST", f"/v1/conversations/{waiting.conversation_id}/turns/{longest}/wait")

    progress = waiting.own("GET", accepted.headers["Location"])
    rated = waiting.call(
        "POST",
        f"{accepted.headers['Location']}/feedback",
        {"rating": "up"},
        authorization=f"Bearer {waiting.token}",
    )

    assert (progress.status, progress.body["status"]) == (200, "queued")
    assert (rated.status, rated.body["detail"]) == (404, f"no turn '{longest}.late' was answered in this conversation")
    assert waiting.own("GET", f"{accepted.headers['Location']}r").status == 422


def test_who_agrees_beforehand_need_not_agree_again(waiting: Client) -> None:
    waiting.chat("how are you today?", turn_id="t1", wait=True)

    assert [each.turn.id for each in late(waiting)] == ["t1.late"]


def test_who_agreed_beforehand_gets_the_reply_also_where_nothing_later_can_be_promised(
    waiting: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_away(*_: Any, **__: Any) -> None:
        raise Unavailable("the queue did not take it")

    with monkeypatch.context() as while_away:
        while_away.setattr(MemoryLateQueue, "send", is_away)
        answered = waiting.chat("how are you today?", turn_id="t1", wait=True)
    agreed = waiting.own("POST", f"/v1/conversations/{waiting.conversation_id}/turns/t1/wait")

    assert (answered.status, answered.body["source"], answered.body["may_wait"]) == (200, "fallback", True)
    assert (agreed.status, [each.turn.id for each in late(waiting)]) == (202, ["t1.late"])


def test_nobody_can_wait_for_what_was_answered(client: Client) -> None:
    client.chat("hello", turn_id="t1", wait=True)

    refused = client.own("POST", f"/v1/conversations/{client.conversation_id}/turns/t1/wait")

    assert (refused.status, late(client)) == (400, [])


def test_nobody_waits_in_a_conversation_of_somebody_else(waiting: Client) -> None:
    waiting.chat("how are you today?", turn_id="t1")
    waiting.token = "guessed"

    assert waiting.own("POST", f"/v1/conversations/{waiting.conversation_id}/turns/t1/wait").status == 403
    assert late(waiting) == []


def test_the_history_pages_back(client: Client) -> None:
    for message in ("hello", "thanks", "bye"):
        client.chat(message)
    path = f"/v1/conversations/{client.conversation_id}"

    last = client.own("GET", f"{path}?limit=2").body
    first = client.own("GET", f"{path}?limit=2&before={last['next']}").body

    assert [turn["message"] for turn in last["turns"]] == ["thanks", "bye"]
    assert [turn["message"] for turn in first["turns"]] == ["hello"]
    assert "next" not in first


def test_an_erased_conversation_is_gone(client: Client) -> None:
    client.chat("hello")
    path = f"/v1/conversations/{client.conversation_id}"

    assert client.own("DELETE", path).status == 204
    assert client.own("GET", path).status == 404
    assert client.chat("hello?").status == 404


def test_understanding_alone_begins_no_conversation(client: Client) -> None:
    response = client.call("POST", "/v1/understand", {"message": "where is order WB-204518?"})

    assert response.body["entities"][0]["value"] == "WB-204518"
    assert response.body["ranking"][0]["confidence"] >= response.body["ranking"][1]["confidence"]
    assert client.services.conversations._stored == {}


def test_health_of_a_bot_that_there_is_not_is_refused(client: Client) -> None:
    assert client.call("GET", "/v1/health?bot=support").status == 200
    assert client.call("GET", "/v1/health?bot=nobody").status == 404


def test_health_names_the_bot(client: Client) -> None:
    body = client.call("GET", "/v1/health").body

    assert body["status"] == "ok"
    assert body["bot"]["suggestions"]


SUBSCRIPTIONS = ("rotate", "enable", "test", "deliveries", "replay")  # what there is of each


def test_the_openapi_document_names_every_route(client: Client) -> None:
    document = client.call("GET", "/openapi.json").body

    assert set(document["paths"]) == {
        "/v1/chat",
        "/v1/subscriptions",
        "/v1/subscriptions/{subscription_id}",
        *(f"/v1/subscriptions/{{subscription_id}}/{what}" for what in SUBSCRIPTIONS),
        "/v1/understand",
        "/v1/health",
        "/v1/conversations/{conversation_id}",
        "/v1/conversations/{conversation_id}/turns/{turn_id}",
        "/v1/conversations/{conversation_id}/turns/{turn_id}/wait",
        "/v1/conversations/{conversation_id}/turns/{turn_id}/feedback",
        "/v1/conversations/{conversation_id}/person",
        "/v1/conversations",
        "/v1/conversations/{conversation_id}/handback",
        "/v1/conversations/{conversation_id}/uploads",
        "/v1/conversations/{conversation_id}/uploads/{upload_id}",
        "/webhooks/rest/webhook",
        "/model/parse",
        "/conversations/{sender}/tracker",
        "/status",
        "/v1/knowledge/{bot}",
        "/v1/knowledge/{bot}/{name}",
        "/version",
    }
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["security"] == [{"bearer": []}, {}]
    responses = document["paths"]["/v1/chat"]["post"]["responses"]
    assert set(responses) == {"200", "202", "400", "401", "403", "404", "413", "422", "429", "500", "503"}
    assert all(
        list(described["content"]) == ["application/problem+json"]
        for code, described in responses.items()
        if code >= "4"
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Powertools leaves its files open
def test_the_swagger_page_asks_no_other_host(client: Client) -> None:
    page = client.call("GET", "/docs")

    assert page.status == 200
    assert 'src="http' not in page.body
    assert 'href="http' not in page.body


def test_a_reply_is_rated_by_who_holds_the_token_and_history_shows_it(client: Client) -> None:
    turn_id = client.chat("hello").body["turn_id"]
    path = f"/v1/conversations/{client.conversation_id}/turns/{turn_id}/feedback"

    stranger = client.call("POST", path, {"rating": "down"})
    rated = client.call("POST", path, {"rating": "up", "comment": "quick"}, authorization=f"Bearer {client.token}")

    assert (stranger.status, rated.status) == (403, 204)
    turns = client.own("GET", f"/v1/conversations/{client.conversation_id}").body["turns"]
    assert turns[0]["feedback"] == {"rating": "up", "comment": "quick"}


def test_what_was_never_said_cannot_be_rated(client: Client) -> None:
    client.chat("hello")
    path = f"/v1/conversations/{client.conversation_id}/turns/never/feedback"

    response = client.call("POST", path, {"rating": "up"}, authorization=f"Bearer {client.token}")

    assert response.status == 404


def test_a_parameter_that_is_given_twice_is_refused_and_not_half_heard(client: Client) -> None:
    event = {
        "version": "2.0",
        "rawPath": "/v1/health",
        "rawQueryString": "bot=support&bot=clinic",
        "queryStringParameters": {"bot": "support,clinic"},
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/v1/health"}, "stage": "$default"},
        "isBase64Encoded": False,
    }

    response = client.api(event, None)

    assert response["statusCode"] == 400
    assert "twice" in response["body"]


@pytest.fixture
def of_the_shop(make_services: Callable[..., Services]) -> Client:
    """Of a bot that talks on one site."""
    return a_client(make_services(), access=Access(origins=("https://shop.example",)))


@pytest.mark.parametrize("origin", ["https://shop.example", "https://api.example"])
def test_a_bot_talks_on_the_pages_of_its_origins_and_on_the_apis_own(of_the_shop: Client, origin: str) -> None:
    response = of_the_shop.call("POST", "/v1/chat", {"message": "hello"}, origin=origin, host="api.example")

    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("origin", ["http://[", "https://[::1"])
def test_a_page_that_somebody_made_up_is_refused(of_the_shop: Client, origin: str) -> None:
    assert of_the_shop.call("POST", "/v1/chat", {"message": "hello"}, origin=origin).status == 403


def test_a_page_of_another_origin_neither_begins_a_conversation_nor_goes_on_with_one(of_the_shop: Client) -> None:
    begun = of_the_shop.chat("hello").body
    token = f"Bearer {begun['conversation_token']}"

    refused = [
        of_the_shop.call("POST", "/v1/chat", body, origin="https://elsewhere.example", authorization=token)
        for body in ({"message": "hello"}, {"message": "hello", "conversation_id": begun["conversation_id"]})
    ]

    assert [response.status for response in refused] == [403, 403]
    assert "does not talk on pages of https://elsewhere.example" in refused[0].body["detail"]
    assert refused[0].headers["Access-Control-Allow-Origin"] == "*", "the page can say why"
    assert len(of_the_shop.services.conversations.history(begun["conversation_id"], limit=9)) == 1


def test_a_page_of_another_origin_begins_no_conversation_for_files_and_sends_none_into_one(of_the_shop: Client) -> None:
    def send(origin: str) -> tuple[Response, Response]:
        begun = of_the_shop.call("POST", "/v1/conversations", {}, origin=origin)
        return begun, of_the_shop.call(
            "POST", path, raw="a note", origin=origin, authorization=token, content_type=note
        )

    conversation = of_the_shop.chat("hello").body
    path = f"/v1/conversations/{conversation['conversation_id']}/uploads?name=a.txt"
    token, note = f"Bearer {conversation['conversation_token']}", "text/plain"

    refused, allowed = send("https://elsewhere.example"), send("https://shop.example")

    for response in refused:
        assert response.status == 403
        assert "does not talk on pages of https://elsewhere.example" in response.body["detail"]
    assert allowed[0].status == 201
    assert allowed[1].status != 403
