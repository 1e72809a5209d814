"""A declared HTTP call: slots into the request, and the answer into slots. Pure.

Whatever a person said into a slot stays a value: it is percent-encoded in the url,
quoted in the JSON body and refused in a header where it would end the line. Wants
calls that `actions.checks` found nothing wrong with.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from parley.actions.custom_actions import HttpCall
from parley.actions.paths import at
from parley.actions.template import Placeholder, pieces
from parley.errors import ActionFailed

_HEADER_VALUE = re.compile(r"[ -~]*")  # what needs no encoding that servers would disagree about


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as it is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


def render(call: HttpCall, slots: Mapping[str, Any], secret: Callable[[str], str]) -> Prepared:
    """The call with the slots' values in it.

    Raises:
        ActionFailed: a slot that is needed has no value, or one that cannot stand where it is wanted.
    """
    headers = {name: header_value(name, _filled(value, slots, str, secret)) for name, value in call.headers.items()}
    if call.body is None:
        return Prepared(call.method, _url(call.url, slots), headers)
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return Prepared(call.method, _url(call.url, slots), headers, to_json(filled(call.body, slots)))


def read_slots(call: HttpCall, answer: Any) -> dict[str, Any]:
    """The values of the call's slots in the JSON that came back.

    Raises:
        ActionFailed: something is not where it is expected.
    """
    return {slot: _read(path, answer) for slot, path in call.slots.items()}


def header_value(name: str, value: str) -> str:
    """The value, which is safe in a header.

    Raises:
        ActionFailed: it is not. The message does not tell it, because it may be a secret.
    """
    if not _HEADER_VALUE.fullmatch(value):
        raise ActionFailed(f"the header {name} would have a line break or a character outside ASCII")
    return value


def to_json(value: Any) -> bytes:
    """The value as JSON.

    Raises:
        ActionFailed: it has something that JSON cannot say.
    """
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionFailed("the request cannot be written as JSON") from error


def _url(template: str, slots: Mapping[str, Any]) -> str:
    path, mark, query = template.partition("?")
    url = _filled(path, slots, _quoted_segment) + mark + _filled(query, slots, _quoted)
    if any(segment in (".", "..") for segment in urlsplit(url).path.split("/")):
        raise ActionFailed("the slots would lead to another path of the url")
    return url


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _quoted_segment(text: str) -> str:
    if not text:  # `DELETE /orders/{id}` must not become `DELETE /orders/`
        raise ActionFailed("a slot in the url's path is empty")
    return _quoted(text)


def filled(template: Any, slots: Mapping[str, Any]) -> Any:
    """A JSON value with the slots' values in its texts; a text that is one placeholder becomes the value itself.

    Raises:
        ActionFailed: a slot within a longer text has no value.
    """
    match template:
        case str():
            found = pieces(template)
            if len(found) == 1 and isinstance(found[0], Placeholder) and not found[0].is_secret:
                return slots.get(found[0].name)
            return _filled(template, slots, str)
        case dict():
            return {key: filled(value, slots) for key, value in template.items()}
        case list():
            return [filled(value, slots) for value in template]
        case _:
            return template


def _no_secret(name: str) -> str:
    raise ActionFailed(f"the secret {name} may stand in a header only")


def _filled(
    template: str, slots: Mapping[str, Any], encode: Callable[[str], str], secret: Callable[[str], str] = _no_secret
) -> str:
    filled = ""
    for piece in pieces(template):
        if isinstance(piece, str):
            filled += piece
        elif piece.is_secret:
            filled += secret(piece.name)
        else:
            filled += encode(_text(piece.name, slots.get(piece.name)))
    return filled


def _text(slot: str, value: Any) -> str:
    if value is None:
        raise ActionFailed(f"the slot {slot} has no value")
    return value if isinstance(value, str) else to_json(value).decode()


def _read(path: str, answer: Any) -> Any:
    try:
        return at(path, answer)
    except KeyError as error:
        raise ActionFailed(f"the answer has nothing at {path}") from error
