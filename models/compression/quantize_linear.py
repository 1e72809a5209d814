"""Linear 8-bit quantization of ONNX encoders: dynamic or static, symmetric or asymmetric, per tensor or per channel.

A real number x is kept as an integer q on an even grid:

    q = clip(round(x / scale) + zero_point, least, most),    x' = scale (q - zero_point)

    asymmetric  scale = (max - min) / (most - least),  zero_point = round(least - min / scale)
    symmetric   scale = max|x| / most,                 zero_point = 0 (signed) or the middle (unsigned)

Per tensor there is one scale for a weight, per channel one for each output column. A product of two such tensors needs
integer multiplications only:

    sum_k x'_k w'_k = scale_x scale_w  sum_k (q_k - zero_x)(p_k - zero_w)

*Dynamic* takes an activation's range from the call at hand (so a batch shares one scale), *static* from sentences run
beforehand (so a vector never depends on its neighbours, but what exceeds the range is cut).

`reduce_range` leaves one bit of the weight unused: x86 without VNNI adds two products of an unsigned and a signed byte
in 16 bits, where 2 x 255 x 127 does not fit and is cut; with 7 bits it fits. `unsigned` weights avoid the same by
another kernel, which is slower. Symmetric weights come near the limits only where a column is largest, asymmetric ones
fill them in every column: on such processors they need one or the other.

Knows MatMul and Attention with constant weights, and word tables, and writes onnxruntime's fused operators for them,
so that nothing has to be recognised when the model is loaded. A graph of other operators goes to onnxruntime's own
tool (quantize_any.py).

Sources: the grid and the integer product, Jacob et al. 2017, arXiv:1712.05877; per channel, symmetric, static: Wu et
al. 2020, arXiv:2004.09602; both for BERT: Q8BERT, Zafrir et al. 2019, arXiv:1910.06188
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.compression.calibrate import METHODS, FloatArray, activations, channel_peaks, value_range
from models.compression.smooth import smooth

FUSED_DOMAIN = "com.microsoft"
MULTIPLIES = ("MatMul", "Attention")
FEWEST_ROWS = 256  # a table with fewer rows is not worth a scale per row
LEAST_SCALE = 1e-12

IntArray = NDArray[np.int8] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LinearSettings:
    """How a graph becomes INT8."""

    static: bool = False
    symmetric: bool = True  # weights
    per_channel: bool = True
    reduce_range: bool = False
    unsigned: bool = False  # weights as uint8 instead of int8
    symmetric_activations: bool = False  # static only; dynamic ones are always asymmetric
    calibration: str = "minmax"  # static only: one of calibrate.METHODS
    smoothing: float | None = None  # SmoothQuant's strength
    smooth_attention: bool = False  # also what attention reads: a node more per layer, and no better (README.md)
    word_table: bool = True  # also the embedding table, row by row

    def __post_init__(self) -> None:
        if self.calibration not in METHODS:
            raise ValueError(f"calibration is one of {', '.join(METHODS)}, not {self.calibration}")
        if self.smoothing is not None and not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing is a share from 0 to 1, not {self.smoothing}")

    @property
    def needs_sentences(self) -> bool:
        return self.static or self.smoothing is not None


# What made our encoder fastest at the quality it had: README.md, "Where the time goes".
RECOMMENDED = LinearSettings(smoothing=0.75)


@dataclass(frozen=True, slots=True)
class Quantized:
    """Integers and how to read them.

    Shapes:
        values: (C, N); scale, zero_point: () per tensor, (N,) per channel
    """

    values: IntArray
    scale: FloatArray
    zero_point: IntArray

    def dequantized(self) -> FloatArray:
        return np.asarray((self.values.astype(np.int32) - self.zero_point) * self.scale, dtype=np.float32)


def scale_and_zero_point(
    low: FloatArray, high: FloatArray, least: int, most: int, *, symmetric: bool
) -> tuple[FloatArray, NDArray[np.int64]]:
    """The grid on which [low, high], widened to hold zero, is kept as least..most; zero falls on the grid exactly.

    Shapes:
        low, high: any one shape; returns two of it
    """
    low, high = np.minimum(low, 0).astype(np.float64), np.maximum(high, 0).astype(np.float64)
    if symmetric:
        middle = (least + most + 1) // 2  # 0 where the integers are signed, 128 for 0..255
        scale = np.maximum(-low, high) / (most - middle)
        zero_point = np.full(np.shape(low), middle)
    else:
        scale = (high - low) / (most - least)
        zero_point = np.rint(least - low / np.maximum(scale, LEAST_SCALE))
    scale = np.where(scale < LEAST_SCALE, 1.0, scale).astype(np.float32)
    return scale, np.clip(zero_point, least, most).astype(np.int64)


def quantize_weight(
    weight: FloatArray,
    *,
    symmetric: bool = True,
    per_channel: bool = True,
    reduce_range: bool = False,
    unsigned: bool = False,
) -> Quantized:
    """A weight as 8-bit integers (7-bit with `reduce_range`).

    Shapes:
        weight: (C, N), N output channels
    """
    bits = 7 if reduce_range else 8
    least, most = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    axis = 0 if per_channel else None
    scale, zero_point = scale_and_zero_point(
        weight.min(axis=axis), weight.max(axis=axis), least, most, symmetric=symmetric
    )
    dtype = np.uint8 if unsigned else np.int8
    values = np.clip(np.rint(weight / scale) + zero_point, least, most).astype(dtype)
    return Quantized(values, np.asarray(scale), np.asarray(zero_point.astype(dtype)))


def quantize(
    model: onnx.ModelProto,
    settings: LinearSettings,
    tokenizer: Path | None = None,
    sentences: Sequence[str] = (),
) -> onnx.ModelProto:
    """The graph with its multiplications and its word table in INT8; the given one stays as it is.

    Raises:
        ValueError: there is nothing to quantize, or the settings need sentences and a tokenizer and there are none.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    targets = multiplications(result.graph)
    if not targets:
        raise ValueError("the graph has no multiplication by a constant weight")
    if settings.needs_sentences and (tokenizer is None or not sentences):
        raise ValueError("static quantization and smoothing need sentences to calibrate on, and a tokenizer")
    if settings.smoothing is not None and tokenizer is not None:
        values = activations(result, _inputs(targets), tokenizer, sentences)
        peaks = {name: channel_peaks(each) for name, each in values.items()}
        smooth(result, peaks, settings.smoothing, left_alone=() if settings.smooth_attention else ("Attention",))
        targets = multiplications(result.graph)
    ranges: dict[str, tuple[float, float]] = {}
    if settings.static and tokenizer is not None:
        values = activations(result, _inputs(targets), tokenizer, sentences)
        ranges = {name: value_range(each, settings.calibration) for name, each in values.items()}
    _Rewriter(result, settings, ranges).run(targets)
    if settings.word_table:
        quantize_word_table(result)
    declare_fused_domain(result)
    return result


