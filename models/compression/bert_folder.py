"""A Hugging Face folder of a BERT-like sentence encoder, as numpy arrays.

Knows its files and names: config.json, model.safetensors, the pooling of sentence-transformers. Reads folders in which
layers have lost heads or feed-forward neurons: the shapes of the tensors say how many are left. Needs neither torch nor
transformers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.compression.packed4 import load_state_dict

FloatArray = NDArray[np.float32]
Tensor = TypeVar("Tensor")

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
POOLING_FILE = Path("1_Pooling") / "config.json"
POOLINGS = ("pooling_mode_mean_tokens", "pooling_mode_cls_token")
EMBEDDINGS = "embeddings.word_embeddings.weight"  # where the encoder's own names begin


@dataclass(frozen=True, slots=True)
class Linear:
    """y = x W + b.

    Shapes:
        weight: (inputs, outputs), transposed from the file's; bias: (outputs,)
    """

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalization: scale and shift, (D,) each."""

    scale: FloatArray
    shift: FloatArray


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer layer; `heads` are those left."""

    heads: int
    query: Linear
    key: Linear
    value: Linear
    attended: Linear
    attended_norm: Norm
    up: Linear
    down: Linear
    down_norm: Norm


@dataclass(frozen=True, slots=True)
class Bert:
    """A whole encoder.

    Shapes:
        words: (V, D); positions: (P, D), the embedding of token type 0 already added
    """

    words: FloatArray
    positions: FloatArray
    embedding_norm: Norm
    layers: tuple[Layer, ...]
    head_size: int
    activation: str
    epsilon: float
    first_token: bool  # pooling: the first token instead of the mean


def read_config(folder: Path) -> dict[str, Any]:
    """What config.json says.

    Raises:
        ValueError: it is missing, or says no model type.
    """
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{folder} has no {CONFIG_FILE}: no Hugging Face folder") from error
    if "model_type" not in config:
        raise ValueError(f"{folder / CONFIG_FILE} names no model_type")
    return dict(config)


def first_token_pooling(folder: Path) -> bool:
    """Whether the sentence is its first token's vector; without a word on it, it is the mean of all.

    Raises:
        ValueError: the folder pools in a way that is neither.
    """
    path = folder / POOLING_FILE
    if not path.exists():
        return False
    modes = json.loads(path.read_text(encoding="utf-8"))
    chosen = [name for name, value in modes.items() if name.startswith("pooling_mode") and value is True]
    if (chosen and chosen[0] not in POOLINGS) or len(chosen) > 1:
        raise ValueError(f"{path}: only the mean and the first token are known, not {', '.join(chosen)}")
    return chosen == ["pooling_mode_cls_token"]


def without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the encoder's own names, without `bert.` or the like before them, and without other heads.

    Raises:
        ValueError: there is no word embedding among them.
    """
    prefix = next((name.removesuffix(EMBEDDINGS) for name in tensors if name.endswith(EMBEDDINGS)), None)
    if prefix is None:
        raise ValueError(f"no tensor is called ...{EMBEDDINGS}: not an encoder of BERT's kind")
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def read_bert(folder: Path) -> Bert:
    """The encoder in the folder.

    Raises:
        ValueError: it is not of type `bert`, or a tensor is missing.
    """
    config = read_config(folder)
    if config["model_type"] != "bert" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ValueError(f"{folder}: a graph can be built only for model type bert, not {config['model_type']}")
    tensors = {name: np.asarray(value, np.float32) for name, value in without_prefix(load_state_dict(folder)).items()}
    try:
        return _bert(folder, config, tensors)
    except KeyError as error:
        raise ValueError(f"{folder / WEIGHTS_FILE} has no tensor {error}") from error


def _bert(folder: Path, config: dict[str, Any], tensors: dict[str, FloatArray]) -> Bert:
    words = tensors[EMBEDDINGS]
    whole_heads = config["num_attention_heads"]
    heads = max(whole_heads) if isinstance(whole_heads, list) else whole_heads
    head_size = int(config.get("head_dim") or config.get("attention_head_size") or words.shape[1] // heads)

    def linear(name: str) -> Linear:
        return Linear(np.ascontiguousarray(tensors[f"{name}.weight"].T), tensors[f"{name}.bias"])

    def norm(name: str) -> Norm:
        return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def layer(name: str) -> Layer:
        query = linear(f"{name}.attention.self.query")
        return Layer(
            heads=query.weight.shape[1] // head_size,
            query=query,
            key=linear(f"{name}.attention.self.key"),
            value=linear(f"{name}.attention.self.value"),
            attended=linear(f"{name}.attention.output.dense"),
            attended_norm=norm(f"{name}.attention.output.LayerNorm"),
            up=linear(f"{name}.intermediate.dense"),
            down=linear(f"{name}.output.dense"),
            down_norm=norm(f"{name}.output.LayerNorm"),
        )

    positions = tensors["embeddings.position_embeddings.weight"]
    types = tensors.get("embeddings.token_type_embeddings.weight")
    if types is not None:
        positions = positions + types[0]
    numbers = sorted({int(name.split(".")[2]) for name in tensors if name.startswith("encoder.layer.")})
    return Bert(
        words=words,
        positions=positions,
        embedding_norm=norm("embeddings.LayerNorm"),
        layers=tuple(layer(f"encoder.layer.{number}") for number in numbers),
        head_size=head_size,
        activation=config.get("hidden_act", "gelu"),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        first_token=first_token_pooling(folder),
    )
