"""The shipped model with several places, against onnxruntime-genai, which knows of one conversation at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime_genai as og
import pytest

from tests.models.generator.conftest import GENERATOR, modules

ARTEFACT = GENERATOR / "artefact"
CONTEXT_TOKENS = 256
STEPS = 24
ROUNDING = 0.15  # inputs become INT8, so the order of additions moves logits by up to 0.04; the likeliest is 5 to 15


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("decoder") as loaded:
        yield loaded.decoder


@pytest.fixture(scope="module")
def network(generator: SimpleNamespace) -> Any:
    return generator.Network(ARTEFACT)


@pytest.fixture
def decoder(generator: SimpleNamespace, network: Any) -> Any:
    return generator.Decoder(network, places=4, context_tokens=CONTEXT_TOKENS)


@pytest.fixture(scope="module")
def prompts(network: Any) -> list[list[int]]:
    chance = np.random.default_rng(1)
    return [[1, *chance.integers(100, network.vocabulary, count).tolist()] for count in (5, 40, 90, 12)]


def assert_likely(prompt: list[int], ids: list[int], end: int) -> None:
    """That each token after the prompt is the likeliest, by onnxruntime-genai, or as good as that."""
    model = og.Model(str(ARTEFACT))
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=len(ids) + 1)
    generator = og.Generator(model, parameters)
    generator.append_tokens(np.array(prompt, np.int32))
    assert ids[: len(prompt)] == prompt
    for token in ids[len(prompt) :]:
        logits = generator.get_logits().ravel()
        logits[end] = -np.inf
        assert logits[token] >= logits.max() - ROUNDING
        generator.append_tokens(np.array([token], np.int32))


class Greedy:
    """The likeliest continuations of what the decoder's first places hold."""

    def __init__(self, decoder: Any, end: int) -> None:
        self._decoder = decoder
        self._end = end
        self.held: list[list[int]] = []

    def join(self, prompt: list[int], chunk: int = 1000) -> None:
        place = len(self.held)
        for start in range(0, len(prompt) - 1, chunk):
            self._decoder.read(place, prompt[:-1][start : start + chunk], start)
        self.held.append(list(prompt))

    def leave(self, place: int) -> list[int]:
        left, last = self.held[place], self.held.pop()
        if place < len(self.held):
            self._decoder.move(len(self.held), place, len(last) - 1)
            self.held[place] = last
        return left

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            logits = self._decoder.step([ids[-1] for ids in self.held], [len(ids) - 1 for ids in self.held])
            logits[:, self._end] = -np.inf
            for ids, row in zip(self.held, logits, strict=True):
                ids.append(int(row.argmax()))


def test_a_place_alone_continues_as_onnxruntime_genai_does(
    decoder: Any, network: Any, prompts: list[list[int]]
) -> None:
    greedy = Greedy(decoder, network.end)
    greedy.join(prompts[1])

    greedy.step(STEPS)

    assert_likely(prompts[1], greedy.held[0], network.end)


def test_places_that_join_and_leave_continue_as_if_alone(decoder: Any, network: Any, prompts: list[list[int]]) -> None:
    greedy = Greedy(decoder, network.end)
    greedy.join(prompts[0])
    greedy.step(3)
    greedy.join(prompts[1], chunk=16)
    greedy.join(prompts[2])
    greedy.step(5)
    first = greedy.leave(0)
    greedy.step(2)
    greedy.join(prompts[3], chunk=5)
    greedy.step(STEPS)

    continued = [first, *greedy.held]
    for prompt, ids in zip([prompts[0], prompts[2], prompts[1], prompts[3]], continued, strict=True):
        assert_likely(prompt, ids, network.end)


def test_a_place_that_is_used_again_forgets_who_was_there(decoder: Any, network: Any, prompts: list[list[int]]) -> None:
    greedy = Greedy(decoder, network.end)
    greedy.join(prompts[2])
    greedy.step(STEPS)
    greedy.leave(0)

    greedy.join(prompts[0])
    greedy.step(STEPS)

    assert_likely(prompts[0], greedy.held[0], network.end)


def test_a_full_place_is_still_right(generator: SimpleNamespace, network: Any, prompts: list[list[int]]) -> None:
    prompt = prompts[2]
    decoder = generator.Decoder(network, places=2, context_tokens=len(prompt) + STEPS - 1)
    greedy = Greedy(decoder, network.end)
    greedy.join(prompt)
    greedy.join(prompt)

    greedy.step(STEPS)

    assert greedy.held[0] == greedy.held[1]
    assert_likely(prompt, greedy.held[0], network.end)


def test_a_folder_without_a_model_of_the_builder_is_refused(generator: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(generator.NotServable, match=r"genai_config\.json"):
        generator.Network(tmp_path)


def test_a_model_with_other_inputs_is_refused(generator: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(ARTEFACT, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "genai_config.json"
    settings = json.loads(file.read_text())
    settings["model"]["decoder"]["num_hidden_layers"] -= 1
    file.write_text(json.dumps(settings))

    with pytest.raises(generator.NotServable, match="past_key_values"):
        generator.Network(tmp_path)
