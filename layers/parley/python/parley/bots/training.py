"""Training data: example utterances with their intents and marked entities, from the `nlu:` sections."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from parley.bots.bot import EntityPatterns
from parley.bots.source import BotSource, Faults, Placed
from parley.conversation import Entity

# [Tee](product) or [tee]{"entity": "product", "value": "Tee"}
_MARKED = re.compile(r"\[(?P<text>[^\]]+)\](?:\((?P<name>[^)]+)\)|(?P<json>\{[^}]*\}))")


@dataclass(frozen=True, slots=True)
class Example:
    """One thing that people say, as its author labelled it."""

    text: str
    intent: str
    entities: tuple[Entity, ...]
    place: str  # file:line


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything the `nlu:` sections hold."""

    examples: tuple[Example, ...]
    patterns: EntityPatterns


def read_training_data(source: BotSource, faults: Faults) -> TrainingData:
    """The examples, regexes, lookup tables and synonyms of a bot."""
    examples: list[Example] = []
    regexes: dict[str, tuple[str, ...]] = {}
    lookups: dict[str, tuple[str, ...]] = {}
    synonyms: dict[str, str] = {}
    for block in source.lists["nlu"]:
        match block.value:
            case {"intent": str(intent), "examples": listing}:
                for text, place in _lines(listing, block, faults):
                    examples.append(parse_example(text, intent, place, faults))
            case {"regex": str(name), "examples": listing}:
                patterns = [_regex(line, place, faults) for line, place in _lines(listing, block, faults)]
                regexes[name] = (*regexes.get(name, ()), *patterns)
            case {"lookup": str(name), "examples": listing}:
                lookups[name] = (*lookups.get(name, ()), *(line for line, _ in _lines(listing, block, faults)))
            case {"synonym": str(value), "examples": listing}:
                synonyms.update({line.lower(): value for line, _ in _lines(listing, block, faults)})
            case _:
                faults.add(block.place, "expected `intent`, `regex`, `lookup` or `synonym`, each with `examples`")
    for example in examples:
        synonyms.update({e.text.lower(): e.value for e in example.entities if e.value != e.text})
    return TrainingData(tuple(examples), EntityPatterns(regexes, lookups, synonyms))


def _lines(listing: Any, block: Placed, faults: Faults) -> Iterator[tuple[str, str]]:
    file, _, first = block.place.rpartition(":")
    if isinstance(listing, list):
        for item in listing:
            text = item.get("text") if isinstance(item, dict) else item
            yield str(text).strip(), block.place
        return
    if not isinstance(listing, str):
        faults.add(block.place, "`examples` must be a block of lines that begin with `- `, or a list")
        return
    for offset, line in enumerate(listing.splitlines()):
        place = f"{file}:{int(first) + 2 + offset}"  # the block begins on the line after `examples: |`
        if not line.strip():
            continue
        if not line.lstrip().startswith("-"):
            faults.add(place, f"an example must begin with `- `, this line does not: {line.strip()!r}")
            continue
        yield line.lstrip()[1:].strip(), place


def _regex(pattern: str, place: str, faults: Faults) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        faults.add(place, f"not a regular expression: {error}")
    return pattern


def parse_example(marked: str, intent: str, place: str, faults: Faults) -> Example:
    """The example in a line such as `where is [WB-204518](order_number)`."""
    text, entities, position = "", [], 0
    for match in _MARKED.finditer(marked):
        text += marked[position : match.start()]
        position = match.end()
        span = match["text"]
        name, value = _entity_of(match, span, place, faults)
        entities.append(Entity(name, value, len(text), len(text) + len(span), span))
        text += span
    return Example(text + marked[position:], intent, tuple(entities), place)


def _entity_of(match: re.Match[str], span: str, place: str, faults: Faults) -> tuple[str, str]:
    if match["name"]:
        name, _, value = match["name"].partition(":")
        return name, value or span
    try:
        fields = json.loads(match["json"])
        return str(fields["entity"]), str(fields.get("value", span))
    except (json.JSONDecodeError, KeyError):
        faults.add(place, f'an entity is marked as [words]{{"entity": "name"}}, not as {match["json"]}')
        return "", span
