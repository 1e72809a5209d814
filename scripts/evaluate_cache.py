"""Measure how often a shared reply would be the wrong one.

    python scripts/evaluate_cache.py --pairs FILE [--json FILE] [--plot FILE] [--encoder FOLDER]

The file holds JSON lines: `text_a`, `text_b`, and `label`, 1 if both are the same question, 0 if not. Prints which
share of the same is served (recall) and which share of the served is wrong, with the upper end of a one-sided 95 %
interval (Clopper and Pearson); what a threshold on the cosine does that serves as many of the same, and one that serves
as few of the others; why pairs were refused; and the CPU of one comparison, reading and embedding aside.

Draws the share of wrong ones against recall, as Parley's threshold moves and as the cosine's does, into the file that
--plot names; without it, beside the one of --json; without that, in the current folder under the name of --pairs.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray
from scipy.stats import beta

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER
from json_lines import rows_of
from nlu_plots import BLUE, DPI, GREY, ORANGE, STYLE, WIDTH
from parley.caching.sameness import Question, Verdict, compare
from parley.nlu.encoder import OnnxEncoder
from steps import Step, Stop, finish

FloatArray = NDArray[np.float64]

CONFIDENCE = 0.95
WARM_UP = 200  # comparisons whose time does not count


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions, and whether they are the same."""

    text_a: str
    text_b: str
    is_same: bool


@dataclass(frozen=True, slots=True)
class Served:
    """What is served at one threshold. Shares are in 0..1, None where nothing was to be served, or was."""

    hits: int  # of the same questions
    wrong: int  # of the others
    recall: float | None
    wrong_share: float | None
    wrong_at_most: float | None  # at CONFIDENCE
    threshold: float | None = None  # of the cosine


@dataclass(frozen=True, slots=True)
class Scores:
    """The whole evaluation."""

    same: int
    others: int
    parley: Served
    cosine_same_recall: Served
    cosine_same_wrong: Served
    refused: dict[str, tuple[int, int]]  # reason -> how many of the same, and of the others
    cpu_p50_ms: float
    cpu_p99_ms: float


def read_pairs(lines: Iterable[str]) -> list[Pair]:
    """Raises: Stop: a line is no pair, or there is none."""
    pairs = []
    for number, row in rows_of(lines):
        for name in ("text_a", "text_b"):
            if not isinstance(row.get(name), str) or not row[name].strip():
                raise Stop(f"line {number} has no {name!r}")
        if str(row.get("label")) not in ("0", "1", "True", "False"):
            raise Stop(f"line {number} has no 'label' that is 0 or 1")
        pairs.append(Pair(row["text_a"], row["text_b"], str(row["label"]) in ("1", "True")))
    if not pairs:
        raise Stop("there are no pairs")
    return pairs


def served(labels: NDArray[np.bool_], chosen: NDArray[np.bool_], threshold: float | None = None) -> Served:
    """The figures of one choice."""
    hits, wrong, count = int((chosen & labels).sum()), int((chosen & ~labels).sum()), int(labels.sum())
    total = hits + wrong
    most = 1.0 if wrong == total else float(beta.ppf(CONFIDENCE, wrong + 1, total - wrong))
    return Served(
        hits,
        wrong,
        hits / count if count else None,
        wrong / total if total else None,
        most if total else None,
        threshold,
    )


def cosine_serving(
    labels: NDArray[np.bool_], cosines: FloatArray, *, hits: int | None = None, wrong: int = 0
) -> Served:
    """What the cosine alone does at the threshold that serves `hits` of the same, or at most `wrong` of the others."""
    if hits is not None:
        ranked = np.sort(cosines[labels])[::-1]
        threshold = float(ranked[hits - 1]) if hits else np.inf
    else:
        ranked = np.sort(cosines[~labels])[::-1]
        threshold = float(np.nextafter(ranked[wrong], np.inf)) if wrong < len(ranked) else -1.0
    return served(labels, cosines >= threshold, threshold)


def judge(pairs: Sequence[Pair], questions: dict[str, Question]) -> tuple[list[Verdict], list[float]]:
    """The verdict on each pair, and the milliseconds of CPU that it took."""
    for pair in pairs[:WARM_UP]:
        compare(questions[pair.text_a], questions[pair.text_b])
    verdicts, spent = [], []
    for pair in pairs:
        one, other = questions[pair.text_a], questions[pair.text_b]
        began = time.process_time_ns()
        verdicts.append(compare(one, other))
        spent.append((time.process_time_ns() - began) / 1e6)
    return verdicts, spent


def scores_of(
    pairs: Sequence[Pair], verdicts: Sequence[Verdict], spent: Sequence[float], cosines: FloatArray
) -> Scores:
    """All figures."""
    labels = np.array([pair.is_same for pair in pairs])
    ours = served(labels, np.array([verdict.same for verdict in verdicts]))
    refused: dict[str, tuple[int, int]] = {}
    counted = Counter(
        (str(v.difference), pair.is_same) for v, pair in zip(verdicts, pairs, strict=True) if v.difference
    )
    for reason in sorted({reason for reason, _ in counted}):
        refused[reason] = counted[reason, True], counted[reason, False]
    return Scores(
        int(labels.sum()),
        int((~labels).sum()),
        ours,
        cosine_serving(labels, cosines, hits=ours.hits),
        cosine_serving(labels, cosines, wrong=ours.wrong),
        refused,
        float(np.quantile(spent, 0.5)),
        float(np.quantile(spent, 0.99)),
    )


