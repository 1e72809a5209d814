"""Measure an encoder artefact against the float32 model it was made from.

    OMP_NUM_THREADS=1 python models/encoder/evaluate.py --data DIR [--folder models/encoder]

DIR holds clinc150/train.jsonl.gz and clinc150/valid.jsonl.gz. Prints one table: cosine to float32, CPU time per
sentence (tokenization included, one thread, the best of several rounds, because other programs only ever add to it),
size, load time and memory in a fresh process, and the accuracy of a logistic regression on CLINC150 validation.
Needs Linux and the training environment; three minutes on one core, most of it 18,000 sentences through float32.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from artefact import FILES, Encoder, FloatArray
from export import write_fp32_artefact
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).resolve().parent
REGULARISATION = 32.0  # scikit-learn's C, as the intent head uses it
COMPARED_SENTENCES = 500
ROUNDS = 9
SHORT_TOKENS, LONG_TOKENS = 12, 64

# VmHWM, because a child's ru_maxrss begins at its parent's.
FRESH_PROCESS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import numpy, onnxruntime, tokenizers
started = time.perf_counter()
from pathlib import Path
from artefact import Encoder
encoder = Encoder(Path(sys.argv[2]))
loaded = time.perf_counter()
encoder.embed("hello")
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(loaded - started, peak.split()[1])
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one artefact costs."""

    megabytes: float  # all files of the artefact
    load_seconds: float  # without the imports
    peak_megabytes: float  # resident, imports included, after the first sentence
    short_ms: float  # CPU, SHORT_TOKENS tokens
    long_ms: float  # CPU, LONG_TOKENS tokens


def measure(folder: Path) -> Measurement:
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, str(HERE), str(folder)], check=True, capture_output=True, text=True
    )
    load_seconds, peak_kilobytes = map(float, fresh.stdout.split())
    encoder = Encoder(folder)
    return Measurement(
        megabytes=sum((folder / name).stat().st_size for name in FILES) / 1e6,
        load_seconds=load_seconds,
        peak_megabytes=peak_kilobytes / 1024,
        short_ms=cpu_milliseconds(lambda: encoder.embed(_text_of(SHORT_TOKENS))),
        long_ms=cpu_milliseconds(lambda: encoder.embed(_text_of(LONG_TOKENS))),
    )


def cpu_milliseconds(call: Callable[[], object], repeats: int = 40) -> float:
    """CPU time of one call: the best mean over ROUNDS rounds."""
    means = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(repeats):
            call()
        means.append((time.process_time() - started) / repeats)
    return min(means) * 1000


def _text_of(tokens: int) -> str:
    words = ("when", "will", "the", "parcel", "with", "my", "new", "shoes", "arrive", "at", "home")  # a token each
    return " ".join(words[i % len(words)] for i in range(tokens - 2))  # [CLS] and [SEP] are added


def accuracy(train: FloatArray, train_labels: Sequence[str], valid: FloatArray, valid_labels: Sequence[str]) -> float:
    model = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(train, train_labels)
    return float(model.score(valid, valid_labels))


def read_rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def report(folder: Path, data: Path) -> str:
    """The table, as Markdown."""
    train, valid = (read_rows(data / "clinc150" / f"{split}.jsonl.gz") for split in ("train", "valid"))
    labels = [[row["intent"] for row in rows] for rows in (train, valid)]
    with tempfile.TemporaryDirectory() as scratch:
        reference = Path(scratch)
        write_fp32_artefact(reference)
        costs, scores, valid_vectors = [], [], []
        for artefact in (reference, folder):
            vectors = [Encoder(artefact).embed_all([row["text"] for row in rows]) for rows in (train, valid)]
            valid_vectors.append(vectors[1])
            scores.append(accuracy(vectors[0], labels[0], vectors[1], labels[1]))
            costs.append(measure(artefact))
    step = max(1, len(valid) // COMPARED_SENTENCES)
    cosines = (valid_vectors[0][::step] * valid_vectors[1][::step]).sum(axis=1)
    rows = [
        ("cosine to float32, mean (least)", ["1", f"{cosines.mean():.4f} ({cosines.min():.4f})"]),
        ("accuracy on CLINC150 valid, logistic regression", [f"{score:.4f}" for score in scores]),
        (f"CPU per sentence of {SHORT_TOKENS} tokens", [f"{cost.short_ms:.2f} ms" for cost in costs]),
        (f"CPU per sentence of {LONG_TOKENS} tokens", [f"{cost.long_ms:.2f} ms" for cost in costs]),
        ("size on disk", [f"{cost.megabytes:.1f} MB" for cost in costs]),
        ("load time", [f"{cost.load_seconds:.2f} s" for cost in costs]),
        ("memory after the first sentence", [f"{cost.peak_megabytes:.0f} MB" for cost in costs]),
    ]
    lines = ["| | float32 | this artefact |", "|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {reference} | {ours} |" for name, (reference, ours) in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=HERE, help="the artefact to measure")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds clinc150/")
    arguments = parser.parse_args()
    print(report(arguments.folder, arguments.data))


if __name__ == "__main__":
    main()
