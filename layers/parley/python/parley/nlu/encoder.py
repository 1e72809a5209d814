"""The sentence encoder: an INT8 ONNX model behind its tokenizer.

Knows how to run the artefact of models/encoder; its making stands there. Single
threaded on purpose: a Lambda function of our size has about one core, and a
second thread only spins.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from parley.errors import ModelUnavailable
from parley.ports import Encoded


class OnnxEncoder:
    """`ports.Encoder` over a folder with `model.onnx`, `tokenizer.json` and `config.json`."""

    def __init__(self, folder: Path) -> None:
        """Loads the model.

        Raises:
            ModelUnavailable: a file is missing or cannot be read.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # tokenizers and onnxruntime raise bare Exception
            raise ModelUnavailable(f"the encoder in {folder} cannot be loaded: {error}") from error
        self.version: str = config["version"]
        self._tokenizer.enable_truncation(int(config["max_tokens"]))
        self._tokenizer.no_padding()

    def encode(self, text: str) -> Encoded:
        """One text and each of its word pieces as vectors; what lies beyond the window does not count."""
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        vectors, tokens = self._session.run(["sentence_embedding", "token_embeddings"], feed)
        return Encoded(text, vectors[0], tokens[0, 1:-1], tuple(encoding.offsets[1:-1]))  # without [CLS] and [SEP]

    def knows(self, word: str) -> bool:
        """Whether a word is a piece of its own; of others the encoder knows their pieces only."""
        normalizer = self._tokenizer.normalizer  # not every tokenizer has one
        plain = normalizer.normalize_str(word) if normalizer else word
        return self._tokenizer.token_to_id(plain) is not None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The meaning of each text as a vector; what lies beyond the model's window does not count.

        One text at a time: the INT8 layers share one scale per call, so that in a batch a text's
        vector would depend on its neighbours and their padding.

        Shapes:
            returns: (N, 384) float32, rows of unit length
        """
        return np.stack([self.encode(text).vector for text in texts])
