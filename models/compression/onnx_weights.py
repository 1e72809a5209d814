"""How many weights an ONNX encoder has, however they are stored.

Knows the operators whose weights are quantized, and where each keeps its zero point, so that an INT8 or packed 4-bit
weight counts as what it stands for: scales, zero points and codebooks are no weights. Knows nothing of who made them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.compression.packed4 import CODEBOOK, PACKED, SCALES, row_groups

# operator -> (input with the quantized weight, input with its zero point)
ZERO_POINTS = {
    "MatMulInteger": (1, 3),
    "DynamicQuantizeMatMul": (1, 3),
    "MatMulIntegerToFloat": (1, 5),
    "QLinearMatMul": (3, 5),
    "QGemm": (3, 5),
    "QAttention": (1, 7),
    "DequantizeLinear": (0, 2),
}
# operator -> the inputs that only describe a quantization
DESCRIPTIONS = {
    "MatMulInteger": (2, 3),
    "DynamicQuantizeMatMul": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QAttention": (3, 4, 6, 7),
    "DequantizeLinear": (1, 2),
    "QuantizeLinear": (1, 2),
    "MatMulNBits": (2, 3),
}
SMOOTHING = "_smoothing"  # how smooth.py names its divisors
FEWEST = 64  # smaller initialisers are shapes and constants of the graph


@dataclass(frozen=True, slots=True)
class Weight:
    """One stored weight: how many numbers it stands for and how many of them are not zero."""

    name: str
    parameters: int
    nonzeros: int


def count_onnx(path: Path) -> tuple[int, int]:
    """Parameters and non-zero parameters of an ONNX file."""
    weights = list(weights_of(onnx.load(path)))
    return sum(weight.parameters for weight in weights), sum(weight.nonzeros for weight in weights)


def weights_of(model: onnx.ModelProto) -> Iterator[Weight]:
    """Every weight of the graph, once."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    zero_points: dict[str, str] = {}
    descriptions: set[str] = set()
    blocks: dict[str, int] = {}  # weights in blocks -> bits
    for node in model.graph.node:
        inputs = list(node.input)
        descriptions.update(inputs[place] for place in DESCRIPTIONS.get(node.op_type, ()) if place < len(inputs))
        if node.op_type in ZERO_POINTS:
            weight, zero = ZERO_POINTS[node.op_type]
            zero_points[inputs[weight]] = inputs[zero] if zero < len(inputs) else ""
        if node.op_type == "MatMulNBits":
            blocks[inputs[1]] = next((each.i for each in node.attribute if each.name == "bits"), 4)
    for name, tensor in arrays.items():
        if name in descriptions or name.endswith((CODEBOOK, SCALES, SMOOTHING)):
            continue
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.int64 or values.size < FEWEST:
            continue
        if name.endswith(PACKED):
            yield _packed(name, values, numpy_helper.to_array(arrays[name.removesuffix(PACKED) + CODEBOOK]))
        elif blocks.get(name) == 8:
            yield Weight(name, values.size, int((values != 128).sum()))
        elif name in blocks:
            yield Weight(name, values.size * 2, values.size * 2 - _nibbles_equal_to(values, 8))
        else:
            zero = zero_points.get(name, "")
            zero_point = numpy_helper.to_array(arrays[zero]) if zero in arrays else np.zeros(1, values.dtype)
            # A zero point is one number, or one per column (the last axis).
            yield Weight(name, values.size, int((values != zero_point).sum()))


def _packed(name: str, packed: NDArray[np.uint8], codebook: NDArray[np.float32]) -> Weight:
    zeros = 0
    belongs = row_groups(len(packed), len(codebook))
    for number, levels in enumerate(codebook):
        group = packed[belongs == number]
        for level in np.flatnonzero(levels == 0):
            zeros += _nibbles_equal_to(group, int(level))
    return Weight(name, packed.size * 2, packed.size * 2 - zeros)


def _nibbles_equal_to(packed: NDArray[np.uint8], value: int) -> int:
    return int((packed & 15 == value).sum() + (packed >> 4 == value).sum())
