"""The chat page and the widget: `GET /`, `/widget.js`, `/widget` and `/assets/{proxy+}`, as built into `static/`.

Every file is read when the function starts, so a request only looks up a name: no path that somebody sends ever reaches
the disk. Knows the page's files and HTTP; knows nothing of bots. Standard library only, for a short cold start.
"""

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
# Where the WebSocket API is; the page learns its whole address from /v1/health.
SOCKET_ORIGIN = re.compile(r"wss?://[\w.-]+(:\d+)?").match(os.environ.get("SOCKET_ADDRESS", ""))
REACHED = f"'self' {SOCKET_ORIGIN[0]}" if SOCKET_ORIGIN else "'self'"
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {REACHED}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
OF_ANY_PAGE = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}  # may load it
CHECKED_EACH_TIME = "no-cache"
KEPT_FOR_MINUTES = "public, max-age=300"  # of the script that the pages of others name
KEPT_FOR_EVER = "public, max-age=31536000, immutable"  # an asset's name holds a hash of what is in it

PLAIN = {path.name: path.read_text(encoding="utf-8") for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES}
TAGS = {name: f'W/"{hashlib.sha256(text.encode()).hexdigest()[:16]}"' for name, text in PLAIN.items()}
ASSETS = {path.name for path in (STATIC / "assets").iterdir()} & PLAIN.keys()
PANEL = next((name for name in ASSETS if name.startswith("panel-")), None)
OF_PANELS = re.compile(r"panel-[0-9a-f]{12}\.js")
GZIPPED = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in STATIC.rglob("*.gz")}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The response to an HTTP API event of payload format 2.0."""
    asset = (event.get("pathParameters") or {}).get("proxy")
    return _page(event) if asset is None else _asset(event, asset)


def _page(event: dict[str, Any]) -> dict[str, Any]:
    """A page, the widget's script, or the way: addresses are relative, so a stage or base path needs its last slash."""
    match event["rawPath"].rpartition("/")[2]:
        case "":
            return _file(event, "index.html", CHECKED_EACH_TIME)
        case "widget":
            return _file(event, "widget.html", CHECKED_EACH_TIME)
        case "widget.js":
            return _file(event, "widget.js", KEPT_FOR_MINUTES)
        case stage:
            return {"statusCode": 308, "headers": {**HEADERS, "Location": f"{stage}/"}, "body": ""}


def _asset(event: dict[str, Any], name: str) -> dict[str, Any]:
    if name in ASSETS:
        return _file(event, name, KEPT_FOR_EVER)
    if PANEL and OF_PANELS.fullmatch(name):  # a browser that keeps widget.js for some minutes asks for the one before
        headers = {**HEADERS, **OF_ANY_PAGE, "Location": PANEL, "Cache-Control": CHECKED_EACH_TIME}
        return {"statusCode": 307, "headers": headers, "body": ""}
    return _not_found()


def _file(event: dict[str, Any], name: str, cache_control: str) -> dict[str, Any]:
    headers = {
        **HEADERS,
        **OF_ANY_PAGE,
        "Content-Type": MEDIA_TYPES[Path(name).suffix],
        "Cache-Control": cache_control,
        "ETag": TAGS[name],
        "Vary": "Accept-Encoding",
    }
    asked = event.get("headers") or {}
    if asked.get("if-none-match") == TAGS[name]:
        return {"statusCode": 304, "headers": headers, "body": ""}
    if "gzip" in asked.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return {"statusCode": 200, "headers": headers, "body": GZIPPED[name], "isBase64Encoded": True}
    return {"statusCode": 200, "headers": headers, "body": PLAIN[name]}


def _not_found() -> dict[str, Any]:
    problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no such file."}
    headers = {**HEADERS, "Content-Type": "application/problem+json", "Cache-Control": CHECKED_EACH_TIME}
    return {"statusCode": 404, "headers": headers, "body": json.dumps(problem)}
