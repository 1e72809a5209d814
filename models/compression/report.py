"""The report of a compression: one row for each step, the Pareto front, a table and a picture.

Knows how rows are kept (JSON lines, one line appended per step) and drawn. Knows nothing of how a model is measured
(measure.py) or made. Needs the standard library only; the picture needs matplotlib.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """What one model is and costs. What does not apply to it, or was not measured, is None."""

    name: str  # unique in a report: of two rows with one name the later counts
    step: str  # original, distil, prune, quantize ...
    settings: Mapping[str, Setting] = field(default_factory=dict)
    parent: str | None = None  # the name of the row that this one was made from
    size_bytes: int = 0  # of the weights: the ONNX file with its external data, or the folder's safetensors
    parameters: int | None = None
    nonzeros: int | None = None
    accuracy: float | None = None  # share of validation texts that logistic regression on the embeddings gets right
    cosine_mean: float | None = None  # to the baseline, over the validation texts
    cosine_least: float | None = None
    short_ms: float | None = None  # CPU for 12 tokens, tokenization included, one thread
    long_ms: float | None = None  # the same for 64 tokens
    short_ratio: float | None = None  # short_ms over the baseline's in the same run: what other machines can compare
    long_ratio: float | None = None
    load_seconds: float | None = None  # in a fresh process, imports not counted
    peak_bytes: int | None = None  # resident memory of that process after the first sentence, imports included
    extra: Mapping[str, float] = field(
        default_factory=dict
    )  # what only some models have: perplexity, tokens per second


def append(row: Row, path: Path) -> None:
    """Add one line to the report; the file and its folder are made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")


