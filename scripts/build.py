"""Build everything that CDK uploads: the chat page, the layers, the example bots.

Knows the order, and which encoder is deployed: the one that ships, or the folder that PARLEY_ENCODER in the environment
names (as scripts/fine_tune.py makes one); and by which tokenizer prompts are counted: the bundled generator's, or the
one that PARLEY_TOKENIZER names (as scripts/fetch_tokenizer.py fetches one). Each part knows by itself whether it is
already made.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from build_layers import ENCODER, ENCODER_FILES, TOKENIZER, build_layers, target
from setup import VENV
from steps import PARLEY, ROOT, Step, Stop, run

BOTS = ROOT / "models" / "bots"
DEFAULT_BOT = "support"
ENCODER_VARIABLE = "PARLEY_ENCODER"
TOKENIZER_VARIABLE = "PARLEY_TOKENIZER"


@dataclass(frozen=True, slots=True)
class Built:
    """Where the results lie."""

    layers: Path
    bundles: tuple[Path, ...]

    @property
    def context(self) -> list[str]:
        """What tells the CDK app of them, as options of the CLI."""
        return ["-c", f"layers={self.layers}", "-c", f"bundles={','.join(map(str, self.bundles))}"]


def build(target_name: str) -> Built:
    """The page, the layers for `local` or `lambda`, and a bundle for each bot, all with one encoder.

    Raises:
        Stop: a part could not be built
    """
    encoder, tokenizer = chosen_encoder(os.environ), chosen_tokenizer(os.environ)
    with Step("page") as step:
        run([VENV / "bin" / "npm", "run", "build"], log="page", step=step, env=node_environment())
        step.say("")
    with Step("layers") as step:
        layers = build_layers(target(target_name), step, encoder, tokenizer)
    with Step("bots") as step:
        bots = sorted((bot for bot in BOTS.iterdir() if (bot / "bot.yml").is_file()), key=_default_first)
        bundles = tuple(_compiled(bot, encoder, step) for bot in bots)
        step.say(", ".join(bundle.stem for bundle in bundles))
    return Built(layers, bundles)


def chosen_encoder(environment: Mapping[str, str]) -> Path:
    """The folder of the encoder that functions get and bots are compiled with.

    Raises:
        Stop: there is no encoder
    """
    folder = Path(environment.get(ENCODER_VARIABLE) or ENCODER).resolve()
    missing = [name for name in ENCODER_FILES if not (folder / name).is_file()]
    if missing:
        raise Stop(f"{folder} is no encoder: it has no {', '.join(missing)}.")
    return folder


def chosen_tokenizer(environment: Mapping[str, str]) -> Path:
    """The generator's tokenizer.json, by which functions count prompts; where its folder is named, the one in there.

    Raises:
        Stop: there is no tokenizer
    """
    named = Path(environment.get(TOKENIZER_VARIABLE) or TOKENIZER).resolve()
    file = named / TOKENIZER.name if named.is_dir() else named
    try:
        Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises bare Exception
        raise Stop(f"{file} is no tokenizer: {error}. scripts/fetch_tokenizer.py fetches a model's.") from error
    return file


def node_environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`base`, with the node that set-up installed before any other on the path."""
    return {**base, "PATH": f"{VENV / 'bin'}{os.pathsep}{base['PATH']}"}


def _default_first(bot: Path) -> tuple[bool, str]:
    """The order of the bots: the first is the one of those who name none."""
    return bot.name != DEFAULT_BOT, bot.name


def _compiled(bot: Path, encoder: Path, step: Step) -> Path:
    program = ROOT / "scripts" / "compile_bot.py"
    command: list[str | Path] = [sys.executable, program, bot, "--out", PARLEY / "bundles", "--encoder", encoder]
    return Path(run(command, log=f"bot-{bot.name}", step=step).strip())
