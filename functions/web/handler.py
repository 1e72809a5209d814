"""The chat page: `GET /` and `GET /assets/{proxy+}`, out of what the page's build left in `static/`.

Every file is read when the function starts, so a request only looks up a name: no path that somebody sends ever reaches
the disk. Knows the page's files and HTTP; knows nothing of bots. Standard library only, for a short cold start.
"""

import base64
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
CHECKED_EACH_TIME = "no-cache"
KEPT_FOR_EVER = "public, max-age=31536000, immutable"  # an asset's name holds a hash of what is in it

PLAIN = {path.name: path.read_text(encoding="utf-8") for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES}
GZIPPED = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in STATIC.rglob("*.gz")}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The response to an HTTP API event of payload format 2.0."""
    asset = (event.get("pathParameters") or {}).get("proxy")
    if asset is None:
        return _index(event)
    return _file(event, asset, KEPT_FOR_EVER) if asset in PLAIN and asset != "index.html" else _not_found()


def _index(event: dict[str, Any]) -> dict[str, Any]:
    """The page, or the way to it: its addresses are relative, so a stage or base path needs its last slash."""
    path: str = event["rawPath"]
    if path.endswith("/"):
        return _file(event, "index.html", CHECKED_EACH_TIME)
    return {"statusCode": 308, "headers": {**HEADERS, "Location": f"{path.rpartition('/')[2]}/"}, "body": ""}


def _file(event: dict[str, Any], name: str, cache_control: str) -> dict[str, Any]:
    headers = {
        **HEADERS,
        "Content-Type": MEDIA_TYPES[Path(name).suffix],
        "Cache-Control": cache_control,
        "Vary": "Accept-Encoding",
    }
    if "gzip" in (event.get("headers") or {}).get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return {"statusCode": 200, "headers": headers, "body": GZIPPED[name], "isBase64Encoded": True}
    return {"statusCode": 200, "headers": headers, "body": PLAIN[name]}


def _not_found() -> dict[str, Any]:
    problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no such file."}
    headers = {**HEADERS, "Content-Type": "application/problem+json", "Cache-Control": CHECKED_EACH_TIME}
    return {"statusCode": 404, "headers": headers, "body": json.dumps(problem)}
