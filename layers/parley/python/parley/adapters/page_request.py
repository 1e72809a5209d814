"""One GET of a page: what is asked for, how much of the answer is taken, and what the statuses mean.

Where it may go is `public_web`'s to know.
"""

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse

from parley.adapters.http_connection import target_of
from parley.adapters.public_web import USER_AGENT, Reach, talk_to
from parley.documents.links import unpacked
from parley.errors import Unavailable, Unreadable

_MOVED = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})  # and all from 500 on
_PACKED = frozenset({"gzip", "x-gzip"})  # some servers say so of a file that lies packed, whatever they were asked for


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, and how much of it is taken."""

    url: str  # as `page_url` gives it
    media_types: frozenset[str]  # none: any
    most_bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered: a page, the way to another place, or only a status that is neither."""

    status: int
    content: bytes = b""
    media_type: str = ""
    charset: str = ""
    location: str = ""


def get(wanted: Wanted, reach: Reach, seconds: float) -> Answer:
    """The answer of a server.

    Raises:
        Unreadable: it is not to be reached, or what it gives is not wanted.
        Unavailable: it does not answer, not in time, or that it cannot now.
    """
    return talk_to(wanted.url, reach, seconds, lambda connection: _asked(wanted, connection))


def _asked(wanted: Wanted, connection: HTTPConnection) -> Answer:
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": ", ".join(sorted(wanted.media_types)) or "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    connection.request("GET", target_of(wanted.url), headers=headers)
    with connection.getresponse() as response:
        if response.status in _LATER or response.status >= 500:
            raise Unavailable(f"{wanted.url}: answered {response.status}")
        if response.status in _MOVED:
            return Answer(response.status, location=_location(response))
        return _page(wanted, response) if response.status == 200 else Answer(response.status)


def _page(wanted: Wanted, response: HTTPResponse) -> Answer:
    url, most = wanted.url, wanted.most_bytes
    headers = response.headers
    media_type = headers.get_content_type() if "Content-Type" in headers else ""
    if wanted.media_types and media_type not in wanted.media_types:
        raise Unreadable(url, f"of the media type `{media_type[:40]}`, which is not read")
    packed = headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in _PACKED | {"identity"}:
        raise Unreadable(url, "compressed, although it was asked for as it is")
    content = b"" if (response.length or 0) > most else response.read(most + 1)
    if (response.length or 0) + len(content) > most:
        raise Unreadable(url, f"more than {most:,} bytes")
    if response.length:
        raise Unavailable(f"{url}: hung up in the middle of it")
    if packed in _PACKED:
        content = unpacked(url, content)
    return Answer(200, content, media_type, headers.get_content_charset(""))


def _location(response: HTTPResponse) -> str:
    """Where a server says that a page is; http.client reads its UTF-8 as Latin-1."""
    return str(response.headers.get("Location", "")).encode("latin-1", "replace").decode("utf-8", "replace")
