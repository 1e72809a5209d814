"""One HTTP request and its answer, to a server that nobody vouches for.

Follows no redirect, tries nothing twice, keeps no connection, takes no compressed
answer, and ends at its deadline whatever the server does.
"""

import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from socket import SHUT_RDWR, socket
from typing import TypeVar

from parley.actions.http_call import Prepared
from parley.adapters.http_connection import connection_to, target_of
from parley.errors import ActionFailed

MAX_ANSWER_BYTES = 1_000_000

T = TypeVar("T")


def exchange(request: Prepared, seconds: float) -> tuple[int, bytes]:
    """The answer's status, which is 2xx or 400, and its body.

    Raises:
        ActionFailed: there was another answer, none, or not in time. The message tells nothing of the request.
    """
    one = _Exchange(request, time.monotonic() + seconds)
    return within(seconds, one.run, end=one.end)


def within(seconds: float, work: Callable[[], T], end: Callable[[], None] = lambda: None) -> T:
    """What `work` gives, if it does in time. It has a thread of its own, since looking up a name has no time-out.

    `end` is called when the result is wanted no longer, so that the thread ends too.

    Raises:
        ActionFailed: the time is over.
    """
    if seconds <= 0:
        raise ActionFailed("no time was left for it")
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="action")
    try:
        return worker.submit(work).result(timeout=seconds)
    except TimeoutError as error:
        raise ActionFailed(f"took longer than {seconds:.2g} s") from error
    finally:
        end()
        worker.shutdown(wait=False)


class _Exchange:
    """`run` talks in one thread; `end` stops it from another, also where bytes drip and no time-out would strike."""

    def __init__(self, request: Prepared, deadline: float) -> None:
        self._request = request
        self._deadline = deadline
        self._socket: socket | None = None
        self._is_over = False

    def run(self) -> tuple[int, bytes]:
        with closing(self._connected()) as connection:
            try:
                return self._talk(connection)
            except TimeoutError:
                raise
            except (OSError, HTTPException) as error:
                raise ActionFailed("hung up, or did not speak HTTP") from error

    def end(self) -> None:
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):  # closed already
                socket.shutdown(self._socket, SHUT_RDWR)  # not the TLS socket's own, which would go on in the clear

    def _connected(self) -> HTTPConnection:
        connection = connection_to(self._request.url)
        try:
            connection.connect()
        except ssl.SSLError as error:
            raise ActionFailed("could not be reached safely: TLS failed") from error
        except (OSError, UnicodeError) as error:  # the latter for names that cannot be one of a host
            raise ActionFailed("could not be reached") from error
        self._socket = connection.sock
        left = self._deadline - time.monotonic()
        if self._is_over or left <= 0:
            connection.close()
            raise TimeoutError
        self._socket.settimeout(left)
        return connection

    def _talk(self, connection: HTTPConnection) -> tuple[int, bytes]:
        headers = {"Accept-Encoding": "identity", "Connection": "close", **self._request.headers}
        connection.request(self._request.method, target_of(self._request.url), self._request.body, headers)
        with connection.getresponse() as response:
            if not (200 <= response.status < 300 or response.status == 400):
                raise ActionFailed(f"answered {response.status}")
            if response.getheader("Content-Encoding", "identity").lower() != "identity":
                raise ActionFailed("sent a compressed answer, which it was not asked for")
            content = response.read(MAX_ANSWER_BYTES + 1)
            if len(content) > MAX_ANSWER_BYTES:
                raise ActionFailed(f"sent more than {MAX_ANSWER_BYTES // 1_000_000} MB")
            if response.length:
                raise ActionFailed("hung up in the middle of its answer")
            return response.status, content
