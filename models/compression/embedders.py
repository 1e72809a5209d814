"""Sentences to unit vectors, whatever file the encoder lies in: ONNX, an artefact folder, a Hugging Face folder.

Knows how to load and call them on one thread, one sentence per call (INT8 activations share a scale per call, so in a
batch a vector would depend on its neighbours). Knows nothing of how they were made or how good they are. torch and
transformers are imported only for a Hugging Face folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

FloatArray = NDArray[np.float32]

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
SENTENCE_OUTPUT = "sentence_embedding"
MAX_TOKENS = 256  # of sentence encoders of BERT's size; longer texts are cut


class Embedder(Protocol):
    """One sentence to a unit vector."""

    tokenizer: Tokenizer

    def embed(self, text: str) -> FloatArray:
        """The unit vector of one text.

        Shapes:
            returns: (D,) float32
        """


class OnnxEmbedder:
    """An ONNX file that takes `input_ids` (and a mask and token types, if it names them)."""

    def __init__(self, model: Path | bytes, tokenizer: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        source = model if isinstance(model, bytes) else str(model)
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._inputs = {given.name: given.type for given in self._session.get_inputs()}
        outputs = [made.name for made in self._session.get_outputs()]
        self._output = SENTENCE_OUTPUT if SENTENCE_OUTPUT in outputs else outputs[0]
        self.tokenizer = plain_tokenizer(tokenizer)

    def embed(self, text: str) -> FloatArray:
        (vectors,) = self.outputs(text, [self._output])
        return np.asarray(vectors[0], dtype=np.float32)

    def outputs(self, text: str, names: Sequence[str]) -> list[FloatArray]:
        """The named outputs of the graph for one text, each with a batch axis of 1 in front."""
        return list(self._session.run(list(names), self.feed(text)))

    def feed(self, text: str) -> dict[str, NDArray[np.int32] | NDArray[np.int64]]:
        """What the graph takes for one text, each (1, T)."""
        ids = self.tokenizer.encode(text).ids
        values = {"attention_mask": [1] * len(ids), "token_type_ids": [0] * len(ids)}
        return {
            name: np.array([values.get(name, ids)], np.int32 if kind == "tensor(int32)" else np.int64)
            for name, kind in self._inputs.items()
        }


class HuggingFaceEmbedder:
    """A Hugging Face folder of a BERT-like encoder in float32: mean or first token, then unit length."""

    def __init__(self, folder: Path, tokenizer: Path) -> None:
        import torch

        from models.compression.torch_encoder import load_sentence_encoder

        torch.set_num_threads(1)
        self._torch = torch
        self._model = load_sentence_encoder(folder)
        self.tokenizer = plain_tokenizer(tokenizer)

    def embed(self, text: str) -> FloatArray:
        torch = self._torch
        ids = torch.tensor([self.tokenizer.encode(text).ids])
        with torch.inference_mode():
            vectors, _ = self._model(ids, torch.ones_like(ids))
        return np.asarray(vectors[0].numpy(), dtype=np.float32)


def plain_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer without padding, cut at MAX_TOKENS or where its file says if that is less."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    limit = tokenizer.truncation["max_length"] if tokenizer.truncation else MAX_TOKENS
    tokenizer.enable_truncation(min(limit, MAX_TOKENS))
    return tokenizer


def onnx_file(model: Path) -> Path | None:
    """The ONNX file that `model` is or holds; None for a Hugging Face folder.

    Raises:
        FileNotFoundError: it is neither.
    """
    if model.is_file():
        return model
    if (model / MODEL_FILE).exists():
        return model / MODEL_FILE
    if (model / "config.json").exists():
        return None
    raise FileNotFoundError(f"{model} is neither an ONNX file nor a folder with {MODEL_FILE} or config.json")


def tokenizer_file(model: Path) -> Path:
    """The tokenizer beside the model.

    Raises:
        FileNotFoundError: there is none.
    """
    path = (model if model.is_dir() else model.parent) / TOKENIZER_FILE
    if not path.exists():
        raise FileNotFoundError(f"there is no {TOKENIZER_FILE} beside {model}; name one")
    return path


def load_embedder(model: Path, tokenizer: Path | None = None) -> Embedder:
    """The encoder in a file or folder, ready to embed."""
    tokenizer = tokenizer or tokenizer_file(model)
    graph = onnx_file(model)
    return HuggingFaceEmbedder(model, tokenizer) if graph is None else OnnxEmbedder(graph, tokenizer)


def embed_all(embedder: Embedder, texts: Sequence[str]) -> FloatArray:
    """Each text embedded alone.

    Shapes:
        returns: (len(texts), D) float32
    """
    return np.stack([embedder.embed(text) for text in texts])
