"""Lambda on loopback: the Runtime API that a function's process talks to, and the function URL that its clients see.

It does what Lambda does between the two: hands each request out as an event, reads the response in chunks as they come,
takes the prelude off, and lets each piece through at once. A client that leaves is noted; the runtime may then find its
connection closed (`cuts_off`), or write on to nobody.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, runtimes-custom.html, urls-invocation.html
"""

import base64
import json
import queue
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import parse_headers
from typing import Any, Self
from urllib.parse import urlsplit

from tests.contracts.loopback import Handler, Loopback

WITHIN_SECONDS = 30
ARN = "arn:aws:lambda:us-east-1:000000000000:function:stream"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

_RUNTIME = "/2018-06-01/runtime"
_PRELUDE_END = bytes(8)


@dataclass
class Invocation:
    """One event, and what became of it."""

    event: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    headers: Mapping[str, str] = field(default_factory=dict)  # with which the runtime answered
    trailers: Mapping[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None  # that the runtime told in place of an answer
    chunks: list[bytes] = field(default_factory=list)
    client_left: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)  # the runtime has said all
    coming: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)  # None: that was all


class _RuntimeApi(Handler):
    def do_GET(self) -> None:  # noqa: N802
        told: LoopbackLambda = self.server.told.of
        assert self.path == f"{_RUNTIME}/invocation/next"
        invocation = told.next()
        if invocation is None:
            self.whole(410, {}, b"")
            return
        deadline = int((time.time() + WITHIN_SECONDS) * 1000)
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": TRACE,
        }
        self.whole(200, headers, json.dumps(invocation.event).encode())

    def do_POST(self) -> None:  # noqa: N802
        told: LoopbackLambda = self.server.told.of
        place = self.path.removeprefix(f"{_RUNTIME}/").split("/")
        match place:
            case ["invocation", request_id, "response"]:
                self._take(told.invocations[request_id], cuts_off=told.cuts_off)
            case ["invocation", request_id, "error"]:
                invocation = told.invocations[request_id]
                invocation.error = self._told()
                invocation.coming.put(None)
                invocation.is_over.set()
                self.whole(202, {}, b"{}")
            case ["init", "error"]:
                told.init_errors.append(self._told())
                self.whole(202, {}, b"{}")
            case _:
                self.whole(404, {}, b"")

    def _told(self) -> dict[str, Any]:
        kind = self.headers["Lambda-Runtime-Function-Error-Type"]
        return {"type": kind, **json.loads(self.rfile.read(int(self.headers["Content-Length"])))}

    def _take(self, invocation: Invocation, *, cuts_off: bool) -> None:
        """Reads a streamed response chunk by chunk, and hands each on."""
        invocation.headers = dict(self.headers.items())
        try:
            for chunk in self._chunks():
                invocation.chunks.append(chunk)
                invocation.coming.put(chunk)
                if cuts_off and invocation.client_left.is_set():
                    self.close_connection = True
                    return
            invocation.trailers = dict(parse_headers(self.rfile).items())
            self.whole(202, {}, b"{}")
            self.close_connection = True
        finally:
            invocation.coming.put(None)
            invocation.is_over.set()

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            assert self.rfile.readline() == b"\r\n"


class _FunctionUrl(Handler):
    def do_GET(self) -> None:  # noqa: N802
        self._forward(b"")

    def do_POST(self) -> None:  # noqa: N802
        self._forward(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_OPTIONS(self) -> None:  # noqa: N802
        self._forward(b"")

    def _forward(self, body: bytes) -> None:
        told: LoopbackLambda = self.server.told.of
        invocation = told.invoke(self._event(body))
        try:
            self._give(invocation)
        except ConnectionError:
            self.close_connection = True
            invocation.client_left.set()

    def _give(self, invocation: Invocation) -> None:
        begun = b""
        while _PRELUDE_END not in begun:
            piece = invocation.coming.get(timeout=WITHIN_SECONDS)
            if piece is None:
                self.whole(502, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}')
                return
            begun += piece
        prelude, _, first = begun.partition(_PRELUDE_END)
        head = json.loads(prelude)
        self._begin(head["statusCode"], {**head["headers"], "Transfer-Encoding": "chunked"})
        while first is not None:
            if first:
                self.wfile.write(f"{len(first):x}\r\n".encode() + first + b"\r\n")
            first = invocation.coming.get(timeout=WITHIN_SECONDS)
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, body: bytes) -> dict[str, Any]:
        """The request in payload format 2.0. Bodies of other types than text come as base64, as Lambda gives them."""
        url = urlsplit(self.path)
        is_text = self.headers.get("Content-Type", "application/json").startswith(("text/", "application/json"))
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": url.path,
            "rawQueryString": url.query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "requestContext": {
                "http": {"method": self.command, "path": url.path},
                "stage": "$default",
                "requestId": str(uuid.uuid4()),
            },
            "isBase64Encoded": not is_text,
            "body": body.decode() if is_text else base64.b64encode(body).decode(),
        }


class _Side(Loopback):
    """One of the two servers."""

    def __init__(self, of: "LoopbackLambda", handler: type[Handler]) -> None:
        self.of, self.left, self.over = of, threading.Event(), of.over
        self.handler = handler  # type: ignore[misc]  # each side has its own


class LoopbackLambda:
    """`with LoopbackLambda() as lambda_:`: `runtime_api` is for the function's process, `url` for its clients."""

    def __init__(self, *, cuts_off: bool = False) -> None:
        self.cuts_off = cuts_off
        self.invocations: dict[str, Invocation] = {}
        self.init_errors: list[dict[str, Any]] = []
        self.over = threading.Event()
        self._waiting: queue.Queue[Invocation] = queue.Queue()
        self._runtime, self._clients = _Side(self, _RuntimeApi), _Side(self, _FunctionUrl)

    def __enter__(self) -> Self:
        self._runtime.__enter__()
        self._clients.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.__exit__()
        self._runtime.__exit__()

    @property
    def runtime_api(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API says: host and port."""
        return self._runtime.url.removeprefix("http://")

    @property
    def url(self) -> str:
        """The function URL."""
        return self._clients.url

    @property
    def last(self) -> Invocation:
        """The latest invocation."""
        return [*self.invocations.values()][-1]

    def invoke(self, event: dict[str, Any]) -> Invocation:
        """Hands an event to the function, in its turn."""
        invocation = Invocation(event)
        self.invocations[invocation.id] = invocation
        self._waiting.put(invocation)
        return invocation

    def next(self) -> Invocation | None:
        """What the runtime is to do next; None when there will be no more."""
        while not self.over.is_set():
            try:
                return self._waiting.get(timeout=0.05)
            except queue.Empty:
                continue
        return None
