"""The encoder artefact on disk: how to load it, embed with it and name its content.

Needs onnxruntime and tokenizers only, as the Lambda does. Knows nothing of how the artefact was made (export.py) or
how good it is (evaluate.py).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

FloatArray = NDArray[np.float32]

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "config.json"
FILES = (MODEL_FILE, TOKENIZER_FILE, CONFIG_FILE)
OUTPUT = "sentence_embedding"


@dataclass(frozen=True, slots=True)
class Config:
    """What config.json says about the two files beside it."""

    name: str
    version: str  # content_version() of the folder
    dimensions: int
    max_tokens: int  # longer texts are cut, by the truncation written into tokenizer.json
    licence: str


def content_version(folder: Path) -> str:
    """The first 16 hex digits of SHA-256 over the model and the tokenizer, in this order."""
    digest = hashlib.sha256()
    for name in (MODEL_FILE, TOKENIZER_FILE):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def read_config(folder: Path) -> Config:
    return Config(**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))


class Encoder:
    """Sentences to unit vectors, one thread, one sentence per call.

    Activations are quantized with one scale per call, so what else is in a batch changes a sentence's vector a
    little. One sentence per call gives the same vector at compile time and at run time.
    """

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            folder / MODEL_FILE, sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))

    def embed(self, text: str) -> FloatArray:
        """The unit vector of one text.

        Shapes:
            returns: (384,) float32
        """
        return self.outputs(text, [OUTPUT])[0][0]

    def outputs(self, text: str, names: Sequence[str]) -> list[FloatArray]:
        """The named outputs of the graph for one text, each with a batch axis of 1 in front."""
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)  # (1, T)
        return self._session.run(list(names), {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    def embed_all(self, texts: Sequence[str]) -> FloatArray:
        """The unit vectors of many texts, each embedded alone.

        Shapes:
            returns: (len(texts), 384) float32
        """
        return np.stack([self.embed(text) for text in texts])
