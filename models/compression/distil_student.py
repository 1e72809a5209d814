"""The student: a BERT folder that learns, or a smaller one made of some of its layers.

Knows how a folder is read, put through and written again with everything a loader expects beside the weights. Needs
torch and transformers.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.compression.bert_folder import CONFIG_FILE, WEIGHTS_FILE, read_config, without_prefix
from models.compression.distil_plan import batches_by_length
from models.compression.distil_teacher import padded, padding_id
from models.compression.embedders import TOKENIZER_FILE, plain_tokenizer
from models.compression.model_place import model_folder
from models.compression.narrow import narrowed
from models.compression.torch_encoder import load_sentence_encoder

BATCH_TOKENS = 1024
LAYER = "encoder.layer."
BESIDE = ("*.json", "*.txt", "1_Pooling", "2_Normalize", "0_Transformer")  # what a folder holds besides its weights


class Student:
    """A sentence encoder that learns; no dropout, so that nothing is random but the order of texts."""

    def __init__(self, name: str, most_tokens_of_a_text: int = 128) -> None:
        self._folder = model_folder(name)
        self._model = load_sentence_encoder(self._folder)
        self._tokenizer = plain_tokenizer(self._folder / TOKENIZER_FILE)
        self._tokenizer.enable_truncation(most_tokens_of_a_text)
        self.padding = padding_id(self._tokenizer)
        self.width = int(self._model.encoder.config.hidden_size)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch(list(texts))]

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, hidden: bool = False
    ) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        """Unit vectors (B, D) and, if wanted, the hidden states of all layers, (B, T, D) each."""
        if not hidden:
            return self._model(tokens, mask)[0], ()
        vectors, states = self._model.with_layers(tokens, mask)
        return vectors, states

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The unit vectors of the texts, (N, D), as they are now."""
        ids = self.ids(texts)
        vectors = np.empty((len(ids), self.width), np.float32)
        with torch.inference_mode():
            for batch in batches_by_length([len(each) for each in ids], BATCH_TOKENS):
                vectors[batch] = self._model(*padded([ids[index] for index in batch], self.padding))[0].numpy()
        return vectors

    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self._model.parameters())

    def modules(self) -> dict[str, torch.nn.Module]:
        """The encoder's modules by the names that its file uses."""
        return dict(self._model.encoder.named_modules())

    def freeze_words(self, frozen: bool) -> None:
        self._model.encoder.get_input_embeddings().weight.requires_grad_(not frozen)

    def state(self) -> dict[str, Any]:
        return dict(self._model.state_dict())

    def load_state(self, state: dict[str, Any]) -> None:
        self._model.load_state_dict(state)

    def save(self, folder: Path) -> None:
        """Write an ordinary Hugging Face folder: what lay beside the weights is copied."""
        copy_beside(self._folder, folder)
        state = {name: value.contiguous() for name, value in self._model.encoder.state_dict().items()}
        save_weights(state, folder)


def copy_beside(source: Path, target: Path) -> None:
    """Copy what a loader expects beside the weights: config, tokenizer, the modules of sentence-transformers."""
    target.mkdir(parents=True, exist_ok=True)
    for pattern in BESIDE:
        for path in source.glob(pattern):
            if path.is_dir():
                shutil.copytree(path, target / path.name, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, target / path.name)


def save_weights(state: dict[str, torch.Tensor], folder: Path) -> None:
    fresh = folder / "model.new"
    save_file(state, fresh, metadata={"format": "pt"})
    fresh.replace(folder / WEIGHTS_FILE)


def keep_layers(source: Path, target: Path, layers: Sequence[int]) -> None:
    """Write a folder of only the given layers (from 0), in the given order: the usual start of a shallower student.

    Source: Sanh et al. 2019, "DistilBERT", section 3, arXiv:1910.01108

    Raises:
        ValueError: there is no such layer.
    """
    tensors = without_prefix(load_file(source / WEIGHTS_FILE))
    known = {int(name.removeprefix(LAYER).split(".")[0]) for name in tensors if name.startswith(LAYER)}
    if not layers or not set(layers) <= known:
        raise ValueError(f"{source} has the layers {min(known)} to {max(known)}, not {layers}")
    kept = {name: value for name, value in tensors.items() if not name.startswith(LAYER)}
    for new, old in enumerate(layers):
        start = f"{LAYER}{old}."
        kept |= {
            f"{LAYER}{new}.{name.removeprefix(start)}": value.clone()
            for name, value in tensors.items()
            if name.startswith(start)
        }
    copy_beside(source, target)
    save_weights(kept, target)
    write_config(target, {"num_hidden_layers": len(layers)})


def keep_width(source: Path, target: Path, width: int) -> None:
    """Write a folder of only `width` hidden channels: the usual start of a narrower student.

    Raises:
        ValueError: so many channels are no whole number of heads, or there are not so many.
    """
    tensors = {name: value for name, value in without_prefix(load_file(source / WEIGHTS_FILE)).items() if value.dim()}
    floats = {name: value.float().numpy() for name, value in tensors.items() if value.is_floating_point()}
    kept, heads = narrowed(floats, int(read_config(source)["num_attention_heads"]), width)
    copy_beside(source, target)
    save_weights({name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in kept.items()}, target)
    write_config(target, {"hidden_size": width, "num_attention_heads": heads})


def blend(start: Path, student: Path, share: float, target: Path) -> None:
    """Write a folder whose weights lie between the student's start (share 0) and what it became (share 1).

    What was learnt from few texts holds for texts like them; halfway, more of what the start knew of others is left.

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903

    Raises:
        ValueError: the two are not of one shape.
    """
    before, after = (without_prefix(load_file(folder / WEIGHTS_FILE)) for folder in (start, student))
    if any(name not in before or before[name].shape != value.shape for name, value in after.items()):
        raise ValueError(f"{student} did not begin as {start}: its tensors have other names or shapes")
    mixed = {
        name: torch.lerp(before[name].float(), value.float(), share) if value.is_floating_point() else value
        for name, value in after.items()
    }
    copy_beside(student, target)
    save_weights(mixed, target)


def write_config(folder: Path, changes: dict[str, Any]) -> None:
    """Change some values of the folder's config.json."""
    config = read_config(folder) | changes
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
