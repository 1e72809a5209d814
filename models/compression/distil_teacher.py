"""The teacher of a sentence encoder: a folder or an installed package, texts in, unit vectors out.

Knows where teachers come from and how many texts are worth putting through at a time. Needs torch and transformers.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.compression.distil_plan import batches_by_length
from models.compression.embedders import TOKENIZER_FILE, plain_tokenizer
from models.compression.model_place import model_folder
from models.compression.torch_encoder import load_sentence_encoder

BATCH_TOKENS = 1024  # more gains nothing on a CPU and leaves the cache


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights, hex."""
    with (folder / "model.safetensors").open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


def padded(ids: Sequence[Sequence[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids as one tensor, and which of them are none of the padding; (B, T) int64 each."""
    width = max(len(each) for each in ids)
    tokens = torch.tensor([[*each, *[padding] * (width - len(each))] for each in ids])
    mask = torch.tensor([[1] * len(each) + [0] * (width - len(each)) for each in ids])
    return tokens, mask


class Teacher:
    """A sentence encoder in float32 that is only asked."""

    def __init__(self, name: str, most_tokens_of_a_text: int = 128) -> None:
        folder = model_folder(name)
        self._model = load_sentence_encoder(folder)
        self._tokenizer = plain_tokenizer(folder / TOKENIZER_FILE)
        self._tokenizer.enable_truncation(most_tokens_of_a_text)
        self._padding = padding_id(self._tokenizer)
        self.width = int(self._model.encoder.config.hidden_size)
        self.name = f"{folder.name} {weights_hash(folder)[:16]}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The unit vectors of the texts.

        Shapes:
            returns: (N, width) float32
        """
        ids = [each.ids for each in self._tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(texts), self.width), np.float32)
        with torch.inference_mode():
            for batch in batches_by_length([len(each) for each in ids], BATCH_TOKENS):
                made, _ = self._model(*padded([ids[index] for index in batch], self._padding))
                vectors[batch] = made.numpy()
        return vectors

    def hidden(self, tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The hidden states of all layers, (B, T, width) each; the ids must be of the teacher's own tokenizer."""
        with torch.no_grad():
            return tuple(self._model.encoder(tokens, mask, output_hidden_states=True).hidden_states)


def padding_id(tokenizer: Tokenizer) -> int:
    """The id of the padding token, which BERT writes [PAD] and MPNet <pad>; 0 where there is none."""
    found = (tokenizer.token_to_id(token) for token in ("[PAD]", "<pad>"))
    return next((token for token in found if token is not None), 0)
