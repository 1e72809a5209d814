"""Build everything that CDK uploads: the chat page, the layers, the example bots.

Knows the order, and which encoder is deployed: the one that ships, or the folder that PARLEY_ENCODER in the environment
names (as scripts/fine_tune.py makes one). Each part knows by itself whether it is already made.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_layers import ENCODER, ENCODER_FILES, build_layers, target
from setup import VENV
from steps import PARLEY, ROOT, Step, Stop, run

BOTS = ROOT / "models" / "bots"
DEFAULT_BOT = "support"
ENCODER_VARIABLE = "PARLEY_ENCODER"


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
    encoder = chosen_encoder(os.environ)
    with Step("page") as step:
        run([VENV / "bin" / "npm", "run", "build"], log="page", step=step, env=node_environment())
        step.say("")
    with Step("layers") as step:
        layers = build_layers(target(target_name), step, encoder)
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
