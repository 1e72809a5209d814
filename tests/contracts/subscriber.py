"""A subscriber's server on loopback: it takes what is posted, or misbehaves as it is told to."""

import threading
from collections.abc import Iterator, Mapping

from tests.contracts.loopback import Handler, Loopback


class _Subscriber(Handler):
    def answer(self, body: bytes) -> None:
        told: SubscriberServer = self.server.told
        told.posts.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status, headers = told.answers.pop(0) if told.answers else (200, {})
        match self.path:
            case "/hang":
                told.over.wait(30)
            case "/drip":
                self.stream({}, _drops(told))
            case "/huge":
                self._begin(200, {"Content-Length": "1000000000"})
                self.wfile.write(b"x" * 100_000)
            case _:
                self.whole(status, headers, b"thank you")

    def do_GET(self) -> None:  # noqa: N802  # as http.server calls it
        self.server.told.gets.append(self.path)
        self.whole(200, {}, b"")


def _drops(told: "SubscriberServer") -> Iterator[bytes]:
    while not told.over.wait(0.05):
        yield b"x"


class SubscriberServer(Loopback):
    """Keeps what was posted. `answers` are given before it answers 200."""

    handler = _Subscriber

    def __init__(self, *, has_tls: bool = False) -> None:
        self.has_tls = has_tls
        self.left, self.over = threading.Event(), threading.Event()
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.gets: list[str] = []
        self.answers: list[tuple[int, Mapping[str, str]]] = []
