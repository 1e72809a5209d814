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
from typing import Any

from models.generator.sagemaker_runtime import ServiceError, frame, model_error, model_stream_error, payload_part
from tests.contracts.loopback import Handler, Loopback

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


class _Handler(Handler):
    def answer(self, body: bytes) -> None:
        component = self.headers.get("X-Amzn-SageMaker-Inference-Component")
        endpoint = self.server.told
        does = endpoint.behaviour(Call(self.path.split("/")[2], component, json.loads(body)))
        if does in REFUSALS:
            error = REFUSALS[does]
            headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
            self.whole(error.status, headers, json.dumps(error.body).encode())
        elif does in _PAGES:
            self.whole(_PAGES[does], {"Content-Type": "text/html"}, _HTML.encode())
        else:
            self.stream(_EVENTS, _STREAMS[does](endpoint))


@dataclass
class Misbehaving(Loopback):
    """The endpoint: what it was asked, what it did, and how often somebody left in the middle."""

    handler = _Handler
    choose: Callable[[int], str] | None = None  # by the number of the call, from 1 on; otherwise by the message
    calls: list[Call] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    left: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def behaviour(self, call: Call) -> str:
        """Takes note of a call, and says what to do about it."""
        with self._lock:
            self.calls.append(call)
            does = self.choose(len(self.calls)) if self.choose else call.message
            self.did[does] += 1
            return does


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
_PAGES = {"page": 200, "bad gateway": 502}
_EVENTS = {
    "Content-Type": "application/vnd.amazon.eventstream",
    "X-Amzn-SageMaker-Content-Type": "text/event-stream",
}
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
