"""8-bit quantization of a graph with other operators than ours, by onnxruntime's own tool.

Knows how our settings are said to it. What it cannot do, quantize_linear.py does for encoders: smoothing, word tables
row by row, fused attention in a static graph.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from models.compression.embedders import OnnxEmbedder
from models.compression.quantize_linear import LinearSettings

# Static graphs are quantized where there is something to multiply or to look up; norms and sums stay in float32.
MULTIPLIES = ["Conv", "ConvTranspose", "Gemm", "MatMul", "Gather"]
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


class Sentences(CalibrationDataReader):
    """What the graph takes, sentence by sentence."""

    def __init__(self, model: Path, tokenizer: Path, sentences: Sequence[str]) -> None:
        embedder = OnnxEmbedder(model, tokenizer)
        self._feeds: Iterator[dict[str, Any]] = iter([embedder.feed(sentence) for sentence in sentences])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def quantize_any(
    model: Path, out: Path, settings: LinearSettings, tokenizer: Path | None = None, sentences: Sequence[str] = ()
) -> None:
    """Write the graph with every operator in INT8 that onnxruntime can quantize; static as QDQ nodes.

    Raises:
        ValueError: a setting that onnxruntime's tool does not have, or no sentences for a static graph.
    """
    if settings.smoothing is not None:
        raise ValueError("onnxruntime's tool does not smooth; use our own engine")
    weights = QuantType.QUInt8 if settings.unsigned else QuantType.QInt8
    extra = {
        "WeightSymmetric": settings.symmetric,
        "ActivationSymmetric": settings.symmetric_activations,
        "DefaultTensorType": onnx.TensorProto.FLOAT,  # fused nodes have no inferred types
    }
    if not settings.static:
        quantize_dynamic(
            model,
            out,
            per_channel=settings.per_channel,
            reduce_range=settings.reduce_range,
            weight_type=weights,
            extra_options=extra,
        )
        return
    if tokenizer is None or not sentences:
        raise ValueError("static quantization needs sentences to calibrate on, and a tokenizer")
    quantize_static(
        model,
        out,
        Sentences(model, tokenizer, sentences),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=MULTIPLIES,
        per_channel=settings.per_channel,
        reduce_range=settings.reduce_range,
        activation_type=QuantType.QUInt8,
        weight_type=weights,
        calibrate_method=METHODS[settings.calibration],
        extra_options=extra,
    )
