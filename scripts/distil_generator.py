"""Teach a small generator what a larger one says, token by token or in whole replies.

    python scripts/distil_generator.py TEACHER --data FILE ... --valid FILE --out DIR [--temperature 2] [--hard 0.5]
        [--layers 0 2 5 | --student FOLDER]
        [--replies 1000 [--reply-temperature 1]]

TEACHER is a Hugging Face folder of a Llama in the generator's chat format, as models/generator/train.py and restore.py
write it. FILE is JSON lines of conversations, as models/generator/prepare.py writes them. The student begins as some
of the teacher's layers (half of them, if you do not say which), or as a FOLDER of the same tokenizer.

--hard weighs the token that the data has against the teacher's distribution: 1 is training without a teacher. With
--replies the teacher first writes so many replies, once, into DIR/replies.jsonl, and the student learns only those; a
--hard below 1 then adds the teacher's distributions.

DIR/start is the student as it began and DIR/student what became of it: ordinary folders, tokenizer included, for
models/generator/convert.py and evaluate.py. A command that was killed goes on where it was when it is given again;
given with other settings it says which, and stops. In the end it prints perplexities per reply token of --valid, and
with --report FILE appends a row.
"""

import argparse
import sys
from pathlib import Path

from steps import ROOT, Stop, finish

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

from models.compression import report
from models.compression.distil_generator import Figures, distil_folder, load_llama, use_threads
from models.compression.distil_generator_plan import BadInput, Recipe, read_conversations
from models.compression.run_settings import Mismatch


def main() -> None:
    arguments = _arguments()
    use_threads(arguments.threads)
    try:
        recipe = _recipe(arguments)
        figures = _distil(arguments, recipe)
        if arguments.report is not None:
            report.append(_row(arguments, recipe, figures), arguments.report)
    except (BadInput, Mismatch) as reason:
        raise Stop(str(reason)) from reason
    print(
        f"{arguments.out / 'student'}: perplexity per reply token {figures.before:.2f} -> {figures.after:.2f}, the "
        f"teacher's {figures.teacher:.2f}; divergence from it {figures.divergence_before:.3f} -> "
        f"{figures.divergence_after:.3f}"
    )


def _recipe(arguments: argparse.Namespace) -> Recipe:
    hard = arguments.hard
    if hard is None:
        hard = 1.0 if arguments.replies else Recipe().hard
    return Recipe(
        steps=arguments.steps,
        rate=arguments.rate,
        temperature=arguments.temperature,
        hard=hard,
        replies=arguments.replies,
        reply_temperature=arguments.reply_temperature,
        batch_rows=arguments.batch,
        seed=arguments.seed,
    )


def _distil(arguments: argparse.Namespace, recipe: Recipe) -> Figures:
    for given in (arguments.teacher, arguments.student):
        if given is not None and arguments.out.resolve() in (given.resolve(), *given.resolve().parents):
            raise Stop(f"{given} lies in {arguments.out}, which is written to; give another --out")
    return distil_folder(
        arguments.teacher,
        read_conversations(arguments.data),
        read_conversations([arguments.valid]),
        arguments.out,
        recipe,
        layers=arguments.layers,
        student_folder=arguments.student,
        seconds_between_saves=arguments.seconds_between_saves,
    )


def _row(arguments: argparse.Namespace, recipe: Recipe, figures: Figures) -> report.Row:
    folder = arguments.out / "student"
    weights = list(load_llama(folder).parameters())
    kept = ("steps", "rate", "temperature", "hard", "replies", "reply_temperature", "seed")
    return report.Row(
        name=arguments.name or arguments.out.name,
        step="distil",
        settings={name: getattr(recipe, name) for name in kept},
        parent=arguments.parent,
        size_bytes=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        parameters=sum(each.numel() for each in weights),
        nonzeros=sum(int(each.count_nonzero()) for each in weights),
        extra={
            "perplexity": figures.after,
            "perplexity, teacher": figures.teacher,
            "perplexity, start": figures.before,
            "divergence": figures.divergence_after,
        },
    )


def _arguments() -> argparse.Namespace:
    defaults = Recipe()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", type=Path, help="Hugging Face folder of a Llama")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="conversations to learn from")
    parser.add_argument("--valid", type=Path, required=True, help="conversations to judge by, held out")
    parser.add_argument("--out", type=Path, required=True, help="where everything goes")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--layers", type=int, nargs="+", help="of the teacher, from 0, with which the student begins")
    start.add_argument("--student", type=Path, help="another folder with which it begins")
    parser.add_argument("--temperature", type=float, default=defaults.temperature, help="of the distributions")
    parser.add_argument("--hard", type=float, help="weight of the written token, 0 to 1; 0.5, with --replies 1")
    parser.add_argument("--replies", type=int, default=defaults.replies, help="that the teacher writes to be learnt")
    parser.add_argument("--reply-temperature", type=float, default=defaults.reply_temperature, help="0: the likeliest")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--rate", type=float, default=defaults.rate)
    parser.add_argument("--batch", type=int, default=defaults.batch_rows, help="rows of 256 tokens a step")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds-between-saves", type=float, default=60.0)
    parser.add_argument("--report", type=Path, help="append a row to this report")
    parser.add_argument("--name", help="of the row; without it, the name of --out")
    parser.add_argument("--parent", help="the row that this one was made from")
    return parser.parse_args()


if __name__ == "__main__":
    finish(main)
