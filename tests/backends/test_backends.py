"""The generator's backends before real servers: what they say is what the contract suite takes them to say.

    make test-backends

TensorFlow Serving is not to be had as a package; its official stubs serve in its place.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from parley.adapters.string_prompts import Body
from parley.errors import GenerationBusy, GenerationFailed, GenerationSlow, ParleyError
from parley.ports import Generator, Patience, Prompt
from tests.backends.conftest import KEY, START_SECONDS
from tests.backends.servers.scripted import ANSWER, HALF

pytestmark = [pytest.mark.backends, pytest.mark.timeout(START_SECONDS + 60)]

SLACK_SECONDS = 3.0

# name -> the fixture with its server, and what that needs to give the adapter of a model that answers
STREAMING = {"openai": ("openai", KEY), "torchserve": ("torch", "llm"), "ray_serve": ("ray", "llm", "prompt")}
WHOLE = {
    "torchserve": ("torch", "whole"),
    "ray_serve": ("ray", "whole", "text"),
    "tensorflow_serving": ("tensorflow", "llm_chatbot"),
}
SCRIPTED = {**STREAMING, **{f"{name}, whole": backend for name, backend in WHOLE.items()}}
del SCRIPTED["openai"]  # llama.cpp has a model of its own, which cannot break


def generator(request: pytest.FixtureRequest, backend: tuple[str, ...]) -> Generator:
    name, *arguments = backend
    of: Callable[..., Generator] = request.getfixturevalue(name)
    return of(*arguments)


def begin(generator: Generator, message: str = "answer", seconds: float = 30.0) -> Iterator[str]:
    patience = Patience(seconds, seconds)
    return generator.stream(Prompt((("system", "Be brief."), ("user", message)), 16, 0.5), patience=patience)


@pytest.mark.parametrize("backend", [*STREAMING.values(), *WHOLE.values()], ids=str)
def test_the_pieces_make_up_the_completion(request: pytest.FixtureRequest, backend: tuple[str, ...]) -> None:
    assert "".join(begin(generator(request, backend))) == "".join(ANSWER)


@pytest.mark.parametrize("name", STREAMING)
def test_a_server_that_streams_is_heard_piece_by_piece(request: pytest.FixtureRequest, name: str) -> None:
    assert tuple(begin(generator(request, STREAMING[name]))) == ANSWER


@pytest.mark.parametrize("name", ["torchserve", "ray_serve"])
def test_what_breaks_in_the_middle_is_a_failure(request: pytest.FixtureRequest, name: str) -> None:
    pieces: list[str] = []

    with pytest.raises(GenerationFailed):
        pieces.extend(begin(generator(request, STREAMING[name]), "break"))

    assert pieces == [HALF]


@pytest.mark.parametrize("backend", [*SCRIPTED.values(), STREAMING["openai"]], ids=str)
def test_a_model_that_fails_is_a_failure_and_its_words_are_not_told(
    request: pytest.FixtureRequest, backend: tuple[str, ...]
) -> None:
    with pytest.raises(GenerationFailed) as raised:
        "".join(begin(generator(request, backend), "fail"))

    assert "fail " not in str(raised.value)


def test_a_model_on_ray_serve_is_stopped_when_its_client_leaves(
    ray: Callable[[str, Body], Generator], ray_folder: Path
) -> None:
    noticed = ray_folder / "cancelled"
    noticed.unlink(missing_ok=True)

    with closing(begin(ray("llm", "prompt"), "go on")) as pieces:
        assert next(pieces) == "word "

    deadline = time.monotonic() + SLACK_SECONDS
    while not noticed.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("backend", SCRIPTED.values(), ids=str)
def test_a_model_that_is_silent_is_given_up_in_time(request: pytest.FixtureRequest, backend: tuple[str, ...]) -> None:
    begun = time.monotonic()

    with pytest.raises(GenerationSlow):
        "".join(begin(generator(request, backend), "be silent", 1.0))

    assert time.monotonic() - begun < 1.0 + SLACK_SECONDS


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("openai", ("another key",), GenerationFailed),
        ("torch", ("llm", "prompt", "another-key"), GenerationFailed),
        ("torch", ("unknown",), GenerationFailed),
        ("ray", ("unknown", "prompt"), GenerationFailed),
        ("tensorflow", ("unknown",), GenerationFailed),
    ],
)
def test_who_asks_for_what_is_not_there_or_may_not_is_told_so(
    request: pytest.FixtureRequest, name: str, arguments: tuple[str, ...], error: type[ParleyError]
) -> None:
    with pytest.raises(error):
        "".join(begin(generator(request, (name, *arguments))))


@pytest.mark.parametrize(
    "backend", [("torch", "whole"), ("ray", "narrow", "text"), ("tensorflow", "llm_chatbot")], ids=str
)
def test_a_server_that_is_full_is_busy(request: pytest.FixtureRequest, backend: tuple[str, ...]) -> None:
    of = generator(request, backend)

    def outcome(_: int) -> type[ParleyError] | str:
        try:
            return "".join(begin(of))
        except ParleyError as error:
            return type(error)

    with ThreadPoolExecutor(6) as pool:
        outcomes = set(pool.map(outcome, range(6)))

    assert outcomes == {"".join(ANSWER), GenerationBusy}
