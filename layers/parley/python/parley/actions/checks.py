"""What can be wrong with custom actions before anything is called, as messages for a bot's author.

Knows neither the bot's slots and responses nor where in its files an action stands:
whoever reads those adds both.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from parley.actions.custom_actions import MAX_TIMEOUT_SECONDS, ActionServer, HttpCall, LambdaCall
from parley.actions.template import MESSAGE, pieces, secrets_in, slots_in

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ORIGIN = re.compile(r"[^/?#]*//[^/?#]*")  # scheme, user, host and port: what decides who is called
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110
_HEADER_VALUE = re.compile(r"[ -~]*")
_URL = re.compile(r"[!-~]*")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check_server(server: ActionServer) -> Iterator[str]:
    """What is wrong with an action server. It may be spoken to in the clear, but then without a secret."""
    yield from _check_url(server.url, clear_text=server.secret is None)
    yield from _check_timeout(server.timeout_seconds)


def check_lambda_call(call: LambdaCall) -> Iterator[str]:
    """What is wrong with a declared Lambda function."""
    if not call.function.strip():
        yield "a Lambda function has a name"
    yield from _check_timeout(call.timeout_seconds)


def check_http_call(call: HttpCall) -> Iterator[str]:
    """What is wrong with a declared HTTP call."""
    if call.method not in METHODS:
        yield f"{call.method!r} is no method; there is {', '.join(METHODS)}"
    yield from _check_url(call.url, clear_text=False)
    for part in call.url.split("?", 1):
        yield from _check_template("the url", part, secrets_allowed=False)
    for name, value in call.headers.items():
        yield from _check_header(name, value)
    for text in texts_in(call.body):
        yield from _check_template("the body", text, secrets_allowed=False)
    for slot, path in call.slots.items():
        if not all(path.split(".")):
            yield f"slot {slot!r}: {path!r} is no path such as `current.conditions.0.text`"
    yield from _check_timeout(call.timeout_seconds)


def slots_used(call: HttpCall) -> frozenset[str]:
    """The slots whose values a call sends. Wants one that `check_http_call` found nothing wrong with."""
    templates = (call.url, *call.headers.values(), *texts_in(call.body))
    return frozenset().union(*map(slots_in, templates)) - {MESSAGE}


def texts_in(body: Any) -> Iterator[str]:
    """Every string of a JSON value but the keys."""
    match body:
        case str():
            yield body
        case dict():
            for value in body.values():
                yield from texts_in(value)
        case list():
            for value in body:
                yield from texts_in(value)


def _check_url(url: str, *, clear_text: bool) -> Iterator[str]:
    origin = _ORIGIN.match(url)
    if origin is None or not _URL.fullmatch(url) or "#" in url:
        yield f"{url!r} is no absolute url, or has spaces, a fragment or characters that want percent-encoding"
        return
    if "{" in origin[0] or "}" in origin[0]:
        yield "a placeholder may stand in the url's path and query only, never in what decides who is called"
        return
    try:
        split = urlsplit(origin[0])
        host, _ = split.hostname, split.port
    except ValueError:
        host = None
    if not host:
        yield f"{url!r} names no host, or a port that is none"
    elif "@" in origin[0]:
        yield "a url holds no user and password; send them in a header, from a secret"
    elif split.scheme not in ("http", "https"):
        yield f"{url!r} is neither https nor http"
    elif split.scheme == "http" and host not in _LOOPBACK and not clear_text:
        yield f"{url!r} is not https, and {host} is another machine"
    if any(segment in (".", "..") for segment in url[origin.end() :].partition("?")[0].split("/")):
        yield f"{url!r} has `.` or `..` in its path"


def _check_header(name: str, value: str) -> Iterator[str]:
    if not _HEADER_NAME.fullmatch(name):
        yield f"{name!r} is no name of a header"
    if name.lower() in _OURS:
        yield f"the header {name} is not for a bot to set"
    if not _HEADER_VALUE.fullmatch(value):
        yield f"the header {name} has a line break or a character outside ASCII"
    yield from _check_template(f"the header {name}", value, secrets_allowed=True)


def _check_template(where: str, template: str, *, secrets_allowed: bool) -> Iterator[str]:
    try:
        pieces(template)
    except ValueError as error:
        yield f"{where}: {error} (a brace that is meant is written twice)"
        return
    if not secrets_allowed and secrets_in(template):
        yield f"{where}: a secret may stand in a header only"


def _check_timeout(seconds: float) -> Iterator[str]:
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        yield f"timeout_seconds is {seconds:g}, but must be more than 0 and at most {MAX_TIMEOUT_SECONDS:g}"
