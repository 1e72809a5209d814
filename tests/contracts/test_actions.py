"""The contract of `ports.Actions`: the fake, and the real one before a server, and a Lambda API, that misbehave."""

import io
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from parley.actions import ActionServer, CustomActions, HttpCall, LambdaCall
from parley.adapters.actions import MAX_DEPTH, MAX_EVENTS, MAX_RESPONSES, RemoteActions
from parley.adapters.exchange import MAX_ANSWER_BYTES
from parley.adapters.memory import MemoryActions
from parley.errors import ActionFailed, Unavailable
from parley.ports import ActionAnswer, ActionRequest, Actions

TIMEOUT_SECONDS = 0.4
SLACK_SECONDS = 1.0  # of a busy machine
ANSWER = {
    "events": [{"event": "slot", "name": "size", "value": "xl", "timestamp": None}],
    "responses": [{"text": "Grüß Gott 😀", "buttons": []}],
}
SECRET = "s3cret-value"


class Server(BaseHTTPRequestHandler):
    """An action server, and anything else, that does what its path says."""

    seen: list[tuple[str, str, dict[str, str], Any]]
    given_up: threading.Event

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def handle_any(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, dict(self.headers), json.loads(content) if content else None))
        try:
            getattr(self, "do_" + self.path.strip("/").partition("?")[0])()
        except OSError:
            self.given_up.set()

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815  # http.server's names

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def drip(self, piece: bytes) -> None:
        for _ in range(100):
            self.wfile.write(piece)
            time.sleep(0.05)

    def do_well(self) -> None:
        self.answer(json.dumps(ANSWER).encode())

    def do_well_in_chunks(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        content = json.dumps(ANSWER).encode()
        for piece in (content[:7], content[7:], b""):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def do_nothing(self) -> None:
        self.answer(b"{}")

    def do_empty(self) -> None:
        self.answer(b"", 204)

    def do_reject(self) -> None:
        self.answer(json.dumps({"action_name": "action_x", "error": "not now"}).encode(), 400)

    def do_dislike(self) -> None:
        self.answer(b'{"error": "bad request"}', 400)

    def do_dislike_in_html(self) -> None:
        self.answer(b"<html>", 400)

    def do_missing(self) -> None:
        self.answer(b'{"error": "no such action", "action_name": "action_x"}', 404)

    def do_fail(self) -> None:
        self.answer(json.dumps({"error": "x", "request_body": SECRET}).encode(), 500)

    def do_redirect(self) -> None:
        self.answer(b"", 302, Location="/well")

    def do_babble(self) -> None:
        self.answer(b"<html>I am a proxy</html>")

    def do_list(self) -> None:
        self.answer(b"[]")

    def do_null(self) -> None:
        self.answer(b"null")

    def do_text_events(self) -> None:
        self.answer(b'{"events": "none"}')

    def do_list_of_texts(self) -> None:
        self.answer(b'{"responses": ["hello"]}')

    def do_many_events(self) -> None:
        self.answer(json.dumps({"events": [{}] * (MAX_EVENTS + 1)}).encode())

    def do_many_responses(self) -> None:
        self.answer(json.dumps({"responses": [{}] * (MAX_RESPONSES + 1)}).encode())

    def do_deep(self) -> None:
        self.answer(b'{"events": [{"value": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}]}")

    def do_abyss(self) -> None:
        self.answer(b"[" * 100_000)

    def do_half_a_character(self) -> None:
        self.answer(b'{"responses": [{"text": "\\ud800"}]}')

    def do_infinity(self) -> None:
        self.answer(b'{"events": [{"value": 1e999}]}')

    def do_latin(self) -> None:
        self.answer('{"responses": [{"text": "Grüß"}]}'.encode("latin-1"))

    def do_big(self) -> None:
        self.answer(b'{"responses": [{"text": "' + b"a" * 5_000_000 + b'"}]}')

    def do_big_secretly(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"responses": [{"text": "' + b"a" * 5_000_000 + b'"}]}')

    def do_bomb(self) -> None:
        self.answer(zlib.compress(b"a" * 50_000_000), Content_Encoding="deflate")

    def do_break(self) -> None:
        self.answer(b'{"events": ', Content_Length="5000")

    def do_hang_up(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def do_speak_otherwise(self) -> None:
        self.wfile.write(b"220 mail.example ESMTP\r\n")

    def do_stall(self) -> None:
        time.sleep(TIMEOUT_SECONDS + 1)

    def do_stall_in_its_answer(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"events"')
        time.sleep(TIMEOUT_SECONDS + 1)

    def do_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.drip(b" ")

    def do_drip_status(self) -> None:
        self.drip(b"H")

    def do_drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self.drip(b"a")

    def do_continue_for_ever(self) -> None:
        self.drip(b"HTTP/1.1 100 Continue\r\n\r\n")

    def do_forecast(self) -> None:
        self.answer(b'{"current": {"temperature": -2.5, "conditions": [{"text": "snow"}]}}')


@pytest.fixture(scope="module")
def server() -> Iterator[type[Server]]:
    """The server's class, with `url` and what it has seen."""
    handler = type("OneServer", (Server,), {"seen": [], "given_up": threading.Event()})
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{listener.server_port}"  # type: ignore[attr-defined]
    threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield handler
    listener.shutdown()
    listener.server_close()


def no_secret(name: str) -> str:
    raise Unavailable(f"nobody has a secret {name}")


def a_request(action: str = "action_x", **slots: Any) -> ActionRequest:
    body = {"next_action": action, "sender_id": "a person", "tracker": {"slots": slots}, "domain": {}, "version": "3"}
    return ActionRequest(action, body, slots)


def ask(
    server: Any, path: str, *, budget_seconds: float = 10.0, timeout_seconds: float = TIMEOUT_SECONDS
) -> ActionAnswer:
    where = CustomActions(ActionServer(f"{server.url}/{path}", timeout_seconds=timeout_seconds))
    return RemoteActions(no_secret).run(where, a_request(), budget_seconds=budget_seconds)


def call(
    server: Any, path: str, request: ActionRequest | None = None, secret: Callable[[str], str] = no_secret, **more: Any
) -> ActionAnswer:
    declared = HttpCall(more.pop("method", "GET"), f"{server.url}/{path}", timeout_seconds=TIMEOUT_SECONDS, **more)
    where = CustomActions(calls={"action_x": declared})
    return RemoteActions(secret).run(where, request or a_request(), budget_seconds=10.0)


@contextmanager
def lambda_api(answer: Mapping[str, Any] | None, **response: Any) -> Iterator[Any]:
    """A client of Lambda whose one invocation is answered so."""
    client = boto3.client("lambda", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    content = json.dumps(answer).encode()
    sent = {
        "FunctionName": "payments",
        "InvocationType": "RequestResponse",
        "Payload": json.dumps(a_request().body).encode(),
    }
    with Stubber(client) as stubber:
        body = StreamingBody(io.BytesIO(content), len(content))
        stubber.add_response("invoke", {"StatusCode": 200, "Payload": body, **response}, sent)
        yield client
        stubber.assert_no_pending_responses()


def invoke(client: Any, timeout_seconds: float = TIMEOUT_SECONDS) -> ActionAnswer:
    where = CustomActions(lambdas={"action_x": LambdaCall("payments", timeout_seconds=timeout_seconds)})
    return RemoteActions(no_secret, client).run(where, a_request(), budget_seconds=10.0)


def answer_of(value: Mapping[str, Any]) -> ActionAnswer:
    return ActionAnswer(tuple(value.get("events", ())), tuple(value.get("responses", ())))


# What both do.

KINDS = ("memory", "remote")
Make = Callable[[str], tuple[Actions, CustomActions]]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, server: Any) -> Make:
    """Actions whose server behaves as a path of `Server` says."""
    told = {
        "well": answer_of(ANSWER),
        "nothing": ActionAnswer(),
        "reject": ActionAnswer(rejected=True),
        "fail": ActionFailed("action_x: answered 500"),
    }

    def build(behaviour: str) -> tuple[Actions, CustomActions]:
        where = CustomActions(ActionServer(f"{server.url}/{behaviour}"))
        fake = MemoryActions({"action_x": told[behaviour]})
        return fake if request.param == "memory" else RemoteActions(no_secret), where

    return build


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [("well", answer_of(ANSWER)), ("nothing", ActionAnswer()), ("reject", ActionAnswer(rejected=True))],
)
def test_an_action_answers_with_what_it_did(make: Make, behaviour: str, answer: ActionAnswer) -> None:
    actions, where = make(behaviour)

    assert actions.run(where, a_request(), budget_seconds=5.0) == answer


def test_an_action_that_fails_is_named(make: Make) -> None:
    actions, where = make("fail")

    with pytest.raises(ActionFailed, match=r"^action_x: answered 500$"):
        actions.run(where, a_request(), budget_seconds=5.0)


def test_an_action_that_nobody_runs_fails(make: Make) -> None:
    actions, _ = make("well")

    with pytest.raises(ActionFailed, match=r"^action_x: nobody runs it$"):
        actions.run(CustomActions(), a_request(), budget_seconds=5.0)


def test_an_action_is_not_begun_without_time(make: Make) -> None:
    actions, where = make("well")

    with pytest.raises(ActionFailed, match="no time was left"):
        actions.run(where, a_request(), budget_seconds=0.0)


def test_the_fake_keeps_what_it_was_asked() -> None:
    fake = MemoryActions()

    fake.run(CustomActions(ActionServer("https://actions.example")), a_request(), budget_seconds=1.0)

    assert fake.requests == [a_request()]


# The action server.


def test_an_action_server_is_sent_rasas_body_and_a_secret(server: Any) -> None:
    where = CustomActions(ActionServer(f"{server.url}/well", "actions-key"))

    RemoteActions({"actions-key": SECRET}.__getitem__).run(where, a_request(size="xl"), budget_seconds=5.0)

    method, _, headers, body = server.seen[-1]
    assert (method, body) == ("POST", a_request(size="xl").body)
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert (headers["Content-Type"], headers["Accept-Encoding"]) == ("application/json", "identity")


def test_an_answer_may_come_in_chunks(server: Any) -> None:
    assert ask(server, "well_in_chunks") == answer_of(ANSWER)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("dislike", "answered 400"),
        ("dislike_in_html", "answered 400"),
        ("missing", "answered 404"),
        ("fail", "answered 500"),
        ("redirect", "answered 302"),
        ("babble", "sent no JSON"),
        ("empty", "sent no JSON"),
        ("latin", "sent no JSON"),
        ("half_a_character", "sent no JSON"),
        ("infinity", "sent no JSON"),
        ("abyss", "sent no JSON"),
        ("deep", "sent JSON that is nested too deeply"),
        ("list", "sent no JSON object"),
        ("null", "sent no JSON object"),
        ("text_events", "sent events that are no list of objects"),
        ("list_of_texts", "sent responses that are no list of objects"),
        ("many_events", f"sent more than {MAX_EVENTS} events"),
        ("many_responses", f"sent more than {MAX_RESPONSES} responses"),
        ("big", "sent more than 1 MB"),
        ("big_secretly", "sent more than 1 MB"),
        ("bomb", "sent a compressed answer, which it was not asked for"),
        ("break", "hung up in the middle of its answer"),
        ("hang_up", "hung up, or did not speak HTTP"),
        ("speak_otherwise", "hung up, or did not speak HTTP"),
    ],
)
def test_an_answer_that_cannot_be_used_is_a_failure_that_says_why(server: Any, path: str, what: str) -> None:
    with pytest.raises(ActionFailed) as failure:
        ask(server, path, timeout_seconds=3.0)

    assert str(failure.value) == f"action_x: {what}"


@pytest.mark.parametrize(
    "path",
    ["stall", "stall_in_its_answer", "drip", "drip_status", "drip_headers", "continue_for_ever"],
)
def test_a_server_that_takes_too_long_is_given_up_in_time(server: Any, path: str) -> None:
    server.given_up.clear()
    begun = time.monotonic()

    with pytest.raises(ActionFailed, match=r"^action_x: took longer than 0.4 s$"):
        ask(server, path)

    assert time.monotonic() - begun < TIMEOUT_SECONDS + SLACK_SECONDS
    assert thread_ends()
    assert "stall" in path or server.given_up.wait(SLACK_SECONDS)  # the connection is gone too


def test_a_turns_budget_is_a_limit_too(server: Any) -> None:
    begun = time.monotonic()

    with pytest.raises(ActionFailed, match=r"took longer than 0.2 s"):
        ask(server, "drip", budget_seconds=0.2, timeout_seconds=10.0)

    assert time.monotonic() - begun < 0.2 + SLACK_SECONDS


def test_a_name_that_cannot_be_looked_up_holds_nobody_up(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1.0))
    begun = time.monotonic()

    with pytest.raises(ActionFailed, match="took longer"):
        ask(server, "well")

    assert time.monotonic() - begun < 0.9
    assert thread_ends()


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = CustomActions(ActionServer(f"http://127.0.0.1:{port}/webhook"))

    with pytest.raises(ActionFailed, match=r"^action_x: could not be reached$"):
        RemoteActions(no_secret).run(where, a_request(), budget_seconds=5.0)


