"""Links: a list of URLs, or a sitemap, as the pages that it names.

Knows what a URL must look like to be fetched, not where it leads: whether a page is there, may be fetched and is one at
all shows when somebody goes there. So a sitemap that names sitemaps gives links like any other; who follows one and is
given one of `SITEMAP_TYPES` reads on with `read_sitemap`.
"""

import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from lxml import etree

from parley.documents.text import decode, squeezed
from parley.errors import Unreadable

MAX_LINKS = 1_000  # at a second each, they take a good quarter of an hour
MAX_BYTES = 10_000_000  # packed and unpacked
MAX_URL = 2_000  # characters; sitemaps.org has 2,047
MAX_ELEMENTS = 100_000  # of a sitemap: links may have pictures, films and other languages

SITEMAP_TYPES = frozenset({"application/xml", "text/xml", "application/gzip", "application/x-gzip"})
LIST = ".urls"
ENDINGS = (LIST, ".xml", ".xml.gz")

_GZIP = b"\x1f\x8b"
_LINKS = {"urlset": "url", "sitemapindex": "sitemap"}  # what the root holds; Source: sitemaps.org/protocol.html
_NO_URL = re.compile(r"[\x00-\x20\x7f\\<>\"]")  # urllib drops some of these without a word
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_PATH = "%/:@!$&'()*+,;=~"  # stay as they are; what has been quoted is not quoted again
_SHOWN = 80  # characters of what is no URL
_SECRET = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class Links:
    """What a list names."""

    urls: tuple[str, ...]  # each once, as it is fetched, in the order of the list
    faults: tuple[str, ...] = ()  # what was left out, each with its line


def is_list(name: str) -> bool:
    """Whether a document is one that names pages."""
    return name.lower().endswith(ENDINGS)


def read_links(name: str, content: bytes) -> Links:
    """The links of a document that `is_list`.

    Raises:
        Unreadable: it is not what its ending says, names nothing, or names more than MAX_LINKS.
    """
    return _read_lines(name, content) if name.lower().endswith(LIST) else read_sitemap(name, content)


def read_sitemap(name: str, content: bytes) -> Links:
    """The links of a sitemap, to pages or to other sitemaps; it may be packed with gzip.

    Raises:
        Unreadable: it is none, names nothing, or names more than MAX_LINKS.
    """
    text = decode(name, unpacked(name, content))
    if "<!DOCTYPE" in text:  # entities begin there
        raise Unreadable(name, "declares a document type, which no sitemap has; leave it out")
    reader = etree.iterparse(
        BytesIO(text.encode()),
        events=("start", "end"),
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return _links(name, _locations(name, reader))
    except etree.XMLSyntaxError as error:
        raise Unreadable(name, "broken XML; make the sitemap anew", line=error.lineno) from error


def unpacked(name: str, content: bytes) -> bytes:
    """The content, without gzip if it was packed with it.

    Raises:
        Unreadable: it is too large, or badly packed.
    """
    if content.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=BytesIO(content)) as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(name, "packed with gzip, but broken; pack it anew") from error
    if len(content) > MAX_BYTES:
        raise Unreadable(name, f"more than {MAX_BYTES // 1_000_000} MB; split it into several")
    return content


def page_url(said: str) -> str:
    """A URL as it is fetched: in ASCII, without the place within the page.

    Raises:
        ValueError: it cannot be fetched; the message says why.
    """
    if len(said) > MAX_URL:
        raise ValueError(f"longer than {MAX_URL:,} characters")
    if _NO_URL.search(said):
        raise ValueError("no URL: it has a character that none may have")
    try:
        split = urlsplit(said)
        host, port = _host(split.hostname or ""), split.port
    except ValueError as error:  # also UnicodeError
        raise ValueError("no URL: its host or its port is none") from error
    if split.scheme not in ("http", "https"):
        raise ValueError("begins neither with http:// nor with https://")
    if "@" in split.netloc:
        raise ValueError("holds a name or a password; nobody is logged in for you")
    if not host:
        raise ValueError("no URL: it names no host")
    place = host if port is None or port == {"http": 80, "https": 443}[split.scheme] else f"{host}:{port}"
    return urlunsplit((split.scheme, place, quote(split.path or "/", _PATH), quote(split.query, f"{_PATH}?"), ""))


def _host(said: str) -> str:
    """The host's name in ASCII, or its address."""
    if ":" in said:
        address = IPv6Address(said)
        if address.scope_id is not None:
            raise ValueError("an address of one machine's own network")
        return f"[{address.compressed}]"
    host = said.encode("idna").decode()  # also of a name in ASCII: its parts may be too long
    if host and not _HOST.fullmatch(host):
        raise ValueError("no name of a host")
    return host


def _read_lines(name: str, content: bytes) -> Links:
    lines = decode(name, unpacked(name, content)).split("\n")
    said = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return _links(name, ((number, line) for number, line in said if line and not line.startswith("#")))


def _locations(name: str, reader: Iterable[tuple[str, Any]]) -> Iterable[tuple[int, str]]:
    """What each `loc` says, and its line."""
    holder, count, depth = "", 0, 0
    for event, element in reader:
        if event == "start":
            depth, count = depth + 1, count + 1
            if depth == 1:
                holder = _LINKS.get(_local(element), "")
            if not holder:
                root = _local(element)[:_SHOWN]
                raise Unreadable(name, f"no sitemap: its root is `{root}`, neither `urlset` nor `sitemapindex`")
            if count > MAX_ELEMENTS:
                raise Unreadable(name, f"more than {MAX_ELEMENTS:,} elements; split it into several")
            continue
        if depth == 3 and _local(element) == "loc" and _local(element.getparent()) == holder:
            yield element.sourceline, (element.text or "").strip()
        depth -= 1


def _local(element: Any) -> str:
    """An element's name, whatever namespace it is in."""
    return str(element.tag).rpartition("}")[2]


def _links(name: str, said: Iterable[tuple[int, str]]) -> Links:
    urls: dict[str, None] = {}
    faults: list[str] = []
    for line, each in said:
        try:
            urls[page_url(each)] = None
        except ValueError as error:
            faults.append(f"line={line}: `{_shown(each)}`: {error}")
        if len(urls) + len(faults) > MAX_LINKS:
            raise Unreadable(name, f"more than {MAX_LINKS:,} links; split it into several documents")
    if not urls:
        raise Unreadable(name, faults[0] if faults else "no link in it; write one URL in each line, or a sitemap")
    return Links(tuple(urls), tuple(faults))


def _shown(said: str) -> str:
    """As much of what somebody wrote as a fault may quote: no password."""
    return squeezed(_SECRET.sub("//…@", said))[:_SHOWN]
