"""What an encoder costs and how good it still is: one report row for an ONNX file or a Hugging Face folder.

Knows size, parameters, accuracy, closeness to a baseline, time, load time and memory. Knows nothing of how a model
was made. Linux only (memory is read from /proc). Times are CPU times; the two models take turns in one process, so that
what else runs on the machine hits both alike and their ratio can be believed where the milliseconds cannot.

    from models.compression import measure, report
    row = measure.measure(Path("student"), baseline=Path("teacher"), name="student", step="distil", parent="teacher",
                          settings={"layers": 3}, train=Path("train.jsonl.gz"), valid=Path("valid.jsonl.gz"))
    report.append(row, Path("report.jsonl"))
"""

import gzip
import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.compression.embedders import (
    Embedder,
    FloatArray,
    embed_all,
    load_embedder,
    onnx_file,
    tokenizer_file,
)
from models.compression.packed4 import load_state_dict
from models.compression.report import Row, Setting

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".parley" / "embeddings"  # a baseline is embedded once, not once per variant
REGULARISATION = 32.0  # scikit-learn's C for unit vectors, as models/encoder/README.md measures
SHORT_TOKENS, LONG_TOKENS = 12, 64
ROUNDS = 15
CALLS_PER_ROUND = {SHORT_TOKENS: 20, LONG_TOKENS: 6}

# VmHWM, because a child's ru_maxrss begins at its parent's.
FRESH_PROCESS = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from models.compression.embedders import load_embedder, onnx_file
model, tokenizer = Path(sys.argv[2]), Path(sys.argv[3])
if onnx_file(model) is None:
    import torch, transformers
started = time.perf_counter()
embedder = load_embedder(model, tokenizer)
loaded = time.perf_counter()
embedder.embed("hello")
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(loaded - started, int(peak.split()[1]) * 1024)
"""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts and what they mean, each at the same place."""

    texts: tuple[str, ...]
    intents: tuple[str, ...]


def measure(
    model: Path,
    tokenizer: Path | None = None,
    baseline: Path | None = None,
    *,
    name: str,
    step: str,
    settings: Mapping[str, Setting] | None = None,
    parent: str | None = None,
    train: Path | None = None,
    valid: Path | None = None,
    baseline_tokenizer: Path | None = None,
) -> Row:
    """The row of one model; without `train` and `valid` there is no accuracy, without a baseline no cosine or ratio.

    `model` and `baseline` are ONNX files, folders with a model.onnx, or Hugging Face folders; a missing tokenizer is
    looked for beside its model.
    """
    tokenizer = tokenizer or tokenizer_file(model)
    embedder = load_embedder(model, tokenizer)
    reference = None
    if baseline is not None:
        baseline_tokenizer = baseline_tokenizer or tokenizer_file(baseline)
        reference = load_embedder(baseline, baseline_tokenizer)
    accuracy = mean = least = None
    if valid is not None:
        held_out = read_labelled(valid)
        vectors = cached_vectors(embedder, model, tokenizer, held_out.texts)
        if train is not None:
            taught = read_labelled(train)
            accuracy = intent_accuracy(
                cached_vectors(embedder, model, tokenizer, taught.texts), taught.intents, vectors, held_out.intents
            )
        if reference is not None and baseline is not None and baseline_tokenizer is not None:
            mean, least = cosines(vectors, cached_vectors(reference, baseline, baseline_tokenizer, held_out.texts))
    times = {tokens: interleaved_ms(embedder, reference, tokens) for tokens in (SHORT_TOKENS, LONG_TOKENS)}
    load_seconds, peak_bytes = fresh_process(model, tokenizer)
    parameters, nonzeros = count_parameters(model)
    return Row(
        name=name,
        step=step,
        settings=dict(settings or {}),
        parent=parent,
        size_bytes=weight_bytes(model),
        parameters=parameters,
        nonzeros=nonzeros,
        accuracy=accuracy,
        cosine_mean=mean,
        cosine_least=least,
        short_ms=times[SHORT_TOKENS][0],
        long_ms=times[LONG_TOKENS][0],
        short_ratio=times[SHORT_TOKENS][1],
        long_ratio=times[LONG_TOKENS][1],
        load_seconds=load_seconds,
        peak_bytes=peak_bytes,
    )


