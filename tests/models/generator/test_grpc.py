"""TensorFlow Serving's PredictionService in front of the generator, asked over gRPC by Parley's own client and by hand.

tests/backends asks it with TensorFlow's official stubs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest

from parley.adapters.predict_messages import DT_STRING, PREDICT, PredictRequest, PredictResponse
from parley.adapters.tensorflow_serving import TensorFlowServingGenerator
from parley.generation.transcript import Transcript
from parley.ports import Patience, Prompt
from tests.models.generator.conftest import free_port, modules, server

PATIENCE = Patience(first_seconds=20, whole_seconds=20)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    port = free_port()
    with server("serve.py", "--grpc-port", str(port)):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("predictions", "prediction_messages") as loaded:
        yield loaded


def asking(*texts: bytes, model: str = "llm_chatbot", name: str = "input_text", dtype: int = DT_STRING) -> object:
    request = PredictRequest()
    request.model_spec.name = model
    tensor = request.inputs.add(key=name).value
    tensor.dtype = dtype
    tensor.tensor_shape.dim.add(size=len(texts))
    tensor.string_val.extend(texts)
    return request


def predict(channel: grpc.Channel, request: object, timeout_seconds: float = 20) -> object:
    call = channel.unary_unary(PREDICT, PredictRequest.SerializeToString, PredictResponse.FromString)
    return call(request, timeout=timeout_seconds)


def refusal(channel: grpc.Channel, request: object) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as raised:
        predict(channel, request)
    return raised.value.code()  # type: ignore[no-any-return]


def test_a_string_is_answered_with_a_string(channel: grpc.Channel) -> None:
    answer = predict(channel, asking(b"Hi, how are you?"))

    (output,) = answer.outputs  # type: ignore[attr-defined]
    assert output.key == "output_text"
    assert output.value.dtype == DT_STRING
    assert [dim.size for dim in output.value.tensor_shape.dim] == [1]
    assert output.value.string_val[0].decode().strip()


def test_the_output_is_named_like_the_input(channel: grpc.Channel) -> None:
    answer = predict(channel, asking(b"Hello", name="inputs"))

    assert [output.key for output in answer.outputs] == ["outputs"]  # type: ignore[attr-defined]


def test_parleys_own_adapter_gets_a_reply(address: str) -> None:
    adapter = TensorFlowServingGenerator(
        f"grpc://{address}", "llm_chatbot", Transcript(), input_name="input_text", output_name="output_text"
    )
    prompt = Prompt((("system", "Be kind."), ("user", "Hi, how are you?")), 64, 0.6)

    assert "".join(adapter.stream(prompt, patience=PATIENCE)).strip()


def test_many_calls_at_once_are_all_answered(channel: grpc.Channel) -> None:
    with ThreadPoolExecutor(24) as people:
        answers = list(people.map(lambda n: predict(channel, asking(f"Hello {n}".encode())), range(24)))

    assert all(answer.outputs[0].value.string_val[0] for answer in answers)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asking(b"hi", model="resnet"), grpc.StatusCode.NOT_FOUND),
        (asking(), grpc.StatusCode.INVALID_ARGUMENT),
        (asking(b"hi", b"ho"), grpc.StatusCode.INVALID_ARGUMENT),
        (asking(b"hi", dtype=1), grpc.StatusCode.INVALID_ARGUMENT),
        (asking(b"\xff\xfe"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    channel: grpc.Channel, request_: object, code: grpc.StatusCode
) -> None:
    assert refusal(channel, request_) is code


def test_the_metadata_tell_the_signature(channel: grpc.Channel, generator: SimpleNamespace) -> None:
    messages = generator.prediction_messages
    request = messages.MetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "llm_chatbot"
    call = channel.unary_unary(
        f"/{messages.SERVICE}/GetModelMetadata",
        messages.MetadataRequest.SerializeToString,
        messages.MetadataResponse.FromString,
    )

    (described,) = call(request, timeout=20).metadata

    (signature,) = messages.Signatures.FromString(described.value.value).signature_def
    assert signature.key == "serving_default"
    assert [(each.key, each.value.dtype) for each in signature.value.inputs] == [("input_text", DT_STRING)]
    assert [(each.key, each.value.dtype) for each in signature.value.outputs] == [("output_text", DT_STRING)]


def test_a_full_server_says_that_it_has_no_capacity_and_a_cancelled_call_frees_its_place() -> None:
    port = free_port()
    options = ("--grpc-port", str(port), "--running", "1", "--waiting", "0")
    with server("serve.py", *options), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(PREDICT, PredictRequest.SerializeToString, PredictResponse.FromString)
        calls = [call.future(asking(b"Tell me a story"), timeout=20) for _ in range(8)]
        statuses = {each.code() for each in calls}
        for each in [call.future(asking(b"Tell me a story"), timeout=20) for _ in range(8)]:
            each.cancel()

        assert statuses == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        deadline = time.monotonic() + 5
        while True:
            try:
                assert predict(channel, asking(b"Hello")).outputs  # type: ignore[attr-defined]
                break
            except grpc.RpcError:
                assert time.monotonic() < deadline, "the places of cancelled calls are still taken"
                time.sleep(0.05)


@pytest.mark.parametrize(
    ("said", "messages"),
    [
        ("Hi there", (("user", "Hi there"),)),
        (
            "Be kind.\n\nUser: Hi\nAssistant: Hello!\nSecond line\nUser: And you?\nAssistant:",
            (("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello!\nSecond line"), ("user", "And you?")),
        ),
        ("User: Hi\nAssistant:", (("user", "Hi"),)),
        ("User: this is how I begin", (("user", "User: this is how I begin"),)),
        ("User: Hi\nAssistant: Hello", (("user", "User: Hi\nAssistant: Hello"),)),
    ],
)
def test_a_conversation_in_the_plain_form_is_read_as_one(
    generator: SimpleNamespace, said: str, messages: tuple[tuple[str, str], ...]
) -> None:
    assert generator.predictions.messages_of(said) == messages


def test_what_parley_writes_in_the_plain_form_is_read_back(generator: SimpleNamespace) -> None:
    messages = (("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello"), ("user", "How\nare you?"))

    assert generator.predictions.messages_of(Transcript().write(messages)) == messages
