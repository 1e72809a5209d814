"""What a training run's folder remembers of its settings, so that a run which goes on is not mixed with another.

Knows names and values only, and what files a begun run leaves. Needs no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path

Setting = str | int | float

REPLIES, CHECKPOINT = "replies.jsonl", "checkpoint.pt"  # what a begun run leaves beside its settings


class Mismatch(ValueError):
    """The folder was begun with other settings; names them."""


def remember(folder: Path, settings: Mapping[str, Setting]) -> None:
    """Note the settings of a run in its folder, or see that a run that was begun there had the same.

    Raises:
        Mismatch: it had others; says which.
    """
    path = folder / "settings.json"
    if path.exists():
        begun = json.loads(path.read_text(encoding="utf-8"))
        others = [
            f"{name} was {begun.get(name)} and is now {settings.get(name)}"
            for name in {**begun, **settings}
            if begun.get(name) != settings.get(name)
        ]
        if others:
            raise Mismatch(f"{folder} was begun with other settings: {', '.join(others)}; give another folder")
        return
    if any((folder / name).exists() for name in (REPLIES, CHECKPOINT)):
        raise Mismatch(f"{folder} holds a run whose settings are not known; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(dict(settings), indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)  # a kill leaves all of it or nothing
