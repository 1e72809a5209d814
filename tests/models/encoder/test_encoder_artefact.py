"""The committed encoder artefact, read as the Lambda reads it: onnxruntime and tokenizers, nothing else."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

FOLDER = Path(__file__).resolve().parents[3] / "models" / "encoder"
LIMIT_BYTES = 25_000_000

PARAPHRASES = [
    ("where is my parcel?", "has my package been shipped yet?"),
    ("I want my money back", "how do I get a refund?"),
    ("let me speak to a person", "can I talk to a human agent"),
    ("what time do you open on Saturdays", "opening hours at the weekend"),
    ("I forgot my password", "I can't log in to my account any more"),
]


class Artefact:
    def __init__(self) -> None:
        self.tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
        self.session = onnxruntime.InferenceSession(FOLDER / "model.onnx", providers=["CPUExecutionProvider"])

    def embed_encodings(self, encodings: list[Encoding]) -> NDArray[np.float32]:
        feed = {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
        }
        return self.session.run(["sentence_embedding"], feed)[0]

    def embed(self, text: str) -> NDArray[np.float32]:
        return self.embed_encodings([self.tokenizer.encode(text)])[0]

    def embed_padded(self, texts: list[str]) -> NDArray[np.float32]:
        padding = Tokenizer.from_str(self.tokenizer.to_str())
        padding.enable_padding()
        return self.embed_encodings(padding.encode_batch(texts))


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    return Artefact()


def test_it_takes_ids_and_mask_and_gives_384_float32_numbers(artefact: Artefact) -> None:
    inputs = {(given.name, given.type) for given in artefact.session.get_inputs()}
    outputs = [(made.name, made.type, made.shape[-1]) for made in artefact.session.get_outputs()]

    assert inputs == {("input_ids", "tensor(int64)"), ("attention_mask", "tensor(int64)")}
    assert outputs == [("sentence_embedding", "tensor(float)", 384), ("token_embeddings", "tensor(float)", 384)]
    assert artefact.embed("hello").shape == (384,)


@pytest.mark.parametrize("text", ["", "a", "Is it in stock?", "naïve 日本語 🙂 ½", "word " * 2000])
def test_every_embedding_has_unit_length(artefact: Artefact, text: str) -> None:
    assert np.linalg.norm(artefact.embed(text)) == pytest.approx(1, abs=1e-5)


def test_the_same_sentence_gives_the_same_vector(artefact: Artefact) -> None:
    assert np.array_equal(artefact.embed("where is my parcel?"), artefact.embed("where is my parcel?"))


def test_a_padded_batch_is_close_to_one_at_a_time(artefact: Artefact) -> None:
    texts = ["hello", *(text for pair in PARAPHRASES for text in pair), "please " * 60]

    batch = artefact.embed_padded(texts)

    alone = np.stack([artefact.embed(text) for text in texts])
    cosines = (batch * alone).sum(axis=1)
    assert cosines.min() > 0.9  # not 1: INT8 activations share one scale per call; lowest where VNNI is missing


def test_a_paraphrase_is_nearer_than_anything_else(artefact: Artefact) -> None:
    left, right = (np.stack([artefact.embed(pair[side]) for pair in PARAPHRASES]) for side in (0, 1))

    similarities = left @ right.T

    assert similarities.argmax(axis=1).tolist() == list(range(len(PARAPHRASES)))


def test_text_beyond_the_window_is_cut_and_text_within_it_is_not_padded(artefact: Artefact) -> None:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))

    assert len(artefact.tokenizer.encode("word " * 2000).ids) == config["max_tokens"] == 256
    assert len(artefact.tokenizer.encode("two words").ids) == 4  # with [CLS] and [SEP]


def test_the_config_names_the_files_beside_it() -> None:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))

    content = b"".join((FOLDER / name).read_bytes() for name in ("model.onnx", "tokenizer.json"))

    assert config["version"] == hashlib.sha256(content).hexdigest()[:16]
    assert config["dimensions"] == 384
    assert config["licence"] == "Apache-2.0"


def test_the_folder_stays_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts]

    assert sum(path.stat().st_size for path in files) <= LIMIT_BYTES
