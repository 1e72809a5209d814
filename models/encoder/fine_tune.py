"""Fine-tune the encoder on a bot's own examples, so that what the bot must tell apart lies further apart.

Knows the training loop, its checkpoints, and what becomes of the weights: blended with those they began as, and made
an artefact. The features are those of the bot's intent head (`parley.nlu.intents.sense`), so what is learnt is what
is asked. Nothing is random but the order of examples, which follows from seed and epoch alone; so a run that was
killed goes on as if there had been none. Knows nothing of where examples come from. Needs torch and transformers.

Sources: head first, then the encoder, Kumar et al. 2022, arXiv:2202.10054; a penalty on leaving where one began,
Li et al. 2018, arXiv:1802.01483, here on the vectors in place of the weights
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent))  # whose scripts import one another

from export import BASE, HERE, export

from models.compression.distil_cache import teacher_rows
from models.compression.distil_plan import batches_by_length, rate_share
from models.compression.distil_student import Student, blend
from models.compression.distil_teacher import padded, weights_hash
from models.compression.model_place import model_folder
from models.compression.onnx_export import token_layer
from models.compression.run_settings import remember
from models.encoder.fine_tune_plan import (
    Lesson,
    Recipe,
    learning_layers,
    rows_of_step,
    settings_of,
    steps_per_epoch,
)
from parley.nlu.intents import NEARER_THE_WORDS

FloatArray = NDArray[np.float32]

BATCH_TOKENS = 512  # tokens put through at a time; the loss still sees the whole batch
HEAD_C = 20.0  # scikit-learn's C of the head that learning begins with: that of `parley.nlu.intents_fit`
CLIP = 1.0  # greatest norm of a gradient


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it, on texts held out."""

    right_before: float  # share that a logistic regression on the features of the untouched encoder names
    right_after: float
    near: float  # mean cosine of the sentence vectors before and after


