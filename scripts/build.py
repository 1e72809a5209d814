"""Build everything that CDK uploads: the chat page, the layers, the example bot.

Knows the order. Each part knows by itself whether it is already made.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_layers import build_layers, target
from setup import VENV
from steps import PARLEY, ROOT, Step, run

BOTS = ROOT / "models" / "bots"


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
    """The page, the layers for `local` or `lambda`, and a bundle for each bot.

    Raises:
        Stop: a part could not be built
    """
    with Step("page") as step:
        run([VENV / "bin" / "npm", "run", "build"], log="page", step=step, env=node_environment())
        step.say("")
    with Step("layers") as step:
        layers = build_layers(target(target_name), step)
    with Step("bot") as step:
        bundles = tuple(_compiled(bot, step) for bot in sorted(BOTS.iterdir()) if (bot / "bot.yml").is_file())
        step.say(", ".join(bundle.stem for bundle in bundles))
    return Built(layers, bundles)


def node_environment(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`base`, with the node that set-up installed before any other on the path."""
    return {**base, "PATH": f"{VENV / 'bin'}{os.pathsep}{base['PATH']}"}


def _compiled(bot: Path, step: Step) -> Path:
    program = ROOT / "scripts" / "compile_bot.py"
    printed = run([sys.executable, program, bot, "--out", PARLEY / "bundles"], log=f"bot-{bot.name}", step=step)
    return Path(printed.strip())
