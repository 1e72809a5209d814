"""One GET to the public web, to a server that nobody vouches for, at a URL that anybody may have written.

The host is looked up once, each of its addresses must be one that may be reached, and the connection is made to one of
these: neither a name that means something else the second time nor an address in disguise leads into a network of
ours. Follows no redirect, tries nothing twice, has no cookies and no credentials, and ends at its deadline whatever the
server does.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from parley.adapters.exchange import within
from parley.adapters.http_connection import target_of
from parley.documents.links import unpacked
from parley.errors import ActionFailed, Unavailable, Unreadable

USER_AGENT = "Parley"
PORTS = frozenset({80, 443})
CONNECT_SECONDS = 5.0  # to one address; the web is wide
MAX_ADDRESSES = 4  # of one host that are tried

_MOVED = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})  # and all from 500 on
_PACKED = frozenset({"gzip", "x-gzip"})  # some servers say so of a file that lies packed, whatever they were asked for
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Reach:
    """What of the web may be reached, and how names are looked up."""

    may_reach: Callable[[Address, int], bool]  # an address, at a port
    resolve: Callable[[str, int], Sequence[Address]]
    tls: ssl.SSLContext


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


def is_public(address: Address, port: int) -> bool:
    """Whether an address belongs to the public internet, and the port to the web."""
    return port in PORTS and _is_public(address)


def addresses_of(host: str, port: int) -> tuple[Address, ...]:
    """The addresses of a host as the system knows them, the best first.

    Raises:
        OSError: there are none, or nobody knows.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(ip_address(each[4][0]) for each in found))


def get(wanted: Wanted, reach: Reach, seconds: float) -> Answer:
    """The answer of a server.

    Raises:
        Unreadable: it is not to be reached, or what it gives is not wanted.
        Unavailable: it does not answer, not in time, or that it cannot now.
    """
    one = _Get(wanted, reach, seconds)
    try:
        return within(seconds, one.run, end=one.end)
    except ActionFailed as error:
        raise Unavailable(f"{wanted.url}: {error}") from error


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    wrapped = address.ipv4_mapped or address.sixtofour or _of_nat64(address)
    if wrapped is not None:
        return _is_public(wrapped)
    return address in _GLOBAL_UNICAST and address.is_global  # older Pythons call more than that global


def _of_nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


class _Get:
    """`run` talks in one thread; `end` stops it from another, also where bytes drip and no time-out would strike."""

    def __init__(self, wanted: Wanted, reach: Reach, seconds: float) -> None:
        self._wanted = wanted
        self._reach = reach
        self._seconds = seconds
        self._split = urlsplit(wanted.url)
        self._host = self._split.hostname or ""
        self._port = self._split.port or (443 if self._split.scheme == "https" else 80)
        self._socket: socket.socket | None = None
        self._is_over = False

    def run(self) -> Answer:
        url = self._wanted.url
        try:
            return self._talk(self._connection())
        except ssl.SSLCertVerificationError as error:
            raise Unreadable(url, "its certificate is not good") from error
        except OSError as error:
            raise Unavailable(f"{url}: cannot be reached, or hung up") from error
        except (HTTPException, ValueError) as error:
            raise Unavailable(f"{url}: did not speak HTTP") from error
        finally:
            if self._socket is not None:
                self._socket.close()

    def end(self) -> None:
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):  # closed already
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not the TLS socket's own; see `exchange`

    def _connection(self) -> HTTPConnection:
        """A connection that looks up nothing, for it has its socket already."""
        plain = self._connected()
        if self._split.scheme == "http":
            connection = HTTPConnection(self._host, self._port)
            connection.sock = plain
        else:
            connection = HTTPSConnection(self._host, self._port, context=self._reach.tls)
            secure = self._reach.tls.wrap_socket(plain, server_hostname=self._host, do_handshake_on_connect=False)
            connection.sock = self._held(secure)
            secure.do_handshake()
        connection.auto_open = 0
        return connection

    def _connected(self) -> socket.socket:
        failure = OSError("no address")
        for address in self._addresses()[:MAX_ADDRESSES]:
            try:
                return self._held(socket.create_connection((str(address), self._port), timeout=CONNECT_SECONDS))
            except OSError as error:
                failure = error
        raise failure

    def _addresses(self) -> Sequence[Address]:
        addresses = self._reach.resolve(self._host, self._port)
        if not all(self._reach.may_reach(address, self._port) for address in addresses):
            raise Unreadable(self._wanted.url, "not on the public internet, or at a port other than 80 and 443")
        return addresses

    def _held(self, connected: socket.socket) -> socket.socket:
        """The socket, where `end` finds it."""
        self._socket = connected
        connected.settimeout(self._seconds)
        if self._is_over:
            raise TimeoutError
        return connected

    def _talk(self, connection: HTTPConnection) -> Answer:
        headers = {
            "User-Agent": USER_AGENT,
            "Accept": ", ".join(sorted(self._wanted.media_types)) or "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        connection.request("GET", target_of(self._wanted.url), headers=headers)
        with connection.getresponse() as response:
            if response.status in _LATER or response.status >= 500:
                raise Unavailable(f"{self._wanted.url}: answered {response.status}")
            if response.status in _MOVED:
                return Answer(response.status, location=_location(response))
            return self._page(response) if response.status == 200 else Answer(response.status)

    def _page(self, response: HTTPResponse) -> Answer:
        url, most = self._wanted.url, self._wanted.most_bytes
        headers = response.headers
        media_type = headers.get_content_type() if "Content-Type" in headers else ""
        if self._wanted.media_types and media_type not in self._wanted.media_types:
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
