"""The sentence encoder: an INT8 ONNX model behind its tokenizer.

Knows how to run the artefact of models/encoder; its making stands there. Single
threaded on purpose: a Lambda function of our size has about one core, and a
second thread only spins.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from parley.errors import ModelUnavailable
from parley.nlu.parts import APART_TOKENS, Span, vectors_of, with_last_layer
from parley.ports import Encoded


class OnnxEncoder:
    """`ports.Encoder` over a folder with `model.onnx`, `tokenizer.json` and `config.json`."""

    def __init__(self, folder: Path) -> None:
        """Loads the model.

        Raises:
            ModelUnavailable: a file is missing or cannot be read.
        """
        self.folder = folder
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._session = _session(str(folder / "model.onnx"))
        except Exception as error:  # tokenizers and onnxruntime raise bare Exception
            raise ModelUnavailable(f"the encoder in {folder} cannot be loaded: {error}") from error
        self.version: str = config["version"]
        self._max_tokens = int(config["max_tokens"])
        self._tokenizer.enable_truncation(self._max_tokens)
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

    def read(self, text: str, parts: Sequence[Span]) -> NDArray[np.float32]:
        """The meaning of a text, all of it, and of parts of it, which are given as spans of characters.

        A long text takes hardly longer than `embed` of it alone; of a short one each part is read by itself.

        Shapes:
            returns: (1 + P, 384) float32, rows of unit length: the text, then its parts
        """
        session, last_layer = self._reading
        encoding = self._tokenizer.encode(text)
        if len(encoding.ids) <= APART_TOKENS or not last_layer:  # "": another architecture's graph
            return self.embed([text, *(text[begin:end] for begin, end in parts)])
        pieces = (encoding, *encoding.overflowing)
        ids = [token for piece in pieces for token in piece.ids[1:-1]]
        begins = [begin for piece in pieces for begin, _ in piece.offsets[1:-1]]

        def hidden(first: int, last: int) -> NDArray[np.float32]:
            window = np.array([[encoding.ids[0], *ids[first:last], encoding.ids[-1]]], dtype=np.int64)
            feed = {"input_ids": window, "attention_mask": np.ones_like(window)}
            return np.asarray(session.run([last_layer], feed)[0][0])

        spans = [tuple(np.searchsorted(begins, part)) for part in parts]
        return vectors_of(len(ids), spans, hidden, most=self._max_tokens - 2)

    @cached_property
    def _reading(self) -> tuple[onnxruntime.InferenceSession, str]:
        """A session of its own, so that a turn, which reads no passages, has no room for it."""
        model, last_layer = with_last_layer((self.folder / "model.onnx").read_bytes())
        return _session(model), last_layer


def _session(model: str | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
