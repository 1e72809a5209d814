"""How well a model foresees replies: perplexity per reply token, of anything that gives logits.

    python models/generator/perplexity.py [--artefact models/generator/artefact] [--valid FILE] [--windows 300]

Knows conversations and ONNX files; needs no torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer
from tokens import conversation_tokens, read_windows

HERE = Path(__file__).parent

Logits = Callable[[np.ndarray], np.ndarray]  # (1, T) int64 token ids -> (1, T, V) float32


def onnx_logits(folder: Path) -> Logits:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    decoder = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]["decoder"]
    caches = {
        argument.name: np.zeros((1, decoder["num_key_value_heads"], 0, decoder["head_size"]), np.float32)
        for argument in session.get_inputs()
        if argument.name.startswith("past_key_values")
    }

    def logits(ids: np.ndarray) -> np.ndarray:
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), **caches}
        return session.run(["logits"], feed)[0]

    return logits


def perplexity(logits: Logits, tokenizer: Tokenizer, windows: list[list[str]]) -> float:
    """Perplexity per reply token, END included, each conversation on its own."""
    total, count = 0.0, 0
    for ids, reply in conversation_tokens(tokenizer, windows):
        scores = logits(np.array([ids], np.int64))[0, :-1].astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        log_likelihood = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        places = np.flatnonzero(reply[1:])
        total -= log_likelihood[places, np.array(ids[1:])[places]].sum()
        count += len(places)
    return float(np.exp(total / count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artefact", type=Path, default=HERE / "artefact")
    parser.add_argument("--valid", type=Path, default=HERE / "build" / "valid.jsonl", help="as prepare.py writes it")
    parser.add_argument("--windows", type=int, default=300)
    arguments = parser.parse_args()
    windows = read_windows(arguments.valid)[-arguments.windows :]
    tokenizer = Tokenizer.from_file(str(arguments.artefact / "tokenizer.json"))
    print(f"{perplexity(onnx_logits(arguments.artefact), tokenizer, windows):.2f} on {len(windows)} windows")


if __name__ == "__main__":
    main()
