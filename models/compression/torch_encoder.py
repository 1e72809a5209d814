"""A Hugging Face folder of a BERT-like sentence encoder as a torch module, pruned or not.

Knows how a folder whose layers have lost heads or feed-forward neurons is read: by the shapes of its tensors, whatever
its config.json says of them. Knows the pooling of sentence-transformers. Needs torch and transformers.
"""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, BertConfig, BertModel

from models.compression.bert_folder import first_token_pooling, read_config, without_prefix
from models.compression.packed4 import load_state_dict


class SentenceEncoder(torch.nn.Module):
    """Encoder, mean over the unmasked tokens (or the first token), unit length."""

    def __init__(self, encoder: torch.nn.Module, first_token: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self._first_token = first_token

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The unit vectors (B, D) and the last hidden state (B, T, D)."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self._pooled(hidden, attention_mask), hidden

    def with_layers(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The unit vectors (B, D) and the hidden states of all layers, (B, T, D) each; the first are the embeddings."""
        states = self.encoder(input_ids, attention_mask, output_hidden_states=True).hidden_states
        return self._pooled(states[-1], attention_mask), states

    def _pooled(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        if self._first_token:
            pooled = hidden[:, 0]
        else:
            weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1.0)
        return pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-12)


def load_sentence_encoder(folder: Path) -> SentenceEncoder:
    """The folder's encoder in float32, ready to embed."""
    config = read_config(folder)
    encoder = _load_bert(folder) if config["model_type"] == "bert" else AutoModel.from_pretrained(folder)
    return SentenceEncoder(encoder.float().eval(), first_token_pooling(folder)).eval()


def _load_bert(folder: Path) -> torch.nn.Module:
    tensors = {name: torch.tensor(value) for name, value in without_prefix(load_state_dict(folder)).items()}
    model = BertModel(_plain_config(folder), add_pooling_layer=False)
    for name, module in list(model.named_modules()):
        weight = tensors.get(f"{name}.weight")
        if isinstance(module, torch.nn.Linear) and weight is not None and weight.shape != module.weight.shape:
            model.set_submodule(name, torch.nn.Linear(weight.shape[1], weight.shape[0]))
    missing, _ = model.load_state_dict(tensors, strict=False)  # position_ids and the pooler may be there or not
    missing = [name for name in missing if "position_ids" not in name and "token_type_ids" not in name]
    if missing:
        raise ValueError(f"{folder}: no weights for {', '.join(missing[:3])}")
    return model


def _plain_config(folder: Path) -> BertConfig:
    """The config without per-layer lists, which transformers refuses; the tensors' shapes say the same."""
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = AutoConfig.for_model("bert").to_dict()
    plain = {key: value for key, value in values.items() if key in known and not isinstance(value, (list, dict))}
    for key in ("intermediate_size",):
        if isinstance(values.get(key), list):
            plain[key] = max(values[key])
    config = BertConfig(**plain)
    config._attn_implementation = "eager"
    return config