def read_labelled(path: Path) -> Labelled:
    """The rows of a JSONL or JSONL.gz file with `text` and `intent`.

    Raises:
        ValueError: a line lacks either; says which.
    """
    texts, intents = [], []
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                texts.append(str(row["text"]))
                intents.append(str(row["intent"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: needs `text` and `intent` ({error})") from error
    return Labelled(tuple(texts), tuple(intents))


def intent_accuracy(
    train: FloatArray, train_intents: Sequence[str], valid: FloatArray, valid_intents: Sequence[str]
) -> float:
    """The share of validation texts whose intent a logistic regression on frozen embeddings names.

    Shapes:
        train: (N, D); valid: (M, D)
    """
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(train, train_intents)
    return float(head.score(valid, valid_intents))


def cosines(vectors: FloatArray, references: FloatArray) -> tuple[float | None, float | None]:
    """Mean and least cosine, row by row; None where the two have not the same number of dimensions."""
    if vectors.shape != references.shape:
        return None, None
    each = (vectors * references).sum(axis=1)
    return float(each.mean()), float(each.min())


def cached_vectors(embedder: Embedder, model: Path, tokenizer: Path, texts: Sequence[str]) -> FloatArray:
    """The embeddings of the texts; kept on disk under a hash of weights, tokenizer and texts.

    Shapes:
        returns: (len(texts), D) float32
    """
    digest = hashlib.sha256(tokenizer.read_bytes())
    for file in sorted([*weight_files(model), *(model.glob("*.json") if model.is_dir() else ())]):
        digest.update(file.read_bytes())
    digest.update("\0".join(texts).encode())
    path = CACHE / f"{digest.hexdigest()[:32]}.npy"
    if path.exists():
        return np.asarray(np.load(path), dtype=np.float32)
    vectors = embed_all(embedder, texts)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors)
    return vectors


def text_of(embedder: Embedder, tokens: int) -> str:
    """A text that the embedder's tokenizer cuts into exactly `tokens` pieces, the special ones included.

    Raises:
        ValueError: its vocabulary has none of the words tried.
    """
    words = ("when", "will", "the", "parcel", "with", "my", "new", "shoes", "arrive", "at", "home", "what", "is", "it")
    bare = len(embedder.tokenizer.encode("").ids)
    single = [word for word in words if len(embedder.tokenizer.encode(word).ids) == bare + 1]
    if not single:
        raise ValueError("the tokenizer has no everyday English word as one token, so there is no text of known length")
    return " ".join(single[place % len(single)] for place in range(tokens - bare))


def interleaved_ms(embedder: Embedder, reference: Embedder | None, tokens: int) -> tuple[float, float | None]:
    """CPU milliseconds of one call, and how many times the reference's that is: medians over rounds that take turns."""
    own, ratios = [], []
    text = text_of(embedder, tokens)
    other = None if reference is None else text_of(reference, tokens)
    for turn in range(ROUNDS + 1):
        mine = _round_ms(embedder, text, CALLS_PER_ROUND[tokens])
        theirs = None if reference is None or other is None else _round_ms(reference, other, CALLS_PER_ROUND[tokens])
        if turn == 0:  # the first round warms up
            continue
        own.append(mine)
        if theirs is not None:
            ratios.append(mine / theirs)
    return statistics.median(own), statistics.median(ratios) if ratios else None


def _round_ms(embedder: Embedder, text: str, calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        embedder.embed(text)
    return (time.process_time() - started) / calls * 1000


def fresh_process(model: Path, tokenizer: Path) -> tuple[float, int]:
    """Seconds to load, imports not counted, and bytes resident after the first sentence, imports counted."""
    command = [sys.executable, "-c", FRESH_PROCESS, str(ROOT), str(model), str(tokenizer)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[-2]), int(said[-1])


def weight_files(model: Path) -> list[Path]:
    """The files that hold the weights: the ONNX file and its external data, or the folder's safetensors."""
    graph = onnx_file(model)
    if graph is None:
        return sorted(model.glob("*.safetensors"))
    return [graph, *sorted(graph.parent.glob(f"{graph.name}[._]data"))]


def weight_bytes(model: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(model))


def count_parameters(model: Path) -> tuple[int, int]:
    """How many weights the model has, and how many of them are not zero."""
    graph = onnx_file(model)
    if graph is not None:
        from models.compression.onnx_weights import count_onnx

        return count_onnx(graph)
    weights = [each for each in load_state_dict(model).values() if each.dtype.kind == "f"]
    return sum(each.size for each in weights), sum(int(np.count_nonzero(each)) for each in weights)
