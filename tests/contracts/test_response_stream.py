"""A response that leaves while it is being made: in memory, and by way of Lambda's Runtime API."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from parley.adapters.lambda_runtime import serve
from parley.adapters.memory import MemoryResponse
from parley.ports import ResponseStream
from tests.contracts.loopback_lambda import WITHIN_SECONDS, LoopbackLambda
from tests.stack.person import Answer, ask

Write = Callable[[ResponseStream], None]


def by_memory(write: Write) -> Answer:
    response: Any = MemoryResponse()
    write(response)
    return Answer(response.status, response.headers, b"".join(response.pieces).decode())


@pytest.fixture(params=["memory", "lambda"])
def answer(request: pytest.FixtureRequest) -> Iterator[Callable[[Write], Answer]]:
    """Calls something that writes a response, and gives what its client gets."""
    if request.param == "memory":
        yield by_memory
        return
    with ExitStack() as stack:

        def by_lambda(write: Write) -> Answer:
            lambda_ = stack.enter_context(LoopbackLambda())
            threading.Thread(target=_serve, args=(lambda_, write), daemon=True).start()
            return ask(lambda_.url)

        yield by_lambda


def _serve(lambda_: LoopbackLambda, write: Write) -> None:
    with suppress(RuntimeError, OSError):  # at the end of the test there is no next event
        serve(lambda_.runtime_api, lambda _, __, response: write(response))


def test_status_headers_and_pieces_arrive(answer: Callable[[Write], Answer]) -> None:
    def write(response: ResponseStream) -> None:
        assert not response.has_begun
        response.begin(201, {"Content-Type": "text/plain; charset=utf-8", "X-More": "yes"})
        assert response.has_begun
        response.write("grün ".encode())
        response.write(b"")
        response.write(b"tea")

    answered = answer(write)

    assert (answered.status, answered.body) == (201, "grün tea")
    assert (answered.headers["Content-Type"], answered.headers["X-More"]) == ("text/plain; charset=utf-8", "yes")


def test_a_body_may_be_empty(answer: Callable[[Write], Answer]) -> None:
    answered = answer(lambda response: response.begin(404, {}))

    assert (answered.status, answered.body) == (404, "")


class _Runtime:
    """A runtime that serves a loopback Lambda in a thread."""

    def __init__(self, lambda_: LoopbackLambda, handler: Callable[..., None]) -> None:
        def run() -> None:
            with suppress(RuntimeError, OSError):
                serve(lambda_.runtime_api, handler)

        threading.Thread(target=run, daemon=True).start()


def test_lambda_is_told_of_a_handler_that_fails_and_the_next_event_is_answered() -> None:
    def handler(event: dict[str, Any], _: Any, response: ResponseStream) -> None:
        if event["rawPath"] == "/early":
            raise ZeroDivisionError("what somebody wrote")
        response.begin(200, {})
        response.write(b"some")
        if event["rawPath"] == "/late":
            raise KeyError("what somebody wrote")

    with LoopbackLambda() as lambda_:
        _Runtime(lambda_, handler)
        early = ask(f"{lambda_.url}/early")
        told = lambda_.last.error
        late = ask(f"{lambda_.url}/late")
        lambda_.last.is_over.wait(WITHIN_SECONDS)
        trailers = lambda_.last.trailers
        fine = ask(f"{lambda_.url}/fine")

    assert early.status == 502
    assert told is not None
    assert (told["type"], told["errorType"]) == ("ZeroDivisionError", "ZeroDivisionError")
    assert late.body == fine.body == "some"
    assert trailers["Lambda-Runtime-Function-Error-Type"] == "KeyError"
    assert trailers["Lambda-Runtime-Function-Error-Body"]
    assert "somebody wrote" not in str((told, trailers))


def test_a_handler_that_says_nothing_has_failed() -> None:
    with LoopbackLambda() as lambda_:
        _Runtime(lambda_, lambda *_: None)

        assert ask(lambda_.url).status == 502
        assert lambda_.last.error is not None
