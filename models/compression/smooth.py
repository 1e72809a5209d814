"""SmoothQuant: outliers move from activations, where one scale must hold them all, into weights, which have many.

Knows how to scale the channels of a multiplication's input and undo it in its weight, so that every product stays as it
was. For X (T x C) and W (C x N) and any positive s of length C

    X W = (X diag(s)^-1) (diag(s) W),    s_c = max|X_c|^a / max|W_c|^(1-a)

where a (the migration strength) is the share of an outlier that moves. s is divided by its geometric mean: a common
factor changes nothing. The division costs a Mul node, unless the node that makes X can take it over for nothing: the
value weights of an attention, or a layer norm that nothing else reads.

Source: SmoothQuant, Xiao et al. 2022, equation 4, arXiv:2211.10438
"""

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.compression.calibrate import FloatArray

LEAST = 1e-4  # a channel that is always zero must not become a division by zero


def smooth(
    model: onnx.ModelProto, peaks: Mapping[str, FloatArray], strength: float, *, left_alone: Collection[str] = ()
) -> list[str]:
    """Smooth, in place, every multiplication whose input is in `peaks`; the names of the weights that were.

    `peaks` are the largest magnitudes per channel of each input (calibrate.channel_peaks); operators of the kinds in
    `left_alone` keep their inputs.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    kinds = {"MatMul", "Attention"} - set(left_alone)
    smoothed = []
    for node in [each for each in graph.node if each.op_type in kinds and each.input[0] in peaks]:
        weight = tensors.get(node.input[1])
        if weight is None:
            continue
        values = numpy_helper.to_array(weight)  # (C, N)
        factors = smoothing_factors(peaks[node.input[0]], values, strength)
        if not _taken_over(graph, tensors, node, factors):
            _divide(graph, node, factors, weight.name)
        weight.CopyFrom(numpy_helper.from_array(values * factors[:, None], weight.name))
        smoothed.append(weight.name)
    return smoothed


def smoothing_factors(peaks: FloatArray, weight: FloatArray, strength: float) -> FloatArray:
    """What each input channel is divided by and its row of the weight multiplied by.

    Shapes:
        peaks: (C,); weight: (C, N)
        returns: (C,) float32, of geometric mean 1
    """
    peak = np.maximum(peaks, LEAST).astype(np.float64)
    factors = peak**strength / np.maximum(np.abs(weight).max(axis=1), LEAST) ** (1 - strength)
    return np.asarray(factors / np.exp(np.log(factors).mean()), dtype=np.float32)


def _divide(graph: onnx.GraphProto, node: onnx.NodeProto, factors: FloatArray, name: str) -> None:
    divisor, smoothed = f"{name}_smoothing", f"{name}_input"
    graph.initializer.append(numpy_helper.from_array(1 / factors, divisor))
    graph.node.insert(list(graph.node).index(node), helper.make_node("Mul", [node.input[0], divisor], [smoothed]))
    node.input[0] = smoothed


def _taken_over(
    graph: onnx.GraphProto, tensors: Mapping[str, onnx.TensorProto], node: onnx.NodeProto, factors: FloatArray
) -> bool:
    """Divide by the factors in the node that makes the input, if nothing else reads it and it can."""
    given = node.input[0]
    readers = [each for each in graph.node if given in each.input]
    if len(readers) > 1 or given in (made.name for made in graph.output):
        return False
    maker = next((each for each in graph.node if given in each.output), None)
    if maker is not None and maker.op_type == "LayerNormalization":
        parts, start = maker.input[1:3], 0
    elif maker is not None and maker.op_type == "Attention":
        # The output's channels are the values' columns, weighted by the attention: the last third of weight and bias.
        parts, start = maker.input[1:3], 2 * len(factors)
    else:
        return False
    for tensor in (tensors[name] for name in parts):
        values = numpy_helper.to_array(tensor).copy()
        values[..., start : start + len(factors)] /= factors
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return True
