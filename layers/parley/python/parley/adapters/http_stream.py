"""One POST to a generator, and its answer piece by piece as it comes.

A connection serves one answer, because closing it is how a generation is ended.
Knows statuses and sockets; what the answer says is for others. What a server says of
an error is never told: it may quote the prompt.
"""

import io
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from socket import socket
from typing import Any, cast

from parley.adapters.http_connection import CONNECT_SECONDS, connection_to, target_of
from parley.errors import GenerationBusy, GenerationFailed, GenerationSlow
from parley.generation.stream import Waiting

TICK_SECONDS = 0.1  # how often a silent server is asked whether there is patience left, and so the most it is overdrawn
MAX_ANSWER_BYTES = 8_000_000  # a chunk of a chat completion is 300 bytes around one token
_PIECE_BYTES = 65_536
_ERROR_BYTES = 10_000

_BUSY = frozenset({429, 503})
_SLOW = frozenset({408, 504})  # the server, or a proxy before it, lost its own patience
_HEADER_VALUE = re.compile(r"[!-~]+")

Headers = Mapping[str, str]
Refusal = GenerationBusy | GenerationFailed
Judge = Callable[[int, bytes], Refusal]


@dataclass(frozen=True, slots=True)
class Answer:
    """A 200 as it begins."""

    media_type: str  # without parameters; empty where the server names none
    parts: Iterator[bytes]
    is_whole: bool  # its length was known when it began
    is_chunked: bool  # if neither, hanging up looks like the end


def bearer(key: Callable[[], str] | None) -> Headers:
    """The headers by which an API that wants a key knows who asks.

    Raises:
        GenerationFailed: the key cannot stand in a header.
    """
    if key is None:
        return {}
    said = key()
    if not _HEADER_VALUE.fullmatch(said):  # http.client would quote it in its complaint
        raise GenerationFailed("the generator's key is empty, or has a blank or a character outside ASCII")
    return {"Authorization": f"Bearer {said}"}


def refusal(status: int, _said: bytes) -> Refusal:
    """What a status that is no answer means for the turn."""
    if status in _BUSY:
        return GenerationBusy(f"the generator has no capacity now ({status})")
    if status in _SLOW:
        return GenerationSlow(f"the generator, or something before it, gave up waiting ({status})")
    return GenerationFailed(f"the generator failed ({status})")


@contextmanager
def post(url: str, body: bytes, headers: Headers, waiting: Waiting, judge: Judge = refusal) -> Iterator[Answer]:
    """The answer to `body`; leaving ends the connection, and the generation with it.

    `judge` says what a status other than 200 means, and what was sent with it.

    Raises:
        GenerationBusy: it cannot be reached, or says that it takes no request now.
        GenerationSlow: nothing came as long as there was patience.
        GenerationFailed: any other status; or the answer broke off, is too long or is not HTTP. Also later, in `parts`.
    """
    waiting.look()
    connection = _connected(url)
    with closing(connection.sock), _told_apart():
        connection.sock = cast(socket, _Patient(connection.sock, waiting))
        headers = {"Accept-Encoding": "identity", "Connection": "close", **headers}
        connection.request("POST", target_of(url), body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise judge(response.status, response.read(_ERROR_BYTES))
        if response.getheader("Content-Encoding", "identity").lower() != "identity":
            raise GenerationFailed("the generator sent a compressed answer, which it was not asked for")
        yield Answer(
            response.headers.get_content_type() if "Content-Type" in response.headers else "",
            _parts(response),
            is_whole=response.length is not None,
            is_chunked=bool(response.chunked),
        )


def _connected(url: str) -> HTTPConnection:
    connection = connection_to(url)
    try:
        connection.connect()
    except ssl.SSLError as error:
        raise GenerationFailed("the generator cannot be reached safely: TLS failed") from error
    except (OSError, UnicodeError) as error:  # the latter for names that cannot be one of a host
        raise GenerationBusy("the generator cannot be reached") from error
    return connection


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise GenerationSlow("the generator does not take the request in") from error
    except OSError as error:
        raise GenerationFailed("the generator's answer broke off") from error
    except HTTPException:
        # Without the cause, which quotes what the server said.
        raise GenerationFailed("the generator's answer broke off, or is not HTTP") from None


def _parts(response: HTTPResponse) -> Iterator[bytes]:
    room = MAX_ANSWER_BYTES
    while part := response.read1(_PIECE_BYTES):
        room -= len(part)
        if room < 0:
            raise GenerationFailed(f"the generator sent more than {MAX_ANSWER_BYTES // 1_000_000} MB")
        yield part
    if response.length:
        raise GenerationFailed("the generator hung up in the middle of its answer")


class _Patient(io.RawIOBase):
    """As much of a socket as http.client uses; waits while there is patience, whether the server is silent or drips.

    Closing it closes nothing: http.client does so before it has read the answer.
    """

    def __init__(self, wrapped: socket, waiting: Waiting) -> None:
        self._socket = wrapped
        self._waiting = waiting

    def sendall(self, data: Any) -> None:
        self._socket.settimeout(CONNECT_SECONDS)  # for all of it
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(TICK_SECONDS)
        while True:
            self._waiting.look()
            try:
                return self._socket.recv_into(buffer)
            except TimeoutError:
                continue

    def close(self) -> None:
        """Leaves the socket to `post`."""
