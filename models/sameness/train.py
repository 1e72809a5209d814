"""Train the network that says whether two questions are the same.

    python models/sameness/train.py --teacher MPNET [--build models/sameness/build] [--encoder models/encoder]
        [--stage teach|learn] [--teacher-minutes 1.92] [--student-minutes 1.75] [--share 1] [--layers N]

Reads what prepare.py wrote into --build. Two stages, both unless one is named:

    teach   --teacher's folder (all-mpnet-base-v2) finds pairs among the texts, learns from labelled ones as a
            cross-encoder, and scores all of them; writes --build/taught.npz and --build/questions.json
    learn   the encoder that ships reads every question; the student learns from labels and teacher;
            writes --build/sameness.npz, which goes to layers/parley/python/parley/caching/

Each ends with a table: of the pairs in --build/measure, which share of the same is found where 0, 1, 2 and 5 in a
hundred of the found are wrong. The default minutes are those of an H100; mining, scoring and reading on 16 cores add
some three. What is read of all questions takes 12 GB of the GPU's memory and of the machine's. Without a GPU a small
--share and --layers show that it runs.
"""

import argparse
import gzip
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pairs import Pair, Text
from states import read_states
from student import Desk, Lesson, train_student
from teacher import Labelled, Teacher, mine, train_teacher

HERE = Path(__file__).parent
MOST_PAIRS = 280_000  # of those that edits.py made
MOST_UNLABELLED = 380_000
WRONG_SHARES = (0.0, 0.01, 0.02, 0.05)


@dataclass(frozen=True, slots=True)
class Corpus:
    """What prepare.py wrote, and the number of every text in it."""

    texts: list[Text]
    pairs: list[Pair]
    measured: list[Pair]
    numbers: dict[str, int]

    def ends(self, pairs: Sequence[Pair]) -> NDArray[np.int64]:
        """The numbers of both texts. Shapes: returns (P, 2)"""
        return np.array([(self.numbers[pair.text_a], self.numbers[pair.text_b]) for pair in pairs])


