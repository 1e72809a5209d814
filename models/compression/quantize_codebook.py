"""Non-linear 4-bit quantization: a codebook learnt by k-means, or logarithmic levels.

A weight w is kept as the index of the nearest of 16 levels c:  q = argmin_k |w - c_k|,  w' = c_q.

*k-means* chooses the levels that lose least, sum h (w - c_q)^2, by Lloyd's iteration: assign each weight to its nearest
level, move each level to the (weighted) mean of its weights, until nothing moves. In one dimension the cells are
intervals between midpoints, so on sorted weights a step is a search and a difference of running sums. It starts from
levels spaced evenly ("linear", which keeps the few large weights near a level), from equally full quantiles
("density"), or from k-means++. The importance h is 1, or, where sentences are given, the mean square of what the weight
is multiplied by: the loss is then the squared error of the product, as if inputs were uncorrelated.

*Logarithmic* levels are 0 and +-2^e for e of the 7 (above zero 8) largest exponents, times one scale: fine where
weights are many, and a product with one is a shift.

The levels serve a whole tensor or a group of rows. With scales, each row (of a table) or output column (of a
multiplication) is divided by its largest magnitude first, so that one codebook fits all of them. Weights that are
exactly zero, as pruning leaves them, stay exactly zero: one level is theirs.

Knows ONNX graphs, in which the weights are stored packed and unpacked by ordinary operators (onnxruntime folds them
once when it loads the graph), and Hugging Face folders (packed4.py).

Sources: k-means sharing and its starts, Deep Compression, Han et al. 2015, arXiv:1510.00149; Lloyd 1982, "Least squares
quantization in PCM"; k-means++, Arthur and Vassilvitskii 2007; weighting by importance, Choi et al. 2016,
arXiv:1612.01543, and SqueezeLLM, Kim et al. 2023, arXiv:2306.07629; logarithmic levels, Miyashita et al. 2016,
arXiv:1603.01025, and INQ, Zhou et al. 2017, arXiv:1702.03044
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.compression.bert_folder import CONFIG_FILE, POOLING_FILE, WEIGHTS_FILE
from models.compression.calibrate import activations
from models.compression.packed4 import (
    CODEBOOK,
    LEVELS,
    PACKED,
    PACKED_FILE,
    SCALES,
    FloatArray,
    PackedWeight,
    load_state_dict,
    pack,
    row_groups,
    save,
)
from models.compression.quantize_linear import MULTIPLIES, replace_node, word_tables

METHODS = ("kmeans", "log")
STARTS = ("linear", "density", "kmeans++")
ITERATIONS = 50
MANY_ZEROS = 0.1  # a weight with a larger share of exact zeros was pruned
FEWEST_WEIGHTS = 4096  # what is smaller stays in float32: biases, norms, token types
SIDE_FILES = (CONFIG_FILE, "tokenizer.json", "tokenizer_config.json", "modules.json", str(POOLING_FILE))


@dataclass(frozen=True, slots=True)
class CodebookSettings:
    """How the 16 levels are chosen."""

    method: str = "kmeans"
    start: str = "density"  # k-means only; which is best differs little, README.md
    groups: int = 1  # codebooks per tensor, each for an equal share of the rows
    scales: bool = True  # one per row or output column
    iterations: int = ITERATIONS
    seed: int = 0  # of k-means++
    word_table: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.start not in STARTS:
            raise ValueError(f"the method is one of {', '.join(METHODS)}, the start one of {', '.join(STARTS)}")
        if self.groups < 1:
            raise ValueError(f"a tensor has at least one codebook, not {self.groups}")


def kmeans_levels(
    values: FloatArray,
    count: int = LEVELS,
    *,
    importance: FloatArray | None = None,
    start: str = "linear",
    iterations: int = ITERATIONS,
    seed: int = 0,
) -> FloatArray:
    """The levels that Lloyd's iteration ends at, ascending; never a larger squared error than it began with.

    Shapes:
        values, importance: (n,), n > 0
        returns: (count,) float32
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order].astype(np.float64)
    weights = np.ones_like(ordered) if importance is None else importance[order].astype(np.float64)
    masses, sums = _running(weights), _running(weights * ordered)
    levels = _start(ordered, count, start, seed)
    for _ in range(iterations):
        bounds = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2)
        edges = np.concatenate([[0], bounds, [len(ordered)]])
        mass = np.diff(masses[edges])
        # A level to which nothing is nearest stays where it is.
        moved = np.where(mass > 0, np.diff(sums[edges]) / np.maximum(mass, 1e-30), levels)
        if np.array_equal(moved, levels):
            break
        levels = moved
    return np.sort(levels).astype(np.float32)


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])


