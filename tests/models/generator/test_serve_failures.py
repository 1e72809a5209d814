"""The endpoint when the model breaks, before the first words and after them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from tests.models.generator.conftest import finished, modules


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("serve", "engine") as loaded:
        yield loaded


class Breaking:
    """An engine that breaks after so many pieces."""

    def __init__(self, generator: SimpleNamespace, after: int) -> None:
        self._engine = generator.engine
        self._after = after

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        for number in range(self._after):
            yield self._engine.Piece(f"word{number} ", 3, number + 1)
        raise self._engine.GenerationFailed("the model failed")


def asked(generator: SimpleNamespace, after: int, *, stream: bool) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        app = generator.serve.app(Breaking(generator, after))
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://generator") as client:
            body = {"messages": [{"role": "user", "content": "Hi"}], "stream": stream}
            return await client.post("/invocations", json=body)

    return finished(ask())


@pytest.mark.parametrize(("after", "stream"), [(0, False), (2, False), (0, True)])
def test_a_model_that_breaks_before_anything_was_sent_is_a_server_error(
    generator: SimpleNamespace, after: int, stream: bool
) -> None:
    answer = asked(generator, after, stream=stream)

    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"


def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(generator: SimpleNamespace) -> None:
    answer = asked(generator, 2, stream=True)

    assert answer.status_code == 200
    events = [line for line in answer.text.split("\n") if line]
    assert json.loads(events[-1].removeprefix("data: "))["error"]["type"] == "server_error"
    assert "word1" in answer.text
    assert "[DONE]" not in answer.text
