"""What is deployed: where the build left the layers and the bots, and which files make a function.

Knows paths. Builds nothing itself: scripts/build_layers.py and scripts/compile_bot.py do, before CDK runs.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import IgnoreMode
from aws_cdk import aws_lambda as lambda_

ROOT = Path(__file__).resolve().parent.parent
_NOT_DEPLOYED = [
    "**/__pycache__",
    "**/*.pyc",
    "**/.*",
    "page",
    "README.md",
]  # `page` is what the web assets are made of


@dataclass(frozen=True, slots=True)
class Build:
    """The results of the build that CDK uploads."""

    layers: Path  # a folder for each layer, in the shape Lambda mounts under /opt
    bundles: Mapping[str, Path]  # a bot's name -> its compiled bundle, one zip

    def layer(self, name: str) -> lambda_.Code:
        """The files of one built layer."""
        return lambda_.Code.from_asset(str(self.layers / name))


@dataclass(frozen=True, slots=True)
class Needs:
    """What a bot's custom actions and webhooks use in the account, by name."""

    secrets: tuple[str, ...]
    functions: tuple[str, ...]
    callback_secrets: tuple[str, ...]  # of these only who posts to callbacks knows


def needs_of(bundle: Path) -> Needs:
    """What the bot in a bundle says that it needs."""
    with zipfile.ZipFile(bundle) as archive:
        said = json.loads(archive.read("needs.json"))
    return Needs(tuple(said["secrets"]), tuple(said["functions"]), tuple(said["callback_secrets"]))


def access_of(bundle: Path) -> dict[str, Any]:
    """Who may talk to the bot in a bundle, as its author says."""
    with zipfile.ZipFile(bundle) as archive:
        return dict(json.loads(archive.read("access.json")))


def bot_name(bundle: Path) -> str:
    """The bot that a bundle holds: `support` for `support-3f2a9c.zip`."""
    return bundle.stem.rpartition("-")[0]


def function_code(name: str) -> lambda_.Code:
    """The folder of one function, which is all of its code: `parley` comes from a layer."""
    return _source(ROOT / "functions" / name)


def package_layer() -> lambda_.Code:
    """Our own package, in the shape it is mounted."""
    return _source(ROOT / "layers" / "parley")


def _source(folder: Path) -> lambda_.Code:
    return lambda_.Code.from_asset(str(folder), exclude=_NOT_DEPLOYED, ignore_mode=IgnoreMode.GIT)
