"""A Hugging Face folder as a graph: the same numbers as the textbook's formulas, also where layers differ in shape."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from scipy.special import erf, softmax

from models.compression.bert_folder import Bert, Layer, Norm, read_bert
from models.compression.onnx_export import export_fp32

IDS = np.array([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]])
MASK = (IDS > 0).astype(np.int64)


def norm(values: np.ndarray, weights: Norm, epsilon: float) -> np.ndarray:
    centred = values - values.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weights.scale + weights.shift


def attended(hidden: np.ndarray, layer: Layer, mask: np.ndarray, size: int) -> np.ndarray:
    def heads(part: str) -> np.ndarray:
        linear = getattr(layer, part)
        return (hidden @ linear.weight + linear.bias).reshape(*hidden.shape[:2], layer.heads, size).swapaxes(1, 2)

    scores = heads("query") @ heads("key").swapaxes(2, 3) / np.sqrt(size) - 10000.0 * (1 - mask[:, None, None, :])
    mixed = (softmax(scores, axis=-1) @ heads("value")).swapaxes(1, 2).reshape(*hidden.shape[:2], -1)
    return mixed @ layer.attended.weight + layer.attended.bias


def textbook(bert: Bert, ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hidden = norm(bert.words[ids] + bert.positions[: ids.shape[1]], bert.embedding_norm, bert.epsilon)
    for layer in bert.layers:
        hidden = norm(hidden + attended(hidden, layer, mask, bert.head_size), layer.attended_norm, bert.epsilon)
        wide = hidden @ layer.up.weight + layer.up.bias
        wide = wide * (1 + erf(wide / np.sqrt(2))) / 2
        hidden = norm(hidden + wide @ layer.down.weight + layer.down.bias, layer.down_norm, bert.epsilon)
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True), hidden


def run(model: onnx.ModelProto, ids: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["sentence_embedding", "token_embeddings"], {"input_ids": ids, "attention_mask": mask})


def test_the_graph_of_a_pruned_folder_gives_what_the_formulas_give(folder: Path, graph: onnx.ModelProto) -> None:
    expected_sentence, expected_tokens = textbook(read_bert(folder), IDS, MASK)

    sentence, tokens = run(graph, IDS, MASK)

    assert sentence == pytest.approx(expected_sentence, abs=1e-5)
    assert tokens[MASK > 0] == pytest.approx(expected_tokens[MASK > 0], abs=1e-4)


def test_layers_keep_the_heads_and_neurons_that_are_left(folder: Path) -> None:
    layers = read_bert(folder).layers

    assert [layer.heads for layer in layers] == [2, 4]
    assert [layer.up.weight.shape for layer in layers] == [(32, 21), (32, 64)]


def test_first_token_pooling_is_read_from_the_folder(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "cls")
    (other / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": 32}
    (other / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")

    sentence, tokens = run(export_fp32(other), IDS, MASK)

    first = tokens[:, 0] / np.linalg.norm(tokens[:, 0], axis=1, keepdims=True)
    assert sentence == pytest.approx(first, abs=1e-6)


def test_a_folder_that_is_no_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config\.json"):
        export_fp32(tmp_path)
