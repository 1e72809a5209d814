"""An endpoint that misbehaves on purpose: SageMaker's runtime API on loopback, as HTTP with real event streams.

    with Misbehaving() as endpoint:        # the last message of the prompt says what to do: one of BEHAVIOURS
    with Misbehaving(choose) as endpoint:  # choose(number of the call) says it

boto3 finds it by AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME = endpoint.url. What errors look like is SageMaker's own:
the service model of sagemaker-runtime, and the words of the user guide's chapter on endpoints without instances.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from models.generator.sagemaker_runtime import ServiceError, frame, model_error, model_stream_error, payload_part

ENDPOINT = "misbehaving"
FOR_EVER_SECONDS = 30.0  # longer than any patience in tests
DAWDLING_SECONDS = 0.2
HALF = "Half a "
PART_BYTES = 23  # lines, and characters of several bytes, are cut

NO_COPIES = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
    "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)
REFUSALS = {
    "asleep": ServiceError(400, "ValidationError", NO_COPIES),
    "throttle": ServiceError(400, "ThrottlingException", "Rate exceeded"),
    "unavailable": ServiceError(503, "ServiceUnavailable", "The request has failed due to a temporary failure."),
    "not ready": ServiceError(429, "ModelNotReadyException", "The model is being loaded."),
    "model full": model_error(503, "Service is temporarily unavailable"),
    "model throttles": model_error(429, "Too many requests"),
    "model error": model_error(500, "CUDA out of memory"),
    "not found": ServiceError(400, "ValidationError", f"Endpoint {ENDPOINT} of account 000000000000 not found."),
    "bad input": ServiceError(400, "ValidationError", "1 validation error: the capacity of 'body' was exceeded"),
    "internal": ServiceError(500, "InternalFailure", "An internal failure occurred."),
    "dependency": ServiceError(530, "InternalDependencyException", "Contact customer support."),
}


@dataclass(frozen=True)
class Call:
    """One request, as it came."""

    endpoint: str
    component: str | None
    body: Mapping[str, Any]

    @property
    def message(self) -> str:
        """What the generator was asked last."""
        return str(self.body["messages"][-1]["content"])


@dataclass
class Misbehaving:
    """The endpoint: what it was asked, what it did, and how often somebody left in the middle."""

    choose: Callable[[int], str] | None = None  # by the number of the call, from 1 on; otherwise by the message
    calls: list[Call] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    left: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Misbehaving":
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.endpoint = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def behaviour(self, call: Call) -> str:
        """Takes note of a call, and says what to do about it."""
        with self._lock:
            self.calls.append(call)
            does = self.choose(len(self.calls)) if self.choose else call.message
            self.did[does] += 1
            return does


class _Server(ThreadingHTTPServer):
    endpoint: Misbehaving
    request_queue_size = 256  # a burst is not to be refused by the kernel
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # with chunks, of which a broken stream lacks the last
    server: _Server

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        component = self.headers.get("X-Amzn-SageMaker-Inference-Component")
        does = self.server.endpoint.behaviour(Call(self.path.split("/")[2], component, body))
        try:
            if does in REFUSALS:
                error = REFUSALS[does]
                self._whole(error.status, "application/json", json.dumps(error.body), {"x-amzn-ErrorType": error.code})
            elif does in _PAGES:
                self._whole(*_PAGES[does])
            else:
                self._stream(_STREAMS[does](self.server.endpoint))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            self.server.endpoint.left.set()

    def _whole(self, status: int, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        content = text.encode()
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, events: Iterator[bytes | None]) -> None:
        """Sends events as they come; None breaks the connection off."""
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("X-Amzn-SageMaker-Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            if event is None:
                self.close_connection = True
                return
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


def _said(text: str | None, finish: str | None = None) -> bytes:
    """A line of the container's stream, as many payload parts."""
    delta = {} if text is None else {"content": text}
    return _sent({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _sent(chunk: object) -> bytes:
    line = f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
    return b"".join(payload_part(line[start : start + PART_BYTES]) for start in range(0, len(line), PART_BYTES))


def _failure(kind: str, message: str) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"Message": message}).encode())


def _answer(_: Misbehaving) -> Iterator[bytes | None]:
    yield from (_said("Grüß "), _said("Gott! 😀"), _said(None, "stop"), payload_part(b"data: [DONE]\n\n"))


def _silent(endpoint: Misbehaving) -> Iterator[bytes | None]:
    endpoint.over.wait(FOR_EVER_SECONDS)
    yield from _answer(endpoint)


def _stalls(endpoint: Misbehaving) -> Iterator[bytes | None]:
    yield _said(HALF)
    yield from _silent(endpoint)


def _dawdles(endpoint: Misbehaving) -> Iterator[bytes | None]:
    while not endpoint.over.wait(DAWDLING_SECONDS):
        yield _said("word ")


def _pings(endpoint: Misbehaving) -> Iterator[bytes | None]:
    while not endpoint.over.wait(DAWDLING_SECONDS):
        yield payload_part(b": ping\n\n")


def _half_then(*events: bytes | None) -> Callable[[Misbehaving], Iterator[bytes | None]]:
    return lambda _: iter((_said(HALF), *events))


def _only(*events: bytes) -> Callable[[Misbehaving], Iterator[bytes | None]]:
    return lambda _: iter(events)


_HTML = "<html><body>I am a proxy</body></html>"
_PAGES = {"page": (200, "text/html", _HTML), "bad gateway": (502, "text/html", _HTML)}
_UNKNOWN = frame({":message-type": "error", ":error-code": "Unheard", ":error-message": "Of no model"}, b"")
_STREAMS: Mapping[str, Callable[[Misbehaving], Iterator[bytes | None]]] = {
    "answer": _answer,
    "silent": _silent,
    "stall": _stalls,
    "dawdle": _dawdles,
    "ping": _pings,
    "break": _half_then(None),
    "end early": _half_then(),
    "cut frame": _half_then(_said("whole")[:-7]),
    "stream failure": _half_then(_failure("InternalStreamFailure", "Try your request again.")),
    "stream error": _half_then(model_stream_error("The container broke off.")),
    "unknown error": _half_then(_UNKNOWN),
    "reported error": _half_then(_sent({"error": {"message": "engine died", "code": 500}})),
    "failure at once": _only(_failure("InternalStreamFailure", "Try your request again.")),
    "html": _only(payload_part(_HTML.encode())),
    "other json": _only(_sent({"generated_text": "not asked for"})),
    "empty": _only(),
}
BEHAVIOURS = frozenset({*REFUSALS, *_PAGES, *_STREAMS})