def read(path: Path) -> list[Row]:
    """The rows in the order in which their names first appeared, the latest of each name.

    Raises:
        ValueError: a line is no row; says which.
    """
    known = {each.name for each in fields(Row)}
    rows: dict[str, Row] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values: dict[str, Any] = json.loads(line)
            row = Row(**{key: value for key, value in values.items() if key in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: no row of a report ({error})") from error
        rows[row.name] = row
    return list(rows.values())


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other one beats: none costs at most as much, gives at least as much, and is better in one.

    Shapes:
        points: (cost, gain) each
        returns: one flag per point; of equal points all are on the front or none

    Source: the usual definition of dominance, e.g. Deb 2001, "Multi-Objective Optimization", section 2.4
    """
    return [
        not any(
            other_cost <= cost and other_gain >= gain and (other_cost < cost or other_gain > gain)
            for other_cost, other_gain in points
        )
        for cost, gain in points
    ]


def front_names(rows: Iterable[Row], cost: str) -> set[str]:
    """The names of the rows on the front of accuracy against `cost`, a field of Row; rows that lack either are out."""
    whole = [row for row in rows if row.accuracy is not None and getattr(row, cost)]
    flags = pareto_front([(getattr(row, cost), row.accuracy) for row in whole])
    return {row.name for row, on_front in zip(whole, flags, strict=True) if on_front}


def markdown(rows: Sequence[Row]) -> str:
    """The table; S marks the Pareto front of accuracy against size, T that against the CPU time of 12 tokens."""
    smallest, fastest = front_names(rows, "size_bytes"), front_names(rows, "short_ratio")
    extras = list(dict.fromkeys(name for row in rows for name in row.extra))
    heads = ["model", "from", "front", "MB", "parameters", "non-zero", "accuracy", "cosine (least)"]
    heads += ["CPU ms, 12 tokens", "x baseline", "CPU ms, 64 tokens", "x baseline", "load s", "memory MB", *extras]
    lines = ["| " + " | ".join(heads) + " |", "|---" * 2 + "|:-:" + "|--:" * (len(heads) - 3) + "|"]
    for row in rows:
        front = "".join(mark for mark, names in (("S", smallest), ("T", fastest)) if row.name in names)
        cosine = "" if row.cosine_mean is None else f"{row.cosine_mean:.4f} ({_number(row.cosine_least, 4)})"
        cells = [
            f"**{row.name}**" if front else row.name,
            row.parent or "",
            front,
            f"{row.size_bytes / 1e6:.2f}",
            "" if row.parameters is None else f"{row.parameters / 1e6:.2f} M",
            "" if row.nonzeros is None or not row.parameters else f"{row.nonzeros / row.parameters:.1%}",
            _number(row.accuracy, 4),
            cosine,
            _number(row.short_ms, 2),
            _number(row.short_ratio, 2),
            _number(row.long_ms, 2),
            _number(row.long_ratio, 2),
            _number(row.load_seconds, 2),
            "" if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f}",
            *(_number(row.extra.get(name), 2) for name in extras),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


# Colours and marks that people with any colour vision can tell apart: Wong 2011, "Points of view: Color blindness".
_STYLES = {
    "original": ("#000000", "s"),
    "export": ("#56B4E9", "D"),
    "distil": ("#009E73", "^"),
    "prune": ("#CC79A7", "v"),
    "quantize": ("#0072B2", "o"),
}
_OTHER_STYLE = ("#E69F00", "P")
_FRONT_COLOUR = "#D55E00"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture: accuracy against size and against CPU time, with the Pareto front as a line.

    Raises:
        ValueError: no row has both an accuracy and a size.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [row for row in rows if row.accuracy is not None]
    if not shown:
        raise ValueError("no row of the report has an accuracy, so there is nothing to draw")
    ordered = sorted(shown, key=lambda row: row.size_bytes)
    numbers = {row.name: number for number, row in enumerate(ordered, 1)}
    figure, axes = plt.subplots(1, 2, figsize=(13, 6.5), sharey=True)
    _panel(axes[0], shown, numbers, "size_bytes", 1e-6, "size of the weights, MB")
    timed = [row for row in shown if row.short_ratio]
    _panel(axes[1], timed, numbers, "short_ratio", 1.0, "CPU time of 12 tokens, baseline = 1")
    axes[0].set_ylabel("accuracy on the validation texts")
    names = "\n".join(f"{numbers[row.name]:>3}  {row.name}" for row in ordered)
    figure.text(0.755, 0.5, names, va="center", ha="left", fontsize=9, linespacing=1.5)
    handles, labels = _legend(axes)
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.4, 0.0), ncols=len(labels), frameon=False)
    figure.subplots_adjust(left=0.06, right=0.74, top=0.97, bottom=0.16, wspace=0.06)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _panel(axis: Any, rows: Sequence[Row], numbers: Mapping[str, int], cost: str, unit: float, label: str) -> None:
    front = sorted((row for row in rows if row.name in front_names(rows, cost)), key=lambda row: getattr(row, cost))
    corners = [(getattr(row, cost) * unit, row.accuracy) for row in front]
    if corners:
        ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.3}
        axis.plot(*zip(*corners, strict=True), color=_FRONT_COLOUR, label="Pareto front", zorder=1, **ring)
    for step in dict.fromkeys(row.step for row in rows):
        colour, mark = _STYLES.get(step, _OTHER_STYLE)
        of_step = [row for row in rows if row.step == step]
        places = [getattr(row, cost) * unit for row in of_step]
        axis.scatter(places, [row.accuracy for row in of_step], c=colour, marker=mark, s=36, label=step, zorder=2)
    axis.set_xscale("log")
    axis.set_xlabel(label)
    axis.grid(which="both", alpha=0.25)
    ticks = (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20, 30, 50, 100, 200, 500)
    costs = [getattr(row, cost) * unit for row in rows]
    low, high = min(costs) / 1.3, max(costs) * 1.3
    axis.set_xlim(low, high)
    axis.set_xticks([tick for tick in ticks if low <= tick <= high], minor=False)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(lambda *_: "")
    _number_points(axis, rows, numbers, cost, unit)


def _number_points(axis: Any, rows: Sequence[Row], numbers: Mapping[str, int], cost: str, unit: float) -> None:
    """Put each row's number beside its mark, where it covers no mark and no other number."""
    axis.margins(y=0.08)
    axis.figure.canvas.draw()
    marks = [axis.transData.transform((getattr(row, cost) * unit, row.accuracy)) for row in rows]
    taken = [(float(x), float(y)) for x, y in marks]
    for row, (x, y) in sorted(zip(rows, list(taken), strict=True), key=lambda each: each[1]):
        place = max(_OFFSETS, key=lambda offset: _room(x + offset[0], y + offset[1], taken) - 0.3 * _length(offset))
        taken.append((x + place[0], y + place[1]))
        far = _length(place) > 14
        axis.annotate(
            str(numbers[row.name]),
            (getattr(row, cost) * unit, row.accuracy),
            xytext=(place[0] * 0.72, place[1] * 0.72),  # pixels at 100 dpi to points
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8.5,
            arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "#555555", "shrinkA": 4} if far else None,
        )


_OFFSETS = [
    (radius * x, radius * y)
    for radius in (12, 20, 30, 42)
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
]
_ENOUGH_PIXELS = 16  # between two numbers, or a number and a mark


def _room(x: float, y: float, taken: Sequence[tuple[float, float]]) -> float:
    nearest = min(_length((x - other_x, (y - other_y) * 1.2)) for other_x, other_y in taken)
    return 20 * min(nearest / _ENOUGH_PIXELS, 1.0)


def _length(offset: tuple[float, float]) -> float:
    return float((offset[0] ** 2 + offset[1] ** 2) ** 0.5)


def _legend(axes: Sequence[Any]) -> tuple[list[Any], list[str]]:
    known: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    return list(known.values()), list(known)
