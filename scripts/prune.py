"""Prune a sentence encoder: zeros among its weights, or fewer heads and feed-forward neurons.

    python scripts/prune.py MODEL --out DIR --share 0.5 [--global] [--texts FILE --steps 4]
    python scripts/prune.py MODEL --out DIR --threshold 0.02 | --two-of-four
    python scripts/prune.py MODEL --out DIR --neurons 768 --heads 8 --texts FILE [--by-activation] [--epochs 1]

MODEL is a Hugging Face folder or package:NAME; DIR/pruned becomes such a folder. --share, --threshold and --two-of-four
write zeros: files and times stay what they were unless something stores or computes sparsely. --neurons and --heads
take rows and columns out of every layer: the graph becomes smaller and faster.

With --epochs above 0 the pruned model is fine-tuned on the texts against MODEL, zeros staying zeros; --share is then
reached in --steps, fast at first (Zhu and Gupta), with the epochs after each. With --report FILE a row is measured and
appended.
"""

import argparse
import shutil
import sys
from pathlib import Path

import report_row
from steps import ROOT, Stop, finish

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

import numpy as np
from numpy.typing import NDArray

from models.compression import prune
from models.compression.bert_folder import read_config
from models.compression.distil import Distillation, Recipe, use_threads
from models.compression.distil_cache import teacher_rows
from models.compression.distil_student import Student
from models.compression.distil_teacher import Teacher
from models.compression.model_place import model_folder
from models.compression.prune_plan import share_at
from models.compression.read_texts import read_texts

Masks = dict[str, NDArray[np.bool_]]

JUDGED_ON = 1000  # texts from which importances are found; more change little


def main() -> None:
    arguments = _arguments()
    use_threads(arguments.threads)
    try:
        source = model_folder(arguments.model)
        _prune(source, arguments)
        if arguments.report is not None:
            _measure(arguments)
    except (ValueError, FileNotFoundError) as reason:
        raise Stop(str(reason)) from reason


def _prune(source: Path, arguments: argparse.Namespace) -> None:
    target = arguments.out / "pruned"
    if target.resolve() == source.resolve():
        raise Stop(f"{target} would overwrite what it is made from")
    if arguments.neurons or arguments.heads:
        config = read_config(source)
        heads = arguments.heads or config["num_attention_heads"]
        neurons = arguments.neurons or config["intermediate_size"]
        texts = _texts(arguments)[:JUDGED_ON]
        prune.prune_structure(source, target, texts, heads, neurons, by_activation=arguments.by_activation)
        _fine_tune(arguments, target, {}, arguments.out / "tuned")
        return
    steps = arguments.steps if arguments.share is not None and arguments.epochs else 1
    start = source
    for step in range(1, steps + 1):
        masks = _masks(arguments, start, share_at(step, steps, 0.0, arguments.share or 0.0))
        prune.write_masked(start, target, masks)
        _fine_tune(arguments, target, masks, arguments.out / f"tuned-{step}")
        start = target


def _masks(arguments: argparse.Namespace, folder: Path, share: float) -> Masks:
    weights = prune.matrices(folder)
    if arguments.two_of_four:
        return prune.two_of_four(weights)
    per_layer = not arguments.all_layers_together
    if arguments.threshold is not None:
        return prune.by_threshold(arguments.threshold, per_layer=per_layer)(weights)
    return prune.by_share(share, per_layer=per_layer)(weights)


def _fine_tune(arguments: argparse.Namespace, folder: Path, masks: Masks, work: Path) -> None:
    """Let the pruned folder learn what the unpruned model says; its checkpoints lie in `work`."""
    if not arguments.epochs:
        return
    texts, teacher = _texts(arguments), Teacher(arguments.model)
    rows = teacher_rows(arguments.out / "teacher", texts, teacher.width, teacher.name, teacher.embed)
    recipe = Recipe(epochs=arguments.epochs, batch=arguments.batch, rate=arguments.rate)
    Distillation(Student(str(folder)), texts, rows, recipe, masks=masks).run(work)
    shutil.copytree(work / "student", folder, dirs_exist_ok=True)


def _texts(arguments: argparse.Namespace) -> list[str]:
    if arguments.texts is None:
        raise Stop("importances and fine-tuning need --texts")
    return [row["text"] for row in read_texts(arguments.texts)]


def _measure(arguments: argparse.Namespace) -> None:
    kept = ("share", "threshold", "two_of_four", "neurons", "heads", "by_activation", "epochs", "steps")
    settings = {name: getattr(arguments, name) for name in kept if getattr(arguments, name)}
    report_row.append(arguments, arguments.out / "pruned", "prune", settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or package:NAME")
    parser.add_argument("--out", type=Path, required=True, help="where everything goes")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--share", type=float, help="of the weights to drop")
    how.add_argument("--threshold", type=float, help="drop what is smaller; per layer, in standard deviations")
    how.add_argument("--two-of-four", action="store_true", help="two zeros among every four inputs")
    parser.add_argument("--global", dest="all_layers_together", action="store_true", help="compare all layers at once")
    parser.add_argument("--neurons", type=int, help="feed-forward neurons that each layer keeps")
    parser.add_argument("--heads", type=int, help="attention heads that each layer keeps")
    parser.add_argument("--by-activation", action="store_true", help="importance by activation, not by gradient")
    parser.add_argument("--texts", type=Path, help="JSON lines with `text`, or plain lines")
    parser.add_argument("--steps", type=int, default=4, help="in how many steps the share is reached")
    parser.add_argument("--epochs", type=int, default=0, help="of fine-tuning after each step")
    parser.add_argument("--batch", type=int, default=Recipe().batch)
    parser.add_argument("--rate", type=float, default=Recipe().rate)
    parser.add_argument("--threads", type=int, default=1)
    report_row.add_options(parser)
    arguments = parser.parse_args()
    chosen = [arguments.share, arguments.threshold, arguments.neurons, arguments.heads, arguments.two_of_four or None]
    if all(value is None for value in chosen):
        parser.error("say what to prune: --share, --threshold, --two-of-four, --neurons or --heads")
    return arguments


if __name__ == "__main__":
    finish(main)
