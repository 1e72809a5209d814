"""Distil a sentence encoder: a student learns to say of each text what a teacher said.

Knows the training loop, its checkpoints, and how it goes on after a kill as if there had been none: the order of texts
follows from seed and epoch alone, and nothing else is random. Runs in one process, or in several under torchrun, each
with its share of every batch. Knows nothing of where texts come from. Needs torch and transformers.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from models.compression.distil_losses import hidden_loss, logit_loss, relation_loss, similarity_loss, vector_loss
from models.compression.distil_plan import aligned_projection, batches_by_length, neighbour_batches, rate_share
from models.compression.distil_student import Student
from models.compression.distil_teacher import Teacher, padded

BATCH_TOKENS = 512  # tokens put through at a time; the loss still sees the whole batch
ALIGNED_ON = 4000  # texts on which the teacher's space is turned towards the student's
CLIP = 1.0  # greatest norm of a gradient


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to distil. A loss of weight 0 is not computed."""

    vector: float = 1.0  # cosine to the teacher's vector, projected to the student's width
    relation: float = 1.0  # similarities within the batch, as distributions
    similarity: float = 0.0  # the same, as squared differences
    hidden: float = 0.0  # hidden states of the teacher's layers, evenly spread over the student's
    logits: float = 0.0  # a head's logits, where labels are given
    projection: str = "pca"  # how widths are made equal: pca, or learnt (a layer that is thrown away afterwards)
    temperature: float = 0.05  # of `relation`: cosines differ by tenths, so a softmax must be sharp
    head_temperature: float = 2.0  # of `logits`
    batch: int = 128
    epochs: int = 3
    rate: float = 1e-4
    warm_up: float = 0.06  # share of all steps
    decay: float = 0.01
    frozen_words: bool = True  # words that the texts lack stay what they were beside those that they have
    seed: int = 0
    seconds_between_saves: float = 60.0


@dataclass(frozen=True, slots=True)
class Labels:
    """The class of each text and what the teacher's head says of it.

    Shapes:
        classes: (N,) int64; logits: (N, C) float32
    """

    classes: NDArray[np.int64]
    logits: NDArray[np.float32]


