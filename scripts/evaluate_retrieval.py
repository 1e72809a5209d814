"""Measure how well passages are found, and how well it is known that none answers.

    python scripts/evaluate_retrieval.py --passages FILE --questions FILE [--json FILE] [--encoder FOLDER]

Both files hold JSON lines: `id`, `title`, `text` of each passage; and `question`, `passage` (the id of the one that
answers, or none), `answerable` of each question. Prints, for Parley's search and for its two halves, words alone (BM25)
and meaning alone (one vector a passage), which share of the answerable questions have their passage among the first 1,
5 and 10 (recall), the mean of one over its rank (MRR, of the first 100), which share of the unanswerable is declined at
the threshold that still answers 90 % of the others, and the CPU of a search, which does not count the embedding of the
question. What Parley's own threshold does stands below, and which would answer 90 %: a bot with other documents sets
`knowledge: {threshold: ...}` in its bot.yml.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER
from json_lines import rows_of
from parley.conversation import Citation
from parley.knowledge.snapshot import MIN_SCORE, Passage, Snapshot, readings_of
from parley.nlu.encoder import OnnxEncoder
from steps import Step, Stop, finish

FloatArray = NDArray[np.float32]
T = TypeVar("T")
# The passages that fit best, best first, and the score of the first.
Search = Callable[[str, FloatArray], tuple[Sequence[int], float]]

DEPTH = 100
ANSWERED_SHARE = 0.90


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the number of the passage that answers it."""

    text: str
    passage: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search made of one question."""

    rank: int | None  # of the passage that answers, from 0; None: not found, or none answers
    score: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares are in 0..1, None where no question of that kind was asked."""

    recall_at_1: float | None
    recall_at_5: float | None
    recall_at_10: float | None
    mrr: float | None
    declined_when_unanswerable: float | None  # at the threshold that answers 90 % of the answerable
    threshold: float | None  # that one
    cpu_p50_ms: float
    cpu_p99_ms: float


def read_passages(lines: Iterable[str]) -> tuple[list[str], list[Passage]]:
    """The ids, and the passages in their order.

    Raises: Stop: a line lacks something, or an id comes twice.
    """
    ids: dict[str, None] = {}
    passages = []
    for number, row in rows_of(lines):
        try:
            name, title, text = str(row["id"]), str(row.get("title") or ""), str(row["text"])
        except KeyError as error:
            raise Stop(f"passage on line {number} has no {error}") from error
        if name in ids:
            raise Stop(f"passage on line {number}: the id {name!r} came before")
        ids[name] = None
        passages.append(Passage(Citation(title, name, "", text), {}))
    if not passages:
        raise Stop("there are no passages")
    return list(ids), passages


def read_questions(lines: Iterable[str], ids: Sequence[str]) -> list[Question]:
    """Raises: Stop: a line lacks something, or names a passage that is not there."""
    places = {name: place for place, name in enumerate(ids)}
    questions = []
    for number, row in rows_of(lines):
        if "question" not in row:
            raise Stop(f"question on line {number} has no 'question'")
        named = row.get("passage")
        if not row.get("answerable", named is not None):
            questions.append(Question(str(row["question"]), None))
            continue
        if str(named) not in places:
            raise Stop(f"question on line {number}: there is no passage {named!r}")
        questions.append(Question(str(row["question"]), places[str(named)]))
    if not questions:
        raise Stop("there are no questions")
    return questions


def searches(snapshot: Snapshot) -> dict[str, Search]:
    """Parley's search, and its halves."""
    places = {id(passage.citation): place for place, passage in enumerate(snapshot.passages)}

    def parley(text: str, embedding: FloatArray) -> tuple[Sequence[int], float]:
        found = snapshot.search(text, embedding, limit=DEPTH)
        return [places[id(each.passage)] for each in found], found[0].score

    def ranked(scores: FloatArray) -> tuple[Sequence[int], float]:
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        return best.tolist(), float(scores[best[0]])

    return {
        "parley": parley,
        "BM25 alone": lambda text, _: ranked(snapshot.index.scores(text)),
        "dense alone": lambda _, embedding: ranked(snapshot.vectors @ embedding),
    }


