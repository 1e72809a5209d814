"""Training data: example utterances with their intents and marked entities, from the `nlu:` sections."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from parley.bots.bot import EntityPatterns
from parley.bots.source import BotSource, Faults, Placed
from parley.conversation import Entity

# [Tee](product) or [tee]{"entity": "product", "value": "Tee"}; a brace in quotes does not end the latter
_MARKED = re.compile(r"""\[(?P<text>[^\]]+)\](?:\((?P<name>[^)]+)\)|(?P<json>\{(?:[^{}"]|"(?:\\.|[^"\\])*")*\}))""")


@dataclass(frozen=True, slots=True)
class DeclaredEntity:
    """An entity as the domain declares it."""

    place: str  # file:line
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    influences: bool = True  # rules and stories look at it


@dataclass(frozen=True, slots=True)
class Example:
    """One thing that people say, as its author labelled it."""

    text: str
    intent: str  # as written, also `faq/ask_name` (a retrieval intent) and `thank+goodbye` (two in one)
    entities: tuple[Entity, ...]
    place: str  # file:line


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything the `nlu:` sections hold."""

    examples: tuple[Example, ...]
    patterns: EntityPatterns


def read_training_data(source: BotSource, entities: Mapping[str, DeclaredEntity], faults: Faults) -> TrainingData:
    """The examples, regexes, lookup tables and synonyms of a bot, for the `entities` of its domain."""
    examples: list[Example] = []
    regexes: dict[str, tuple[str, ...]] = {}
    lookups: dict[str, tuple[str, ...]] = {}
    synonyms: dict[str, str] = {}
    for block in source.lists["nlu"]:
        match block.value:
            case {"intent": str(intent), "examples": listing, **rest}:
                rest.pop("metadata", None)  # its author's notes
                examples.extend(
                    parse_example(text, intent, place, faults) for text, place in _lines(listing, block, faults)
                )
            case {"regex": str(name), "examples": listing, **rest}:
                patterns = [
                    line for line, place in _lines(listing, block, faults) if is_expression(line, place, faults)
                ]
                if _is_entity(name, "regex", entities, block.place, faults):
                    regexes[name] = (*regexes.get(name, ()), *patterns)
            case {"lookup": str(name), "examples": listing, **rest}:
                lines = tuple(line for line, _ in _lines(listing, block, faults))
                if _is_entity(name, "lookup table", entities, block.place, faults):
                    lookups[name] = (*lookups.get(name, ()), *lines)
            case {"synonym": str(value), "examples": listing, **rest}:
                synonyms.update({line.lower(): value for line, _ in _lines(listing, block, faults)})
            case {"intent": str() | None} | {"regex": str()} | {"lookup": str()} | {"synonym": str()}:
                faults.note(block.place, "there are no `examples` here")
                continue
            case _:
                faults.add(block.place, "expected `intent`, `regex`, `lookup` or `synonym`, each with `examples`")
                continue
        for key in rest:
            faults.note(block.place, f"`{key}` is not used")
    for example in examples:
        for entity in example.entities:
            _check_entity(entity.name, entities, example.place, faults)
            _check_role_and_group(entity, entities, example.place, faults)
        synonyms.update({e.text.lower(): e.value for e in example.entities if e.value != e.text})
    return TrainingData(tuple(examples), EntityPatterns(regexes, lookups, synonyms))


def _lines(listing: Any, block: Placed, faults: Faults) -> Iterator[tuple[str, str]]:
    for text, place in _listed(listing, block, faults):
        if text:
            yield text, place
        else:
            faults.note(place, "an example is empty and left out")


def _listed(listing: Any, block: Placed, faults: Faults) -> Iterator[tuple[str, str]]:
    file, _, first = block.place.rpartition(":")
    match listing:
        case str():
            for offset, line in enumerate(listing.split("\n")):
                place = f"{file}:{int(first) + 2 + offset}"  # the block begins on the line after `examples: |`
                if line.lstrip().startswith("-"):
                    yield line.lstrip()[1:].strip(), place
                elif line.strip():
                    faults.note(
                        place, f"an example begins with `- `; this line does not and is left out: {line.strip()!r}"
                    )
        case None:
            faults.note(block.place, "there are no `examples` here")
        case list():
            for item in listing:
                match item:
                    case str(text):
                        yield text.strip(), block.place
                    case {"text": str(text), **rest} if rest.keys() <= {"metadata"}:
                        yield text.strip(), block.place
                    case _:
                        faults.add(block.place, f"an example must be a text, or have `text` and `metadata`: {item!r}")
        case _:
            faults.add(block.place, "`examples` must be a block of lines that begin with `- `, or a list")


def is_expression(pattern: str, place: str, faults: Faults) -> bool:
    """Whether `pattern` is a regular expression; if not, it is a fault."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        faults.add(place, f"not a regular expression: {error}")
        return False
    return True


def _is_entity(name: str, what: str, entities: Mapping[str, DeclaredEntity], place: str, faults: Faults) -> bool:
    """Whether a pattern finds an entity. Rasa takes others too, as a hint to its networks."""
    if entities and name not in entities:
        faults.note(place, f"the {what} `{name}` is named like no entity, so it finds none")
        return False
    return True


def _check_entity(name: str, entities: Mapping[str, DeclaredEntity], place: str, faults: Faults) -> None:
    if name not in entities:
        faults.note(place, f"entity `{name}` is not in the domain")


def _check_role_and_group(entity: Entity, entities: Mapping[str, DeclaredEntity], place: str, faults: Faults) -> None:
    declared = entities.get(entity.name)
    if declared is None:
        return  # said already
    if entity.role is not None and entity.role not in declared.roles:
        faults.note(place, f"entity `{entity.name}` has no role `{entity.role}` in the domain")
    if entity.group is not None and entity.group not in declared.groups:
        faults.note(place, f"entity `{entity.name}` has no group `{entity.group}` in the domain")


def parse_example(marked: str, intent: str, place: str, faults: Faults) -> Example:
    """The example in a line such as `where is [WB-204518](order_number)`."""
    text, entities, position = "", [], 0
    for match in _MARKED.finditer(marked):
        text += marked[position : match.start()]
        position = match.end()
        span = match["text"]
        entity = _entity_of(match, span, place, faults)
        entities.append(replace(entity, start=len(text), end=len(text) + len(span)))
        text += span
    return Example(text + marked[position:], intent, tuple(entities), place)


def _entity_of(match: re.Match[str], span: str, place: str, faults: Faults) -> Entity:
    """The entity that one mark declares; where it stands is not known here."""
    if match["name"]:
        name, _, value = match["name"].partition(":")
        return Entity(name, value or span, 0, 0, span)
    try:
        fields = json.loads(match["json"])
        name, value = fields.pop("entity"), fields.pop("value", span)
    except (json.JSONDecodeError, KeyError):
        faults.add(place, f'an entity is marked as [words]{{"entity": "name"}}, not as {match["json"]}')
        return Entity("", span, 0, 0, span)
    role, group = (_optional(fields.pop(key, None)) for key in ("role", "group"))
    for key in fields:
        faults.note(place, f"`{key}` of an entity is not used")
    return Entity(str(name), str(value), 0, 0, span, role, group)


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)
