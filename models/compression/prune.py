"""Prune a BERT encoder: zeros among its weights, or fewer heads and feed-forward neurons, which make it smaller.

Knows where in BERT's tensors heads and neurons lie, how their importance is found, and how a folder is written that has
fewer of them. Every layer keeps the same number of neurons, so that `intermediate_size` says it and transformers reads
it. Of heads it cannot: it ties their number to the hidden size. So `num_attention_heads` stays what it was (it gives
the size of a head), `attention_heads_left` says how many there are, and bert_folder.py and torch_encoder.py go by the
shapes of the tensors. Needs torch and transformers.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.compression.bert_folder import WEIGHTS_FILE, read_config, without_prefix
from models.compression.distil_losses import relation_loss
from models.compression.distil_plan import batches_by_length
from models.compression.distil_student import Student, copy_beside, save_weights, write_config
from models.compression.distil_teacher import padded
from models.compression.prune_plan import Mask, masks_by_share, masks_by_threshold, most_important, rows_of_heads
from models.compression.prune_plan import two_of_four as two_of_four_mask

LAYER = "encoder.layer."
HEADS_LEFT = "attention_heads_left"  # for a reader; the loaders go by the tensors' shapes
BATCH = 32
MatMasks = dict[str, Mask]


def matrices(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The weights of all multiplications in the folder's layers, by name; embeddings and norms are not pruned."""
    tensors = without_prefix(load_file(folder / WEIGHTS_FILE))
    return {
        name: value.float().numpy()
        for name, value in tensors.items()
        if name.startswith(LAYER) and name.endswith(".weight") and value.dim() == 2
    }


def by_share(share: float, *, per_layer: bool) -> Callable[[Mapping[str, NDArray[np.float32]]], MatMasks]:
    return lambda weights: masks_by_share(weights, share, per_layer=per_layer)


def by_threshold(threshold: float, *, per_layer: bool) -> Callable[[Mapping[str, NDArray[np.float32]]], MatMasks]:
    return lambda weights: masks_by_threshold(weights, threshold, per_layer=per_layer)


def two_of_four(weights: Mapping[str, NDArray[np.float32]]) -> MatMasks:
    return {name: two_of_four_mask(values) for name, values in weights.items()}


def write_masked(source: Path, target: Path, masks: Mapping[str, Mask]) -> None:
    """Write the folder with zeros where the masks say so; an ordinary folder, as large as before."""
    tensors = without_prefix(load_file(source / WEIGHTS_FILE))
    for name, mask in masks.items():
        tensors[name] = tensors[name] * torch.from_numpy(mask)
    copy_beside(source, target)
    save_weights({name: value.contiguous() for name, value in tensors.items()}, target)


