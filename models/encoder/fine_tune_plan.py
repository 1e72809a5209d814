"""What fine-tuning decides before it computes: what is learnt, by which recipe, in which order.

Pure numpy. Knows nothing of torch, of models, or of a bot's files.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from models.compression.run_settings import Setting

SHARE = 1.0  # of the way from the untouched encoder to the tuned one; README.md, "Fine-tuned for one bot"


class BadInput(ValueError):
    """What was given cannot be learnt; says why."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an encoder learns a bot's intents. README.md, "Fine-tuned for one bot", has the measurements."""

    epochs: int = 2
    batch: int = 32
    rate: float = 5e-5
    head_rate: float = 5e-3  # the head reads vectors of unit length, so its weights are large
    near: float = 5.0  # weight of the loss that keeps sentence vectors where the untouched encoder has them
    from_layer: int = 1  # the lowest layer that learns, counted from 1; a higher one costs less
    smoothing: float = 0.05  # of labels: Szegedy et al. 2016, arXiv:1512.00567
    warm_up: float = 0.1  # share of all steps
    decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        faults = [
            (self.epochs < 1, f"epochs are 1 or more, not {self.epochs}"),
            (self.batch < 1, f"a batch has 1 example or more, not {self.batch}"),
            (self.rate <= 0 or self.head_rate <= 0, f"rates are above 0, not {self.rate} and {self.head_rate}"),
            (self.near < 0, f"the weight of nearness is 0 or above, not {self.near}"),
            (self.from_layer < 1, f"layers are counted from 1, not {self.from_layer}"),
            (not 0 <= self.smoothing < 1, f"labels are smoothed by 0 to below 1, not {self.smoothing}"),
        ]
        said = [words for wrong, words in faults if wrong]
        if said:
            raise BadInput("; ".join(said))


@dataclass(frozen=True, slots=True)
class Lesson:
    """Texts and the intents that they have.

    Shapes:
        classes: (N,) int64, places in `intents`
    """

    texts: tuple[str, ...]
    intents: tuple[str, ...]
    classes: NDArray[np.int64]


def lesson(texts: Sequence[str], intents: Sequence[str]) -> Lesson:
    """What is to be learnt.

    Raises:
        BadInput: there are fewer than two intents, so that nothing tells one from another.
    """
    names, classes = np.unique(np.array(intents, np.str_), return_inverse=True)
    if len(names) < 2:
        there = f"there is only `{names[0]}`" if len(names) else "there is none"
        raise BadInput(f"examples of at least two intents are needed, and {there}")
    return Lesson(tuple(texts), tuple(map(str, names)), classes.astype(np.int64))


def settings_of(taught: Lesson, recipe: Recipe, start: str) -> dict[str, Setting]:
    """All that a run depends on; one that goes on in a folder must have the same."""
    rows = "\n".join(
        f"{taught.intents[place]}\t{text}" for text, place in zip(taught.texts, taught.classes, strict=True)
    )
    return {"start": start, "examples": hashlib.sha256(rows.encode()).hexdigest()[:16], **asdict(recipe)}


def steps_per_epoch(count: int, batch: int) -> int:
    return -(-count // batch)


def rows_of_step(count: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Which of `count` examples a step learns: each once an epoch, in an order that seed and epoch decide alone."""
    epoch, place = divmod(step, steps_per_epoch(count, batch))
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[place * batch : (place + 1) * batch]


def learning_layers(from_layer: int, layers: int) -> range:
    """The layers that learn, counted from 0.

    Raises:
        BadInput: the encoder has fewer.
    """
    if from_layer > layers:
        raise BadInput(f"the encoder has layers 1 to {layers}; none learns from layer {from_layer} on")
    return range(from_layer - 1, layers)
