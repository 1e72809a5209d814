"""Paths into JSON: `ticket.comments.0.text`. Pure."""

from typing import Any


def at(path: str, content: Any) -> Any:
    """What stands at a path.

    Raises:
        KeyError: nothing does.
    """
    found = content
    for step in path.split("."):
        if isinstance(found, dict):
            found = found[step]
        elif isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise KeyError(path)
    return found
