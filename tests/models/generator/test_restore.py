"""The folder restored from the artefact is the model that the artefact serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file

from models.generator.restore import NotRestorable, restore
from tests.models.generator.conftest import GENERATOR

ARTEFACT = GENERATOR / "artefact"
IDS = np.array([[1, 3, 400, 512, 61, 700, 2, 4, 800, 900, 1000, 2]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("restored")
    restore(ARTEFACT, out)
    return out


def served_logits() -> np.ndarray:
    session = onnxruntime.InferenceSession(ARTEFACT / "model.onnx", providers=["CPUExecutionProvider"])
    heads = json.loads((ARTEFACT / "genai_config.json").read_text(encoding="utf-8"))["model"]["decoder"][
        "num_key_value_heads"
    ]
    caches = {
        each.name: np.zeros((1, heads, 0, 64), np.float32) for each in session.get_inputs() if "past" in each.name
    }
    return np.asarray(session.run(["logits"], {"input_ids": IDS, "attention_mask": np.ones_like(IDS), **caches})[0][0])


def llama_logits(weights: dict[str, np.ndarray], config: dict[str, Any]) -> np.ndarray:
    """Llama as its paper has it (Touvron et al. 2023, arXiv:2302.13971), written for these few tokens."""
    count, heads, size = IDS.shape[1], config["num_attention_heads"], config["head_dim"]
    angles = np.outer(np.arange(count), config["rope_parameters"]["rope_theta"] ** (-np.arange(0, size, 2) / size))
    cosine, sine = (np.tile(each(angles), 2) for each in (np.cos, np.sin))
    future = np.triu(np.full((count, count), -np.inf), 1)

    def norm(rows: np.ndarray, name: str) -> np.ndarray:
        return rows / np.sqrt((rows**2).mean(axis=-1, keepdims=True) + config["rms_norm_eps"]) * weights[name]

    def split(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(count, heads, size).transpose(1, 0, 2)

    def rotated(rows: np.ndarray) -> np.ndarray:
        return rows * cosine + np.concatenate([-rows[..., size // 2 :], rows[..., : size // 2]], axis=-1) * sine

    rows = weights["model.embed_tokens.weight"][IDS[0]]
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}."
        given = norm(rows, f"{layer}input_layernorm.weight")
        query, key, value = (split(given @ weights[f"{layer}self_attn.{part}_proj.weight"].T) for part in "qkv")
        scores = np.exp(rotated(query) @ rotated(key).transpose(0, 2, 1) / np.sqrt(size) + future)
        mixed = (scores / scores.sum(axis=-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(count, -1)
        rows = rows + mixed @ weights[f"{layer}self_attn.o_proj.weight"].T
        given = norm(rows, f"{layer}post_attention_layernorm.weight")
        gate = given @ weights[f"{layer}mlp.gate_proj.weight"].T
        wide = gate / (1 + np.exp(-gate)) * (given @ weights[f"{layer}mlp.up_proj.weight"].T)
        rows = rows + wide @ weights[f"{layer}mlp.down_proj.weight"].T
    return np.asarray(norm(rows, "model.norm.weight") @ weights["lm_head.weight"].T)


def test_the_restored_weights_say_what_the_served_model_says(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    restored = llama_logits(load_file(folder / "model.safetensors"), config)

    # The served model rounds its inputs to INT8 as it goes, so the two differ a little.
    assert np.corrcoef(restored.ravel(), served_logits().ravel())[0, 1] > 0.999


def test_a_head_that_is_not_the_embedding_comes_back(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    assert config["tie_word_embeddings"] is False
    assert load_file(folder / "model.safetensors")["lm_head.weight"].shape == (
        config["vocab_size"],
        config["hidden_size"],
    )


def test_the_tokenizer_comes_along(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (ARTEFACT / name).read_bytes()


def test_a_folder_that_is_no_artefact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotRestorable, match=r"genai_config\.json"):
        restore(tmp_path, tmp_path / "out")
