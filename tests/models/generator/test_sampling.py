"""Which token comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.models.generator.conftest import modules

LOGITS = np.log(np.array([0.05, 0.5, 0.15, 0.3], np.float32))
DRAWS = 2000


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("sampling") as loaded:
        yield loaded.sampling


def sampler(generator: SimpleNamespace, **more: Any) -> Any:
    settings = {"temperature": 1.0, "top_p": 1.0, "top_k": 40, "repetition_penalty": 1.0, "seed": 1} | more
    return generator.Sampler(**settings)


def choose(generator: SimpleNamespace, drawing: Any, forbidden: list[int] | None = None, logits: Any = LOGITS) -> int:
    (token,) = generator.choose([drawing], logits[None].copy(), [forbidden or []], [None])
    return token  # type: ignore[no-any-return]


def shares(generator: SimpleNamespace, forbidden: list[int] | None = None, **more: Any) -> list[float]:
    """How often each token is drawn."""
    drawing = sampler(generator, **more)
    drawn = Counter(choose(generator, drawing, forbidden) for _ in range(DRAWS))
    return [drawn[token] / DRAWS for token in range(len(LOGITS))]


def test_temperature_one_draws_by_the_models_chances(generator: SimpleNamespace) -> None:
    assert shares(generator) == pytest.approx([0.05, 0.5, 0.15, 0.3], abs=0.04)


def test_a_low_temperature_prefers_the_likely(generator: SimpleNamespace) -> None:
    squares = np.array([0.05, 0.5, 0.15, 0.3]) ** 2

    assert shares(generator, temperature=0.5) == pytest.approx(list(squares / squares.sum()), abs=0.04)


def test_temperature_zero_takes_the_likeliest(generator: SimpleNamespace) -> None:
    assert shares(generator, temperature=0.0) == [0, 1, 0, 0]


def test_top_p_keeps_the_fewest_that_reach_it(generator: SimpleNamespace) -> None:
    assert shares(generator, top_p=0.4) == [0, 1, 0, 0]
    assert shares(generator, top_p=0.75) == pytest.approx([0, 0.625, 0, 0.375], abs=0.04)


def test_top_k_keeps_the_likeliest(generator: SimpleNamespace) -> None:
    assert shares(generator, top_k=2) == pytest.approx([0, 0.625, 0, 0.375], abs=0.04)
    assert shares(generator, top_k=1) == [0, 1, 0, 0]


def test_what_is_forbidden_is_never_drawn(generator: SimpleNamespace) -> None:
    for temperature in (0.0, 1.0, 2.0):
        assert shares(generator, forbidden=[1, 3], temperature=temperature)[1::2] == [0, 0]


def test_the_penalty_is_on_what_has_been_said(generator: SimpleNamespace) -> None:
    drawing = sampler(generator, temperature=0.0, repetition_penalty=1.5)
    logits = np.array([2.0, 1.9, -1.0, -1.1], np.float32)

    assert [choose(generator, drawing, logits=logits) for _ in range(2)] == [0, 1]

    below_zero = sampler(generator, temperature=0.0, repetition_penalty=1.5)
    assert [choose(generator, below_zero, [0, 1], logits) for _ in range(2)] == [2, 3]


def test_a_seed_gives_the_same_draws(generator: SimpleNamespace) -> None:
    once, again, other = (
        [choose(generator, drawing) for _ in range(50)]
        for drawing in (sampler(generator, seed=7), sampler(generator, seed=7), sampler(generator, seed=8))
    )

    assert once == again != other


@pytest.mark.parametrize("temperature", [1e-9, 1e-3, 2.0])
@pytest.mark.parametrize("top_p", [1e-6, 1.0])
def test_no_setting_draws_what_is_not_there(generator: SimpleNamespace, temperature: float, top_p: float) -> None:
    drawing = sampler(generator, temperature=temperature, top_p=top_p)

    with np.errstate(all="raise", under="ignore"):
        assert all(0 <= choose(generator, drawing) < len(LOGITS) for _ in range(200))


def test_replies_are_drawn_together_as_alone(generator: SimpleNamespace) -> None:
    rows = np.random.default_rng(3).standard_normal((6, 300)).astype(np.float32) * 4
    settings: list[dict[str, Any]] = [
        {"temperature": temperature, "top_p": 0.9, "seed": number, "repetition_penalty": 1.3}
        for number, temperature in enumerate((0.0, 0.5, 0.0, 1.0, 2.0, 0.7))
    ]
    together, alone = ([sampler(generator, **each) for each in settings] for _ in range(2))
    forbidden = [[number, number + 7] for number in range(6)]

    for _ in range(30):
        said = generator.choose(together, rows.copy(), forbidden, [None] * len(rows))

        assert said == [choose(generator, *each) for each in zip(alone, forbidden, rows, strict=True)]