def test_a_server_without_tls_is_not_spoken_to_over_https(server: Any) -> None:
    where = CustomActions(ActionServer(server.url.replace("http:", "https:") + "/well"))

    with pytest.raises(ActionFailed, match="TLS failed"):
        RemoteActions(no_secret).run(where, a_request(), budget_seconds=5.0)


@pytest.mark.parametrize("secret", [no_secret, lambda _: f"{SECRET}\r\nX-Admin: yes"])
def test_a_secret_that_cannot_be_had_or_sent_fails_the_action(server: Any, secret: Callable[[str], str]) -> None:
    where = CustomActions(ActionServer(f"{server.url}/well", "actions-key"))
    seen = len(server.seen)

    with pytest.raises(ActionFailed) as failure:
        RemoteActions(secret).run(where, a_request(), budget_seconds=5.0)

    assert SECRET not in str(failure.value)
    assert len(server.seen) == seen


# Declared HTTP calls.


def test_a_declared_call_sets_slots_and_says_something(server: Any) -> None:
    answer = call(
        server,
        "forecast?city={city}",
        a_request(city="Bad Ischl"),
        {"key": SECRET}.__getitem__,
        headers={"X-Api-Key": "{secret:key}"},
        slots={"temperature": "current.temperature", "sky": "current.conditions.0.text"},
        say="utter_weather",
    )

    assert answer.responses == ({"response": "utter_weather"},)
    assert [(event["event"], event["name"], event["value"]) for event in answer.events] == [
        ("slot", "temperature", -2.5),
        ("slot", "sky", "snow"),
    ]
    method, path, headers, body = server.seen[-1]
    assert (method, path, body) == ("GET", "/forecast?city=Bad%20Ischl", None)
    assert headers["X-Api-Key"] == SECRET


