"""A sentence encoder small enough to quantize in a moment: random weights, two layers, the first one pruned."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel

from models.compression.onnx_export import export_fp32

WORDS = ["when", "will", "the", "parcel", "with", "my", "new", "shoes", "arrive", "at", "home", "what", "is", "it"]
WIDTH, HEAD_SIZE, VOCABULARY, POSITIONS = 32, 8, 300, 80
HEADS = (2, 4)  # left in each layer, of four
FEED_FORWARD = (21, 64)
SENTENCES = ["when will the parcel arrive", "what is it", "my new shoes", "the parcel with my shoes is at home"]


def write_tokenizer(path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path))


def write_folder(folder: Path) -> Path:
    """A Hugging Face folder whose layers have lost heads and neurons, as structured pruning leaves it."""
    random = np.random.default_rng(5)

    def matrix(*shape: int) -> np.ndarray:
        return (random.normal(size=shape) * 0.3).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": matrix(VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": matrix(POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": matrix(2, WIDTH),
        "pooler.dense.weight": matrix(WIDTH, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for number, (heads, wide) in enumerate(zip(HEADS, FEED_FORWARD, strict=True)):
        layer, inner = f"encoder.layer.{number}", heads * HEAD_SIZE
        shapes = {f"attention.self.{part}": (inner, WIDTH) for part in ("query", "key", "value")}
        shapes |= {"attention.output.dense": (WIDTH, inner), "intermediate.dense": (wide, WIDTH)}
        shapes |= {"output.dense": (WIDTH, wide)}
        for name, shape in shapes.items():
            tensors[f"{layer}.{name}.weight"] = matrix(*shape)
            tensors[f"{layer}.{name}.bias"] = matrix(shape[0])
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name in norms:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = 1 + matrix(WIDTH), matrix(WIDTH)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({f"bert.{name}": value for name, value in tensors.items()}, str(folder / "model.safetensors"))
    config = {"model_type": "bert", "num_attention_heads": WIDTH // HEAD_SIZE, "hidden_act": "gelu"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_tokenizer(folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder as a Hugging Face folder."""
    return write_folder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> Path:
    return folder / "tokenizer.json"


@pytest.fixture(scope="session")
def graph(folder: Path) -> onnx.ModelProto:
    """The encoder as a float32 graph."""
    return export_fp32(folder)


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return SENTENCES
