"""The standard library's HTTP connection, and what of a URL it takes.

It follows no redirect, tries nothing twice, takes no proxy from the environment and logs nothing: urllib3 would have to
be kept from all of it, and logs whole URLs when headers are malformed.
"""

import ssl
from functools import cache
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

CONNECT_SECONDS = 1.0


def connection_to(url: str) -> HTTPConnection:
    """A connection that is yet to be made; looking up the name may take longer than `CONNECT_SECONDS`."""
    split = urlsplit(url)
    host = split.hostname or ""
    if split.scheme == "http":
        return HTTPConnection(host, split.port, timeout=CONNECT_SECONDS)
    return HTTPSConnection(host, split.port, timeout=CONNECT_SECONDS, context=_tls())


def target_of(url: str) -> str:
    """What stands in the request's first line."""
    split = urlsplit(url)
    return f"{split.path or '/'}?{split.query}" if split.query else split.path or "/"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