class FineTuning:
    """An encoder on its way.

    Shapes:
        rows: (N, 2 D), the features that the untouched encoder gives of the lesson's texts
    """

    def __init__(self, student: Student, taught: Lesson, rows: NDArray[np.float16], recipe: Recipe) -> None:
        self.student, self.recipe, self._taught, self._rows = student, recipe, taught, rows
        self._ids = student.ids(taught.texts)
        self._classes = torch.from_numpy(taught.classes)
        self._head = torch.nn.Linear(rows.shape[1], len(taught.intents))
        modules = student.modules()
        layers = sum(name.startswith("encoder.layer.") and name.count(".") == 2 for name in modules)
        for parameter in student.parameters():
            parameter.requires_grad_(False)
        for layer in learning_layers(recipe.from_layer, layers):
            modules[f"encoder.layer.{layer}"].requires_grad_(True)
        self._learning = [each for each in student.parameters() if each.requires_grad]
        groups = [
            {"params": self._learning, "lr": recipe.rate, "most": recipe.rate},
            {"params": list(self._head.parameters()), "lr": recipe.head_rate, "most": recipe.head_rate},
        ]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=recipe.decay)
        self._losses: dict[str, float] = {}

    def run(self, folder: Path, seconds_between_saves: float = 60.0) -> dict[str, float]:
        """Train to the end, from the folder's checkpoint if it has one; what the last losses were."""
        count, recipe = len(self._taught.texts), self.recipe
        steps = steps_per_epoch(count, recipe.batch) * recipe.epochs
        step = self._load(folder)
        saved = time.monotonic()
        with tqdm(total=steps, initial=step, desc="encoder", unit="step", mininterval=5) as bar:
            while step < steps:
                share = rate_share(step, steps, recipe.warm_up)
                self._step(rows_of_step(count, recipe.batch, recipe.seed, step), share)
                step += 1
                bar.update()
                bar.set_postfix({name: f"{value:.4f}" for name, value in self._losses.items()}, refresh=False)
                if step == steps or time.monotonic() - saved > seconds_between_saves:
                    self._save(folder, step)
                    saved = time.monotonic()
        return dict(self._losses)

    def _step(self, chosen: NDArray[np.int64], share: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["most"] * share
        losses = self._compare(chosen)
        self._optimizer.zero_grad(set_to_none=True)
        (losses["intent"] + self.recipe.near * losses["near"]).backward()
        torch.nn.utils.clip_grad_norm_([*self._learning, *self._head.parameters()], CLIP)
        self._optimizer.step()
        for name, value in losses.items():
            self._losses[name] = 0.98 * self._losses.get(name, value.item()) + 0.02 * value.item()

    def _compare(self, chosen: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """How far the head is from the labels, and the sentence vectors from where they were."""
        ids = [self._ids[index] for index in chosen]
        parts = batches_by_length([len(each) for each in ids], BATCH_TOKENS)
        senses = torch.cat([_sense(self.student, [ids[index] for index in part]) for part in parts])
        order = chosen[np.concatenate(parts)]
        width = self.student.width
        before = torch.from_numpy(np.asarray(self._rows[order, :width], np.float32))
        logits = self._head(senses)
        return {
            "intent": torch.nn.functional.cross_entropy(
                logits, self._classes[order], label_smoothing=self.recipe.smoothing
            ),
            "near": 1 - torch.nn.functional.cosine_similarity(senses[:, :width], before).mean(),
        }

    def _begin_head(self) -> None:
        weight, bias = _fitted_head(np.asarray(self._rows, np.float32), self._taught.classes)
        with torch.no_grad():
            self._head.weight.copy_(torch.from_numpy(weight))
            self._head.bias.copy_(torch.from_numpy(bias))

    def _save(self, folder: Path, step: int) -> None:
        state = {
            "step": step,
            "student": self.student.state(),
            "head": self._head.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "losses": self._losses,
        }
        fresh = folder / "checkpoint.new"
        torch.save(state, fresh)
        fresh.replace(folder / "checkpoint.pt")  # a kill leaves the old one or the new one, never half

    def _load(self, folder: Path) -> int:
        """The step at which the folder's checkpoint stands; without one 0, with a head for the untouched encoder."""
        path = folder / "checkpoint.pt"
        if not path.exists():
            self._begin_head()
            return 0
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.student.load_state(state["student"])
        self._head.load_state_dict(state["head"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._losses = state["losses"]
        return int(state["step"])


def fine_tune(
    start: str,
    taught: Lesson,
    folder: Path,
    recipe: Recipe,
    *,
    share: float,
    name: str,
    seconds_between_saves: float = 60.0,
) -> None:
    """Write `weights`, an ordinary Hugging Face folder, and `encoder`, its INT8 artefact, into the folder.

    `start` is a Hugging Face folder or package:NAME. What was learnt in the end is kept, so that another share takes
    no training again.

    Raises:
        BadInput: `start` has not the layers that the recipe names.
        NoModel: `start` is no such folder.
        Mismatch: the folder was begun with other examples, another start or another recipe.
    """
    source, student = model_folder(start), Student(start)
    origin = f"{source.name} {weights_hash(source)[:16]}"
    remember(folder, settings_of(taught, recipe, origin))
    rows = teacher_rows(
        folder / "untouched", taught.texts, 2 * student.width, origin, lambda texts: senses(student, texts)
    )
    FineTuning(student, taught, rows, recipe).run(folder, seconds_between_saves)
    student.save(folder / "tuned")
    blend(source, folder / "tuned", share, folder / "weights")
    calibration = (HERE / "calibration.txt").read_text(encoding="utf-8").splitlines()
    export(folder / "encoder", calibration, folder / "weights", f"{BASE}-{name}")


def judge(start: str, folder: Path, taught: Lesson, texts: Sequence[str], intents: Sequence[str]) -> Figures:
    """What fine-tuning in the folder did, in float32 and before the bot's words are looked at."""
    classes = np.array([taught.intents.index(intent) if intent in taught.intents else -1 for intent in intents])
    untouched, tuned = Student(start), Student(str(folder / "weights"))
    before, after = senses(untouched, texts), senses(tuned, texts)
    known = np.asarray(np.load(folder / "untouched" / "teacher.npy", mmap_mode="r"), np.float32)
    first, second = (part[:, : untouched.width] for part in (before, after))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return Figures(
        right_before=_share_right(known, taught.classes, before, classes),
        right_after=_share_right(senses(tuned, taught.texts), taught.classes, after, classes),
        near=float(((first * second).sum(axis=1) / lengths).mean()),
    )


def senses(student: Student, texts: Sequence[str]) -> FloatArray:
    """The features of texts that a bot's intent head reads.

    Shapes:
        returns: (N, 2 D) float32, rows of unit length
    """
    ids = student.ids(texts)
    made = np.empty((len(ids), 2 * student.width), np.float32)
    with torch.inference_mode():
        for batch in batches_by_length([len(each) for each in ids], BATCH_TOKENS):
            made[batch] = _sense(student, [ids[index] for index in batch]).numpy()
    return made


def _sense(student: Student, ids: Sequence[Sequence[int]]) -> torch.Tensor:
    """`parley.nlu.intents.sense` of a batch: each vector beside the mean of its word pieces in the middle, (B, 2 D)."""
    tokens, mask = padded(ids, student.padding)
    vectors, states = student.forward(tokens, mask, hidden=True)
    pieces = torch.zeros_like(mask)  # without the first token, and without the last before the padding
    pieces[:, 1:-1] = mask[:, 2:]
    mean = (states[token_layer(len(states) - 1)] * pieces.unsqueeze(-1)).sum(1)
    mean = mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-9)
    together = torch.cat([vectors, NEARER_THE_WORDS * mean], 1)
    return together / together.norm(dim=1, keepdim=True)


def _fitted_head(features: FloatArray, classes: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Weights (C, F) and bias (C,) of a logistic regression; scikit-learn gives one row only for two classes."""
    fitted = LogisticRegression(C=HEAD_C, max_iter=1000, tol=1e-3).fit(features, classes)
    weight, bias = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def _share_right(
    features: FloatArray, classes: NDArray[np.int64], asked: FloatArray, wanted: NDArray[np.int64]
) -> float:
    weight, bias = _fitted_head(features, classes)
    return float(((asked @ weight.T + bias).argmax(axis=1) == wanted).mean())


def use_threads(count: int) -> None:
    torch.set_num_threads(count)
