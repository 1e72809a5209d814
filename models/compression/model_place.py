"""Where a model lies that somebody has named: a path, or package:NAME for an installed package that brings one.

Knows nothing of what is in the folder but that a Hugging Face folder has a config.json.
"""

import importlib
from pathlib import Path

PACKAGE = "package:"


class NoModel(ValueError):
    """What was named is no model; says why."""


def model_path(name: str) -> Path:
    """The path that `name` means; `package:NAME` stands for the folder that the package's MODEL_DIR names.

    Raises:
        NoModel: there is no such package, or it has no MODEL_DIR.
    """
    if not name.startswith(PACKAGE):
        return Path(name)
    try:
        return Path(importlib.import_module(name.removeprefix(PACKAGE)).MODEL_DIR)
    except (ImportError, AttributeError) as error:
        raise NoModel(f"{name}: no such package, or it has no MODEL_DIR") from error


def model_folder(name: str) -> Path:
    """The Hugging Face folder that `name` means.

    Raises:
        NoModel: it is none.
    """
    folder = model_path(name)
    if not (folder / "config.json").exists():
        raise NoModel(f"{folder} has no config.json: no Hugging Face folder")
    return folder
