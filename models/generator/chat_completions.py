"""OpenAI's chat completions as values: a request's body parsed, a reply rendered whole or as server-sent events.

Pure conversions, held to what OpenAI's own client sends and reads. What the model cannot do (tools, several choices,
log probabilities) is refused and not ignored, since who asks for it would take the reply for more than it is.

Source: OpenAI API reference, "Chat completions"; vLLM for `min_tokens`, `top_k` and `repetition_penalty`.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, fields
from typing import Any

from engine import Piece, Request

ROLES = frozenset({"system", "developer", "user", "assistant"})
RANGES: dict[str, tuple[type, float, float]] = {  # name -> (type, least, most)
    "max_tokens": (int, 1, 1_000_000),
    "min_tokens": (int, 0, 1_000_000),
    "temperature": (float, 0.0, 2.0),
    "top_p": (float, 1e-6, 1.0),
    "top_k": (int, 1, 1_000),
    "repetition_penalty": (float, 0.5, 2.0),
    "seed": (int, 0, 2**31 - 1),
}
NOT_SERVED = ("tools", "functions", "logprobs", "logit_bias", "frequency_penalty", "presence_penalty", "audio")
MAX_STOPS = 4


class BadRequest(Exception):
    """The request cannot be served; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed request: what to generate and how to answer."""

    request: Request
    model: str | None
    is_streamed: bool
    with_usage: bool  # in a stream, which tells it only when asked


def parse(body: bytes) -> Wanted:
    """What the body of a request asks for.

    Raises:
        BadRequest: not JSON, or a field is missing, of the wrong type, out of range or not served.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadRequest("the body must be a JSON object")
    model = content.get("model")
    if not isinstance(model, str | None):
        raise BadRequest("model must be a string", "model")
    is_streamed = content.get("stream") or False
    if not isinstance(is_streamed, bool):
        raise BadRequest("stream must be true or false", "stream")
    options = content.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest("stream_options must be an object", "stream_options")
    refuse_what_is_not_served(content)
    known = {field.name for field in fields(Request)}
    numbers = {name: number(content[name], name) for name in RANGES if name in known and content.get(name) is not None}
    if "max_tokens" not in numbers and content.get("max_completion_tokens") is not None:
        numbers["max_tokens"] = number(content["max_completion_tokens"], "max_tokens")
    request = Request(messages=messages(content.get("messages")), stop=stops(content.get("stop")), **numbers)
    return Wanted(request, model, is_streamed, options.get("include_usage") is True)


def refuse_what_is_not_served(content: dict[str, Any]) -> None:
    if content.get("n") not in (None, 1):
        raise BadRequest("only one choice can be generated", "n")
    if content.get("response_format") not in (None, {"type": "text"}):
        raise BadRequest("the model writes text only", "response_format")
    for name in NOT_SERVED:
        if content.get(name):
            raise BadRequest(f"{name} is not served by this model", name)


def messages(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise BadRequest("messages must be a list with at least one message", "messages")
    parsed = tuple(message(item, f"messages[{place}]") for place, item in enumerate(value))
    if parsed[-1][0] != "user":
        raise BadRequest("the last message must be the user's", "messages")
    return parsed


def message(value: Any, where: str) -> tuple[str, str]:
    if not isinstance(value, dict) or value.get("role") not in ROLES:
        raise BadRequest(f"{where} needs a role: {', '.join(sorted(ROLES))}", f"{where}.role")
    content = value.get("content")
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise BadRequest(f"{where}.content must be text", f"{where}.content")
    return value["role"], content.encode("utf-8", "replace").decode("utf-8")


def stops(value: Any) -> tuple[str, ...]:
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MAX_STOPS or not all(isinstance(s, str) and s for s in listed):
        raise BadRequest(f"stop must be a string or a list of at most {MAX_STOPS} strings, none empty", "stop")
    return tuple(listed)


def number(value: Any, name: str) -> Any:
    kind, least, most = RANGES[name]
    accepted = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted) or not least <= value <= most:
        raise BadRequest(f"{name} must be {'an integer' if kind is int else 'a number'} in {least:g}..{most:g}", name)
    return kind(value)


def whole(pieces: list[Piece], model: str) -> dict[str, Any]:
    """The reply as one chat.completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(piece.text for piece in pieces)},
        "finish_reason": pieces[-1].finish_reason,
        "logprobs": None,
    }
    return envelope("chat.completion", model) | {"choices": [choice], "usage": usage(pieces[-1])}


class Chunks:
    """The reply as server-sent chat.completion.chunk events, all of one id."""

    def __init__(self, wanted: Wanted, model: str) -> None:
        self._with_usage = wanted.with_usage
        self._envelope = envelope("chat.completion.chunk", model)

    def first(self) -> str:
        """The event that says whose words will come."""
        return self._event({"role": "assistant", "content": ""})

    def next(self, piece: Piece) -> str:
        """The events for a piece; the last one's end the stream."""
        events = self._event({"content": piece.text}) if piece.text else ""
        if piece.finish_reason:
            events += self._event({}, piece.finish_reason)
            if self._with_usage:
                events += server_sent(self._envelope | {"choices": [], "usage": usage(piece)})
            events += "data: [DONE]\n\n"
        return events

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        more = {"usage": None} if self._with_usage else {}
        return server_sent(self._envelope | {"choices": [choice]} | more)


def server_sent(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def envelope(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def usage(piece: Piece) -> dict[str, int]:
    return {
        "prompt_tokens": piece.prompt_tokens,
        "completion_tokens": piece.completion_tokens,
        "total_tokens": piece.prompt_tokens + piece.completion_tokens,
    }


def models(model: str, created: int) -> dict[str, Any]:
    """What GET /v1/models lists."""
    return {"object": "list", "data": [{"id": model, "object": "model", "created": created, "owned_by": "parley"}]}


def problem(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
