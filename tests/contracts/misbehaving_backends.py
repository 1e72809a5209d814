"""Generators other than SageMaker's that misbehave on purpose: each protocol on loopback, by real HTTP and real gRPC.

    with MisbehavingHttp(OPENAI) as server:
        server.does = "throttled"  # until it is told otherwise

What real servers say for each of it is in tests/backends, where they can be had.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

from parley.adapters.predict_messages import DT_STRING, PredictRequest, PredictResponse
from tests.contracts.loopback import CERTIFICATE, Handler, Loopback

ANSWER = ("Grüß ", "Gott 😀")
HALF = "Half a "
FOR_EVER_SECONDS = 30.0  # longer than any patience in tests
DAWDLING_SECONDS = 0.1
_CUT_BYTES = 7  # chunks end in the middle of lines and characters

STATUSES = {"throttled": 429, "unavailable": 503, "gave up": 504, "failed": 500, "not found": 404, "moved": 307}
SAID = "my diagnosis"  # servers quote what they were sent; what people say must not be told on
PAGE = b"<html><body>I am a proxy</body></html>"


@dataclass(frozen=True)
class Dialect:
    """How a server over HTTP puts text into an answer."""

    media_type: str | None
    piece: Callable[[str], bytes]
    end: bytes = b""


def _delta(text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


OPENAI = Dialect("text/event-stream; charset=utf-8", _delta, _delta(None, "stop") + b"data: [DONE]\n\n")
TORCHSERVE = Dialect(None, str.encode)
RAY_SERVE = Dialect("text/plain; charset=utf-8", str.encode)


@dataclass
class Misbehaving:
    """What a server is to do, what it was asked, and whether somebody left before the end."""

    does: str = "answer"
    says: str = f"I cannot read: {SAID}"  # with an error
    asked: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


class _Handler(Handler):
    def answer(self, body: bytes) -> None:
        told = self.server.told
        does = told.does
        told.asked.append((self.path, dict(self.headers), body))
        if does in STATUSES:
            headers = {"Location": "/elsewhere"} if does == "moved" else {}
            self.whole(STATUSES[does], headers, told.says.encode())
        elif does == "page":
            self.whole(200, {"Content-Type": "text/html"}, PAGE)
        elif does == "no HTTP":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            self.close_connection = True
        elif does == "hangs up":
            self.close_connection = True
        elif does == "silent":
            self._wait_until_left()
        else:
            media_type = told.dialect.media_type
            headers = {} if media_type is None else {"Content-Type": media_type}
            self.stream(headers, _cut(_STREAMS[does](told.dialect, told)))

    def _wait_until_left(self) -> None:
        self.connection.settimeout(FOR_EVER_SECONDS)
        if self.connection.recv(1) == b"":
            raise BrokenPipeError


class MisbehavingHttp(Misbehaving, Loopback):
    """A server of one dialect."""

    handler = _Handler

    def __init__(self, dialect: Dialect, *, has_tls: bool = False) -> None:
        super().__init__()
        self.dialect = dialect
        self.has_tls = has_tls


def _cut(parts: Iterator[bytes | None]) -> Iterator[bytes | None]:
    for part in parts:
        if part is None:
            yield None
        else:
            yield from (part[start : start + _CUT_BYTES] for start in range(0, len(part), _CUT_BYTES))


def _answer(dialect: Dialect, _: Misbehaving) -> Iterator[bytes | None]:
    yield from (*map(dialect.piece, ANSWER), dialect.end)


def _stalls(dialect: Dialect, told: Misbehaving) -> Iterator[bytes | None]:
    yield dialect.piece(HALF)
    told.over.wait(FOR_EVER_SECONDS)


def _dawdles(dialect: Dialect, told: Misbehaving) -> Iterator[bytes | None]:
    while not told.over.wait(DAWDLING_SECONDS):
        yield dialect.piece("word ")


def _breaks(dialect: Dialect, _: Misbehaving) -> Iterator[bytes | None]:
    yield from (dialect.piece(HALF), None)


def _binary(dialect: Dialect, _: Misbehaving) -> Iterator[bytes | None]:
    yield b"\xff\xfe\x00\x80"


_STREAMS: Mapping[str, Callable[[Dialect, Misbehaving], Iterator[bytes | None]]] = {
    "answer": _answer,
    "stall": _stalls,
    "dawdle": _dawdles,
    "break": _breaks,
    "binary": _binary,
}

_CODES = {
    "throttled": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "gave up": grpc.StatusCode.DEADLINE_EXCEEDED,
    "failed": grpc.StatusCode.INTERNAL,
    "not found": grpc.StatusCode.NOT_FOUND,
    "moved": grpc.StatusCode.UNIMPLEMENTED,
}


class MisbehavingGrpc(Misbehaving):
    """TensorFlow Serving's PredictionService."""

    def __init__(self, *, has_tls: bool = False) -> None:
        super().__init__()
        self.has_tls = has_tls

    def __enter__(self) -> Self:
        predict = grpc.unary_unary_rpc_method_handler(self._predict, PredictRequest.FromString, lambda answer: answer)
        handlers = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": predict})
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[handlers])
        self._port = self._listen("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.stop(None).wait(5)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'grpcs' if self.has_tls else 'grpc'}://127.0.0.1:{self._port}"

    def _listen(self, address: str) -> int:
        if not self.has_tls:
            return int(self._server.add_insecure_port(address))
        pem = CERTIFICATE.read_bytes()
        return int(self._server.add_secure_port(address, grpc.ssl_server_credentials([(pem, pem)])))

    def _predict(self, request: Any, context: Any) -> bytes:
        self.asked.append((request.model_spec.name, {}, request))
        if self.does in _CODES:
            context.abort(_CODES[self.does], self.says)
        match self.does:
            case "silent":
                while context.is_active() and not self.over.wait(0.02):
                    pass
                self.left.set()
                return b""
            case "binary":
                return b"\xff\xfe\x00\x80"
            case "page":
                return tensor("output_text", PAGE, b"and more")
            case _:
                return tensor("output_text", "".join(ANSWER).encode())


def tensor(name: str, *strings: bytes) -> bytes:
    """A PredictResponse on the wire, with one tensor of strings."""
    response = PredictResponse()
    value = response.outputs.add(key=name).value
    value.dtype = DT_STRING
    value.tensor_shape.dim.add(size=len(strings))
    value.string_val.extend(strings)
    return bytes(response.SerializeToString())