def table(scores: Scores) -> str:
    """The figures for people."""
    lines = [f"{scores.same} pairs are the same question, {scores.others} are not", ""]
    lines += [f"{'':26}{'hits':>7}{'recall':>9}{'wrong':>7}{'share':>9}{'at most':>9}{'cosine':>9}"]
    rows = {
        "parley": scores.parley,
        "cosine, as many hits": scores.cosine_same_recall,
        "cosine, as many wrong": scores.cosine_same_wrong,
    }
    for name, each in rows.items():
        shares = (each.wrong_share, each.wrong_at_most, each.threshold)
        told = "".join(f"{'-' if share is None else f'{share:.4f}':>9}" for share in shares)
        recall = "-" if each.recall is None else f"{each.recall:.3f}"
        lines.append(f"{name:26}{each.hits:7}{recall:>9}{each.wrong:7}{told}")
    lines += ["", f"{'refused for':26}{'same':>7}{'others':>9}"]
    lines += [f"{reason:26}{ours:7}{others:9}" for reason, (ours, others) in scores.refused.items()]
    return "\n".join(
        [*lines, "", f"CPU of a comparison: p50 {scores.cpu_p50_ms:.3f} ms, p99 {scores.cpu_p99_ms:.3f} ms"]
    )


def curve(labels: NDArray[np.bool_], ranking: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Recall and the share of wrong ones at each threshold, strictest first; what ranks at -inf is never served."""
    order = np.argsort(-ranking, kind="stable")
    order = order[ranking[order] > -np.inf]
    right = np.cumsum(labels[order])
    ends = (
        np.append(np.flatnonzero(ranking[order][1:] != ranking[order][:-1]), len(order) - 1)
        if len(order)
        else np.zeros(0, np.int64)
    )
    return right[ends] / max(1, int(labels.sum())), 1 - right[ends] / (ends + 1)


def draw(labels: NDArray[np.bool_], verdicts: Sequence[Verdict], cosines: FloatArray, path: Path) -> None:
    """The share of wrong ones against recall."""
    ours = curve(labels, np.array([verdict.score for verdict in verdicts]))
    theirs = curve(labels, cosines)
    chosen = served(labels, np.array([verdict.same for verdict in verdicts]))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, WIDTH * 0.85), dpi=DPI, layout="constrained")
        axes.plot(*theirs, color=ORANGE, linewidth=2, linestyle="--", label="similarity (cosine) alone")
        axes.plot(*ours, color=BLUE, linewidth=2.5, label="Parley")
        axes.axhline(0.01, color=GREY, linewidth=1, linestyle=":", label="1 in 100 is wrong")
        if chosen.recall is not None and chosen.wrong_share is not None:
            label = f"Parley as it serves: {chosen.recall:.0%} served, {chosen.wrong_share:.1%} of these wrong"
            axes.plot(chosen.recall, chosen.wrong_share, "o", color=BLUE, markersize=9, clip_on=False, label=label)
        top = max([0.05, *theirs[1], *ours[1]])
        axes.set(xlim=(0, 1), ylim=(-0.02 * top, 1.05 * top))  # the best of curves lies on the axis
        axes.set(xlabel="same questions that are served (more is better)", ylabel="wrong among the served")
        axes.set_title("How often a shared reply is the wrong one (lower is better)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0 if axis is axes.xaxis or top > 0.1 else 1))
        figure.legend(loc="outside lower center", ncols=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=ENCODER)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(arguments)
    if not given.pairs.exists():
        raise Stop(f"{given.pairs} does not exist")
    try:
        pairs = read_pairs(given.pairs.read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise Stop(f"{given.pairs} is not UTF-8: {error}") from error
    encoder = OnnxEncoder(given.encoder)
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.text_a, pair.text_b)))
    questions = {}
    with Step("questions") as step:
        for number, text in enumerate(texts, 1):
            questions[text] = Question.of(encoder.encode(text), encoder.knows)
            step.say(f"{number} of {len(texts)}")
    verdicts, spent = judge(pairs, questions)
    cosines = np.array([float(questions[pair.text_a].vector @ questions[pair.text_b].vector) for pair in pairs])
    scores = scores_of(pairs, verdicts, spent, cosines)
    print(table(scores))
    if given.json:
        content: dict[str, Any] = asdict(scores)
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    picture = given.plot or (given.json.with_suffix(".png") if given.json else Path(f"{given.pairs.stem}.png"))
    draw(np.array([pair.is_same for pair in pairs]), verdicts, cosines, picture)
    print(f"the curve: {picture}")


if __name__ == "__main__":
    finish(main)
