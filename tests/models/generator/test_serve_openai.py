"""The endpoint asked by OpenAI's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from tests.models.generator.conftest import server

MODEL = "llm_chatbot"
HELLO: Any = [{"role": "user", "content": "Hello, how are you?"}]


@pytest.fixture(scope="module")
def client(container_port: int) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{container_port}/v1", api_key="any", max_retries=0) as client:
        yield client


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]


def test_a_completion_has_text_a_finish_reason_and_usage(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0)

    (choice,) = answer.choices
    assert answer.model == MODEL
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_what_the_completion_says(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0)

    with client.chat.completions.create(
        model=MODEL, messages=HELLO, temperature=0, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)

    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_the_client_can_cut_a_reply(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=2)

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage
    assert answer.usage.completion_tokens == 2


def test_a_model_that_is_not_there_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)

    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 9}, "temperature"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, "tools"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_name(client: openai.OpenAI, more: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=MODEL, messages=HELLO, **more)

    assert raised.value.param == param


def test_a_path_that_is_not_there_is_an_error_the_client_can_read(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=MODEL, input="hi")


def test_a_full_endpoint_is_an_error_that_the_client_retries() -> None:
    with server("serve.py", "--running", "1", "--waiting", "0") as (_, port):
        url = f"http://127.0.0.1:{port}/v1"
        story = {"temperature": 2.0, "top_p": 1.0, "max_tokens": 400, "stream": True}
        with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
            refused: openai.InternalServerError | None = None
            for _ in range(20):  # a story may be short
                with client.chat.completions.create(model=MODEL, messages=HELLO, **story):  # type: ignore[call-overload]
                    try:
                        client.chat.completions.create(model=MODEL, messages=HELLO)
                    except openai.InternalServerError as error:
                        refused = error
                        break

        assert refused
        assert (refused.status_code, refused.code) == (503, "no_capacity")
        assert int(refused.response.headers["retry-after"]) >= 1


def test_a_body_without_end_is_cut_off(container_port: int) -> None:
    answer = httpx2.post(f"http://127.0.0.1:{container_port}/v1/chat/completions", content=b" " * 26_000_000)

    assert answer.status_code == 413
    assert answer.json()["error"]["message"]
