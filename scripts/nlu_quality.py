"""The quality that the understanding aims at, and how far it is: public collections, their figures and goals.

Knows which file is taught and which is asked. Everything is measured on `valid` files, by `evaluate_nlu`; nothing here
may teach anything that ships.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compile_bot import ENCODER
from evaluate_nlu import evaluate, plan_files
from nlu_report import Evaluation
from nlu_trial import RememberingEncoder
from parley.nlu.encoder import OnnxEncoder
from steps import Step, Stop

Figure = tuple[str, float, float]  # what, measured, goal


def accuracy(evaluation: Evaluation) -> float:
    """Per cent of what is in scope whose intent ranks first."""
    return 100 * evaluation.intents.accuracy


def auroc(evaluation: Evaluation) -> float:
    """Area under the ROC curve of what is out of scope."""
    return evaluation.scope.auroc if evaluation.scope else 0.0


def recall(evaluation: Evaluation) -> float:
    """Recall of what is out of scope where 95 % of what is in scope is kept."""
    return evaluation.scope.recall_at_kept if evaluation.scope else 0.0


def span_f1(evaluation: Evaluation) -> float:
    """F1 of entities, in per cent."""
    return 100 * evaluation.entities.micro.f1 if evaluation.entities else 0.0


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection: its files, and its goals by how many examples per intent are taught (None: all)."""

    folder: str
    train: str
    valid: str
    goals: dict[int | None, tuple[tuple[str, Callable[[Evaluation], float], float], ...]]
    oos: str | None = None


COLLECTIONS = (
    Collection(
        "clinc150",
        "train.jsonl.gz",
        "valid.jsonl.gz",
        {
            None: (
                ("CLINC150, all: accuracy in scope, %", accuracy, 96.8),
                ("CLINC150, all: out of scope, AUROC", auroc, 0.980),
                ("CLINC150, all: recall with 95 % kept", recall, 0.91),
            ),
            10: (("CLINC150, 10 per intent: accuracy, %", accuracy, 93.5),),
            5: (("CLINC150, 5 per intent: accuracy, %", accuracy, 90.5),),
        },
        oos="oos_valid.jsonl.gz",
    ),
    Collection(
        "banking77",
        "train_minus_valid.jsonl.gz",  # train.jsonl.gz contains valid
        "valid.jsonl.gz",
        {
            None: (("BANKING77, all: accuracy, %", accuracy, 93.8),),
            10: (("BANKING77, 10 per intent: accuracy, %", accuracy, 87.5),),
        },
    ),
    Collection(
        "hwu64",
        "train.jsonl.gz",
        "valid.jsonl.gz",
        {
            None: (("HWU64, all: accuracy, %", accuracy, 92.8),),
            10: (("HWU64, 10 per intent: accuracy, %", accuracy, 85.0),),
        },
    ),
    Collection(
        "snips",
        "bio_train.jsonl.gz",  # published F1 is on this split
        "bio_valid.jsonl.gz",
        {None: (("SNIPS slots: F1 of spans, %", span_f1, 95.0),)},
    ),
)


def quality(data: Path, only: Sequence[str] | None = None) -> Iterator[Figure]:
    """Each figure as it is measured.

    Raises:
        Stop: a file is missing or cannot be used, or there is no such collection.
    """
    known = [collection.folder for collection in COLLECTIONS]
    if unknown := [name for name in only or () if name not in known]:
        raise Stop(f"{', '.join(unknown)}: not among {', '.join(known)}")
    for collection in COLLECTIONS:
        if only is None or collection.folder in only:
            yield from _figures(collection, data / collection.folder)


def _figures(collection: Collection, folder: Path) -> Iterator[Figure]:
    encoder = RememberingEncoder(OnnxEncoder(ENCODER))  # draws of one collection share their texts
    for shots, goals in collection.goals.items():
        plan = plan_files(
            folder / collection.train,
            folder / collection.valid,
            oos_test=folder / collection.oos if collection.oos else None,
            examples_per_intent=shots,
        )
        with Step(collection.folder) as step:
            evaluation = evaluate(plan, encoder, step.say)
            seconds = f"{evaluation.times.encode_seconds:.0f} s to encode, {evaluation.times.fit_seconds:.0f} s to fit"
            step.say(f"{f'{shots} per intent' if shots else 'all'}, {seconds}")
        for name, figure, goal in goals:
            yield name, figure(evaluation), goal
