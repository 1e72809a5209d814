"""A bot's YAML files, merged, with every value's place remembered.

Knows YAML 1.2 (`yes` and `no` are strings) and how Rasa spreads sections over
files; knows nothing of what the sections mean. Faults are collected, so that an
author sees all of them at once.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from parley.errors import BadBot

SETTINGS = "bot.yml"  # what Rasa has no word for
SERVERS = "endpoints.yml"  # of Rasa's servers, only the one of custom actions concerns us
_MERGED_LISTS = ("intents", "entities", "nlu", "rules", "stories", "actions", "e2e_actions", "pipeline", "policies")
_MERGED_MAPS = ("slots", "forms", "responses", "session_config", "config")
_OF_SERVERS = ("config.yml", SERVERS)  # most of what these say is for a Rasa server
_OLD_NAMES = {"templates": "responses"}  # of Rasa 2
_WORDS = frozenset({"version", "recipe", "language", "assistant_id", "importers", "spaces"})  # said once, of a file
_IGNORED_FOLDERS = frozenset({"tests", "test_stories", "documents", "models", "results", "actions", "node_modules"})
_VARIABLE = re.compile(r"\$\{(\w+)\}")
# What the library raises, without a place, for a date that there is not, a misplaced tag or a mapping as a key.
_ODD_YAML = (YAMLError, ValueError, LookupError, TypeError, AttributeError, AssertionError)


@dataclass(slots=True)
class Faults:
    """What is wrong with a bot, with file and line, collected while reading."""

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what is taken, although it is probably not meant, or not used

    def add(self, place: str, message: str) -> None:
        """Notes one fault at `file:line`."""
        self.lines.append(f"{place}: {message}")

    def note(self, place: str, message: str) -> None:
        """Notes at `file:line` what is no fault, but worth telling. Once is enough."""
        line = f"{place}: {message}"
        if line not in self.notes:
            self.notes.append(line)

    def error(self) -> BadBot:
        """The error that names every fault on a line of its own."""
        count = len(self.lines)
        return BadBot(f"{count} fault{'s' if count > 1 else ''} in the bot's files:\n  " + "\n  ".join(self.lines))

    def raise_if_any(self) -> None:
        """Ends the reading when something was wrong.

        Raises:
            BadBot: with every fault.
        """
        if self.lines:
            raise self.error()


@dataclass(frozen=True, slots=True)
class Placed:
    """A value from a file, and where it stands."""

    value: Any  # of Python's own types
    place: str  # file:line


@dataclass(frozen=True, slots=True)
class BotSource:
    """All sections of all files of one bot."""

    lists: Mapping[str, tuple[Placed, ...]]  # intents, entities, nlu, rules, stories, actions, pipeline, policies ...
    maps: Mapping[str, Mapping[str, Placed]]  # slots, forms, responses, session_config, config
    words: Mapping[str, tuple[Placed, ...]]  # version, language, as often as files say them
    settings: Mapping[str, Placed] | None  # bot.yml, empty if there is none; None when it could not be read
    servers: Mapping[str, Placed]  # endpoints.yml


def read_source(folder: Path, faults: Faults) -> BotSource:
    """The sections of a bot's YAML files; what cannot be read is noted in `faults`.

    Raises:
        BadBot: there is no such folder, or nothing of a bot in it.
    """
    if not any((folder / name).exists() for name in (SETTINGS, "domain.yml", "domain", "config.yml", "data")):
        raise BadBot(f"{folder}: no bot here; a bot is a folder with domain.yml, data/ and perhaps {SETTINGS}")
    lists: dict[str, list[Placed]] = {name: [] for name in _MERGED_LISTS}
    maps: dict[str, dict[str, Placed]] = {name: {} for name in _MERGED_MAPS}
    words: dict[str, list[Placed]] = {name: [] for name in _WORDS}
    apart: dict[str, Mapping[str, Placed] | None] = {SETTINGS: {}, SERVERS: {}}
    for path in _yaml_files(folder):
        name = path.relative_to(folder).as_posix()
        document = _load(path, name, faults)
        if name in apart:
            apart[name] = None if document is None else dict(_entries(document, name))
            continue
        sections = {_OLD_NAMES.get(key, key): value for key, value in (document or {}).items()}
        if not sections.keys() & {*lists, *maps, *words}:
            if sections:
                faults.note(f"{name}:1", "nothing in this file is of a bot; it is left out")
            continue
        for key, value in sections.items():
            place = f"{name}:{_line(document, key)}"
            if key in lists:
                if _is_a(list, value, key, place, faults):
                    lists[key].extend(_items(value, name))
            elif key in maps:
                if _is_a(Mapping, value, key, place, faults):
                    _merge(maps[key], _entries(value, name), faults)
            elif key in words:
                words[key].append(Placed(_plain(value), place))
            else:
                faults.note(place, f"`{key}` is not a section of Rasa's; it is left out")
    return BotSource(
        {key: tuple(value) for key, value in lists.items()},
        maps,
        {key: tuple(value) for key, value in words.items()},
        apart[SETTINGS],
        apart[SERVERS] or {},
    )


def yaml_files(folder: Path) -> list[Path]:
    """The YAML files in a folder and those below."""
    found = (path for path in sorted(folder.rglob("*.y*ml")) if path.suffix in (".yml", ".yaml") and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _yaml_files(folder: Path) -> Iterator[Path]:
    """Those that describe the bot: its own first, then by name; not tests, documents or how it is deployed."""
    for path in yaml_files(folder):
        *folders, name = path.relative_to(folder).parts
        if not _IGNORED_FOLDERS & set(folders) and (folders or name not in ("credentials.yml", "docker-compose.yml")):
            yield path


def read_placed(path: Path, name: str, faults: Faults) -> Mapping[str, tuple[Placed, ...]]:
    """The lists in one file by their names; what cannot be read is noted in `faults`."""
    document = _load(path, name, faults) or {}
    return {str(key): tuple(_items(value, name)) for key, value in document.items() if isinstance(value, list)}


def _load(path: Path, name: str, faults: Faults) -> Any:
    """The mapping in a file, as the YAML library keeps it, with its lines; None when there is a fault."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
        document = YAML(typ="rt").load(_with_variables(text, name, faults))
        _plain(document)  # refuses dates and tags here, where the file is known
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.add(f"{name}:{line}", "not UTF-8; save the file as UTF-8")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(f"{name}:{mark.line + 1 if mark else 1}", f"not valid YAML: {error.problem}")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        faults.add(f"{name}:{line}", f"not valid YAML: {error.reason}")
    except RecursionError:
        faults.add(f"{name}:1", "nested too deeply")
    except _ODD_YAML as error:
        faults.add(f"{name}:1", f"not valid YAML: {error}")
    else:
        if document is None or isinstance(document, Mapping):
            return document or {}
        faults.add(f"{name}:1", "the file must be a mapping of sections, such as `responses:`")
    return None


