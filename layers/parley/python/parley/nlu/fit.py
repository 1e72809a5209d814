"""Training the intent head when a bot is compiled: seconds, on CPU.

Multinomial logistic regression on frozen embeddings, and a test on examples held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from parley.nlu.intents import IntentHead

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

REGULARISATION = 10.0  # sklearn's C; models/encoder/README.md, "Thresholds"
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained head, and how well it did on examples it had not seen."""

    head: IntentHead
    right: float  # share of held-out examples whose intent ranked first
    kept: float  # share of held-out examples that were not taken for out of scope


def fit_head(vectors: FloatArray, intents: Sequence[str]) -> Fit:
    """The head for a bot's examples.

    Shapes:
        vectors: (N, D) float32, rows of unit length; intents: N names, at least two different ones
    """
    labels = np.array(intents)
    within = _number_within_intent(labels)
    right, kept = 0, 0
    for fold in range(FOLDS):
        held_out = (within % FOLDS == fold) & (within > 0)  # the first example of an intent is always taught
        head = _trained(vectors[~held_out], labels[~held_out])
        for vector, intent in zip(vectors[held_out], labels[held_out], strict=True):
            ranking = head.rank(vector)
            right += ranking[0].name == intent
            kept += head.knows(vector, ranking[0].confidence)
    tested = max(1, int((within > 0).sum()))
    return Fit(_trained(vectors, labels), right / tested, kept / tested)


def _number_within_intent(labels: NDArray[np.str_]) -> IntArray:
    seen: dict[str, int] = {}
    numbers = np.zeros(len(labels), dtype=np.int64)
    for position, label in enumerate(labels):
        numbers[position] = seen.get(label, 0)
        seen[label] = numbers[position] + 1
    return numbers


def _trained(vectors: FloatArray, labels: NDArray[np.str_]) -> IntentHead:
    model = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(vectors, labels)
    weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    if len(model.classes_) == 2:  # sklearn gives one row of log-odds for two classes
        half = np.float32(0.5)
        weights, bias = np.concatenate([-weights, weights]) * half, np.concatenate([-bias, bias]) * half
    return IntentHead(tuple(map(str, model.classes_)), weights, bias, vectors)
