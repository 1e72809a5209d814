"""The contract of `ports.Generator`, held by every backend in front of a server that misbehaves.

SageMaker's adapter stands in test_generator.py, real servers in tests/backends.
"""

import json
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import boto3
import pytest

from parley.adapters.generators import generator_from
from parley.adapters.http_connection import _tls
from parley.adapters.openai_compatible import OpenAICompatibleGenerator
from parley.adapters.ray_serve import ray_serve
from parley.adapters.string_prompts import Body
from parley.adapters.tensorflow_serving import TensorFlowServingGenerator
from parley.adapters.torchserve import torchserve
from parley.errors import GenerationBusy, GenerationFailed, GenerationSlow, ParleyError
from parley.generation.transcript import Transcript
from parley.ports import Generator, Patience, Prompt
from tests.contracts.loopback import CERTIFICATE
from tests.contracts.misbehaving_backends import (
    ANSWER,
    HALF,
    OPENAI,
    RAY_SERVE,
    SAID,
    TORCHSERVE,
    Dialect,
    MisbehavingGrpc,
    MisbehavingHttp,
)
from tests.parley.test_settings import backend

BUDGET_SECONDS = 0.5
SLACK_SECONDS = 1.5  # of a busy machine

PROMPT = Prompt((("system", "Be brief."), ("user", "Grüß Gott")), 16, 0.5)
WRITTEN = Transcript().write(PROMPT.messages)
PATIENCE = Patience(10.0, 10.0)

Server = MisbehavingHttp | MisbehavingGrpc


@dataclass(frozen=True)
class Backend:
    """A server, and the adapter that talks to it."""

    server: Callable[[], Server]
    generator: Callable[[str], Generator]


def tensorflow_serving(url: str) -> Generator:
    return TensorFlowServingGenerator(url, "m", Transcript(), input_name="input_text", output_name="output_text")


def openai(url: str) -> Generator:
    return OpenAICompatibleGenerator(f"{url}/v1", "m")


STREAMING = {
    "openai": Backend(lambda: MisbehavingHttp(OPENAI), openai),
    "openai, TLS": Backend(lambda: MisbehavingHttp(OPENAI, has_tls=True), openai),
    "torchserve": Backend(
        lambda: MisbehavingHttp(TORCHSERVE), lambda url: torchserve(url, "m", Transcript(), "prompt", None)
    ),
    "ray_serve": Backend(
        lambda: MisbehavingHttp(RAY_SERVE), lambda url: ray_serve(f"{url}/app", "m", Transcript(), "prompt", None)
    ),
}
BACKENDS = {
    **STREAMING,
    "tensorflow_serving": Backend(MisbehavingGrpc, tensorflow_serving),
    "tensorflow_serving, TLS": Backend(lambda: MisbehavingGrpc(has_tls=True), tensorflow_serving),
}

IN_PLACE_OF_AN_ANSWER: dict[str, type[ParleyError]] = {
    "throttled": GenerationBusy,
    "unavailable": GenerationBusy,
    "gave up": GenerationSlow,
    "silent": GenerationSlow,
    "failed": GenerationFailed,
    "not found": GenerationFailed,
    "moved": GenerationFailed,
    "page": GenerationFailed,
    "binary": GenerationFailed,
}
IN_THE_MIDDLE: dict[str, type[ParleyError]] = {
    "break": GenerationFailed,
    "stall": GenerationSlow,
    "dawdle": GenerationSlow,
}


