"""The range of activations that static quantization and SmoothQuant need: run a graph on sentences and look.

Knows how a graph is made to give its inner tensors and how a range is chosen from their values. Knows nothing of what
is done with the range.

Sources: entropy, Migacz 2017, "8-bit inference with TensorRT"; max, percentile and entropy compared in Wu et al. 2020,
"Integer quantization for deep learning inference", arXiv:2004.09602
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.compression.embedders import OnnxEmbedder

FloatArray = NDArray[np.float32]

METHODS = ("minmax", "percentile", "entropy")
PERCENTILE = 99.99  # of magnitudes; what lies beyond is cut. One of those that Wu et al. compare
BINS = 2048  # of the histogram from which entropy chooses
LEVELS = 128  # magnitudes that 8 bits tell apart
STEPS = 64  # candidates for the cut


def activations(
    model: onnx.ModelProto, names: Sequence[str], tokenizer: Path, sentences: Sequence[str]
) -> dict[str, list[FloatArray]]:
    """The values of inner tensors, sentence by sentence.

    Shapes:
        returns: tensor name -> for each sentence (T, channels) float32
    """
    if not sentences:
        raise ValueError("there is no sentence to calibrate on")
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    embedder = OnnxEmbedder(probe.SerializeToString(), tokenizer)
    collected: dict[str, list[FloatArray]] = {name: [] for name in names}
    for sentence in sentences:
        for name, values in zip(names, embedder.outputs(sentence, names), strict=True):
            collected[name].append(values.reshape(-1, values.shape[-1]))
    return collected


def channel_peaks(values: Sequence[FloatArray]) -> FloatArray:
    """The largest magnitude in each channel, (channels,)."""
    return np.maximum.reduce([np.abs(each).max(axis=0) for each in values])


def value_range(values: Sequence[FloatArray], method: str) -> tuple[float, float]:
    """The least and the largest value to keep apart; always holds zero, which must be exact (padding, ReLU).

    minmax      all of them: nothing is cut, and one outlier makes every step larger
    percentile  cuts (100 - PERCENTILE) % of the magnitudes
    entropy     cuts where the histogram, put on 128 levels, loses least information: KL divergence
    """
    flat = np.concatenate([each.ravel() for each in values])
    low, high = min(float(flat.min()), 0.0), max(float(flat.max()), 0.0)
    if method == "minmax":
        return low, high
    magnitudes = np.abs(flat)
    cut = float(np.percentile(magnitudes, PERCENTILE)) if method == "percentile" else entropy_cut(magnitudes)
    return max(low, -cut), min(high, cut)


def entropy_cut(magnitudes: FloatArray) -> float:
    """The magnitude at which to cut, so that the cut histogram on LEVELS levels is closest to the whole one.

    For each candidate the histogram P is cut, what lies beyond joins its last bin, and Q is P spread over LEVELS equal
    groups of bins, each group's mass shared among its bins that are not empty. The candidate with the least
    KL(P || Q) = sum P ln(P / Q) wins.

    Source: Migacz 2017, "8-bit inference with TensorRT", slides 20-26
    """
    counts, edges = np.histogram(magnitudes, bins=BINS, range=(0, float(magnitudes.max()) or 1.0))
    best, best_divergence = float(edges[-1]), np.inf
    for kept in np.linspace(LEVELS, BINS, STEPS).astype(int):
        reference = counts[:kept].astype(np.float64)
        reference[-1] += counts[kept:].sum()
        divergence = _divergence(reference, _on_levels(counts[:kept]))
        if divergence < best_divergence:
            best, best_divergence = float(edges[kept]), divergence
    return best


def _on_levels(counts: NDArray[np.int64]) -> FloatArray:
    groups = np.arange(len(counts)) * LEVELS // len(counts)
    filled = (counts > 0).astype(np.float64)
    mass = np.bincount(groups, weights=counts, minlength=LEVELS)
    bins = np.maximum(np.bincount(groups, weights=filled, minlength=LEVELS), 1)
    return np.asarray((mass / bins)[groups] * filled)


def _divergence(reference: FloatArray, approximation: FloatArray) -> float:
    p, q = reference / reference.sum(), approximation / max(float(approximation.sum()), 1e-12)
    places = p > 0
    return float((p[places] * np.log(p[places] / np.maximum(q[places], 1e-9))).sum())
