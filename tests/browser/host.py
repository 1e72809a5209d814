"""Somebody else's web site: a loopback server of another origin, whose page has the widget's script tag."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"


class Host:
    """A site of one page, which says what a test wants it to say."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.html = ""
        self.headers: dict[str, str] = {}
        self.server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.origin = f"http://{HOST}:{self.server.server_port}"
        self.shows()

    def shows(
        self,
        tag: str = "",
        *,
        head: str = "",
        body: str = "<h1>Willow &amp; Barrow</h1><p>Garden tools, mended and new. <a href='#'>Our shop</a></p>",
        root: str = "lang='en'",
        policy: str | None = None,
    ) -> None:
        """The page with the widget's script tag, whose further attributes are `tag`."""
        script = f"<script src='{self.api}/widget.js' {tag} async></script>"
        viewport = "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        self.html = (
            f"<!doctype html><html {root}><head><meta charset='utf-8'><title>Shop</title>"
            f"{viewport}{head}{script}</head><body><main>{body}</main></body></html>"
        )
        self.headers = {"Content-Security-Policy": policy} if policy else {}

    def _handler(host) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = host.html.encode()
                self.send_response(200 if self.path == "/" else 404)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **host.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def hosted(api: str) -> Iterator[Host]:
    """The site while it is up."""
    host = Host(api)
    threading.Thread(target=host.server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        host.server.shutdown()
        host.server.server_close()