def _with_variables(text: str, name: str, faults: Faults) -> str:
    """The text with the environment's variables put in for `${NAME}`, as Rasa does it."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            line = text.count("\n", 0, match.start()) + 1
            tell = faults.note if name in _OF_SERVERS else faults.add
            tell(f"{name}:{line}", f"the environment has no variable `{match[1]}`")
        return os.environ.get(match[1], match[0])

    return _VARIABLE.sub(value, text)


def _is_a(kind: type, value: Any, key: str, place: str, faults: Faults) -> bool:
    """Whether a section is what it must be; an empty one is not, and that is no fault."""
    if value is not None and not isinstance(value, kind):
        faults.add(place, f"`{key}` must be a {'list' if kind is list else 'mapping'}")
    return isinstance(value, kind)


def _items(section: Any, name: str) -> Iterator[Placed]:
    for index, item in enumerate(section):
        yield Placed(_plain(item), f"{name}:{_line(section, index)}")


def _entries(section: Any, name: str) -> Iterator[tuple[str, Placed]]:
    for key, value in section.items():
        yield str(key), Placed(_plain(value), f"{name}:{_line(section, key)}")


def _line(section: Any, key: Any) -> int:
    """The line of an item; what was merged in by an anchor has none and stands where the section does."""
    known = (section.lc.data or {}).get(key)
    return int(known[0] if known else section.lc.line) + 1


def _merge(section: dict[str, Placed], entries: Iterator[tuple[str, Placed]], faults: Faults) -> None:
    for entry, placed in entries:
        if entry in section:
            same_file = placed.place.rpartition(":")[0] == section[entry].place.rpartition(":")[0]
            message = f"`{entry}` stands already at {section[entry].place}"
            (faults.add if same_file else faults.note)(placed.place, message)
        section[entry] = placed


def _plain(value: Any) -> Any:
    """The value in Python's own types, without what the YAML library remembers about it.

    Raises:
        ValueError: there is none of them for it, such as for a date or what has a `!tag`.
    """
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case bool() | None:
            return value
        case str() | int() | float():
            return next(kind for kind in (str, int, float) if isinstance(value, kind))(value)
        case _:
            raise ValueError(f"{value} is neither a text nor a number; if it is meant as a text, put it in quotes")