class Distillation:
    """A student on its way."""

    def __init__(
        self,
        student: Student,
        texts: Sequence[str],
        rows: NDArray[np.float16],
        recipe: Recipe,
        *,
        teacher: Teacher | None = None,
        labels: Labels | None = None,
        masks: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> None:
        if recipe.hidden and teacher is None:
            raise ValueError("hidden states can be matched only while the teacher is there")
        if recipe.logits and labels is None:
            raise ValueError("logits can be matched only where labels are given")
        torch.manual_seed(recipe.seed)
        self.student, self.recipe, self._rows = student, recipe, rows
        self._teacher, self._labels = teacher, labels
        self._ids = student.ids(texts)
        self._extra = torch.nn.ModuleDict()
        self._project = self._projection(texts)
        if labels is not None:
            self._extra["head"] = torch.nn.Linear(student.width, labels.logits.shape[1])
        if teacher is not None and teacher.width != student.width:
            self._extra["hidden"] = torch.nn.Linear(student.width, teacher.width, bias=False)
        student.freeze_words(recipe.frozen_words)
        self._parameters = [each for each in [*student.parameters(), *self._extra.parameters()] if each.requires_grad]
        self._optimizer = torch.optim.AdamW(self._parameters, lr=recipe.rate, weight_decay=recipe.decay)
        self._losses: dict[str, float] = {}
        modules = student.modules()
        self._masks = [  # of pruned weights: what is zero stays zero
            (modules[name.removesuffix(".weight")].get_parameter("weight"), torch.from_numpy(mask))
            for name, mask in (masks or {}).items()
        ]

    @property
    def steps_per_epoch(self) -> int:
        return len(self._rows) // self.recipe.batch

    def _projection(self, texts: Sequence[str]) -> torch.Tensor | None:
        """(E, D), by which a teacher's vector becomes the student's target; None if the student's is projected."""
        if self.recipe.projection == "learnt":
            self._extra["projection"] = torch.nn.Linear(self.student.width, self._rows.shape[1], bias=False)
            return None
        if self.recipe.projection != "pca":
            raise ValueError(f"projection is pca or learnt, not {self.recipe.projection}")
        chosen = np.random.default_rng(self.recipe.seed).permutation(len(texts))[:ALIGNED_ON]
        start = self.student.embed([texts[index] for index in chosen])
        return torch.from_numpy(aligned_projection(np.asarray(self._rows[chosen], np.float32), start))

    def run(self, folder: Path) -> dict[str, float]:
        """Train to the end, from the folder's checkpoint if it has one; what the last losses were."""
        folder.mkdir(parents=True, exist_ok=True)
        steps = self.steps_per_epoch * self.recipe.epochs
        step = self._load(folder)
        saved = time.monotonic()
        batches: list[NDArray[np.int64]] = []
        with tqdm(total=steps, initial=step, desc="student", unit="step", mininterval=5, disable=_rank() > 0) as bar:
            while step < steps:
                epoch, place = divmod(step, self.steps_per_epoch)
                if not batches or place == 0:
                    batches = neighbour_batches(self._rows, self.recipe.batch, self.recipe.seed, epoch)
                self._step(batches[place], rate_share(step, steps, self.recipe.warm_up))
                step += 1
                bar.update()
                bar.set_postfix({name: f"{value:.4f}" for name, value in self._losses.items()}, refresh=False)
                if step == steps or time.monotonic() - saved > self.recipe.seconds_between_saves:
                    self._save(folder, step)
                    saved = time.monotonic()
        return dict(self._losses)

    def _step(self, batch: NDArray[np.int64], share: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate * share
        losses = self._compare(np.array_split(batch, _processes())[_rank()])
        self._optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        _average([each for each in self._parameters if each.grad is not None])
        torch.nn.utils.clip_grad_norm_(self._parameters, CLIP)
        self._optimizer.step()
        with torch.no_grad():
            for weight, mask in self._masks:
                weight.mul_(mask)
        for name, value in losses.items():
            weight = getattr(self.recipe, name)
            known = self._losses.get(name, value.item() / weight)
            self._losses[name] = 0.98 * known + 0.02 * value.item() / weight

    def _compare(self, batch: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """Each loss of the batch times its weight."""
        recipe = self.recipe
        ours, hidden = self._embed(batch)
        theirs = torch.from_numpy(np.asarray(self._rows[batch], np.float32))
        losses: dict[str, torch.Tensor] = {}
        if recipe.vector:
            same_width = (
                (ours, theirs @ self._project)
                if self._project is not None
                else (self._extra["projection"](ours), theirs)
            )
            losses["vector"] = vector_loss(*same_width)
        if recipe.relation:
            losses["relation"] = relation_loss(ours, theirs, recipe.temperature)
        if recipe.similarity:
            losses["similarity"] = similarity_loss(ours, theirs)
        if recipe.hidden:
            losses["hidden"] = hidden
        if recipe.logits and self._labels is not None:
            logits = self._extra["head"](ours)
            losses["logits"] = logit_loss(
                logits, torch.from_numpy(self._labels.logits[batch]), recipe.head_temperature
            ) + torch.nn.functional.cross_entropy(logits, torch.from_numpy(self._labels.classes[batch]))
        return {name: getattr(recipe, name) * value for name, value in losses.items()}

    def _embed(self, batch: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """The student's vectors of a batch, (B, D) in its order, and the loss of their hidden states."""
        ids = [self._ids[index] for index in batch]
        parts = batches_by_length([len(each) for each in ids], BATCH_TOKENS)
        vectors, hidden = [], torch.zeros(())
        for part in parts:
            tokens, mask = padded([ids[index] for index in part], self.student.padding)
            vector, layers = self.student.forward(tokens, mask, self.recipe.hidden > 0)
            vectors.append(vector)
            if self._teacher is not None and self.recipe.hidden:
                hidden = hidden + self._hidden(layers, self._teacher.hidden(tokens, mask), mask) * len(part) / len(ids)
        return torch.cat(vectors)[np.argsort(np.concatenate(parts))], hidden

    def _hidden(self, ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """Layer i of the student's n against layer round(i m / n) of the teacher's m; layer 0 are the embeddings."""
        widen = self._extra["hidden"] if "hidden" in self._extra else torch.nn.Identity()
        pairs = [
            (ours[layer], theirs[round(layer * (len(theirs) - 1) / (len(ours) - 1))]) for layer in range(len(ours))
        ]
        return torch.stack([hidden_loss(widen(mine), yours, mask) for mine, yours in pairs]).mean()

    def _save(self, folder: Path, step: int) -> None:
        if _rank() > 0:
            return
        state = {
            "step": step,
            "recipe": asdict(self.recipe),
            "student": self.student.state(),
            "extra": self._extra.state_dict(),
            "project": self._project,
            "optimizer": self._optimizer.state_dict(),
            "losses": self._losses,
        }
        fresh = folder / "checkpoint.new"
        torch.save(state, fresh)
        fresh.replace(folder / "checkpoint.pt")
        self.student.save(folder / "student")
        if self._labels is not None:
            torch.save(self._extra["head"].state_dict(), folder / "student" / "head.pt")
        (folder / "student" / "distillation.json").write_text(
            json.dumps({"step": step, **asdict(self.recipe), "losses": self._losses}, indent=2) + "\n", encoding="utf-8"
        )

    def _load(self, folder: Path) -> int:
        """The step at which the folder's checkpoint stands; 0 if there is none."""
        path = folder / "checkpoint.pt"
        if not path.exists():
            return 0
        state: dict[str, Any] = torch.load(path, weights_only=True)
        same = {**state["recipe"], "seconds_between_saves": self.recipe.seconds_between_saves}
        if same != asdict(self.recipe):
            raise ValueError(f"{path} was begun with another recipe; give another folder or delete it")
        self.student.load_state(state["student"])
        self._extra.load_state_dict(state["extra"])
        self._project = state["project"]
        self._optimizer.load_state_dict(state["optimizer"])
        self._losses = state["losses"]
        return int(state["step"])


def use_threads(count: int) -> None:
    torch.set_num_threads(count)


def join_processes() -> None:
    """Become one of several processes if torchrun (or its variables) says so."""
    if "WORLD_SIZE" in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")


def _rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def _processes() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def _average(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients."""
    if _processes() == 1:
        return
    flat = torch.cat([each.grad.reshape(-1) for each in parameters if each.grad is not None])
    torch.distributed.all_reduce(flat)
    flat /= _processes()
    for each, part in zip(parameters, flat.split([each.numel() for each in parameters]), strict=True):
        each.grad = part.view_as(each)