def _start(ordered: NDArray[np.float64], count: int, start: str, seed: int) -> NDArray[np.float64]:
    if start == "linear":
        return np.linspace(ordered[0], ordered[-1], count)
    if start == "density":
        return np.quantile(ordered, (np.arange(count) + 0.5) / count)
    random = np.random.default_rng(seed)
    sample = random.choice(ordered, min(len(ordered), 20_000), replace=False)
    levels = [random.choice(sample)]
    for _ in range(count - 1):
        distances = np.min((sample[:, None] - np.array(levels)) ** 2, axis=1)
        total = distances.sum()
        levels.append(random.choice(sample, p=distances / total) if total > 0 else levels[-1])
    return np.sort(np.array(levels))


def log_levels(peak: float) -> FloatArray:
    """0, seven negative and eight positive powers of two, the largest the nearest (in its exponent) to `peak`.

    Shapes:
        returns: (16,) float32, ascending
    """
    top = np.rint(np.log2(peak)) if peak > 0 else 0.0
    powers = 2.0 ** (top - np.arange(8))
    return np.sort(np.concatenate([-powers[:7], [0.0], powers])).astype(np.float32)


def nearest(values: FloatArray, levels: FloatArray) -> NDArray[np.uint8]:
    """The index of the nearest level; of two equally near the lower.

    Shapes:
        values: any; levels: (n,) ascending; returns: as values, uint8
    """
    return np.asarray(np.searchsorted((levels[1:] + levels[:-1]) / 2, values), dtype=np.uint8)


def quantize_weight(
    weight: FloatArray,
    settings: CodebookSettings,
    *,
    scale_rows: bool = True,
    importance: FloatArray | None = None,
) -> PackedWeight:
    """A matrix as packed indices with its codebooks.

    Shapes:
        weight: (R, C); importance: (R,), of each row; with `scale_rows` scales are (R, 1), else (1, C)
    """
    scales, scaled = np.ones((1, 1), np.float32), weight
    if settings.scales:
        peaks = np.abs(weight).max(axis=1 if scale_rows else 0, keepdims=True)
        scales = np.where(peaks > 0, peaks, 1).astype(np.float32)
        scaled = weight / scales
    # Dividing by a scale makes an error smaller by it, so that it counts by the scale's square.
    row_importance = np.ones(len(weight), np.float32) if importance is None else importance
    counts = np.broadcast_to(row_importance[:, None] * scales**2, weight.shape)
    groups = min(settings.groups, len(weight))
    belongs = row_groups(len(weight), groups)
    codebook = np.empty((groups, LEVELS), np.float32)
    indices = np.empty(weight.shape, np.uint8)
    for group in range(groups):
        rows = belongs == group
        codebook[group] = _levels(scaled[rows].ravel(), counts[rows].ravel(), settings)
        indices[rows] = nearest(scaled[rows], codebook[group])
    shape = (weight.shape[0], weight.shape[1])
    return PackedWeight(pack(indices), codebook, scales if settings.scales else None, shape)


def _levels(values: FloatArray, importance: FloatArray, settings: CodebookSettings) -> FloatArray:
    if settings.method == "log":
        return log_levels(float(np.abs(values).max()))
    kept = values != 0
    pruned = bool(kept.any()) and 1 - kept.mean() > MANY_ZEROS
    levels = kmeans_levels(
        values[kept] if pruned else values,
        LEVELS - pruned,
        importance=importance[kept] if pruned else importance,
        start=settings.start,
        iterations=settings.iterations,
        seed=settings.seed,
    )
    return np.sort(np.append(levels, np.float32(0))) if pruned else levels


