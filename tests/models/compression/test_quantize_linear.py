"""Linear 8-bit quantization: the grid's properties, and graphs that stay close to float32."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.compression.calibrate import activations, channel_peaks, entropy_cut, value_range
from models.compression.embedders import OnnxEmbedder, embed_all
from models.compression.onnx_weights import count_onnx
from models.compression.quantize_any import quantize_any
from models.compression.quantize_linear import (
    RECOMMENDED,
    LinearSettings,
    quantize,
    quantize_weight,
    scale_and_zero_point,
)
from models.compression.smooth import smooth

EXACT = LinearSettings(reduce_range=True)  # no saturation, whatever the processor


def vectors(model: onnx.ModelProto, tokenizer: Path, sentences: list[str]) -> np.ndarray:
    return embed_all(OnnxEmbedder(model.SerializeToString(), tokenizer), sentences)


def least_cosine(model: onnx.ModelProto, graph: onnx.ModelProto, tokenizer: Path, sentences: list[str]) -> float:
    return float((vectors(model, tokenizer, sentences) * vectors(graph, tokenizer, sentences)).sum(axis=1).min())


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.booleans(), st.sampled_from([(0, 255), (-128, 127), (-64, 63)]))
def test_zero_falls_on_the_grid_and_no_number_of_the_range_moves_more_than_a_step(
    one: float, other: float, symmetric: bool, limits: tuple[int, int]
) -> None:
    low, high = min(one, other), max(one, other)

    scale, zero_point = scale_and_zero_point(np.array(low), np.array(high), *limits, symmetric=symmetric)

    assert limits[0] <= zero_point <= limits[1]
    for number in (low, high, (low + high) / 2, 0.0):
        kept = (np.clip(np.rint(number / scale) + zero_point, *limits) - zero_point) * scale
        # The zero point is rounded too, so that at one end of an asymmetric range half a step more may be cut.
        assert abs(kept - number) <= 1.001 * scale


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("unsigned", [True, False])
@pytest.mark.parametrize("reduce_range", [True, False])
def test_a_weight_comes_back_within_a_step(symmetric: bool, unsigned: bool, reduce_range: bool) -> None:
    weight = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)

    made = quantize_weight(weight, symmetric=symmetric, unsigned=unsigned, reduce_range=reduce_range)

    assert made.values.dtype == (np.uint8 if unsigned else np.int8)
    assert int(made.values.max()) - int(made.values.min()) <= (127 if reduce_range else 255)
    assert (np.abs(made.dequantized() - weight) <= made.scale * 1.001).all()
    if symmetric:
        assert set(np.unique(made.zero_point)) == {(64 if reduce_range else 128) if unsigned else 0}


def test_a_scale_per_channel_loses_less_than_one_per_tensor() -> None:
    random = np.random.default_rng(0)
    weight = (random.normal(size=(64, 32)) * np.geomspace(0.01, 1, 32)).astype(np.float32)

    errors = [np.square(quantize_weight(weight, per_channel=each).dequantized() - weight).sum() for each in (1, 0)]

    assert errors[0] < errors[1] / 4


@pytest.mark.parametrize(
    "settings",
    [
        EXACT,
        RECOMMENDED,
        LinearSettings(unsigned=True, symmetric=False),
        LinearSettings(unsigned=True, per_channel=False),
        LinearSettings(static=True, reduce_range=True),
        LinearSettings(static=True, reduce_range=True, calibration="percentile", symmetric_activations=True),
        LinearSettings(static=True, reduce_range=True, smoothing=0.5, smooth_attention=True),
    ],
)
def test_dynamic_and_static_graphs_stay_close_to_float32(
    settings: LinearSettings, graph: onnx.ModelProto, tokenizer: Path, sentences: list[str]
) -> None:
    made = quantize(graph, settings, tokenizer, sentences)

    assert least_cosine(made, graph, tokenizer, sentences) > 0.98
    assert not [node for node in made.graph.node if node.op_type == "Attention"]


def test_every_weight_becomes_smaller_and_is_still_counted(graph: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "whole.onnx")
    onnx.save(quantize(graph, EXACT), tmp_path / "int8.onnx")

    whole, made = (tmp_path / name for name in ("whole.onnx", "int8.onnx"))

    assert made.stat().st_size < whole.stat().st_size * 0.55  # of so small a graph, much is names
    assert count_onnx(made)[0] == count_onnx(whole)[0]


def padded_and_alone(model: onnx.ModelProto, token: int) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.array([[2, 4, 5, 3, 0, 0, 0], [2, token, 8, 9, 10, 11, 3]])
    feed = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    return session.run(["sentence_embedding"], feed)[0][0]


def test_a_static_vector_does_not_depend_on_its_neighbours_and_a_dynamic_one_does(
    graph: onnx.ModelProto, tokenizer: Path, sentences: list[str]
) -> None:
    static = quantize(graph, LinearSettings(static=True, reduce_range=True), tokenizer, sentences)
    dynamic = quantize(graph, EXACT)

    assert np.array_equal(padded_and_alone(static, 12), padded_and_alone(static, 13))
    assert not np.array_equal(padded_and_alone(dynamic, 12), padded_and_alone(dynamic, 13))


def test_smoothing_leaves_every_product_as_it_was(
    graph: onnx.ModelProto, tokenizer: Path, sentences: list[str]
) -> None:
    smoothed = onnx.ModelProto()
    smoothed.CopyFrom(graph)
    inputs = {node.input[0] for node in graph.graph.node if node.op_type in ("MatMul", "Attention")} - {"mask_rows"}
    peaks = {name: channel_peaks(each) for name, each in activations(graph, list(inputs), tokenizer, sentences).items()}

    weights = smooth(smoothed, peaks, 0.75)

    assert len(weights) == 8
    assert vectors(smoothed, tokenizer, sentences) == pytest.approx(vectors(graph, tokenizer, sentences), abs=1e-5)
    added = len(smoothed.graph.node) - len(graph.graph.node)
    assert added == 6  # what attention gives is divided in its value weights, for nothing


def test_a_range_holds_zero_and_cuts_outliers_only_when_asked_to() -> None:
    values = np.random.default_rng(0).normal(size=(10_000, 1)).astype(np.float32)
    values[0] = 50

    ranges = {method: value_range([values], method) for method in ("minmax", "percentile", "entropy")}

    assert ranges["minmax"] == (float(values.min()), 50)
    assert 3 < ranges["percentile"][1] < 50
    assert 3 < ranges["entropy"][1] < 50
    assert value_range([values[values > 1]], "minmax")[0] == 0


def test_entropy_keeps_what_is_evenly_spread() -> None:
    assert entropy_cut(np.linspace(0, 1, 50_000, dtype=np.float32)) > 0.95


def test_onnxruntimes_own_tool_takes_the_same_settings(
    graph: onnx.ModelProto, tokenizer: Path, sentences: list[str], tmp_path: Path
) -> None:
    onnx.save(graph, tmp_path / "float32.onnx")

    for name, settings in {"dynamic": EXACT, "static": LinearSettings(static=True, reduce_range=True)}.items():
        quantize_any(tmp_path / "float32.onnx", tmp_path / f"{name}.onnx", settings, tokenizer, sentences)
        assert least_cosine(onnx.load(tmp_path / f"{name}.onnx"), graph, tokenizer, sentences) > 0.98


def test_static_quantization_without_sentences_is_refused(graph: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="need sentences"):
        quantize(graph, LinearSettings(static=True))


def test_a_graph_quantized_twice_is_refused(graph: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="no multiplication by a constant weight"):
        quantize(quantize(graph, EXACT), EXACT)


def test_more_bits_lose_less() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)

    errors = [
        np.square(quantize_weight(weight, reduce_range=each).dequantized() - weight).sum() for each in (False, True)
    ]

    assert all(fewer < more for fewer, more in pairwise(errors))
