"""Measure an encoder on few examples per intent: how often a logistic regression on its vectors is right.

    python models/encoder/fewshot.py --data DIR --model FOLDER [--shots 10 5] [--seeds 3] [--sets hwu64]

FOLDER is an artefact (model.onnx) or a Hugging Face folder. Examples are drawn from the train files by seed, accuracy
is on the valid files, mean over the seeds. CPU, one thread.
"""

import argparse
import gzip
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # models/ is no package that could be installed

from models.compression.embedders import MODEL_FILE, TOKENIZER_FILE, Embedder, HuggingFaceEmbedder, OnnxEmbedder

TRAIN_FILES = {"clinc150": "train", "banking77": "train_minus_valid", "hwu64": "train"}
REGULARISATION = 10.0  # scikit-learn's C


def read(path: Path) -> tuple[list[str], NDArray[np.str_]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["text"] for row in rows], np.array([row["intent"] for row in rows])


def drawn(intents: NDArray[np.str_], shots: int, seed: int) -> NDArray[np.int64]:
    """Indices of `shots` examples of each intent, or all where there are fewer."""
    chance = np.random.default_rng(seed)
    places = [np.flatnonzero(intents == intent) for intent in np.unique(intents)]
    return np.concatenate([chance.choice(each, min(shots, len(each)), replace=False) for each in places])


def accuracies(embedder: Embedder, data: Path, name: str, shots: list[int], seeds: int) -> dict[int, float]:
    """Number of examples per intent -> accuracy on valid, mean over the seeds."""
    texts, intents = read(data / name / f"{TRAIN_FILES[name]}.jsonl.gz")
    valid_texts, valid_intents = read(data / name / "valid.jsonl.gz")
    valid = np.stack([embedder.embed(text) for text in valid_texts])
    draws = {(each, seed): drawn(intents, each, seed) for each in shots for seed in range(seeds)}
    needed = np.unique(np.concatenate(list(draws.values())))
    vectors = dict(zip(needed.tolist(), (embedder.embed(texts[index]) for index in needed), strict=True))
    scores: dict[int, list[float]] = {each: [] for each in shots}
    for (each, _), indices in draws.items():
        head = LogisticRegression(C=REGULARISATION, max_iter=1000)
        head.fit(np.stack([vectors[index] for index in indices.tolist()]), intents[indices])
        scores[each].append(float(head.score(valid, valid_intents)))
    return {each: float(np.mean(values)) for each, values in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds clinc150/, banking77/ and hwu64/")
    parser.add_argument("--model", type=Path, required=True, help="an artefact or a Hugging Face folder")
    parser.add_argument("--shots", type=int, nargs="+", default=[10, 5], help="examples per intent")
    parser.add_argument("--seeds", type=int, default=3, help="how many draws")
    parser.add_argument("--sets", nargs="+", choices=TRAIN_FILES, default=list(TRAIN_FILES))
    arguments = parser.parse_args()
    graph, tokenizer = arguments.model / MODEL_FILE, arguments.model / TOKENIZER_FILE
    whole = graph.exists()
    embedder = OnnxEmbedder(graph, tokenizer) if whole else HuggingFaceEmbedder(arguments.model, tokenizer)
    for name in arguments.sets:
        scores = accuracies(embedder, arguments.data, name, arguments.shots, arguments.seeds)
        print(name, ", ".join(f"{shots}: {score:.4f}" for shots, score in scores.items()), flush=True)


if __name__ == "__main__":
    main()
