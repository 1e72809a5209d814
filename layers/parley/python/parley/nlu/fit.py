"""Training the intent head when a bot is compiled: seconds, on CPU.

Multinomial logistic regression on frozen embeddings. The thresholds that tell the
known from the unknown are chosen on utterances the head has not seen: in each fold
some intents are held out whole and play the unknown, and a part of the others'
examples plays the known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from parley.nlu.intents import IntentHead, softmax

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

REGULARISATION = 32.0  # sklearn's C
FOLDS = 5
MIN_KEPT = 0.92  # of known utterances; only then is it about refusing the unknown
CONFIDENCES = np.arange(0.20, 0.91, 0.05)
SIMILARITIES = np.arange(0.30, 0.71, 0.05)


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained head, and how well it did on utterances it had not seen."""

    head: IntentHead
    accuracy: float  # share of held-out known utterances whose intent ranked first
    kept: float  # share of held-out known utterances that pass the thresholds
    refused: float  # share of utterances of held-out intents that do not


def fit_head(vectors: FloatArray, intents: Sequence[str]) -> Fit:
    """The head for a bot's examples.

    Shapes:
        vectors: (N, D) float32, rows of unit length; intents: N names
    """
    names = tuple(sorted(set(intents)))
    labels = np.array([names.index(intent) for intent in intents])
    trials = list(_trials(vectors, labels))
    confidence, similarity, known, right = (np.concatenate(part) for part in zip(*trials, strict=True))

    def shares(limits: tuple[float, float]) -> tuple[float, float]:
        passed = (confidence >= limits[0]) & (similarity >= limits[1])
        return float(passed[known].mean()), float(1 - passed[~known].mean())

    grid = [(float(c), float(s)) for c in CONFIDENCES for s in SIMILARITIES]
    limits = max(grid, key=lambda pair: (min(shares(pair)[0], MIN_KEPT), shares(pair)[1]))
    kept, refused = shares(limits)
    weights, bias = _regress(vectors, labels)
    head = IntentHead(names, weights, bias, vectors, min_confidence=limits[0], min_similarity=limits[1])
    return Fit(head, float(right[known].mean()), kept, refused)


def _trials(
    vectors: FloatArray, labels: IntArray
) -> Iterator[tuple[FloatArray, FloatArray, NDArray[np.bool_], NDArray[np.bool_]]]:
    """For each fold: confidence, similarity, whether the utterance was known, whether its intent ranked first."""
    within = _index_within_intent(labels)
    for fold in range(FOLDS):
        unknown = labels % FOLDS == fold
        held_out = ~unknown & (within % FOLDS == fold)
        taught = ~unknown & ~held_out
        tested = unknown | held_out
        if len(set(labels[taught])) < 2 or not unknown.any():
            continue
        weights, bias = _regress(vectors[taught], labels[taught])
        probabilities = softmax(vectors[tested] @ weights.T + bias)
        yield (
            probabilities.max(axis=1),
            (vectors[tested] @ vectors[taught].T).max(axis=1),
            held_out[tested],
            np.unique(labels[taught])[probabilities.argmax(axis=1)] == labels[tested],
        )


def _index_within_intent(labels: IntArray) -> IntArray:
    seen: dict[int, int] = {}
    index = np.zeros_like(labels)
    for position, label in enumerate(labels):
        index[position] = seen.get(int(label), 0)
        seen[int(label)] = index[position] + 1
    return index


def _regress(vectors: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
    """Weights (C, D) and bias (C,) of a softmax over the classes in `labels`."""
    model = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(vectors, labels)
    weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    if len(model.classes_) == 2:  # sklearn gives one row of log-odds for two classes
        half = np.float32(0.5)
        return np.concatenate([-weights, weights]) * half, np.concatenate([-bias, bias]) * half
    return weights, bias
