"""How good an understanding is, in numbers. Pure: readings in, figures out; knows no models, files or pictures.

A reading is one utterance with what was wanted and what was got. Intents are scored on the intent that ranks first,
whether or not the head would have acted on it; what the head's own threshold does is told apart. Utterances that
belong to no intent count for the out-of-scope figures only.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score, roc_curve

FloatArray = NDArray[np.float64]

KEPT_SHARE = (
    0.95  # of what is in scope, at which the recall of what is not is quoted, as the CLINC150 paper's readers do
)
CALIBRATION_BINS = 15  # Guo et al. (2017)
CURVE_POINTS = 200  # of a curve in the JSON; a picture shows no more


@dataclass(frozen=True, slots=True)
class Span:
    """An entity by its place."""

    start: int
    end: int
    name: str
    role: str | None = None

    @property
    def key(self) -> tuple[int, int, str]:
        """What must be the same for the entity to be found."""
        return self.start, self.end, self.name


@dataclass(frozen=True, slots=True)
class Reading:
    """One utterance, what was wanted and what was got."""

    text: str
    place: str
    wanted: str | None  # None: it belongs to no intent
    got: str  # the intent that ranks first
    confidence: float  # its probability
    in_scope: float  # 0..1, how likely the utterance belongs to any intent
    kept: bool  # the head's own threshold let it through
    marked: tuple[Span, ...] = ()
    found: tuple[Span, ...] = ()
    trial: int = 0  # which fold or seed

    @property
    def right(self) -> bool:
        """Whether the intent that ranks first is the wanted one."""
        return self.got == self.wanted


@dataclass(frozen=True, slots=True)
class Rates:
    """Precision, recall, their harmonic mean, and of how many."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class IntentScores:
    """How well intents are told apart."""

    accuracy: float
    macro_f1: float  # the mean of the F1 of all intents that were asked for
    per_trial: tuple[float, ...]  # accuracy of each fold or seed
    kept: float  # share that the head's own threshold let through
    kept_and_right: float  # share that it let through with the wanted intent
    intents: dict[str, Rates]
    names: tuple[str, ...]  # of the matrix's rows and columns
    matrix: NDArray[np.int64]  # (C, C), rows wanted, columns got


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a confidence of 0.8 is right 8 times of 10."""

    error: float  # expected calibration error
    confidence: FloatArray  # (B,) mean of each bin that is not empty
    accuracy: FloatArray  # (B,)
    counts: NDArray[np.int64]  # (B,)


@dataclass(frozen=True, slots=True)
class ScopeScores:
    """How well what belongs to no intent is told from what does. Recall is of what does not."""

    count: int
    auroc: float
    recall_at_kept: float  # where at least KEPT_SHARE of what is in scope is kept
    threshold_at_kept: float
    kept: float  # with the head's own threshold: share of what is in scope
    recall: float
    precision: float
    false_alarms: FloatArray  # (P,) ROC: share of what is in scope that is refused
    recalls: FloatArray  # (P,)


@dataclass(frozen=True, slots=True)
class EntityScores:
    """Entities: a span counts as found if beginning, end and name are right (the convention of conlleval)."""

    micro: Rates
    names: dict[str, Rates]
    roles_right: float | None  # of the entities found whose example marks a role; None: no role is marked
    unasked: int  # found, of kinds that the data never marks, such as system entities; not counted


def intent_scores(readings: Sequence[Reading]) -> IntentScores:
    """Scores of the readings that belong to an intent."""
    wanted, got = [str(r.wanted) for r in readings], [r.got for r in readings]
    names = sorted(set(wanted) | set(got))
    asked = sorted(set(wanted))
    columns = precision_recall_fscore_support(wanted, got, labels=asked, zero_division=0)
    intents = {
        name: Rates(float(p), float(r), float(f), int(n)) for name, p, r, f, n in zip(asked, *columns, strict=True)
    }
    trials = sorted({reading.trial for reading in readings})
    return IntentScores(
        accuracy=share(r.right for r in readings),
        macro_f1=float(np.mean([rates.f1 for rates in intents.values()])),
        per_trial=tuple(share(r.right for r in readings if r.trial == trial) for trial in trials),
        kept=share(r.kept for r in readings),
        kept_and_right=share(r.kept and r.right for r in readings),
        intents=intents,
        names=tuple(names),
        matrix=_matrix(wanted, got, names),
    )


def _matrix(wanted: Sequence[str], got: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    at = {name: position for position, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, ([at[name] for name in wanted], [at[name] for name in got]), 1)
    return matrix


def share(outcomes: Iterable[bool]) -> float:
    """The share that is true."""
    listed = list(outcomes)
    return sum(listed) / len(listed) if listed else 0.0


def confusions(scores: IntentScores) -> list[tuple[str, str, int]]:
    """Which intent was taken for which, how often; the most frequent first."""
    rows, columns = np.nonzero(scores.matrix)
    found = [
        (scores.names[row], scores.names[column], int(scores.matrix[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if row != column
    ]
    return sorted(found, key=lambda item: (-item[2], item[0], item[1]))


def calibration(readings: Sequence[Reading]) -> Calibration:
    """ECE = sum over bins of (n_b / n) |accuracy_b - confidence_b|, bins of equal width.

    Source: Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, equation 3
    """
    confidence = np.array([r.confidence for r in readings])
    right = np.array([r.right for r in readings], dtype=np.float64)
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    full = counts > 0
    mean_confidence = np.bincount(bins, confidence, CALIBRATION_BINS)[full] / counts[full]
    mean_right = np.bincount(bins, right, CALIBRATION_BINS)[full] / counts[full]
    error = float(np.sum(counts[full] / len(readings) * np.abs(mean_right - mean_confidence)))
    return Calibration(error, mean_confidence, mean_right, counts[full])


def scope_scores(readings: Sequence[Reading]) -> ScopeScores | None:
    """Scores of telling the readings apart that belong to an intent; None without both kinds.

    Each trial has a head of its own, so areas, recalls and thresholds are taken per trial and averaged; the curve is
    drawn over all.
    """
    outside = [r for r in readings if r.wanted is None]
    within = [r for r in readings if r.wanted is not None]
    trials = {r.trial for r in outside} & {r.trial for r in within}
    if not trials:
        return None
    areas, recalls, thresholds = [], [], []
    for trial in sorted(trials):
        known = np.sort([r.in_scope for r in within if r.trial == trial])
        unknown = np.array([r.in_scope for r in outside if r.trial == trial])
        areas.append(area(known, unknown))
        thresholds.append(float(known[int((1 - KEPT_SHARE) * len(known) + 1e-9)]))
        recalls.append(float((unknown < thresholds[-1]).mean()))
    false_alarms, curve, _ = roc_curve(
        [r.wanted is None for r in within + outside], [-r.in_scope for r in within + outside]
    )
    refused = [r for r in readings if not r.kept]
    return ScopeScores(
        count=len(outside),
        auroc=float(np.mean(areas)),
        recall_at_kept=float(np.mean(recalls)),
        threshold_at_kept=float(np.mean(thresholds)),
        kept=share(r.kept for r in within),
        recall=share(not r.kept for r in outside),
        precision=share(r.wanted is None for r in refused),
        false_alarms=false_alarms,
        recalls=curve,
    )


def area(known: FloatArray, unknown: FloatArray) -> float:
    """Area under the ROC curve: how often what is in scope scores above what is not, a tie counting half."""
    return float(roc_auc_score([1] * len(known) + [0] * len(unknown), np.concatenate([known, unknown])))


def entity_scores(readings: Sequence[Reading]) -> EntityScores | None:
    """Scores of the entities; None where the data marks none. Kinds that the data never marks are not counted.

    Precision is the share of what was found that is marked so, recall the share of what is marked that was found.

    Source: Tjong Kim Sang and De Meulder (2003), Introduction to the CoNLL-2003 Shared Task, section 2.3
    """
    names = sorted({span.name for reading in readings for span in reading.marked})
    if not names:
        return None
    marked, found, both, unasked = Counter[str](), Counter[str](), Counter[str](), 0
    roles: list[bool] = []
    for reading in readings:
        wanted = {span.key: span for span in reading.marked}
        marked.update(span.name for span in reading.marked)
        for span in reading.found:
            if span.name not in names:
                unasked += 1
                continue
            found[span.name] += 1
            if span.key in wanted:
                both[span.name] += 1
                if wanted[span.key].role is not None:
                    roles.append(wanted[span.key].role == span.role)
    return EntityScores(
        micro=_rates(both.total(), found.total(), marked.total()),
        names={name: _rates(both[name], found[name], marked[name]) for name in names},
        roles_right=share(roles) if roles else None,
        unasked=unasked,
    )


def _rates(both: int, found: int, marked: int) -> Rates:
    precision, recall = both / found if found else 0.0, both / marked if marked else 0.0
    return Rates(precision, recall, 2 * both / (found + marked) if found + marked else 0.0, marked)


def misread(readings: Sequence[Reading]) -> list[Reading]:
    """The readings whose intent is wrong, the surest first."""
    wrong = [r for r in readings if r.wanted is not None and not r.right]
    return sorted(wrong, key=lambda r: (-r.confidence, r.text))


def thinned(curve: FloatArray) -> list[float]:
    """At most CURVE_POINTS points of a curve, its ends among them."""
    at = np.unique(np.linspace(0, len(curve) - 1, min(CURVE_POINTS, len(curve))).round().astype(int))
    return [round(float(value), 5) for value in curve[at]]