def ask(search: Search, questions: Sequence[Question], embeddings: Sequence[FloatArray]) -> list[Outcome]:
    """What a search makes of each question."""
    outcomes = []
    for question, embedding in zip(questions, embeddings, strict=True):
        began = time.process_time()
        found, score = search(question.text, embedding)
        cpu_ms = (time.process_time() - began) * 1000
        rank = next((rank for rank, place in enumerate(found) if place == question.passage), None)
        outcomes.append(Outcome(rank, score, cpu_ms))
    return outcomes


def scores_of(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Scores:
    """The figures of one search."""
    asked = list(zip(questions, outcomes, strict=True))
    answerable = [outcome for question, outcome in asked if question.passage is not None]
    others = [outcome.score for question, outcome in asked if question.passage is None]

    def among_first(count: int) -> float | None:
        return _share([each.rank is not None and each.rank < count for each in answerable])

    threshold = float(np.quantile([each.score for each in answerable], 1 - ANSWERED_SHARE)) if answerable else None
    return Scores(
        among_first(1),
        among_first(5),
        among_first(10),
        _share([0.0 if each.rank is None else 1 / (each.rank + 1) for each in answerable]),
        None if threshold is None else _share([score < threshold for score in others]),
        threshold,
        float(np.quantile([each.cpu_ms for each in outcomes], 0.5)),
        float(np.quantile([each.cpu_ms for each in outcomes], 0.99)),
    )


def _share(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def read_all(read: Callable[[T], FloatArray], things: Sequence[T], step: Step, what: str) -> list[FloatArray]:
    """What is read of each thing, on all cores."""
    done = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for vectors in pool.map(read, things):
            done.append(vectors)
            step.say(f"{len(done)} of {len(things)} {what}")
    return done


def table(scores: dict[str, Scores]) -> str:
    """One line for each search."""
    head = f"{'':12}{'r@1':>8}{'r@5':>8}{'r@10':>8}{'MRR':>8}{'declined':>10}{'CPU p50':>10}{'p99 ms':>8}"
    lines = []
    for name, each in scores.items():
        shares = (each.recall_at_1, each.recall_at_5, each.recall_at_10, each.mrr)
        told = "".join(f"{'-' if share is None else f'{share:.3f}':>8}" for share in shares)
        declined = "-" if each.declined_when_unanswerable is None else f"{each.declined_when_unanswerable:.3f}"
        lines.append(f"{name:12}{told}{declined:>10}{each.cpu_p50_ms:10.2f}{each.cpu_p99_ms:8.2f}")
    return "\n".join([head, *lines])


def at_own_threshold(questions: Sequence[Question], outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    """What Parley does with its own threshold, in shares."""
    asked = list(zip(questions, outcomes, strict=True))
    return {
        "answered": _share([outcome.score >= MIN_SCORE for question, outcome in asked if question.passage is not None]),
        "declined": _share([outcome.score < MIN_SCORE for question, outcome in asked if question.passage is None]),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=ENCODER)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    for path in (given.passages, given.questions):
        if not path.exists():
            raise Stop(f"{path} does not exist")
    ids, passages = read_passages(given.passages.read_text(encoding="utf-8").splitlines())
    questions = read_questions(given.questions.read_text(encoding="utf-8").splitlines(), ids)
    encoder = OnnxEncoder(given.encoder)
    with Step("passages") as step:
        readings = read_all(lambda each: readings_of(each.citation, encoder), passages, step, "passages")
        snapshot = Snapshot.of(passages, readings)
    with Step("questions") as step:
        embeddings = read_all(lambda each: encoder.encode(each.text).vector, questions, step, "questions")
    outcomes = {name: ask(search, questions, embeddings) for name, search in searches(snapshot).items()}
    scores = {name: scores_of(questions, each) for name, each in outcomes.items()}
    own = at_own_threshold(questions, outcomes["parley"])
    print(table(scores))
    told = ", ".join(f"{name} {share:.3f}" for name, share in own.items() if share is not None)
    print(f"at Parley's own threshold, {MIN_SCORE}: {told} (answered: of the answerable; declined: of the others)")
    if scores["parley"].threshold is not None:
        print(f"{ANSWERED_SHARE:.0%} are answered at {scores['parley'].threshold:.2f}")
    if given.json:
        content = {"searches": {name: asdict(each) for name, each in scores.items()}, "at_own_threshold": own}
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    finish(main)