def multiplications(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The MatMul and Attention nodes whose weight is a constant matrix."""
    constants = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2}
    return [node for node in graph.node if node.op_type in MULTIPLIES and node.input[1] in constants]


def _inputs(targets: Sequence[onnx.NodeProto]) -> list[str]:
    return list(dict.fromkeys(node.input[0] for node in targets))


def bias_after(graph: onnx.GraphProto, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The Add of a constant row that alone reads the product."""
    readers = [each for each in graph.node if node.output[0] in each.input]
    if len(readers) != 1 or readers[0].op_type != "Add" or node.output[0] in (made.name for made in graph.output):
        return None
    rows = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 1}
    return readers[0] if any(name in rows for name in readers[0].input if name != node.output[0]) else None


class _Rewriter:
    """Replaces one multiplication after the other by its 8-bit twin."""

    def __init__(
        self, model: onnx.ModelProto, settings: LinearSettings, ranges: dict[str, tuple[float, float]]
    ) -> None:
        self._graph = model.graph
        self._settings = settings
        self._ranges = ranges
        self._tensors = {tensor.name: tensor for tensor in self._graph.initializer}
        self._quantized: dict[str, tuple[str, str, str]] = {}  # activation -> its integers, scale, zero point

    def run(self, targets: Sequence[onnx.NodeProto]) -> None:
        wanted = {node.output[0]: node for node in targets}
        nodes: list[onnx.NodeProto] = []
        dropped: set[str] = set()
        for node in list(self._graph.node):
            if node.output[0] in dropped:
                continue
            if node.output[0] not in wanted:
                nodes.append(node)
            elif node.op_type == "Attention":
                nodes.extend(self._attention(node))
            else:
                add = bias_after(self._graph, node)
                nodes.extend(self._product(node, add))
                if add is not None:
                    dropped.add(add.output[0])
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in self._tensors.values() if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _product(self, node: onnx.NodeProto, add: onnx.NodeProto | None) -> list[onnx.NodeProto]:
        weight, scale, zero = self._weight(node.input[1])
        output = node.output[0] if add is None else add.output[0]
        bias = "" if add is None else next(name for name in add.input if name != node.output[0])
        if not self._settings.static:
            inputs = [node.input[0], weight, scale, zero, bias]
            return [_fused("DynamicQuantizeMatMul", inputs, output)]
        before, (given, given_scale, given_zero) = self._activation(node.input[0])
        inputs = [given, weight, given_scale, scale, given_zero, zero, bias]
        return [*before, _fused("MatMulIntegerToFloat", inputs, output)]

    def _attention(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        weight, scale, zero = self._weight(node.input[1])
        before, (given, given_scale, given_zero) = self._activation(node.input[0])
        mask = node.input[3] if len(node.input) > 3 else ""
        inputs = [given, weight, node.input[2], given_scale, scale, mask, given_zero, zero]
        fused = _fused("QAttention", inputs, node.output[0])
        kept = ("num_heads", "unidirectional", "mask_filter_value")
        fused.attribute.extend(each for each in node.attribute if each.name in kept)
        return [*before, fused]

    def _weight(self, name: str) -> tuple[str, str, str]:
        settings = self._settings
        made = quantize_weight(
            numpy_helper.to_array(self._tensors[name]),
            symmetric=settings.symmetric,
            per_channel=settings.per_channel,
            reduce_range=settings.reduce_range,
            unsigned=settings.unsigned,
        )
        return (
            self._add(f"{name}_quantized", made.values),
            self._add(f"{name}_scale", made.scale),
            self._add(f"{name}_zero_point", made.zero_point),
        )

    def _activation(self, name: str) -> tuple[list[onnx.NodeProto], tuple[str, str, str]]:
        """The nodes that make an activation's integers, unless some before did, and what those are called."""
        if name in self._quantized:
            return [], self._quantized[name]
        names = (f"{name}_uint8", f"{name}_uint8_scale", f"{name}_uint8_zero_point")
        self._quantized[name] = names
        if not self._settings.static:
            return [helper.make_node("DynamicQuantizeLinear", [name], list(names))], names
        low, high = (np.array(each) for each in self._ranges[name])
        scale, zero_point = scale_and_zero_point(low, high, 0, 255, symmetric=self._settings.symmetric_activations)
        self._add(names[1], np.asarray(scale))
        self._add(names[2], np.asarray(zero_point.astype(np.uint8)))
        return [helper.make_node("QuantizeLinear", [name, names[1], names[2]], [names[0]])], names

    def _add(self, name: str, values: np.ndarray) -> str:
        self._tensors[name] = numpy_helper.from_array(values, name)
        return name


def _fused(kind: str, inputs: Sequence[str], output: str) -> onnx.NodeProto:
    while inputs and not inputs[-1]:
        inputs = inputs[:-1]
    return helper.make_node(kind, list(inputs), [output], name=output, domain=FUSED_DOMAIN)


def declare_fused_domain(model: onnx.ModelProto) -> None:
    """Say that the graph uses onnxruntime's own operators."""
    if all(each.domain != FUSED_DOMAIN for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(FUSED_DOMAIN, 1))


def word_tables(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The Gathers that look a whole row up in a large float table by one of the graph's inputs."""
    given = {each.name for each in graph.input}
    tables = {
        tensor.name
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2 and tensor.dims[0] >= FEWEST_ROWS
    }
    return [
        node for node in graph.node if node.op_type == "Gather" and node.input[0] in tables and node.input[1] in given
    ]


def quantize_word_table(model: onnx.ModelProto) -> None:
    """Keep embedding tables as INT8 rows, each with a symmetric scale of its own; rows are read out as floats."""
    graph = model.graph
    for gather in word_tables(graph):
        name, indices = gather.input
        table = next(tensor for tensor in graph.initializer if tensor.name == name)
        rows = quantize_weight(numpy_helper.to_array(table).T)  # per column of the transposed: per row
        graph.initializer.remove(table)
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(rows.values.T), f"{name}_rows"))
        graph.initializer.append(numpy_helper.from_array(rows.scale[:, None].copy(), f"{name}_row_scales"))
        replace_node(
            graph,
            gather,
            [
                helper.make_node("Gather", [f"{name}_rows", indices], [f"{name}_row_int8"]),
                helper.make_node("Cast", [f"{name}_row_int8"], [f"{name}_row"], to=TensorProto.FLOAT),
                helper.make_node("Gather", [f"{name}_row_scales", indices], [f"{name}_row_scale"]),
                helper.make_node("Mul", [f"{name}_row", f"{name}_row_scale"], [gather.output[0]]),
            ],
        )


def replace_node(graph: onnx.GraphProto, old: onnx.NodeProto, new: Sequence[onnx.NodeProto]) -> None:
    """Put nodes where one was."""
    place = list(graph.node).index(old)
    graph.node.remove(old)
    for offset, node in enumerate(new):
        graph.node.insert(place + offset, node)
