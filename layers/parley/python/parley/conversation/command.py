"""Messages that are intents: what a button sends, `/order{"size": "xl"}`, taken apart without any doubt."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from parley.conversation.understanding import Entity

DEEPEST = 8  # lists and objects within each other; nobody's button sends as many

_COMMAND = re.compile(r"/(?P<intent>[^{@]+)(?:@(?P<confidence>[0-9.]+))?(?P<entities>\{.*\})?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A `/intent{"entity": "value"}` message, taken apart."""

    intent: str
    confidence: float
    entities: tuple[Entity, ...]


def read_command(text: str) -> Command | None:
    """The intent and entities in a message such as `/order{"size": "xl"}`; None if it is no such message.

    A client may send any JSON as a value. What no store and no response could hold makes the message words.
    """
    match = _COMMAND.match(text.strip())
    if match is None:
        return None
    try:
        values = json.loads(match["entities"] or "{}")
        confidence = min(1.0, float(match["confidence"] or 1.0))
    except (ValueError, RecursionError):
        return None
    if not _can_be_kept(values, DEEPEST):
        return None
    start, end = match.span("entities") if match["entities"] else (0, 0)
    entities = tuple(
        Entity(name, value, start, end, text.strip()[start:end], found_by="client")
        for name, each in values.items()
        for value in (each if isinstance(each, list) else [each])
    )
    return Command(match["intent"].strip(), confidence, entities)


def _can_be_kept(value: Any, levels: int) -> bool:
    """Whether it has whole characters, finite numbers of 64 bits, and no more levels than so many."""
    match value:
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in value)
        case float():
            return math.isfinite(value)
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**63
        case dict():
            return levels > 0 and all(
                _can_be_kept(name, 0) and _can_be_kept(each, levels - 1) for name, each in value.items()
            )
    return levels > 0 and all(_can_be_kept(each, levels - 1) for each in value)