def read_corpus(build: Path, share: float, rng: random.Random) -> Corpus:
    """What prepare.py wrote, or a share of it."""

    def rows(path: Path) -> list[dict]:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    texts = [Text(**row) for row in rows(build / "texts.jsonl.gz")]
    pairs = [Pair(**row) for row in rows(build / "pairs.jsonl.gz")]
    pairs = rng.sample(pairs, min(len(pairs), MOST_PAIRS))
    measured = [
        Pair(**json.loads(line), source=path.stem)
        for path in sorted((build / "measure").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    if share < 1:
        texts, pairs, measured = (rng.sample(each, int(len(each) * share)) for each in (texts, pairs, measured))
    numbers: dict[str, int] = {}
    for text in (*(each.text for each in texts), *(each for p in (*pairs, *measured) for each in (p.text_a, p.text_b))):
        numbers.setdefault(text, len(numbers))
    print(f"{len(numbers)} questions, {len(pairs)} pairs made of them, {len(measured)} to measure with", flush=True)
    return Corpus(texts, pairs, measured, numbers)


def teach(given: argparse.Namespace, device: str) -> None:
    """Find pairs, train the teacher, let it judge them all."""
    rng = random.Random(1)
    corpus = read_corpus(given.build, given.share, rng)
    teacher = Teacher(given.teacher, list(corpus.numbers), device, given.layers)
    numbers = [corpus.numbers[text.text] for text in corpus.texts]
    mined = mine(corpus.texts, numbers, teacher.vectors(numbers), device, rng)
    labelled: list[Labelled] = [
        (int(a), int(b), int(pair.label or 0))
        for (a, b), pair in zip(corpus.ends(corpus.pairs), corpus.pairs, strict=True)
    ]
    labelled += mined.labelled
    rng.shuffle(labelled)
    unlabelled = rng.sample(mined.unlabelled, min(len(mined.unlabelled), MOST_UNLABELLED))
    same = sum(label for *_, label in labelled)
    print(f"{len(labelled)} labelled pairs, {same} the same, and {len(unlabelled)} others", flush=True)
    train_teacher(teacher, labelled, given.teacher_minutes, rng)
    measured = [(int(a), int(b)) for a, b in corpus.ends(corpus.measured)]
    both_ways = (teacher.scores(measured) + teacher.scores([(b, a) for a, b in measured])) / 2
    print(table(corpus.measured, {"teacher": both_ways}), flush=True)
    pairs = [(a, b) for a, b, _ in labelled] + unlabelled
    (given.build / "questions.json").write_text(json.dumps(list(corpus.numbers)), encoding="utf-8")
    np.savez_compressed(
        given.build / "taught.npz",
        pairs=np.array(pairs),
        labels=np.array([label for *_, label in labelled] + [-1] * len(unlabelled), np.int8),
        teacher=teacher.scores(pairs),
        measured=both_ways,
    )


def learn(given: argparse.Namespace, device: str) -> None:
    """Read every question and train the student."""
    corpus = read_corpus(given.build, given.share, random.Random(1))
    questions = json.loads((given.build / "questions.json").read_text(encoding="utf-8"))
    if questions != list(corpus.numbers):
        raise SystemExit("questions.json is of other files or another --share: run --stage teach again")
    read = read_states(questions, given.encoder, given.processes)
    with np.load(given.build / "taught.npz") as taught:
        lesson = Lesson(taught["pairs"], taught["labels"], taught["teacher"])
        teacher = taught["measured"]
    desk = Desk(read, device)
    train_student(desk, lesson, given.student_minutes)
    ends = corpus.ends(corpus.measured)
    vectors = read.vectors.astype(np.float32)
    cosines = (vectors[ends[:, 0]] * vectors[ends[:, 1]]).sum(axis=1)
    print(table(corpus.measured, {"cosine": cosines, "teacher": teacher, "student": desk.scores(ends)}), flush=True)
    np.savez_compressed(given.build / "sameness.npz", **desk.weights())
    print(given.build / "sameness.npz")


def table(pairs: Sequence[Pair], scores: dict[str, NDArray[np.float32]]) -> str:
    """Which share of the same is found at each share of wrong ones; a line for each source and way."""
    labels, sources = np.array([pair.label for pair in pairs]), np.array([pair.source for pair in pairs])
    lines = [f"{'wrong among the found':32}" + "".join(f"{share:>8.2f}" for share in WRONG_SHARES)]
    for source in dict.fromkeys(sources):
        here = sources == source
        for name, each in scores.items():
            found = "".join(f"{share:8.3f}" for share in _found(labels[here], each[here]))
            lines.append(f"{source:20}{name:12}{found}")
    return "\n".join(lines)


def _found(labels: NDArray[np.int64], scores: NDArray[np.float32]) -> list[float]:
    right = np.cumsum(labels[np.argsort(-scores)])
    wrong_share = 1 - right / np.arange(1, len(labels) + 1)
    best = [right[wrong_share <= most] for most in WRONG_SHARES]
    return [float(each.max(initial=0) / max(1, labels.sum())) for each in best]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, help="the folder of all-mpnet-base-v2; not needed to learn")
    parser.add_argument("--build", type=Path, default=HERE / "build")
    parser.add_argument("--encoder", type=Path, default=HERE.parent / "encoder")
    parser.add_argument("--stage", choices=("teach", "learn"), help="only this one")
    parser.add_argument("--teacher-minutes", type=float, default=1.92)
    parser.add_argument("--student-minutes", type=float, default=1.75)
    parser.add_argument("--share", type=float, default=1.0, help="of the texts and pairs, 0..1")
    parser.add_argument("--layers", type=int, help="how many of the teacher's layers are used")
    parser.add_argument("--processes", type=int, help="that read questions; by default as many as there are cores")
    given = parser.parse_args()
    if given.stage != "learn" and given.teacher is None:
        parser.error("--teacher is needed to teach")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(1)
    began = time.monotonic()
    if given.stage != "learn":
        teach(given, device)
    if given.stage != "teach":
        learn(given, device)
    print(f"{time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
