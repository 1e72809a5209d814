"""Messages that are intents: what a button sends, `/order{"size": "xl"}`, taken apart without any doubt."""

import json
import re
from dataclasses import dataclass

from parley.conversation.understanding import Entity

_COMMAND = re.compile(r"/(?P<intent>[^{@]+)(?:@(?P<confidence>[0-9.]+))?(?P<entities>\{.*\})?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A `/intent{"entity": "value"}` message, taken apart."""

    intent: str
    confidence: float
    entities: tuple[Entity, ...]


def read_command(text: str) -> Command | None:
    """The intent and entities in a message such as `/order{"size": "xl"}`; None if it is no such message."""
    match = _COMMAND.match(text.strip())
    if match is None:
        return None
    try:
        values = json.loads(match["entities"] or "{}")
        confidence = min(1.0, float(match["confidence"] or 1.0))
    except (ValueError, RecursionError):
        return None
    start, end = match.span("entities") if match["entities"] else (0, 0)
    entities = tuple(
        Entity(name, value, start, end, text.strip()[start:end], found_by="client")
        for name, each in values.items()
        for value in (each if isinstance(each, list) else [each])
    )
    return Command(match["intent"].strip(), confidence, entities)
