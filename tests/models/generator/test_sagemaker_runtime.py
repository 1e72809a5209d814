"""SageMaker's runtime API on a laptop, asked by boto3's own client."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, EventStreamError

from tests.models.generator.conftest import ENDPOINT, free_port, runtime_in_front_of, server

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

QUESTION = {"messages": [{"role": "user", "content": "Hi, how are you?"}], "max_tokens": 30}
STREAM_START = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def streamed(runtime: SageMakerRuntimeClient, question: dict[str, object]) -> Iterator[bytes]:
    """The bytes of each part; an error in the stream is raised by boto3."""
    answer = runtime.invoke_endpoint_with_response_stream(
        EndpointName=ENDPOINT, Body=json.dumps(question | {"stream": True}), ContentType="application/json"
    )
    assert answer["ContentType"].startswith("text/event-stream")
    with closing(answer["Body"]) as events:
        for event in events:
            yield event["PayloadPart"]["Bytes"]


@contextmanager
def container_that_says(content: bytes) -> Iterator[int]:
    """A container that sends these bytes to whoever asks and hangs up, as one does that is killed at work."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(content)

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_plain_invocation_returns_what_the_container_says(runtime: SageMakerRuntimeClient) -> None:
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=json.dumps(QUESTION), ContentType="application/json")

    completion = json.loads(answer["Body"].read())
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert completion["choices"][0]["message"]["content"]


def test_a_streamed_invocation_arrives_in_parts_that_join_to_the_containers_lines(
    runtime: SageMakerRuntimeClient,
) -> None:
    parts = list(streamed(runtime, QUESTION))

    lines = b"".join(parts).decode().split("\n\n")
    assert len(parts) > len(lines)  # so parts are cut without regard to lines
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(line.removeprefix("data: ")) for line in lines[:-2])


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_an_unknown_endpoint_is_a_validation_error(runtime: SageMakerRuntimeClient, operation: str) -> None:
    with pytest.raises(ClientError) as raised:
        getattr(runtime, operation)(EndpointName="another", Body=b"{}")

    assert raised.value.response["Error"]["Code"] == "ValidationError"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_a_containers_refusal_is_a_model_error_with_its_words(runtime: SageMakerRuntimeClient, operation: str) -> None:
    with pytest.raises(ClientError) as raised:
        getattr(runtime, operation)(EndpointName=ENDPOINT, Body=b"not json")

    response = raised.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 400
    assert json.loads(response["OriginalMessage"])["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_without_a_container_the_service_is_unavailable(operation: str) -> None:
    with runtime_in_front_of(free_port()) as runtime, pytest.raises(ClientError) as raised:
        getattr(runtime, operation)(EndpointName=ENDPOINT, Body=json.dumps(QUESTION))

    assert raised.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


@pytest.mark.parametrize("operation", ["invoke_endpoint", "invoke_endpoint_with_response_stream"])
def test_a_container_that_hangs_up_without_an_answer_is_a_model_error(operation: str) -> None:
    with (
        container_that_says(b"") as port,
        runtime_in_front_of(port) as runtime,
        pytest.raises(ClientError) as raised,
    ):
        getattr(runtime, operation)(EndpointName=ENDPOINT, Body=json.dumps(QUESTION))

    assert raised.value.response["Error"]["Code"] == "ModelError"
    assert raised.value.response["OriginalStatusCode"] == 500


def test_a_container_that_breaks_off_gives_what_came_and_then_a_stream_error() -> None:
    said = STREAM_START + b"6\r\ndata: \r\n"

    with container_that_says(said) as port, runtime_in_front_of(port) as runtime:
        parts = streamed(runtime, QUESTION)
        first = next(parts)
        with pytest.raises(EventStreamError) as raised:
            next(parts)

    assert first == b"data: "
    assert raised.value.response["Error"]["Code"] == "ModelStreamError"


def test_a_container_killed_at_work_never_passes_for_a_whole_reply() -> None:
    question = {**QUESTION, "max_tokens": 128, "temperature": 2.0, "top_p": 1.0}
    begun = threading.Event()

    def outcome(runtime: SageMakerRuntimeClient) -> str:
        received = b""
        try:
            for part in streamed(runtime, question):
                received += part
                begun.set()
        except (ClientError, EventStreamError) as error:
            return error.response["Error"]["Code"]
        return "whole" if received.endswith(b"data: [DONE]\n\n") else "cut"

    with (
        server("serve.py", "--running", "1") as (container, port),
        runtime_in_front_of(port) as runtime,
        ThreadPoolExecutor(10) as people,
    ):
        outcomes = people.map(outcome, [runtime] * 30)
        begun.wait(10)
        container.kill()
        told = set(outcomes)

    assert told - {"whole"}
    assert told <= {"whole", "ModelError", "ModelStreamError", "ServiceUnavailable"}
