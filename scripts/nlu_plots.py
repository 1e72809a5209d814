"""Pictures of an evaluation, as PNG files. Knows scores and matplotlib; nothing is measured here.

Drawn for a phone held upright: one column, large type. The colours are Okabe and Ito's, which people with any kind of
colour blindness can tell apart, and no picture says anything by colour alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nlu_scores import KEPT_SHARE, Calibration, IntentScores, Reading, ScopeScores, confusions

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
WIDTH = 6.4  # inches; at DPI it fills a phone's width
DPI = 160
NAMED_INTENTS = 24  # more names than that cannot be read beside one matrix
BLOCK_INTENTS = 14  # of the most confused ones, drawn large
LONGEST_NAME = 26

mpl.use("Agg")
STYLE: Any = {  # the stub knows 300 keys by name
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


def draw_confusions(scores: IntentScores, path: Path) -> None:
    """The confusion matrix: with few intents the whole, with many its most confused block and the whole below."""
    if len(scores.names) <= NAMED_INTENTS:
        side = WIDTH * max(1.0, len(scores.names) / 16)
        figure = _figure(side, side * 0.95)
        _matrix(figure.subplots(), scores.matrix, scores.names, "Wanted (rows) and got (columns)")
    else:
        figure = _figure(WIDTH, WIDTH * 2.0)
        above, below = figure.subplots(2, 1, height_ratios=[1, 1])
        block = most_confused(scores)
        at = [scores.names.index(name) for name in block]
        title = f"The {len(block)} most confused of {len(scores.names)} intents"
        _matrix(above, scores.matrix[np.ix_(at, at)], block, title)
        _overview(below, scores)
    _save(figure, path)


def most_confused(scores: IntentScores) -> list[str]:
    """The intents in the most frequent confusions; those that are confused with each other stand together."""
    chosen: list[str] = []
    for pair in confusions(scores):
        new = [name for name in pair[:2] if name not in chosen]
        if len(chosen) + len(new) > BLOCK_INTENTS:
            break
        known = next((chosen.index(name) for name in pair[:2] if name in chosen), len(chosen) - 1)
        chosen[known + 1 : known + 1] = new
    return chosen or list(scores.names[:BLOCK_INTENTS])


def _matrix(axes: Axes, matrix: NDArray[np.int64], names: Sequence[str], title: str) -> None:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.set_title(title)
    labels = [_short(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=9)
    axes.set_yticks(range(len(names)), labels, fontsize=9)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    size = 9 if len(names) <= BLOCK_INTENTS else 7
    for row, column in zip(*np.nonzero(matrix), strict=True):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=size, color=colour)


def _overview(axes: Axes, scores: IntentScores) -> None:
    """All intents, without names: right answers as a thin line, each wrong one as a dot of its frequency."""
    count = len(scores.names)
    rows, columns = np.nonzero(scores.matrix)
    wrong = rows != columns
    times = scores.matrix[rows, columns]
    axes.plot([0, count - 1], [0, count - 1], color=BLUE, linewidth=0.8, zorder=1)
    axes.scatter(columns[wrong], rows[wrong], s=9 * times[wrong], color=ORANGE, alpha=0.75, linewidths=0, zorder=2)
    axes.set(xlim=(-1, count), ylim=(count, -1), aspect="equal")
    axes.set_xlabel("got, intents by name")
    axes.set_ylabel("wanted, intents by name")
    axes.set_title(f"All {count} intents; a dot's area is how often")


def draw_confidences(readings: Sequence[Reading], path: Path) -> None:
    """How sure the head is where it is right and where it is wrong."""
    figure = _figure(WIDTH, WIDTH * 0.9)
    above, below = figure.subplots(2, 1, sharex=True)
    bins = np.linspace(0, 1, 21).tolist()
    for axes, right, colour in ((above, True, BLUE), (below, False, ORANGE)):
        confidences = [r.confidence for r in readings if r.right == right]
        axes.hist(confidences, bins=bins, color=colour, edgecolor="white")
        median = f", median confidence {np.median(confidences):.2f}" if confidences else ""
        axes.set_title(f"{'Right' if right else 'Wrong'}: {len(confidences):,} utterances{median}")
        axes.set_ylabel("utterances")
        axes.set_xlim(0, 1)
        axes.yaxis.get_major_locator().set_params(integer=True)
    below.set_xlabel("confidence of the intent that ranks first")
    _save(figure, path)


def draw_reliability(calibrated: Calibration, path: Path) -> None:
    """Share that is right against confidence, bin by bin, and how many utterances each bin has."""
    figure = _figure(WIDTH, WIDTH * 1.15)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    above.vlines(calibrated.confidence, calibrated.confidence, calibrated.accuracy, color=ORANGE, label="gap")
    above.plot(calibrated.confidence, calibrated.accuracy, "o-", color=BLUE, label="measured")
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
    above.set_title(f"Expected calibration error {calibrated.error:.3f}")
    above.legend(loc="best")
    below.bar(calibrated.confidence, calibrated.counts, width=0.04, color=BLUE)
    below.set(xlabel="confidence", ylabel="utterances", xlim=(0, 1))
    _save(figure, path)


def draw_scope(scores: ScopeScores, path: Path) -> None:
    """ROC of refusing what is out of scope; and its recall against the share of what is in scope that is kept."""
    figure = _figure(WIDTH, WIDTH * 1.7)
    above, below = figure.subplots(2, 1)
    above.plot(scores.false_alarms, scores.recalls, color=BLUE, linewidth=2)
    above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    above.set(xlim=(-0.01, 1), ylim=(0, 1.01), xlabel="in scope, but refused", ylabel="out of scope, refused")
    above.set_title(f"ROC, area {scores.auroc:.3f}")
    kept = 1 - scores.false_alarms
    below.plot(kept, scores.recalls, color=BLUE, linewidth=2)
    at_kept = f"{KEPT_SHARE:.0%} kept: recall {scores.recall_at_kept:.3f}"
    below.plot(KEPT_SHARE, scores.recall_at_kept, "o", color=ORANGE, markersize=9, label=at_kept)
    own = f"the head's threshold: {scores.kept:.1%} kept, recall {scores.recall:.3f}"
    below.plot(scores.kept, scores.recall, "D", color=GREEN, markersize=9, label=own)
    left = max(0.0, min(0.8, scores.kept - 0.05))  # what matters is on the right
    below.set(xlim=(left, 1.003), ylim=(0, 1.02), xlabel="in scope and kept", ylabel="recall of out of scope")
    below.set_title("Recall of what is out of scope")
    below.legend(loc="lower left")
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    mpl.rcParams.update(STYLE)
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


def _short(name: str) -> str:
    """The name, or its beginning and its end: names that differ often differ there."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