@pytest.fixture(scope="module", autouse=True)
def _trust() -> Iterator[None]:
    """The certificate of loopback is one that clients trust."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
            patch.setenv(variable, str(CERTIFICATE))
        _tls.cache_clear()
        yield
    _tls.cache_clear()


@pytest.fixture(scope="module", params=BACKENDS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Generator]]:
    """A server of each backend, and its adapter."""
    yield from of(BACKENDS[request.param])


@pytest.fixture(scope="module", params=STREAMING)
def streaming(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Generator]]:
    """The same, of the backends that stream."""
    yield from of(STREAMING[request.param])


def of(backend: Backend) -> Iterator[tuple[Server, Generator]]:
    with backend.server() as server:
        yield server, backend.generator(server.url)


def begin(pair: tuple[Server, Generator], does: str, seconds: float = 20.0) -> Iterator[str]:
    server, generator = pair
    server.does = does
    server.left.clear()
    return generator.stream(Prompt((("user", SAID),), 16, 0.5), patience=Patience(seconds, seconds))


@contextmanager
def in_time() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < BUDGET_SECONDS + SLACK_SECONDS


def test_the_pieces_make_up_the_completion(pair: tuple[Server, Generator]) -> None:
    assert "".join(begin(pair, "answer")) == "".join(ANSWER)


def test_pieces_come_when_they_are_made(streaming: tuple[Server, Generator]) -> None:
    with closing(begin(streaming, "dawdle")) as pieces, in_time():
        first, second = next(pieces), next(pieces)

    assert (first + second).startswith("word word ")


@pytest.mark.parametrize(("does", "error"), IN_PLACE_OF_AN_ANSWER.items())
def test_what_comes_in_place_of_an_answer_is_told_apart(
    pair: tuple[Server, Generator], does: str, error: type[ParleyError]
) -> None:
    with pytest.raises(error) as raised:
        "".join(begin(pair, does, BUDGET_SECONDS))

    assert type(raised.value) is error


@pytest.mark.parametrize(("does", "error"), IN_THE_MIDDLE.items())
def test_what_comes_in_the_middle_is_told_apart_and_the_pieces_before_it_are_kept(
    streaming: tuple[Server, Generator], does: str, error: type[ParleyError]
) -> None:
    pieces: list[str] = []

    with pytest.raises(error) as raised:
        pieces.extend(begin(streaming, does, BUDGET_SECONDS))

    assert type(raised.value) is error
    assert "".join(pieces).startswith("word" if does == "dawdle" else HALF)


def test_the_time_is_kept_to(pair: tuple[Server, Generator]) -> None:
    with in_time(), pytest.raises(GenerationSlow):
        "".join(begin(pair, "silent", BUDGET_SECONDS))


@pytest.mark.parametrize("does", ["stall", "dawdle"])
def test_the_time_is_kept_to_in_the_middle(streaming: tuple[Server, Generator], does: str) -> None:
    with in_time(), pytest.raises(GenerationSlow):
        "".join(begin(streaming, does, BUDGET_SECONDS))


def test_a_generation_that_is_given_up_is_ended_at_the_server(pair: tuple[Server, Generator]) -> None:
    server, _ = pair

    with pytest.raises(GenerationSlow):
        "".join(begin(pair, "silent", BUDGET_SECONDS))

    assert server.left.wait(SLACK_SECONDS)


def test_who_closes_the_completion_leaves_the_server(streaming: tuple[Server, Generator]) -> None:
    server, _ = streaming

    with closing(begin(streaming, "dawdle")) as pieces:
        next(pieces)

    assert server.left.wait(SLACK_SECONDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_server_that_is_not_there_is_busy(backend: str) -> None:
    scheme = ("grpc" if "tensorflow" in backend else "http") + ("s" if "TLS" in backend else "")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        generator = BACKENDS[backend].generator(f"{scheme}://127.0.0.1:{probe.getsockname()[1]}")

        with pytest.raises(GenerationBusy) as raised:
            "".join(generator.stream(Prompt((("user", SAID),), 16, 0.5), patience=Patience(5.0, 5.0)))

    assert type(raised.value) is GenerationBusy


def test_a_server_that_nobody_vouches_for_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    _tls.cache_clear()
    with MisbehavingHttp(OPENAI, has_tls=True) as server, pytest.raises(GenerationFailed, match="TLS"):
        "".join(openai(server.url).stream(PROMPT, patience=PATIENCE))
    _tls.cache_clear()

    assert server.asked == []


@pytest.mark.parametrize("does", ["throttled", "failed", "page", "binary"])
def test_what_people_say_is_not_told_in_an_error(pair: tuple[Server, Generator], does: str) -> None:
    with pytest.raises(ParleyError) as raised:
        "".join(begin(pair, does, BUDGET_SECONDS))

    told = "".join(traceback.format_exception(raised.value))
    assert SAID not in told
    assert "I am a proxy" not in told


@pytest.mark.parametrize("backend", STREAMING)
@pytest.mark.parametrize("does", ["hangs up", "no HTTP"])
def test_what_is_no_answer_over_http_is_a_failure(backend: str, does: str) -> None:
    for pair in of(STREAMING[backend]):
        with pytest.raises(GenerationFailed):
            "".join(begin(pair, does))


def test_chat_completions_are_asked_for_as_openai_documents() -> None:
    with MisbehavingHttp(OPENAI) as server:
        generator = OpenAICompatibleGenerator(f"{server.url}/v1/", "llama", lambda: "sk-1")

        "".join(generator.stream(PROMPT, patience=PATIENCE))

    ((path, headers, body),) = server.asked
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer sk-1")
    assert json.loads(body) == {
        "model": "llama",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüß Gott"}],
        "max_tokens": 16,
        "temperature": 0.5,
        "stream": True,
    }


def test_a_server_that_does_not_stream_is_understood() -> None:
    completion = {"choices": [{"message": {"role": "assistant", "content": "Good day"}, "finish_reason": "stop"}]}
    with MisbehavingHttp(Dialect("application/json", lambda _: b"", json.dumps(completion).encode())) as server:
        generator = OpenAICompatibleGenerator(f"{server.url}/v1", "m")

        assert list(generator.stream(PROMPT, patience=PATIENCE)) == ["Good day"]


@pytest.mark.parametrize(
    ("body", "media_type", "sent"),
    [
        ("prompt", "application/json", {"prompt": WRITTEN, "max_tokens": 16, "temperature": 0.5}),
        ("text", "text/plain; charset=utf-8", WRITTEN),
    ],
)
def test_a_string_is_posted_as_its_handler_takes_it(body: Body, media_type: str, sent: object) -> None:
    with MisbehavingHttp(TORCHSERVE) as server:
        generator = torchserve(f"{server.url}/", "llm chatbot", Transcript(), body, lambda: "key")

        "".join(generator.stream(PROMPT, patience=PATIENCE))

    ((path, headers, posted),) = server.asked
    assert (path, headers["Content-Type"]) == ("/predictions/llm%20chatbot", media_type)
    assert headers["Authorization"] == "Bearer key"
    assert (json.loads(posted) if body == "prompt" else posted.decode()) == sent


def test_predict_carries_the_model_and_one_string() -> None:
    with MisbehavingGrpc() as server:
        "".join(tensorflow_serving(server.url).stream(PROMPT, patience=PATIENCE))

    ((model, _, request),) = server.asked
    assert model == "m"
    assert [(entry.key, list(entry.value.string_val)) for entry in request.inputs] == [
        ("input_text", [WRITTEN.encode()])
    ]


@pytest.mark.parametrize(
    ("media_type", "sent", "read"),
    [
        ("application/json", b'"Good day"', "Good day"),
        ("application/json", b'["Good day"]', "Good day"),
        ("application/json", b'[{"generated_text": "Good day", "tokens": 2}]', "Good day"),
        ("text/plain", b'{"not": "JSON, since it is called text"}', '{"not": "JSON, since it is called text"}'),
        ("text/event-stream", OPENAI.piece("Good day") + OPENAI.end, "Good day"),
        ("text/plain", f"{WRITTEN} Good day".encode(), " Good day"),
        ("text/plain", b"Good day\nUser: and then", "Good day"),
    ],
)
def test_the_text_is_found_in_what_handlers_return(media_type: str, sent: bytes, read: str) -> None:
    with MisbehavingHttp(Dialect(media_type, lambda _: b"", sent)) as server:
        generator = ray_serve(server.url, "m", Transcript(), "prompt", None)

        assert "".join(generator.stream(PROMPT, patience=PATIENCE)) == read


@pytest.mark.parametrize(
    "sent", [b"", b"17", b"[]", b'["two", "strings"]', b'{"a": "one", "b": "two"}', b'{"broken', b"[" * 100_000]
)
def test_json_without_exactly_one_string_is_a_failure(sent: bytes) -> None:
    with MisbehavingHttp(Dialect("application/json", lambda _: b"", sent)) as server:
        generator = ray_serve(server.url, "m", Transcript(), "prompt", None)

        with pytest.raises(GenerationFailed):
            "".join(generator.stream(PROMPT, patience=PATIENCE))


@pytest.mark.parametrize(("kind", "error"), [("InternalServerException", GenerationFailed), ("Other", GenerationBusy)])
def test_torchserve_calls_a_handler_that_raised_unavailable_and_says_so_in_the_body(
    kind: str, error: type[ParleyError]
) -> None:
    with MisbehavingHttp(TORCHSERVE) as server:
        server.does, server.says = "unavailable", json.dumps({"code": 503, "type": kind, "message": SAID})
        generator = torchserve(server.url, "m", Transcript(), "prompt", None)

        with pytest.raises(error):
            "".join(generator.stream(PROMPT, patience=PATIENCE))


@pytest.mark.parametrize("backend", STREAMING)
def test_an_answer_without_end_is_cut(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.adapters.http_stream.MAX_ANSWER_BYTES", 100)
    for server, generator in of(STREAMING[backend]):
        server.does = "dawdle"

        with pytest.raises(GenerationFailed, match="more than"):
            "".join(generator.stream(PROMPT, patience=PATIENCE))


def test_a_key_is_read_from_secrets_manager_by_its_name(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    boto3.client("secretsmanager").create_secret(Name="parley/llm", SecretString="sk-of-a-file\n")
    with MisbehavingHttp(OPENAI) as server:
        settings = backend("openai", url=f"{server.url}/v1", model="m", key_secret="parley/llm")

        "".join(generator_from(settings, PATIENCE).stream(PROMPT, patience=PATIENCE))

    ((_, headers, _),) = server.asked
    assert headers["Authorization"] == "Bearer sk-of-a-file"


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_stand_in_a_header_is_not_sent_and_not_told(key: str) -> None:
    with MisbehavingHttp(OPENAI) as server:
        generator = OpenAICompatibleGenerator(server.url, "m", lambda: key)

        with pytest.raises(GenerationFailed, match="the generator's key") as raised:
            "".join(generator.stream(PROMPT, patience=PATIENCE))

    assert server.asked == []
    assert not key or key not in str(raised.value)