def importances(
    folder: Path, texts: Sequence[str], *, by_activation: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much each head and each feed-forward neuron matters on the texts.

    A gate of 1 stands on each output. What its removal would change of the loss L, to first order, is

        I = mean over batches of |dL/dgate| = |sum activation . dL/dactivation|

    L is the relation loss between the encoder and itself with every text's last third cut off: at its own output a loss
    against itself would have no gradient. By activation, I is instead the mean magnitude of the activation times the
    norm of the weights that read it.

    Shapes:
        returns: (layers, heads), (layers, neurons)

    Sources: Michel et al. 2019, "Are sixteen heads really better than one?", equation 2, arXiv:1905.10650; Molchanov
    et al. 2017, equation 8, arXiv:1611.06440
    """
    student = Student(str(folder))
    head_size = _head_size(folder)
    with _Watch(_gates(student), head_size) as watch:
        ids = student.ids(texts)
        for batch in batches_by_length([len(each) for each in ids], BATCH * 16):
            if len(batch) < 2:
                continue
            part = [ids[index] for index in batch]
            shorter = [each[: max(3, 2 * len(each) // 3)] for each in part]
            with torch.no_grad():
                goal, _ = student.forward(*padded(shorter, student.padding))
            watch.begin()
            ours, _ = student.forward(*padded(part, student.padding))
            relation_loss(ours, goal, 0.05).backward()
            watch.end(by_activation)
    return torch.stack(watch.scores[0::2]).numpy(), torch.stack(watch.scores[1::2]).numpy()


def remove(
    source: Path, target: Path, heads: Sequence[NDArray[np.int64]], neurons: Sequence[NDArray[np.int64]]
) -> None:
    """Write the folder with only the given heads and neurons of each layer; the same number in every layer.

    Raises:
        ValueError: layers would be left with different numbers.
    """
    counts = {(len(kept), len(also)) for kept, also in zip(heads, neurons, strict=True)}
    if len(counts) != 1:
        raise ValueError("every layer must keep the same number of heads and of neurons")
    tensors = without_prefix(load_file(source / WEIGHTS_FILE))
    head_size = _head_size(source)
    for layer, (kept, also) in enumerate(zip(heads, neurons, strict=True)):
        rows, columns = torch.from_numpy(rows_of_heads(kept, head_size)), torch.from_numpy(also)
        start = f"{LAYER}{layer}."
        for part in ("query", "key", "value"):
            for kind in ("weight", "bias"):
                name = f"{start}attention.self.{part}.{kind}"
                tensors[name] = tensors[name][rows]
        for name, index, axis in (
            ("attention.output.dense.weight", rows, 1),
            ("intermediate.dense.weight", columns, 0),
            ("intermediate.dense.bias", columns, 0),
            ("output.dense.weight", columns, 1),
        ):
            tensors[start + name] = tensors[start + name].index_select(axis, index)
    copy_beside(source, target)
    save_weights({name: value.contiguous() for name, value in tensors.items()}, target)
    ((heads_left, neurons_left),) = counts
    write_config(target, {"intermediate_size": neurons_left, HEADS_LEFT: heads_left})


def prune_structure(
    source: Path, target: Path, texts: Sequence[str], heads: int, neurons: int, *, by_activation: bool = False
) -> None:
    """Keep in each layer the given number of heads and neurons: those that matter most on the texts."""
    of_heads, of_neurons = importances(source, texts, by_activation=by_activation)
    remove(
        source,
        target,
        [most_important(layer, heads) for layer in of_heads],
        [most_important(layer, neurons) for layer in of_neurons],
    )


class _Watch:
    """Adds up, while it is entered, what the inputs of some linear layers say of themselves."""

    def __init__(self, places: Sequence[torch.nn.Linear], head_size: int) -> None:
        self._places = places
        self._together = [head_size if index % 2 == 0 else 1 for index in range(len(places))]
        self.scores = [
            torch.zeros(place.in_features // size) for place, size in zip(places, self._together, strict=True)
        ]
        self._inputs: list[torch.Tensor] = []
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> "_Watch":
        self._hooks = [place.register_forward_pre_hook(self._note) for place in self._places]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, _: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0].requires_grad:
            inputs[0].retain_grad()
        self._inputs.append(inputs[0])

    def begin(self) -> None:
        self._inputs = []

    def end(self, by_activation: bool) -> None:
        for place, values, score, size in zip(self._places, self._inputs, self.scores, self._together, strict=True):
            if by_activation:
                each = values.detach().abs().mean(dim=(0, 1)) * place.weight.detach().norm(dim=0)
                score += each.reshape(-1, size).sum(dim=1)
            elif values.grad is not None:
                score += (values.detach() * values.grad).sum(dim=(0, 1)).reshape(-1, size).sum(dim=1).abs()


def _gates(student: Student) -> list[torch.nn.Linear]:
    """The layers that read heads and neurons: attention output and feed-forward output, layer by layer."""
    named = student.modules()
    count = 1 + max(int(name.split(LAYER)[1].split(".")[0]) for name in named if LAYER in name)
    found = []
    for layer in range(count):
        for part in ("attention.output.dense", "output.dense"):
            module = named[f"{LAYER}{layer}.{part}"]
            assert isinstance(module, torch.nn.Linear)
            found.append(module)
    return found


def _head_size(folder: Path) -> int:
    config = read_config(folder)
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
