"""A narrower BERT to begin with: some of the hidden channels, and as many attention heads as then fit.

Pure numpy over BERT's tensors by their names, without a prefix. What is left out is a loss that distillation has to
make good; a start from the larger model's own numbers needs less of it than one from chance.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]

WORDS = "embeddings.word_embeddings.weight"
GAIN = "embeddings.LayerNorm.weight"
LAYER = "encoder.layer."
HEAD_ROWS = ("attention.self.query", "attention.self.key", "attention.self.value")  # their rows are heads
HEAD_COLUMNS = "attention.output.dense.weight"
NEURONS = "intermediate.dense"  # its rows, and the columns of output.dense, are feed-forward neurons, which all stay


def narrowed(tensors: Mapping[str, FloatArray], heads: int, width: int) -> tuple[dict[str, FloatArray], int]:
    """The tensors with `width` hidden channels, and how many heads they have.

    The channels are those in which the words differ most, std(words) |gain of the first norm|; in each layer the heads
    are those whose values and outputs are largest, ||V_h|| ||O_h||.

    Raises:
        ValueError: so many channels are no whole number of heads, or there are not so many.
    """
    words = tensors[WORDS]
    hidden = words.shape[1]
    size = hidden // heads
    if not 0 < width < hidden or width % size:
        raise ValueError(f"a width below {hidden} in whole heads of {size} is needed, not {width}")
    channels = _largest(words.std(axis=0) * np.abs(tensors[GAIN]), width)
    rows = {layer: _rows_of_heads(tensors, layer, size, width // size) for layer in _layers(tensors)}
    return {name: _part(name, values, channels, rows) for name, values in tensors.items()}, width // size


def _layers(tensors: Mapping[str, FloatArray]) -> set[str]:
    return {".".join(name.split(".")[:3]) for name in tensors if name.startswith(LAYER)}


def _rows_of_heads(tensors: Mapping[str, FloatArray], layer: str, size: int, count: int) -> IntArray:
    values = tensors[f"{layer}.attention.self.value.weight"]
    outputs = tensors[f"{layer}.{HEAD_COLUMNS}"]
    weight = np.linalg.norm(values.reshape(-1, size * values.shape[1]), axis=1)
    weight *= np.linalg.norm(outputs.T.reshape(-1, size * outputs.shape[0]), axis=1)
    return np.concatenate([np.arange(head * size, (head + 1) * size) for head in _largest(weight, count)])


def _largest(values: FloatArray, count: int) -> IntArray:
    return np.sort(np.argsort(-values, kind="stable")[:count])


def _part(name: str, values: FloatArray, channels: IntArray, rows: Mapping[str, IntArray]) -> FloatArray:
    """What stays of one tensor: of its rows or, in embeddings, norms and biases, of its last axis."""
    if not name.startswith(LAYER):
        pooled = name.startswith("pooler.dense.weight")
        return values[np.ix_(channels, channels)] if pooled else values[..., channels] if values.ndim else values
    layer, of_layer = ".".join(name.split(".")[:3]), name.split(".", 3)[3]
    if of_layer.startswith(HEAD_ROWS):
        kept = values[rows[layer]]
        return kept[:, channels] if kept.ndim == 2 else kept
    if of_layer == HEAD_COLUMNS:
        return values[np.ix_(channels, rows[layer])]
    if of_layer.startswith(NEURONS):
        return values[:, channels] if values.ndim == 2 else values
    return values[channels]  # output.dense by its rows; its bias and the norms by their only axis
