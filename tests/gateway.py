"""API Gateway in front of a function: an HTTP request as the event it makes, the function's answer as a response.

Pure, but for `wsgi`, which makes a server's application of a function. Payload format 2.0, as far as tests need it.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

Function = Callable[[dict[str, Any]], dict[str, Any]]


def event(method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Any:
    """The event of one request. A body that is no text comes as base64."""
    path, _, query = target.partition("?")
    told: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in (headers or {}).items()},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default", "requestId": "r"},
        "isBase64Encoded": False,
    }
    if query:
        pairs: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            pairs.setdefault(name, []).append(value)
        told["queryStringParameters"] = {name: ",".join(values) for name, values in pairs.items()}
    if body:
        try:
            told["body"] = body.decode()
        except UnicodeDecodeError:
            told |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return told


def content(answer: Mapping[str, Any]) -> bytes:
    """The body of a function's answer."""
    body = (answer.get("body") or "").encode()
    return base64.b64decode(body) if answer.get("isBase64Encoded") else body


def wsgi(function: Function) -> Callable[..., Iterable[bytes]]:
    """A function as a WSGI application."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
        }
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        target = f"{environ['REQUEST_URI'].partition('?')[0]}?{environ['QUERY_STRING']}"  # the path undecoded
        answer = function(event(environ["REQUEST_METHOD"], target, headers, body))
        status = HTTPStatus(answer["statusCode"])
        start_response(f"{status.value} {status.phrase}", list(answer.get("headers", {}).items()))
        return [content(answer)]

    return application
