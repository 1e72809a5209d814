"""Something that answers HTTP on loopback while a `with` block lasts, and a certificate for it."""

import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self

CERTIFICATE = Path(__file__).with_name("loopback.pem")  # and its key; it is trusted where a test says so

_GONE = (ConnectionError, ssl.SSLEOFError)


class _Server(ThreadingHTTPServer):
    told: Any
    request_queue_size = 256  # a burst is not to be refused by the kernel
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of a client that hung up."""
        if not isinstance(sys.exception(), _GONE):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1, with chunks, of which a broken stream lacks the last."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        try:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))
        except _GONE:
            self.close_connection = True
            self.server.told.left.set()

    def answer(self, body: bytes) -> None:
        """Does what this server does, by `whole` or `stream`."""
        raise NotImplementedError

    def whole(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Answers at once."""
        self._begin(status, {"Content-Length": str(len(content)), **headers})
        self.wfile.write(content)

    def stream(self, headers: Mapping[str, str], parts: Iterator[bytes | None]) -> None:
        """Sends parts as they come; None breaks the connection off."""
        self._begin(200, {"Transfer-Encoding": "chunked", **headers})
        for part in parts:
            if part is None:
                self.close_connection = True
                return
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class Loopback:
    """Its handlers find it in `self.server.told`."""

    handler: ClassVar[type[Handler]]
    has_tls: bool = False
    wanted_port: int = 0  # 0: any that is free
    left: threading.Event  # set when a client was gone before the end of its answer
    over: threading.Event  # set at the end, so that no handler waits for ever

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self.wanted_port), self.handler)
        self._server.told = self
        if self.has_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self.has_tls else 'http'}://127.0.0.1:{self._server.server_port}"
