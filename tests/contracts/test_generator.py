"""The contract of `ports.Generator`: the fake, and SageMaker's adapter in front of an endpoint that misbehaves."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import boto3
import pytest

from parley.adapters.memory import MemoryGenerator
from parley.adapters.sagemaker import LEAST_SILENCE_SECONDS, SageMakerGenerator
from parley.errors import GenerationAsleep, GenerationBusy, GenerationFailed, GenerationSlow, ParleyError
from parley.generation.persistence import Persistent, is_substitute
from parley.ports import Generator, Patience, Prompt
from tests.contracts.misbehaving import BEHAVIOURS, ENDPOINT, HALF, Misbehaving

BUDGET_SECONDS = 1.0
SILENCE_SECONDS = 3.5
SLACK_SECONDS = 2.0  # of a busy machine

BEFORE_AN_ANSWER: dict[type[ParleyError], set[str]] = {
    GenerationAsleep: {"asleep"},
    GenerationBusy: {"throttle", "unavailable", "not ready", "model full", "model throttles"},
    GenerationFailed: {
        *{"model error", "not found", "bad input", "internal", "dependency", "bad gateway", "page"},
        *{"html", "other json", "empty", "failure at once"},
    },
    GenerationSlow: {"silent", "ping"},
}
IN_THE_MIDDLE: dict[type[ParleyError], set[str]] = {
    GenerationFailed: {"break", "end early", "cut frame"}
    | {"stream failure", "stream error", "unknown error", "reported error"},
    GenerationSlow: {"stall", "dawdle"},
}


def cases(table: dict[type[ParleyError], set[str]]) -> list[tuple[str, type[ParleyError]]]:
    return [(behaviour, error) for error, behaviours in table.items() for behaviour in sorted(behaviours)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Misbehaving]:
    """An endpoint that does what it is told."""
    with Misbehaving() as endpoint:
        yield endpoint


@pytest.fixture
def sagemaker(endpoint: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> SageMakerGenerator:
    for name, value in {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    return SageMakerGenerator(ENDPOINT, silence_seconds=SILENCE_SECONDS)


def begin(generator: Generator, message: str = "answer", budget_seconds: float = 30.0) -> Iterator[str]:
    patience = Patience(first_seconds=budget_seconds, whole_seconds=budget_seconds)
    return generator.stream(Prompt((("user", message),), 16, 0.5), patience=patience)


def generate(generator: Generator, message: str = "answer", budget_seconds: float = 30.0) -> str:
    return "".join(begin(generator, message, budget_seconds))


def test_the_pieces_make_up_the_completion(sagemaker: SageMakerGenerator) -> None:
    assert generate(sagemaker) == generate(MemoryGenerator("Grüß ", "Gott! 😀")) == "Grüß Gott! 😀"


def test_every_misbehaviour_has_its_meaning() -> None:
    told = [behaviour for behaviour, _ in (*cases(BEFORE_AN_ANSWER), *cases(IN_THE_MIDDLE))]

    assert sorted(told) == sorted(BEHAVIOURS - {"answer"})


@pytest.mark.parametrize(("behaviour", "error"), cases(BEFORE_AN_ANSWER))
def test_what_comes_in_place_of_an_answer_is_told_apart(
    sagemaker: SageMakerGenerator, behaviour: str, error: type[ParleyError]
) -> None:
    with pytest.raises(error) as raised:
        next(begin(sagemaker, behaviour, BUDGET_SECONDS))

    assert type(raised.value) is error


@pytest.mark.parametrize(("behaviour", "error"), cases(IN_THE_MIDDLE))
def test_what_comes_in_the_middle_of_an_answer_is_told_apart_and_the_pieces_before_it_are_kept(
    sagemaker: SageMakerGenerator, behaviour: str, error: type[ParleyError]
) -> None:
    pieces: list[str] = []

    with pytest.raises(error) as raised:
        pieces.extend(begin(sagemaker, behaviour, BUDGET_SECONDS))

    assert type(raised.value) is error
    assert pieces[0] == HALF or behaviour == "dawdle"


@pytest.mark.parametrize("behaviour", ["silent", "stall", "dawdle", "ping"])
def test_a_stream_that_takes_too_long_is_given_up_in_time(sagemaker: SageMakerGenerator, behaviour: str) -> None:
    begun = time.monotonic()

    with pytest.raises(GenerationSlow):
        generate(sagemaker, behaviour, BUDGET_SECONDS)

    assert time.monotonic() - begun < BUDGET_SECONDS + LEAST_SILENCE_SECONDS + SLACK_SECONDS


def test_patience_beyond_the_silence_is_not_waited_out(sagemaker: SageMakerGenerator) -> None:
    impatient = SageMakerGenerator(ENDPOINT, silence_seconds=LEAST_SILENCE_SECONDS)
    begun = time.monotonic()

    with pytest.raises(GenerationSlow):
        generate(impatient, "silent", 30)

    assert time.monotonic() - begun < LEAST_SILENCE_SECONDS + SLACK_SECONDS


def test_a_runtime_that_cannot_be_reached_is_busy(
    sagemaker: SageMakerGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{port}")

    with pytest.raises(GenerationBusy) as raised:
        generate(SageMakerGenerator(ENDPOINT, silence_seconds=SILENCE_SECONDS))

    assert type(raised.value) is GenerationBusy


def test_a_call_that_cannot_be_signed_is_a_failure_and_no_reason_to_wait(
    sagemaker: SageMakerGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials it found

    with pytest.raises(GenerationFailed, match="cannot be called"):
        generate(SageMakerGenerator(ENDPOINT, silence_seconds=SILENCE_SECONDS))


def test_a_component_is_named_to_the_endpoint_and_names_the_model(
    sagemaker: SageMakerGenerator, endpoint: Misbehaving
) -> None:
    component = SageMakerGenerator(ENDPOINT, silence_seconds=SILENCE_SECONDS, component="small")

    generate(component)
    generate(sagemaker)

    assert [(call.endpoint, call.component) for call in endpoint.calls[-2:]] == [(ENDPOINT, "small"), (ENDPOINT, None)]
    assert (component.model, sagemaker.model) == ("small", ENDPOINT)


def test_who_closes_the_iterator_leaves_the_endpoint(sagemaker: SageMakerGenerator, endpoint: Misbehaving) -> None:
    endpoint.left.clear()
    persistent = Persistent(sagemaker, sleep=time.sleep, clock=time.monotonic, random=lambda: 0.0)

    with closing(begin(persistent, "dawdle")) as pieces:
        next(pieces)

    assert endpoint.left.wait(SLACK_SECONDS)


@pytest.mark.parametrize("behaviour", ["asleep", "throttle", "model error", "html", "silent", "failure at once"])
def test_a_second_endpoint_answers_for_one_that_cannot(
    sagemaker: SageMakerGenerator, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    with Misbehaving(lambda _: "answer") as other:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", other.url)
        second = SageMakerGenerator("small", silence_seconds=SILENCE_SECONDS)
        persistent = Persistent(sagemaker, second, sleep=time.sleep, clock=time.monotonic, random=lambda: 0.5)

        pieces = begin(persistent, behaviour, 4.0)

        assert "".join(pieces) == "Grüß Gott! 😀"
        assert is_substitute(pieces, persistent)
