"""What stays of a BERT that becomes narrower."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from models.compression.narrow import GAIN, WORDS, narrowed
from models.compression.onnx_export import export_fp32

HEADS, HEAD_SIZE = 4, 8
LAYER = "encoder.layer.1"  # of the tiny encoder; it still has all of its heads
Tensors = dict[str, NDArray[np.float32]]


@pytest.fixture
def tensors(folder: Path) -> Tensors:
    return {name.removeprefix("bert."): values for name, values in load_file(folder / "model.safetensors").items()}


def test_the_channels_in_which_words_differ_most_stay(tensors: Tensors) -> None:
    loud = [3, 4, 9, 10, 17, 20, 28, 31]
    tensors[WORDS] = np.full_like(tensors[WORDS], 0.5)
    tensors[WORDS][::2, loud] = -0.5
    tensors[GAIN] = np.ones_like(tensors[GAIN])

    kept, heads = narrowed(tensors, HEADS, 8)

    assert heads == 1
    assert np.array_equal(kept[WORDS], tensors[WORDS][:, loud])
    assert np.array_equal(kept[f"{LAYER}.output.dense.weight"], tensors[f"{LAYER}.output.dense.weight"][loud])
    assert np.array_equal(
        kept[f"{LAYER}.intermediate.dense.weight"], tensors[f"{LAYER}.intermediate.dense.weight"][:, loud]
    )


def test_the_heads_that_say_most_stay(tensors: Tensors) -> None:
    strong = slice(2 * HEAD_SIZE, 3 * HEAD_SIZE)
    tensors[f"{LAYER}.attention.self.value.weight"][strong] *= 100

    kept, _ = narrowed(tensors, HEADS, 8)

    assert np.array_equal(kept[f"{LAYER}.attention.self.key.bias"], tensors[f"{LAYER}.attention.self.key.bias"][strong])
    assert kept[f"{LAYER}.attention.output.dense.weight"].shape == (8, HEAD_SIZE)


def test_what_is_left_is_an_encoder(tensors: Tensors, folder: Path, tmp_path: Path) -> None:
    kept, heads = narrowed(tensors, HEADS, 16)
    save_file(
        {name: np.ascontiguousarray(values) for name, values in kept.items()}, str(tmp_path / "model.safetensors")
    )
    config = json.loads((folder / "config.json").read_text()) | {"num_attention_heads": heads}
    (tmp_path / "config.json").write_text(json.dumps(config))

    graph = export_fp32(tmp_path)

    assert [output.type.tensor_type.shape.dim[-1].dim_value for output in graph.graph.output] == [16, 16]


@pytest.mark.parametrize("width", [0, 12, 32, 40])
def test_a_width_that_is_no_whole_number_of_heads_is_refused(tensors: Tensors, width: int) -> None:
    with pytest.raises(ValueError, match="whole heads of 8"):
        narrowed(tensors, HEADS, width)
