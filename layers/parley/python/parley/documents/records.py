"""JSON and JSON Lines: questions and answers as objects. Any other fields become what is known about a section."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from parley.documents import questions
from parley.documents.document import MAX_SECTIONS, Document, Section, title_of
from parley.documents.text import decode
from parley.errors import Unreadable

_FORM = 'write a list of objects such as {"question": "...", "answer": "..."}'


def read_json(name: str, content: bytes) -> Document:
    """A section for each object of the list, which may stand in an object as its only list.

    Raises:
        Unreadable: the content is not UTF-8, not JSON, or holds no list of objects.
    """
    try:
        value = _parsed(decode(name, content))
    except json.JSONDecodeError as error:
        raise Unreadable(name, f"not valid JSON: {error.msg}", line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(name, f"not JSON that can be read: {_FORM}") from error
    match value:
        case list() as items:
            pass
        case dict() if questions.columns(tuple(value)):
            items = [value]
        case dict() if len(lists := [item for item in value.values() if isinstance(item, list)]) == 1:
            items = lists[0]
        case _:
            raise Unreadable(name, f"no list of questions and answers; {_FORM}")
    return _document(name, (_section(item, f"row={number}") for number, item in enumerate(items, 1)))


def read_json_lines(name: str, content: bytes) -> Document:
    """A section for each line that holds an object with a question and an answer; other lines are faults.

    Raises:
        Unreadable: the content is not UTF-8.
    """
    lines = decode(name, content).split("\n")
    return _document(name, (_of_line(line, f"row={number}") for number, line in enumerate(lines, 1) if line.strip()))


def _document(name: str, rows: Iterable[Section | str]) -> Document:
    said = tuple(itertools.islice(rows, MAX_SECTIONS + 1))
    sections = tuple(each for each in said if isinstance(each, Section))
    return Document(name, title_of(name), sections, faults=tuple(each for each in said if isinstance(each, str)))


def _of_line(line: str, place: str) -> Section | str:
    try:
        return _section(_parsed(line), place)
    except json.JSONDecodeError as error:
        return f"{place}: not valid JSON: {error.msg}"
    except (ValueError, RecursionError):
        return f"{place}: not JSON that can be read"


def _section(item: Any, place: str) -> Section | str:
    """The section that an object says, or what is wrong with it."""
    if not isinstance(item, Mapping):
        return f"{place}: not an object; {_FORM}"
    found = questions.columns(tuple(item))
    for name in found or ():
        if not isinstance(item[name], str):
            return f"{place}: `{name}` is not a text"
    return questions.section(dict(_texts(item)), place)


def _texts(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in item.items():
        match value:
            case str():
                yield name, value
            case list() if all(isinstance(part, str) for part in value):
                yield name, ", ".join(value)
            case bool():
                yield name, str(value).lower()
            case None:
                pass
            case _:
                yield name, json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    """The value, with numbers as they were written."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
