"""The process inside the generator's SageMaker container, and on a laptop the generator's endpoint.

    python models/generator/serve.py [--host 127.0.0.1] [--port 8080] [--grpc-port 8500] [--artefact FOLDER]

SageMaker's contract: GET /ping answers 200 once the model is loaded; POST /invocations takes an OpenAI chat completion
request and answers `chat.completion` JSON or, with "stream": true, server-sent `chat.completion.chunk` events that end
with `data: [DONE]`. OpenAI's: POST /v1/chat/completions does the same for the model that GET /v1/models names. With
--grpc-port, TensorFlow Serving's: `predictions.py` says what of it.

A prompt that is too long loses its oldest turns. Replies are written together (`batching.py`); who comes when all
places are taken waits, and when too many wait gets a 503. A client that leaves stops its reply.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import predictions
import uvicorn
from chat_completions import BadRequest, Chunks, Wanted, models, parse, problem, server_sent, whole
from decoder import NotServable
from engine import Busy, Engine, GenerationFailed, Piece
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL_NAME = "llm_chatbot"
MAX_BODY_BYTES = 25_000_000  # what SageMaker lets through
GRACE_SECONDS = 1.0  # for calls under way when the server ends
RETRY_AFTER_SECONDS = 1  # a place is free again sooner, but not for everybody who was refused
CLIENT_LEFT = Response(status_code=499)


def app(engine: Engine) -> Starlette:
    """The HTTP server."""
    loaded_at = int(time.time())

    async def ping(_: HttpRequest) -> Response:
        return PlainTextResponse("")

    async def list_models(_: HttpRequest) -> Response:
        return JSONResponse(models(MODEL_NAME, loaded_at))

    async def invocations(http_request: HttpRequest) -> Response:
        return await answer(engine, http_request, parse(await body_of(http_request)))

    async def chat_completions(http_request: HttpRequest) -> Response:
        wanted = parse(await body_of(http_request))
        if wanted.model != MODEL_NAME:
            message = f"there is no model {wanted.model!r} here, only {MODEL_NAME!r}"
            return JSONResponse(problem(message, "invalid_request_error", param="model", code="model_not_found"), 404)
        return await answer(engine, http_request, wanted)

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        ],
        exception_handlers={
            BadRequest: not_understood,
            Busy: busy,
            GenerationFailed: failed,
            HTTPException: as_openai_says,
            ClientDisconnect: client_left,
        },
    )


async def body_of(http_request: HttpRequest) -> bytes:
    body = bytearray()
    async for part in http_request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body has more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


async def answer(engine: Engine, http_request: HttpRequest, wanted: Wanted) -> Response:
    """The reply whole, or the beginning of its stream.

    A stream begins with the first piece, so that whoever cannot be served gets a status that says so.
    """
    reply = engine.stream(wanted.request)
    if not wanted.is_streamed:
        pieces = await unless_gone(http_request, asyncio.create_task(all_of(reply)))
        return JSONResponse(whole(pieces, MODEL_NAME)) if pieces else CLIENT_LEFT
    first = await unless_gone(http_request, asyncio.create_task(anext(reply)))
    if first is None:
        return CLIENT_LEFT
    return StreamingResponse(events(Chunks(wanted, MODEL_NAME), first, reply), media_type="text/event-stream")


async def all_of(reply: AsyncGenerator[Piece, None]) -> list[Piece]:
    async with aclosing(reply):
        return [piece async for piece in reply]


async def events(chunks: Chunks, first: Piece, rest: AsyncGenerator[Piece, None]) -> AsyncIterator[str]:
    """The reply as server-sent events; one that breaks off ends with an error instead of `[DONE]`."""
    async with aclosing(rest):
        yield chunks.first() + chunks.next(first)
        try:
            async for piece in rest:
                yield chunks.next(piece)
        except GenerationFailed as error:
            yield server_sent(problem(str(error), "server_error"))


async def unless_gone(http_request: HttpRequest, work: asyncio.Task[Any]) -> Any:
    """The task's result, or None with the task stopped when the client leaves first."""
    leaving = asyncio.create_task(gone(http_request))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await work if work.done() else None
    finally:
        leaving.cancel()
        work.cancel()


async def gone(http_request: HttpRequest) -> None:
    """Returns when the client has left."""
    while (await http_request.receive())["type"] != "http.disconnect":
        pass


async def not_understood(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return JSONResponse(problem(str(error), "invalid_request_error", param=error.param), 400)


async def busy(_: HttpRequest, __: Exception) -> Response:
    content = problem("no capacity: too many requests are waiting; try again", "overloaded_error", code="no_capacity")
    return JSONResponse(content, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def failed(_: HttpRequest, error: Exception) -> Response:
    return JSONResponse(problem(str(error), "server_error"), 500)


async def as_openai_says(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(problem(error.detail, "invalid_request_error"), error.status_code, error.headers)


async def client_left(_: HttpRequest, __: Exception) -> Response:
    return CLIENT_LEFT


async def serve(engine: Engine, *, host: str, port: int, grpc_port: int | None) -> None:
    """Serve until a signal comes."""
    rpc = await predictions.start(engine, MODEL_NAME, f"{host}:{grpc_port}") if grpc_port is not None else None
    await uvicorn.Server(uvicorn.Config(app(engine), host=host, port=port, log_level="warning")).serve()
    if rpc:
        await rpc.stop(grace=GRACE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["serve"], help="the word SageMaker starts containers with")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--grpc-port", type=int, help="TensorFlow Serving's API, usually 8500; not served by default")
    parser.add_argument("--artefact", type=Path, default=Path(__file__).parent / "artefact")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="cores that write; all by default")
    parser.add_argument("--running", type=int, default=16, help="replies written at a time")
    parser.add_argument("--waiting", type=int, default=32, help="requests that may wait for one of them to end")
    arguments = parser.parse_args()
    limits = {"threads": arguments.threads, "running": arguments.running, "waiting": arguments.waiting}
    try:
        engine = Engine(arguments.artefact, **limits)
    except NotServable as reason:
        sys.exit(f"{reason}")
    asyncio.run(serve(engine, host=arguments.host, port=arguments.port, grpc_port=arguments.grpc_port))


if __name__ == "__main__":
    main()
