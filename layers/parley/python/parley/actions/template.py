"""Texts with placeholders: `{slot}` and `{secret:NAME}`; `{{` and `}}` stand for braces.

Knows the syntax only. What is put in is never read as a template again.
"""

from dataclasses import dataclass
from string import Formatter

MESSAGE = "message"  # stands for what the person said, unless the bot has a slot of that name


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Something to fill in."""

    name: str
    is_secret: bool = False


def pieces(template: str) -> tuple[str | Placeholder, ...]:
    """The template's fixed texts and placeholders, in order.

    Raises:
        ValueError: the braces are not in pairs, or hold no name.
    """
    found: list[str | Placeholder] = []
    for fixed, name, after_colon, conversion in Formatter().parse(template):
        if fixed:
            found.append(fixed)
        if name is not None:
            found.append(_placeholder(name, after_colon or "", conversion))
    return tuple(found)


def slots_in(template: str) -> frozenset[str]:
    """The names of all slots in a template; raises as `pieces` does."""
    return _names(template, are_secrets=False)


def secrets_in(template: str) -> frozenset[str]:
    """The names of all secrets in a template; raises as `pieces` does."""
    return _names(template, are_secrets=True)


def _placeholder(name: str, after_colon: str, conversion: str | None) -> Placeholder:
    is_secret = name == "secret" and after_colon != ""
    if conversion or not name.strip() or (after_colon and not is_secret) or "{" in after_colon:
        raise ValueError("a placeholder is {slot} or {secret:NAME}")
    return Placeholder(after_colon if is_secret else name, is_secret)


def _names(template: str, *, are_secrets: bool) -> frozenset[str]:
    placeholders = (piece for piece in pieces(template) if isinstance(piece, Placeholder))
    return frozenset(placeholder.name for placeholder in placeholders if placeholder.is_secret == are_secrets)
