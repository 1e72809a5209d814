"""The process inside the generator's SageMaker container: OpenAI chat messages in, a reply out.

    python models/generator/serve.py [--host 127.0.0.1] [--port 8080] [--artefact models/generator/artefact]

GET /ping answers 200 once the model is loaded. POST /invocations takes an OpenAI chat completion request and answers
`chat.completion` JSON or, with "stream": true, server-sent `chat.completion.chunk` lines that end with
`data: [DONE]`. A prompt that is too long loses its oldest turns. A client that leaves stops its generation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import uvicorn
from engine import Engine, Piece, Request
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL_NAME = "parley-smalltalk"
ROLES = frozenset({"system", "developer", "user", "assistant"})
RANGES: dict[str, tuple[type, float, float]] = {  # name -> (type, least, most)
    "max_tokens": (int, 1, 1_000_000),
    "temperature": (float, 0.0, 2.0),
    "top_p": (float, 1e-6, 1.0),
    "top_k": (int, 1, 1_000),
    "repetition_penalty": (float, 0.5, 2.0),
    "seed": (int, 0, 2**31 - 1),
}
MAX_STOPS = 4


class BadRequest(Exception):
    """The request cannot be served; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class Busy(Exception):
    """As many requests wait as may wait."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed request: what to generate and how to answer."""

    request: Request
    stream: bool
    usage_in_stream: bool


def parse(body: bytes) -> Wanted:
    """The body of POST /invocations as a value.

    Raises:
        BadRequest: not JSON, or a field is missing, of the wrong type or out of range.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadRequest("the body must be a JSON object")
    stream = content.get("stream") or False
    if not isinstance(stream, bool):
        raise BadRequest("stream must be true or false", "stream")
    if content.get("n") not in (None, 1):
        raise BadRequest("only one choice can be generated", "n")
    options = content.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest("stream_options must be an object", "stream_options")
    known = {field.name for field in fields(Request)}
    numbers = {name: number(content[name], name) for name in RANGES if name in known and content.get(name) is not None}
    if "max_tokens" not in numbers and content.get("max_completion_tokens") is not None:
        numbers["max_tokens"] = number(content["max_completion_tokens"], "max_tokens")
    request = Request(messages=messages(content.get("messages")), stop=stops(content.get("stop")), **numbers)
    return Wanted(request, stream, options.get("include_usage") is True)


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


class Slots:
    """Lets a few generations run at a time and a few more wait."""

    def __init__(self, running: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(running)
        self._room = running + waiting

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Raises: Busy: too many wait already."""
        if self._room == 0:
            raise Busy
        self._room -= 1
        try:
            async with self._free:
                yield
        finally:
            self._room += 1


async def pieces(engine: Engine, request: Request, slots: Slots) -> AsyncGenerator[Piece, None]:
    """The reply's pieces, each made in a thread; nothing more is made once the reader is gone."""
    async with slots.one():
        work = engine.reply(request)
        while (piece := await run_in_threadpool(next_or_none, work)) is not None:
            yield piece


def next_or_none(work: Iterator[Piece]) -> Piece | None:
    return next(work, None)


def usage(piece: Piece) -> dict[str, int]:
    return {
        "prompt_tokens": piece.prompt_tokens,
        "completion_tokens": piece.completion_tokens,
        "total_tokens": piece.prompt_tokens + piece.completion_tokens,
    }


async def whole(reply: AsyncIterator[Piece]) -> Response:
    """The whole reply as one chat.completion."""
    text, last = "", None
    async for piece in reply:
        text += piece.text
        last = piece
    assert last is not None
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": last.finish_reason,
        "logprobs": None,
    }
    return JSONResponse(envelope("chat.completion") | {"choices": [choice], "usage": usage(last)})


async def events(wanted: Wanted, piece: Piece, reply: AsyncGenerator[Piece, None]) -> AsyncIterator[str]:
    """The reply as server-sent chat.completion.chunk events."""
    base = envelope("chat.completion.chunk")

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        return f"data: {json.dumps(base | {'choices': choices} | more, ensure_ascii=False)}\n\n"

    async with aclosing(reply):
        yield event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        while True:
            if piece.text:
                yield event([{"index": 0, "delta": {"content": piece.text}, "finish_reason": None}])
            if piece.finish_reason:
                break
            piece = await anext(reply)
    yield event([{"index": 0, "delta": {}, "finish_reason": piece.finish_reason}])
    if wanted.usage_in_stream:
        yield event([], usage=usage(piece))
    yield "data: [DONE]\n\n"


def envelope(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL_NAME}


def refusal(status: int, message: str, kind: str, param: str | None = None) -> Response:
    """An error in OpenAI's shape."""
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": None}}, status)


async def gone(http_request: HttpRequest) -> None:
    """Returns when the client has left."""
    while (await http_request.receive())["type"] != "http.disconnect":
        pass


async def unless_gone(http_request: HttpRequest, answer: asyncio.Task[Any]) -> Any:
    """The task's result, or None with the task stopped when the client leaves first."""
    leaving = asyncio.create_task(gone(http_request))
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await answer if answer.done() else None
    finally:
        leaving.cancel()
        answer.cancel()


def app(engine: Engine, *, running: int, waiting: int) -> Starlette:
    slots = Slots(running, waiting)

    async def ping(_: HttpRequest) -> Response:
        return PlainTextResponse("")

    async def invocations(http_request: HttpRequest) -> Response:
        try:
            wanted = parse(await http_request.body())
            reply = pieces(engine, wanted.request, slots)
            if not wanted.stream:
                answer = await unless_gone(http_request, asyncio.create_task(whole(reply)))
                return answer or Response(status_code=499)
            first = await unless_gone(http_request, asyncio.create_task(anext(reply)))
            if first is None:
                return Response(status_code=499)
            return StreamingResponse(events(wanted, first, reply), media_type="text/event-stream")
        except BadRequest as error:
            return refusal(400, str(error), "invalid_request_error", error.param)
        except Busy:
            return refusal(503, "too many requests are waiting; try again", "overloaded_error")

    return Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["serve"], help="the word SageMaker starts containers with")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--artefact", type=Path, default=Path(__file__).parent / "artefact")
    parser.add_argument("--threads", type=int, default=1, help="per generation; a model this small gains little from 2")
    parser.add_argument("--running", type=int, default=2, help="generations at a time")
    parser.add_argument("--waiting", type=int, default=32, help="requests that may wait for one of them")
    arguments = parser.parse_args()
    engine = Engine(arguments.artefact, threads=arguments.threads)
    application = app(engine, running=arguments.running, waiting=arguments.waiting)
    uvicorn.run(application, host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