def quantize_onnx(
    model: onnx.ModelProto,
    settings: CodebookSettings,
    tokenizer: Path | None = None,
    sentences: Sequence[str] = (),
) -> onnx.ModelProto:
    """The graph with its multiplications' weights, and its word tables, stored in 4 bits; the given one stays.

    With sentences (and a tokenizer), a weight counts by the mean square of its input over them.

    Raises:
        ValueError: there is nothing to quantize.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {node.input[1]: node.input[0] for node in graph.node if node.op_type in MULTIPLIES}
    weights = [
        name
        for name in inputs
        if name in tensors and len(tensors[name].dims) == 2 and np.prod(tensors[name].dims) >= FEWEST_WEIGHTS
    ]
    if not weights:
        raise ValueError("the graph has no multiplication by a constant weight")
    energies: dict[str, FloatArray] = {}
    if sentences and tokenizer is not None:
        values = activations(model, list(dict.fromkeys(inputs[name] for name in weights)), tokenizer, sentences)
        energies = {name: np.mean(np.concatenate(each) ** 2, axis=0) for name, each in values.items()}
    writer = _Writer(graph)
    for name in weights:
        importance = energies.get(inputs[name])
        made = quantize_weight(numpy_helper.to_array(tensors[name]), settings, scale_rows=False, importance=importance)
        for place, node in enumerate(writer.store(name, made, name)):
            graph.node.insert(place, node)
        graph.initializer.remove(tensors[name])
    if settings.word_table:
        for gather in word_tables(graph):
            _pack_table(graph, gather, settings, writer)
    return result


def _pack_table(graph: onnx.GraphProto, gather: onnx.NodeProto, settings: CodebookSettings, writer: "_Writer") -> None:
    """Look packed rows up and unpack only those: the table stays small in memory too."""
    name, indices = gather.input
    table = next(tensor for tensor in graph.initializer if tensor.name == name)
    made = quantize_weight(numpy_helper.to_array(table), settings)
    graph.initializer.remove(table)
    replace_node(graph, gather, writer.store(name, made, gather.output[0], rows=indices))


class _Writer:
    """Puts packed weights into a graph, and makes the operators that unpack them.

    Every step is exact: integers, a look-up, and the one multiplication that numpy does too.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._numbers: set[str] = set()

    def store(self, name: str, weight: PackedWeight, output: str, rows: str | None = None) -> list[onnx.NodeProto]:
        """The nodes from the packed weight to floats called `output`: of all its rows, or of those looked up."""
        nodes: list[onnx.NodeProto] = []

        def put(kind: str, inputs: Sequence[str], part: str, **attributes: object) -> str:
            made = f"{name}.{part}"
            nodes.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
            return made

        def of_rows(part: str, values: np.ndarray) -> str:
            stored = self._tensor(f"{name}.{part}", values)
            whole = rows is None or len(values) != weight.shape[0]
            return stored if whole else put("Gather", [stored, rows or ""], f"{part}_rows")

        axis = 2 if rows is None else 3  # rows looked up are (B, T, C / 2)
        sixteen = self._number("sixteen", np.array(LEVELS, np.int32))
        byte = put("Cast", [of_rows(PACKED, weight.packed)], "byte", to=TensorProto.INT32)
        high = put("Div", [byte, sixteen], "high")
        low = put("Sub", [byte, put("Mul", [high, sixteen], "below")], "low")
        halves = [put("Unsqueeze", [each, self._axes(axis)], f"{each.rpartition('.')[2]}_half") for each in (low, high)]
        index = put("Concat", halves, "pairs", axis=axis)
        index = put("Reshape", [index, self._axes(*[0] * (axis - 1), -1)], "padded")  # 0 keeps an axis as it is
        if weight.shape[1] % 2:
            index = put("Slice", [index, self._axes(0), self._axes(weight.shape[1]), self._axes(-1)], "index")
        if len(weight.codebook) > 1:
            offsets = (row_groups(weight.shape[0], len(weight.codebook)) * LEVELS).astype(np.int32)[:, None]
            index = put("Add", [index, of_rows("offsets", offsets)], "group_index")
        codebook = self._tensor(f"{name}.{CODEBOOK}", weight.codebook)
        values = put("Gather", [put("Reshape", [codebook, self._axes(-1)], "levels"), index], "values")
        if weight.scales is not None:
            put("Mul", [values, of_rows(SCALES, weight.scales)], "scaled")
        nodes[-1].output[0] = output
        return nodes

    def _tensor(self, name: str, values: np.ndarray) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _axes(self, *numbers: int) -> str:
        return self._number("_".join(map(str, numbers)), np.array(numbers, np.int64))

    def _number(self, part: str, values: np.ndarray) -> str:
        """A small constant that all weights share."""
        name = f"{PACKED}_{part}"
        if name not in self._numbers:
            self._numbers.add(name)
            self._tensor(name, values)
        return name


def quantize_folder(folder: Path, out: Path, settings: CodebookSettings) -> None:
    """Write a Hugging Face folder whose large matrices are packed in 4 bits (packed4.py tells the layout)."""
    packed: dict[str, PackedWeight] = {}
    others: dict[str, NDArray[np.generic]] = {}
    for name, value in load_state_dict(folder).items():
        is_table = "embeddings" in name
        large = value.ndim == 2 and value.dtype.kind == "f" and value.size >= FEWEST_WEIGHTS
        if large and (settings.word_table or not is_table):
            packed[name] = quantize_weight(np.asarray(value, np.float32), settings)
        else:
            others[name] = value
    if not packed:
        raise ValueError(f"{folder} holds no matrix of {FEWEST_WEIGHTS} weights or more")
    out.mkdir(parents=True, exist_ok=True)
    for side in SIDE_FILES:
        if (folder / side).exists():
            (out / side).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / side, out / side)
    (out / WEIGHTS_FILE).unlink(missing_ok=True)
    save(out / PACKED_FILE, packed, others)
