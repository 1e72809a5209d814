"""Small bots drawn from large intent collections, and how well a rule tells the known from the unknown.

Knows intents and embeddings; choosing and printing thresholds is thresholds.py's. A small bot has few intents with few
examples each. What it must refuse: utterances of the collection's other intents ("other"), and CLINC150's out-of-scope
utterances ("foreign").
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from artefact import FloatArray
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

REGULARISATION = 10.0  # scikit-learn's C; 1 to 100 differ by at most 0.015 AUROC and 0.01 accuracy
OTHER_UTTERANCES = 150  # drawn per bot


@dataclass(frozen=True, slots=True)
class Collection:
    """Labelled utterances as embeddings."""

    train: FloatArray  # (N, 384)
    train_intents: NDArray[np.str_]
    train_domains: NDArray[np.str_]  # all equal where the collection has none
    valid: FloatArray
    valid_intents: NDArray[np.str_]
    foreign: FloatArray


@dataclass(frozen=True, slots=True)
class Signals:
    """What a rule may look at, per utterance."""

    probability: FloatArray  # of the likeliest intent
    energy: FloatArray  # log of the summed exponentials of the logits
    nearest: FloatArray  # cosine to the nearest training example of any intent
    centroid: FloatArray  # cosine to the nearest intent's mean embedding
    right: NDArray[np.bool_]  # the likeliest intent is the true one


@dataclass(frozen=True, slots=True)
class Trial:
    """One small bot, asked three kinds of utterances."""

    known: Signals
    other: Signals
    foreign: Signals


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares, averaged over bots."""

    kept: float  # known utterances accepted
    right: float  # known utterances accepted with their true intent
    other: float  # utterances of other intents refused
    foreign: float  # out-of-scope utterances refused

    @property
    def balanced(self) -> float:
        """Accuracy if known and unknown were equally frequent, and so were both kinds of unknown."""
        return (self.kept + (self.other + self.foreign) / 2) / 2

    @property
    def f1(self) -> float:
        """F1 of refusing the unknown, with the same frequencies."""
        refused = (self.other + self.foreign) / 2
        return 2 * refused / (1 + refused + 1 - self.kept)


Rule = Callable[[Signals], FloatArray]  # gives a score; at or above the threshold an utterance counts as known

RULES: dict[str, Rule] = {
    "probability": lambda s: s.probability,
    "energy": lambda s: s.energy,
    "cosine to nearest example": lambda s: s.nearest,
    "cosine to nearest centroid": lambda s: s.centroid,
    "probability x cosine to nearest example": lambda s: s.probability * s.nearest,
    "probability x cosine to nearest centroid": lambda s: s.probability * s.centroid,
}


def trials(
    collection: Collection, intents: int, examples: int, *, bots: int, one_domain: bool, seed: int
) -> Iterator[Trial]:
    """Draw small bots, train each, and ask it."""
    generator = np.random.default_rng(seed)
    for _ in range(bots):
        pool = np.unique(collection.train_intents)
        if one_domain:
            domain = generator.choice(np.unique(collection.train_domains))
            pool = np.unique(collection.train_intents[collection.train_domains == domain])
        chosen = generator.choice(pool, intents, replace=False)
        rows = [np.flatnonzero(collection.train_intents == intent) for intent in chosen]
        taught = np.concatenate([generator.permutation(row)[:examples] for row in rows])
        vectors, labels = collection.train[taught], collection.train_intents[taught]
        model = LogisticRegression(C=REGULARISATION, max_iter=500).fit(vectors, labels)
        known = np.isin(collection.valid_intents, chosen)
        other = generator.permutation(np.flatnonzero(~known))[:OTHER_UTTERANCES]
        yield Trial(
            known=_signals(model, vectors, labels, collection.valid[known], collection.valid_intents[known]),
            other=_signals(model, vectors, labels, collection.valid[other], None),
            foreign=_signals(model, vectors, labels, collection.foreign, None),
        )


def _signals(
    model: LogisticRegression,
    vectors: FloatArray,
    labels: NDArray[np.str_],
    asked: FloatArray,
    intents: NDArray[np.str_] | None,
) -> Signals:
    logits = model.decision_function(asked)  # (A, C); a bot has more than two intents
    centroids = np.stack([vectors[labels == intent].mean(axis=0) for intent in model.classes_])
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    predicted = model.classes_[logits.argmax(axis=1)]
    return Signals(
        probability=model.predict_proba(asked).max(axis=1),
        energy=np.logaddexp.reduce(logits, axis=1),
        nearest=(asked @ vectors.T).max(axis=1),
        centroid=(asked @ centroids.T).max(axis=1),
        right=np.zeros(len(asked), dtype=bool) if intents is None else predicted == intents,
    )


def rates(asked: list[Trial], rule: Rule, threshold: float) -> Rates:
    shares = []
    for trial in asked:
        accepted = rule(trial.known) >= threshold
        refused = [(rule(unknown) < threshold).mean() for unknown in (trial.other, trial.foreign)]
        shares.append((accepted.mean(), (accepted & trial.known.right).mean(), *refused))
    return Rates(*map(float, np.mean(shares, axis=0)))


def area(asked: list[Trial], rule: Rule) -> tuple[float, float]:
    """Mean area under the ROC curve per bot, for the other intents and for the foreign utterances."""
    areas = [[_area(rule(trial.known), rule(unknown)) for unknown in (trial.other, trial.foreign)] for trial in asked]
    other, foreign = np.mean(areas, axis=0)
    return float(other), float(foreign)


def _area(known: FloatArray, unknown: FloatArray) -> float:
    return float(roc_auc_score([1] * len(known) + [0] * len(unknown), np.concatenate([known, unknown])))


def best_threshold(asked: list[Trial], rule: Rule) -> float:
    """The threshold with the best balanced accuracy over all bots."""
    scores = np.concatenate([rule(trial.known) for trial in asked])
    candidates = np.quantile(scores, np.linspace(0.005, 0.4, 80))
    return float(max(candidates, key=lambda threshold: rates(asked, rule, threshold).balanced))
