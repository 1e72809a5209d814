"""What fine-tuning decides before it computes, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from models.compression.run_settings import Mismatch, remember
from models.encoder.fine_tune_plan import (
    BadInput,
    Lesson,
    Recipe,
    learning_layers,
    lesson,
    rows_of_step,
    settings_of,
    steps_per_epoch,
)


def taught() -> Lesson:
    return lesson(["hi", "bye", "hello"], ["greet", "leave", "greet"])


def test_intents_are_numbered_in_the_order_of_their_names() -> None:
    assert taught().intents == ("greet", "leave")
    assert taught().classes.tolist() == [0, 1, 0]


@pytest.mark.parametrize("intents", [[], ["greet", "greet"]])
def test_fewer_than_two_intents_are_refused(intents: list[str]) -> None:
    with pytest.raises(BadInput, match="at least two intents"):
        lesson(["hi"] * len(intents), intents)


def test_an_epoch_shows_every_example_once_the_last_few_too() -> None:
    steps = steps_per_epoch(103, 10)

    shown = np.concatenate([rows_of_step(103, 10, seed=1, step=step) for step in range(steps)])

    assert steps == 11
    assert sorted(shown.tolist()) == list(range(103))


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    first, again, next_epoch, other_seed = (
        rows_of_step(100, 10, seed, step).tolist() for seed, step in ((1, 3), (1, 3), (1, 13), (2, 3))
    )

    assert first == again
    assert first not in (next_epoch, other_seed)


def test_layers_learn_from_the_one_that_is_named_to_the_last() -> None:
    assert list(learning_layers(1, 6)) == [0, 1, 2, 3, 4, 5]
    assert list(learning_layers(5, 6)) == [4, 5]


def test_a_layer_that_the_encoder_lacks_is_refused() -> None:
    with pytest.raises(BadInput, match="layers 1 to 6"):
        learning_layers(7, 6)


@pytest.mark.parametrize(
    "setting", [{"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"near": -1.0}, {"from_layer": 0}, {"smoothing": 1.0}]
)
def test_a_setting_outside_of_what_it_may_be_is_refused_with_its_value(setting: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=str(next(iter(setting.values())))):
        Recipe(**setting)  # type: ignore[arg-type]


def test_a_folder_goes_on_with_the_same_examples_and_recipe(tmp_path: Path) -> None:
    remember(tmp_path, settings_of(taught(), Recipe(), "base"))

    remember(tmp_path, settings_of(taught(), Recipe(), "base"))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (settings_of(taught(), Recipe(rate=1e-3), "base"), "rate was 5e-05 and is now 0.001"),
        (settings_of(taught(), Recipe(), "another"), "start was base and is now another"),
        (settings_of(lesson(["hi", "bye"], ["greet", "leave"]), Recipe(), "base"), "examples was"),
        (settings_of(lesson(["hi", "bye", "hello"], ["leave", "greet", "greet"]), Recipe(), "base"), "examples was"),
    ],
)
def test_a_folder_begun_otherwise_is_refused_and_says_how(
    tmp_path: Path, settings: dict[str, str | int | float], named: str
) -> None:
    remember(tmp_path, settings_of(taught(), Recipe(), "base"))

    with pytest.raises(Mismatch, match=named):
        remember(tmp_path, settings)
