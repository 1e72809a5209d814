"""Teach a small sentence encoder what a larger one says.

    python scripts/distil.py TEACHER STUDENT --texts FILE --out DIR [--layers 0 2 5] [--width 192] [options]

TEACHER and STUDENT are Hugging Face folders or package:NAME of an installed package with a MODEL_DIR. FILE is JSON
lines with `text`, or plain lines. --layers keeps only these layers of STUDENT to begin with, --width only so many
channels of its hidden states, those in which words differ most.

What the teacher says is computed once, into DIR/teacher; the student learns in DIR, checkpoints included. A command
that was killed goes on where it was when it is given again. DIR/student becomes an ordinary folder. Under torchrun,
processes share the student's work, once the teacher's is done:

    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 scripts/distil.py ...

With --labels, texts need an `intent`, and a softmax head is distilled too. With --report FILE a row is measured and
appended; --baseline, --train and --valid say against what.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import report_row
from steps import ROOT, Stop, finish

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

from models.compression.distil import Distillation, Recipe, join_processes, use_threads
from models.compression.distil_cache import teacher_rows
from models.compression.distil_head import teacher_head
from models.compression.distil_student import Student, blend, keep_layers, keep_width
from models.compression.distil_teacher import Teacher
from models.compression.model_place import model_folder
from models.compression.read_texts import read_texts


def main() -> None:
    arguments = _arguments()
    try:
        join_processes()
        _distil(arguments)
        if arguments.report is not None and os.environ.get("RANK", "0") == "0":  # one row, however many processes
            _measure(arguments)
    except (ValueError, FileNotFoundError) as reason:
        raise Stop(str(reason)) from reason


def _distil(arguments: argparse.Namespace) -> None:
    use_threads(arguments.threads)
    rows_in = read_texts(arguments.texts)
    texts = [row["text"] for row in rows_in]
    recipe = Recipe(
        vector=arguments.vector,
        relation=arguments.relation,
        similarity=arguments.similarity,
        hidden=arguments.hidden,
        logits=1.0 if arguments.labels else 0.0,
        projection=arguments.projection,
        temperature=arguments.temperature,
        batch=arguments.batch,
        epochs=arguments.epochs,
        rate=arguments.rate,
        frozen_words=not arguments.learn_words,
        seed=arguments.seed,
        seconds_between_saves=arguments.seconds_between_saves,
    )
    teacher = Teacher(arguments.teacher)
    rows = teacher_rows(arguments.out / "teacher", texts, teacher.width, teacher.name, teacher.embed)
    start = arguments.student
    if arguments.layers:
        shallower = arguments.out / "start"
        keep_layers(model_folder(start), shallower, arguments.layers)
        start = str(shallower)
    if arguments.width:
        narrower = arguments.out / "narrow"
        keep_width(model_folder(start), narrower, arguments.width)
        start = str(narrower)
    labels = teacher_head(rows_in, rows) if arguments.labels else None
    run = Distillation(Student(start), texts, rows, recipe, teacher=teacher if recipe.hidden else None, labels=labels)
    losses = run.run(arguments.out)
    if arguments.blend is not None:
        blend(model_folder(start), arguments.out / "student", arguments.blend, arguments.out / "blend")
    print(f"{arguments.out / 'student'}: " + ", ".join(f"{name} {value:.4f}" for name, value in losses.items()))


def _measure(arguments: argparse.Namespace) -> None:
    student = arguments.out / "student"
    settings = json.loads((student / "distillation.json").read_text(encoding="utf-8"))
    plain = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    report_row.append(arguments, student, "distil", plain)


def _arguments() -> argparse.Namespace:
    defaults = Recipe()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="folder or package:NAME")
    parser.add_argument("student", help="folder or package:NAME")
    parser.add_argument("--texts", type=Path, required=True, help="what both are shown")
    parser.add_argument("--out", type=Path, required=True, help="where everything goes")
    parser.add_argument("--layers", type=int, nargs="+", help="keep only these layers of the student, from 0")
    parser.add_argument("--width", type=int, help="keep only so many hidden channels of the student, in whole heads")
    parser.add_argument("--labels", action="store_true", help="the texts have intents: distil a head too")
    for name in ("vector", "relation", "similarity", "hidden", "temperature", "rate"):
        parser.add_argument(f"--{name}", type=float, default=getattr(defaults, name), help="see models/compression")
    parser.add_argument("--projection", choices=("pca", "learnt"), default=defaults.projection)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--blend", type=float, help="also write DIR/blend: this share of the way from start to student")
    parser.add_argument("--learn-words", action="store_true", help="train the word table too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds-between-saves", type=float, default=defaults.seconds_between_saves)
    report_row.add_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    finish(main)
