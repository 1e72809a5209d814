"""One request to the public web, to a server that nobody vouches for, at a URL that anybody may have written.

The host is looked up once, each of its addresses must be one that may be reached, and the connection is made to one of
these: neither a name that means something else the second time nor an address in disguise leads into a network of
ours. Follows no redirect, tries nothing twice, has no cookies and no credentials, and ends at its deadline whatever the
server does. What is asked, and how much of an answer is taken, is the caller's to say.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from parley.adapters.exchange import within
from parley.errors import ActionFailed, Unavailable, Unreadable

USER_AGENT = "Parley"
PORTS = frozenset({80, 443})
CONNECT_SECONDS = 5.0  # to one address; the web is wide
MAX_ADDRESSES = 4  # of one host that are tried

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reach:
    """What of the web may be reached, and how names are looked up."""

    may_reach: Callable[[Address, int], bool]  # an address, at a port
    resolve: Callable[[str, int], Sequence[Address]]
    tls: ssl.SSLContext

    def addresses(self, url: str) -> Sequence[Address]:
        """Where the host of a URL is.

        Raises:
            Unreadable: it is not to be reached.
            OSError: nobody knows.
        """
        host, port = _host_of(url), _port_of(url)
        addresses = self.resolve(host, port)
        if not all(self.may_reach(address, port) for address in addresses):
            raise Unreadable(url, "not on the public internet, or at a port other than 80 and 443")
        return addresses


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


def talk_to(url: str, reach: Reach, seconds: float, talk: Callable[[HTTPConnection], T]) -> T:
    """What `talk` gives, which is handed a connection to the server.

    Raises:
        Unreadable: it is not to be reached; and what `talk` raises.
        Unavailable: it does not answer, or not in time.
    """
    one = _Talk(url, reach, seconds, talk)
    try:
        return within(seconds, one.run, end=one.end)
    except ActionFailed as error:
        raise Unavailable(f"{url}: {error}") from error


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def _port_of(url: str) -> int:
    split = urlsplit(url)
    return split.port or (443 if split.scheme == "https" else 80)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    wrapped = address.ipv4_mapped or address.sixtofour or _of_nat64(address)
    if wrapped is not None:
        return _is_public(wrapped)
    return address in _GLOBAL_UNICAST and address.is_global  # older Pythons call more than that global


def _of_nat64(address: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


class _Talk(Generic[T]):
    """`run` talks in one thread; `end` stops it from another, also where bytes drip and no time-out would strike."""

    def __init__(self, url: str, reach: Reach, seconds: float, talk: Callable[[HTTPConnection], T]) -> None:
        self._url = url
        self._reach = reach
        self._seconds = seconds
        self._talk = talk
        self._socket: socket.socket | None = None
        self._is_over = False

    def run(self) -> T:
        url = self._url
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
        host, port = _host_of(self._url), _port_of(self._url)
        plain = self._connected(port)
        if urlsplit(self._url).scheme == "http":
            connection = HTTPConnection(host, port)
            connection.sock = plain
        else:
            connection = HTTPSConnection(host, port, context=self._reach.tls)
            secure = self._reach.tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            connection.sock = self._held(secure)
            secure.do_handshake()
        connection.auto_open = 0
        return connection

    def _connected(self, port: int) -> socket.socket:
        failure = OSError("no address")
        for address in self._reach.addresses(self._url)[:MAX_ADDRESSES]:
            try:
                return self._held(socket.create_connection((str(address), port), timeout=CONNECT_SECONDS))
            except OSError as error:
                failure = error
        raise failure

    def _held(self, connected: socket.socket) -> socket.socket:
        """The socket, where `end` finds it."""
        self._socket = connected
        connected.settimeout(self._seconds)
        if self._is_over:
            raise TimeoutError
        return connected
