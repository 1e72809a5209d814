"""Linear 4- or 8-bit quantization in blocks: weights only, as onnxruntime's MatMulNBits reads them.

Each output column of a weight is cut into blocks of `block` inputs with a scale of their own:

    scale = max|w| / 2^(bits - 1) with the sign of the largest,   q = clip(round(w / scale) + 2^(bits - 1), 0, 2^bits -
    1)

The largest magnitude falls on the lowest integer, so that all 16 levels are used. The multiplication quantizes its
input block by block too (accuracy level 4), token by token, so that a vector never depends on its neighbours.

Knows MatMul and Attention with constant weights; an Attention becomes a product, a Split and a MultiHeadAttention. What
it is for: models whose time goes into reading weights, such as a generator. An encoder of our size gets smaller, not
faster.

Sources: blocks with a scale each, LLM.int8() and QLoRA's section on block-wise quantization, Dettmers et al. 2022 and
2023, arXiv:2208.07339 and arXiv:2305.14314; the layout: onnxruntime, ContribOperators.md, MatMulNBits
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from models.compression.calibrate import FloatArray
from models.compression.packed4 import pack
from models.compression.quantize_linear import (
    FUSED_DOMAIN,
    bias_after,
    declare_fused_domain,
    multiplications,
    quantize_word_table,
)

INT8_INPUTS = 4  # MatMulNBits' accuracy level: multiply integers


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """How weights are cut and kept."""

    bits: int = 4
    block: int = 32
    word_table: bool = True  # in INT8, row by row

    def __post_init__(self) -> None:
        if self.bits not in (4, 8):
            raise ValueError(f"blocks hold 4 or 8 bits, not {self.bits}")
        if self.block < 16 or self.block & (self.block - 1):
            raise ValueError(f"a block is a power of two from 16, not {self.block}")


def quantize_weight(weight: FloatArray, settings: BlockSettings) -> tuple[NDArray[np.uint8], FloatArray]:
    """Integers and scales of a weight.

    Shapes:
        weight: (K, N)
        returns: (N, K / block, block * bits / 8) uint8 and (N, K / block) float32, K rounded up to whole blocks
    """
    inputs, outputs = weight.shape
    padded = np.pad(weight.T, ((0, 0), (0, -inputs % settings.block)))
    blocks = padded.reshape(outputs, -1, settings.block)
    middle = 2 ** (settings.bits - 1)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2, keepdims=True), axis=2)
    scales = (largest / -middle).astype(np.float32)
    scales[scales == 0] = 1
    values = np.clip(np.rint(blocks / scales) + middle, 0, 2 * middle - 1).astype(np.uint8)
    if settings.bits == 4:
        values = pack(values.reshape(-1, settings.block)).reshape(outputs, -1, settings.block // 2)
    return values, np.asarray(scales[..., 0])


def dequantized(values: NDArray[np.uint8], scales: FloatArray, inputs: int, bits: int) -> FloatArray:
    """What `quantize_weight`'s result stands for, (inputs, N)."""
    if bits == 4:
        values = np.stack([values & 15, values >> 4], axis=-1).reshape(*values.shape[:2], -1)
    floats = (values.astype(np.float32) - 2 ** (bits - 1)) * scales[..., None]
    return np.asarray(floats.reshape(len(values), -1)[:, :inputs].T)


def quantize(model: onnx.ModelProto, settings: BlockSettings) -> onnx.ModelProto:
    """The graph with its multiplications' weights in blocks; the given one stays as it is.

    Raises:
        ValueError: there is nothing to quantize.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    targets = {node.output[0]: node for node in multiplications(graph)}
    if not targets:
        raise ValueError("the graph has no multiplication by a constant weight")
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    dropped: set[str] = set()
    for node in list(graph.node):
        if node.output[0] in dropped:
            continue
        if node.output[0] not in targets:
            nodes.append(node)
        elif node.op_type == "Attention":
            nodes.extend(_attention(graph, tensors, node, settings))
        else:
            add = bias_after(graph, node)
            bias = "" if add is None else next(name for name in add.input if name != node.output[0])
            output = node.output[0] if add is None else add.output[0]
            nodes.append(_product(graph, tensors, node.input[0], node.input[1], bias, output, settings))
            dropped.update([] if add is None else [add.output[0]])
    del graph.node[:]
    graph.node.extend(nodes)
    for name in {node.input[1] for node in targets.values()}:
        graph.initializer.remove(tensors[name])
    if settings.word_table:
        quantize_word_table(result)
    declare_fused_domain(result)
    return result


def _product(
    graph: onnx.GraphProto,
    tensors: dict[str, onnx.TensorProto],
    given: str,
    weight: str,
    bias: str,
    output: str,
    settings: BlockSettings,
) -> onnx.NodeProto:
    matrix = numpy_helper.to_array(tensors[weight])
    names = (f"{weight}_blocks", f"{weight}_block_scales")
    for name, array in zip(names, quantize_weight(matrix, settings), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    inputs = [given, *names, *(["", "", bias] if bias else [])]
    return helper.make_node(
        "MatMulNBits",
        inputs,
        [output],
        name=output,
        domain=FUSED_DOMAIN,
        K=matrix.shape[0],
        N=matrix.shape[1],
        bits=settings.bits,
        block_size=settings.block,
        accuracy_level=INT8_INPUTS,
    )


def _attention(
    graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto], node: onnx.NodeProto, settings: BlockSettings
) -> Sequence[onnx.NodeProto]:
    output = node.output[0]
    joined, parts = f"{output}_qkv", [f"{output}_{part}" for part in ("query", "key", "value")]
    product = _product(graph, tensors, node.input[0], node.input[1], node.input[2], joined, settings)
    mask = node.input[3] if len(node.input) > 3 else ""
    attention = helper.make_node("MultiHeadAttention", [*parts, "", mask], [output], name=output, domain=FUSED_DOMAIN)
    attention.attribute.extend(each for each in node.attribute if each.name in ("num_heads", "mask_filter_value"))
    return [product, helper.make_node("Split", [joined], parts, axis=-1), attention]
