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
