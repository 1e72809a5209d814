"""Print what supports the thresholds of README.md: when to refuse an utterance, when to decline a question.

    OMP_NUM_THREADS=1 python models/encoder/thresholds.py --data DIR [--folder models/encoder]

DIR holds clinc150/, hwu64/, dstc9_faq_kb/ and text/. Needs the training environment. Three minutes on one core. Same
data, same numbers.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from artefact import Encoder, FloatArray
from evaluate import read_rows
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from small_bots import RULES, Collection, Trial, area, best_threshold, rates, trials
from small_libraries import KINDS, Asked, ask, libraries

HERE = Path(__file__).resolve().parent
SEED = 7
BOTS = 20  # per collection and size
SIZES = ((5, 10), (10, 10), (10, 20), (10, 30), (15, 20))  # intents, examples each; CLINC150 has 15 intents a domain
CHOSEN_RULE = "probability x cosine to nearest example"
INTENT_THRESHOLDS = (0.15, 0.20, 0.25, 0.30, 0.35)
COVERAGE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
CHOSEN_WEIGHT = 0.3
KNOWLEDGE_THRESHOLDS = (0.40, 0.45, 0.50, 0.55, 0.60)
FEWEST = 50  # questions of a kind, to give a share of them


class Embedder:
    """Embeds each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, FloatArray] = {}

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        for text in texts:
            if text not in self._known:
                self._known[text] = self._encoder.embed(text)
        return np.stack([self._known[text] for text in texts])


def collection(name: str, data: Path, embed: Embedder) -> Collection:
    train, valid = (read_rows(data / name / f"{split}.jsonl.gz") for split in ("train", "valid"))
    foreign = read_rows(data / "clinc150" / "oos_valid.jsonl.gz")
    return Collection(
        train=embed([row["text"] for row in train]),
        train_intents=np.array([row["intent"] for row in train]),
        train_domains=np.array([row.get("domain", "") for row in train]),
        valid=embed([row["text"] for row in valid]),
        valid_intents=np.array([row["intent"] for row in valid]),
        foreign=embed([row["text"] for row in foreign]),
    )


def print_intents(data: Path, embed: Embedder) -> None:
    clinc, hwu = collection("clinc150", data, embed), collection("hwu64", data, embed)
    drawn: dict[tuple[str, int, int], list[Trial]] = {}
    for label, source, one_domain in (
        ("CLINC150", clinc, False),
        ("CLINC150, one domain", clinc, True),
        ("HWU64", hwu, False),
    ):
        for intents, examples in SIZES:
            drawn[label, intents, examples] = list(
                trials(source, intents, examples, bots=BOTS, one_domain=one_domain, seed=SEED)
            )
    fitted = [trial for (label, *_), group in drawn.items() if label != "HWU64" for trial in group]
    unseen = [trial for (label, *_), group in drawn.items() if label == "HWU64" for trial in group]
    print("\nIntents: one threshold, chosen on CLINC150 bots, applied to HWU64 bots\n")
    print("| rule | threshold | CLINC150: AUROC other, foreign | F1 | HWU64: AUROC other, foreign | F1 |")
    print("|---|---|---|---|---|---|")
    for name, rule in RULES.items():
        threshold = best_threshold(fitted, rule)
        cells = [
            f"{'{:.3f}, {:.3f}'.format(*area(group, rule))} | {rates(group, rule, threshold).f1:.3f}"
            for group in (fitted, unseen)
        ]
        print(f"| {name} | {threshold:.3f} | {cells[0]} | {cells[1]} |")
    print(f"\nIntents: {CHOSEN_RULE}, at several thresholds\n")
    print("| bots | threshold | kept | kept and right | other refused | foreign refused | F1 |")
    print("|---|---|---|---|---|---|---|")
    for (label, intents, examples), group in drawn.items():
        for threshold in INTENT_THRESHOLDS:
            r = rates(group, RULES[CHOSEN_RULE], threshold)
            print(
                f"| {label}, {intents} intents x {examples} | {threshold:.2f} | {r.kept:.3f} | {r.right:.3f} "
                f"| {r.other:.3f} | {r.foreign:.3f} | {r.f1:.3f} |"
            )


def print_knowledge(data: Path, embed: Embedder) -> None:
    asked: dict[str, list[Asked]] = defaultdict(list)
    for library in libraries(data, SEED):
        asked[library.collection].extend(ask(library, embed))
    print("\nKnowledge: cosine + weight x word coverage, share declined where 90 % of the answerable are kept\n")
    print("| collection | weight | right passage first | AUROC distant, near, chat | declined distant, near, chat |")
    print("|---|---|---|---|---|")
    for name, group in asked.items():
        for weight in COVERAGE_WEIGHTS:
            scores, first = _scores(group, weight)
            limit = float(np.quantile(scores["answerable"], 0.1))
            areas = [_area(scores["answerable"], scores[kind]) for kind in KINDS[1:]]
            declined = [_share(scores[kind] < limit) for kind in KINDS[1:]]
            print(f"| {name} | {weight} | {first.mean():.3f} | {', '.join(areas)} | {', '.join(declined)} |")
    print(f"\nKnowledge: weight {CHOSEN_WEIGHT}, at several thresholds\n")
    print("| collection | threshold | answered | right among the answered | declined distant, near, chat |")
    print("|---|---|---|---|---|")
    for name, group in asked.items():
        scores, first = _scores(group, CHOSEN_WEIGHT)
        for threshold in KNOWLEDGE_THRESHOLDS:
            answered = scores["answerable"] >= threshold
            declined = [_share(scores[kind] < threshold) for kind in KINDS[1:]]
            print(
                f"| {name} | {threshold:.2f} | {answered.mean():.3f} | {first[answered].mean():.3f} "
                f"| {', '.join(declined)} |"
            )


def _scores(group: list[Asked], weight: float) -> tuple[dict[str, FloatArray], FloatArray]:
    """The best passage's score per kind of question, and whether it was the right one for the answerable."""
    combined = [(asked, asked.cosines + weight * asked.coverage) for asked in group]
    scores = {kind: np.array([s.max() for asked, s in combined if asked.kind == kind]) for kind in KINDS}
    first = np.array([s.argmax() == asked.passage for asked, s in combined if asked.kind == "answerable"])
    return scores, first


def _area(answerable: FloatArray, other: FloatArray) -> str:
    if len(other) < FEWEST:
        return "-"
    labels = [1] * len(answerable) + [0] * len(other)
    return f"{roc_auc_score(labels, np.concatenate([answerable, other])):.3f}"


def _share(flags: NDArray[np.bool_]) -> str:
    return f"{flags.mean():.3f}" if len(flags) >= FEWEST else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE, help="the encoder artefact")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    arguments = parser.parse_args()
    embed = Embedder(Encoder(arguments.folder))
    print_intents(arguments.data, embed)
    print_knowledge(arguments.data, embed)


if __name__ == "__main__":
    main()
