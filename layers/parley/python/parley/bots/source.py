"""A bot's YAML files, merged, with every value's place remembered.

Knows YAML 1.2 (`yes` and `no` are strings) and how Rasa spreads sections over
files; knows nothing of what the sections mean. Faults are collected, so that an
author sees all of them at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from parley.errors import BadBot

_MERGED_LISTS = ("intents", "entities", "actions", "nlu", "rules", "stories")
_MERGED_MAPS = ("slots", "forms", "responses")
_IGNORED_FOLDERS = frozenset({"tests", "documents", "models", ".rasa", ".git"})


@dataclass(slots=True)
class Faults:
    """What is wrong with a bot, with file and line, collected while reading."""

    lines: list[str] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        """Notes one fault at `file:line`."""
        self.lines.append(f"{place}: {message}")

    def raise_if_any(self) -> None:
        """Ends the reading when something was wrong.

        Raises:
            BadBot: with every fault on a line of its own.
        """
        if self.lines:
            count = len(self.lines)
            raise BadBot(f"{count} fault{'s' if count > 1 else ''} in the bot's files:\n  " + "\n  ".join(self.lines))


@dataclass(frozen=True, slots=True)
class Placed:
    """A value from a file, and where it stands."""

    value: Any
    place: str  # file:line


@dataclass(frozen=True, slots=True)
class BotSource:
    """All sections of all files of one bot."""

    folder: Path
    lists: Mapping[str, tuple[Placed, ...]]  # intents, entities, actions, nlu, rules, stories
    maps: Mapping[str, Mapping[str, Placed]]  # slots, forms, responses
    settings: Mapping[str, Any]  # bot.yml


def read_source(folder: Path, faults: Faults) -> BotSource:
    """The sections of every YAML file under `folder`; what cannot be read is noted in `faults`.

    Raises:
        BadBot: there is no such folder, or no `bot.yml` or `domain` in it.
    """
    if not (folder / "bot.yml").is_file():
        raise BadBot(f"{folder}: no bot.yml here; a bot is a folder with bot.yml, domain.yml and data/")
    lists: dict[str, list[Placed]] = {name: [] for name in _MERGED_LISTS}
    maps: dict[str, dict[str, Placed]] = {name: {} for name in _MERGED_MAPS}
    settings: Mapping[str, Any] = {}
    for path in _yaml_files(folder):
        name = path.relative_to(folder).as_posix()
        document = _load(path, name, faults)
        if document is None:
            continue
        if name == "bot.yml":
            settings = document
            continue
        for key in document:
            value, place = document[key], f"{name}:{document.lc.key(key)[0] + 1}"
            if key in lists:
                lists[key].extend(_items(value, key, name, place, faults))
            elif key in maps:
                _merge(maps[key], _entries(value, key, name, place, faults), faults)
    return BotSource(folder, {key: tuple(value) for key, value in lists.items()}, maps, settings)


def _yaml_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.y*ml")):
        if path.suffix in (".yml", ".yaml") and not _IGNORED_FOLDERS & set(path.relative_to(folder).parts[:-1]):
            yield path


def _load(path: Path, name: str, faults: Faults) -> Any:
    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        faults.add(f"{name}:{line}", f"not valid YAML: {error.problem}")
        return None
    except UnicodeDecodeError:
        faults.add(f"{name}:1", "not UTF-8; save the file as UTF-8")
        return None
    if document is not None and not isinstance(document, Mapping):
        faults.add(f"{name}:1", "the file must be a mapping of sections, such as `responses:`")
        return None
    return document


def _items(value: Any, key: str, name: str, place: str, faults: Faults) -> Iterator[Placed]:
    if value is None:
        return
    if not isinstance(value, list):
        faults.add(place, f"`{key}` must be a list")
        return
    for index, item in enumerate(value):
        yield Placed(item, f"{name}:{value.lc.item(index)[0] + 1}")  # type: ignore[attr-defined]  # ruamel's list


def _entries(value: Any, key: str, name: str, place: str, faults: Faults) -> Iterator[tuple[str, Placed]]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        faults.add(place, f"`{key}` must be a mapping")
        return
    for entry in value:
        yield str(entry), Placed(value[entry], f"{name}:{value.lc.key(entry)[0] + 1}")  # type: ignore[attr-defined]


def _merge(section: dict[str, Placed], entries: Iterator[tuple[str, Placed]], faults: Faults) -> None:
    for entry, placed in entries:
        if entry in section:
            faults.add(placed.place, f"`{entry}` stands already at {section[entry].place}")
        section[entry] = placed