def test_a_declared_call_may_send_a_body_and_want_no_answer(server: Any) -> None:
    answer = call(server, "empty", a_request(size=3), method="DELETE", body={"size": "{size}"})

    assert answer == ActionAnswer()
    assert (server.seen[-1][0], server.seen[-1][3]) == ("DELETE", {"size": 3})


@pytest.mark.parametrize(
    ("path", "slots", "what"),
    [
        ("forecast", {"wind": "current.wind"}, "the answer has nothing at current.wind"),
        ("babble", {"wind": "current.wind"}, "sent no JSON"),
        ("reject", {}, "answered 400"),
        ("fail?city={city}", {}, "the slot city has no value"),
        ("fail?key=1234", {}, "answered 500"),
        ("drip", {}, "took longer than 0.4 s"),
    ],
)
def test_a_declared_call_that_fails_says_why(server: Any, path: str, slots: dict[str, str], what: str) -> None:
    with pytest.raises(ActionFailed) as failure:
        call(server, path, slots=slots)

    assert str(failure.value) == f"action_x: {what}"


# Functions on Lambda.


def test_a_function_is_given_and_answers_what_an_action_server_would() -> None:
    with lambda_api(ANSWER) as client:
        assert invoke(client) == answer_of(ANSWER)


@pytest.mark.parametrize(
    ("answer", "response", "what"),
    [
        ({"errorMessage": SECRET}, {"FunctionError": "Unhandled"}, "the function failed (Unhandled)"),
        (None, {}, "sent no JSON object"),
        ({"responses": [{"text": "a" * MAX_ANSWER_BYTES}]}, {}, "sent more than 1 MB"),
    ],
)
def test_a_function_that_gives_no_answer_is_a_failure(
    answer: Mapping[str, Any] | None, response: dict[str, Any], what: str
) -> None:
    with lambda_api(answer, **response) as client, pytest.raises(ActionFailed) as failure:
        invoke(client)

    assert str(failure.value) == f"action_x: {what}"


def test_a_function_that_is_not_there_is_named_by_lambdas_word_for_it() -> None:
    client = boto3.client("lambda", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stubber:
        stubber.add_client_error("invoke", "ResourceNotFoundException")

        with pytest.raises(ActionFailed, match=r"the function was not run \(ResourceNotFoundException\)"):
            invoke(client)


def test_a_function_that_takes_too_long_is_given_up_in_time() -> None:
    class Slow:
        def invoke(self, **_: object) -> None:
            time.sleep(1.0)

    begun = time.monotonic()

    with pytest.raises(ActionFailed, match=r"took longer than 0.4 s"):
        invoke(Slow())

    assert time.monotonic() - begun < 0.9


def test_a_lambda_api_that_cannot_be_reached_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ActionFailed, match="Lambda could not be reached"):
        invoke(None, timeout_seconds=5.0)


def thread_ends() -> bool:
    """Whether no action's thread is left, after a moment."""
    deadline = time.monotonic() + SLACK_SECONDS
    while any(thread.name.startswith("action") for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
