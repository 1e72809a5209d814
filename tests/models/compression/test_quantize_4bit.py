"""Four bits: packing, codebooks by k-means and by powers of two, and blocks; graphs give what numpy gives."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from models.compression import packed4, quantize_blocks, quantize_codebook
from models.compression.embedders import OnnxEmbedder, embed_all
from models.compression.onnx_export import export_fp32
from models.compression.onnx_weights import count_onnx
from models.compression.quantize_codebook import (
    STARTS,
    CodebookSettings,
    kmeans_levels,
    log_levels,
    nearest,
    quantize_folder,
    quantize_onnx,
    quantize_weight,
)

SETTINGS = [
    CodebookSettings(),
    CodebookSettings(groups=5),
    CodebookSettings(scales=False, start="linear"),
    CodebookSettings(method="log"),
    CodebookSettings(method="log", scales=False, groups=3),
]


def gaussian(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def squared_error(values: np.ndarray, levels: np.ndarray) -> float:
    return float(np.square(levels[nearest(values, levels)] - values).sum())


@given(arrays(np.uint8, st.tuples(st.integers(0, 9), st.integers(0, 9)), elements=st.integers(0, 15)))
def test_what_is_packed_comes_back(indices: np.ndarray) -> None:
    packed = packed4.pack(indices)

    assert packed.shape == (indices.shape[0], (indices.shape[1] + 1) // 2)
    assert np.array_equal(packed4.unpack(packed, indices.shape[1]), indices)


def test_an_index_of_more_than_four_bits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.15"):
        packed4.pack(np.array([[16]]))


@pytest.mark.parametrize("start", STARTS)
def test_kmeans_loses_no_more_than_an_even_grid(start: str) -> None:
    values = gaussian(20_000)
    even = np.linspace(values.min(), values.max(), 16).astype(np.float32)

    levels = kmeans_levels(values, start=start)

    assert squared_error(values, levels) < 0.7 * squared_error(values, even)
    assert (np.diff(levels) >= 0).all()


@given(arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32)))
def test_lloyds_iteration_never_ends_worse_than_it_began(values: np.ndarray) -> None:
    began = kmeans_levels(values, iterations=0, start="linear")

    ended = kmeans_levels(values, start="linear")

    assert squared_error(values, ended) <= squared_error(values, began) * (1 + 1e-4) + 1e-4


def test_what_counts_more_is_kept_better() -> None:
    values = gaussian(5_000)
    large = values > 2
    importance = np.where(large, 1e3, 1).astype(np.float32)

    plain, weighted = kmeans_levels(values), kmeans_levels(values, importance=importance)

    assert squared_error(values[large], weighted) < 0.5 * squared_error(values[large], plain)


@given(st.floats(1e-6, 1e6))
def test_log_levels_are_zero_and_powers_of_two(peak: float) -> None:
    levels = log_levels(peak)

    others = np.log2(np.abs(levels[levels != 0]))
    assert len(np.unique(levels)) == 16
    assert 0 in levels
    assert np.array_equal(others, np.rint(others))
    assert peak / 2**0.51 <= levels.max() <= peak * 2**0.51


@pytest.mark.parametrize("settings", SETTINGS)
def test_pruned_weights_stay_zero(settings: CodebookSettings) -> None:
    weight = gaussian(40, 33)
    weight[np.abs(weight) < 0.6] = 0

    made = quantize_weight(weight, settings).dequantized()

    assert (made[weight == 0] == 0).all()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_graph_unpacks_to_the_very_numbers_of_numpy(settings: CodebookSettings) -> None:
    weight = gaussian(130, 33)  # an odd number of columns, so that the last byte is half empty
    table = gaussian(300, 7)
    made = quantize_onnx(lookup_and_product(weight, table), settings)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])

    product, rows = session.run(None, {"x": np.eye(130, dtype=np.float32), "ids": np.arange(300)[None]})

    assert np.array_equal(product, quantize_weight(weight, settings, scale_rows=False).dequantized())
    assert np.array_equal(rows[0], quantize_weight(table, settings).dequantized())


def lookup_and_product(weight: np.ndarray, table: np.ndarray) -> onnx.ModelProto:
    floats, numbers = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "weight"], ["product"]),
        onnx.helper.make_node("Gather", ["table", "ids"], ["rows"]),
    ]
    inputs = [("x", floats, ["n", len(weight)]), ("ids", numbers, ["batch", "tokens"])]
    outputs = [("product", floats, None), ("rows", floats, None)]
    graph = onnx.helper.make_graph(
        nodes,
        "lookup_and_product",
        [onnx.helper.make_tensor_value_info(*each) for each in inputs],
        [onnx.helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(table, "table")],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def test_a_graph_in_four_bits_is_small(tmp_path: Path) -> None:
    whole = lookup_and_product(gaussian(512, 256), gaussian(1024, 64))
    onnx.save(whole, tmp_path / "whole.onnx")
    onnx.save(quantize_onnx(whole, CodebookSettings()), tmp_path / "packed.onnx")

    sizes = [(tmp_path / name).stat().st_size for name in ("packed.onnx", "whole.onnx")]

    assert sizes[0] < sizes[1] * 0.16
    assert count_onnx(tmp_path / "packed.onnx")[0] == count_onnx(tmp_path / "whole.onnx")[0]


def test_an_encoder_in_four_bits_still_embeds(
    graph: onnx.ModelProto, tokenizer: Path, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize_codebook, "FEWEST_WEIGHTS", 256)

    small = quantize_onnx(graph, CodebookSettings(), tokenizer, sentences)

    before, after = (embed_all(OnnxEmbedder(each.SerializeToString(), tokenizer), sentences) for each in (graph, small))
    assert len(small.graph.node) > 2 * len(graph.graph.node)
    assert 0.9 < (before * after).sum(axis=1).min() < 0.9999


def test_a_folder_in_four_bits_loads_as_the_weights_it_stands_for(folder: Path, tmp_path: Path) -> None:
    settings = CodebookSettings(groups=2)
    quantize_folder(folder, tmp_path / "packed", settings)

    before, after = packed4.load_state_dict(folder), packed4.load_state_dict(tmp_path / "packed")

    name = "bert.embeddings.word_embeddings.weight"
    assert before.keys() == after.keys()
    assert np.array_equal(after[name], quantize_weight(before[name], settings).dequantized())
    assert np.array_equal(after["bert.embeddings.LayerNorm.weight"], before["bert.embeddings.LayerNorm.weight"])
    assert not (tmp_path / "packed" / "model.safetensors").exists()
    assert export_fp32(tmp_path / "packed").graph.node  # and goes on like any other folder


@pytest.mark.parametrize("bits", [4, 8])
def test_blocks_come_back_within_a_step(bits: int) -> None:
    weight = gaussian(100, 12)  # not a whole number of blocks

    values, scales = quantize_blocks.quantize_weight(weight, quantize_blocks.BlockSettings(bits, 32))

    made = quantize_blocks.dequantized(values, scales, 100, bits)
    steps = np.repeat(np.abs(scales), 32, axis=1)[:, :100].T
    assert made.shape == weight.shape
    assert (np.abs(made - weight) <= steps * 1.001).all()


def test_a_graph_in_blocks_stays_close_to_float32(
    graph: onnx.ModelProto, tokenizer: Path, sentences: list[str]
) -> None:
    before = embed_all(OnnxEmbedder(graph.SerializeToString(), tokenizer), sentences)

    cosines = {}
    for bits in (4, 8):
        made = quantize_blocks.quantize(graph, quantize_blocks.BlockSettings(bits, 16))
        after = embed_all(OnnxEmbedder(made.SerializeToString(), tokenizer), sentences)
        cosines[bits] = float((before * after).sum(axis=1).min())

    assert cosines[8] > 0.999
    assert cosines[4] > 0.9
