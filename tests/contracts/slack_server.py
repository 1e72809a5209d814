"""Slack's Web API on loopback, as far as `chat.postMessage` goes: what it takes, and how it refuses the rest."""

import json
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.contracts.loopback import Handler, Loopback, _Server

TOKEN = "xoxb-0-of-a-test"


class _Slack(Handler):
    def answer(self, body: bytes) -> None:
        told: SlackServer = self.server.told
        status, headers, answer = told.answered(self.path, self.headers.get("Authorization"), self._fields(body))
        self.whole(status, {"Content-Type": "application/json", **headers}, json.dumps(answer).encode())

    def _fields(self, body: bytes) -> dict[str, Any]:
        if "json" in self.headers.get("Content-Type", ""):
            return dict(json.loads(body))
        fields: dict[str, Any] = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        if "blocks" in fields:
            fields["blocks"] = json.loads(fields["blocks"])
        return fields


class SlackServer(Loopback):
    """Keeps what was posted. `next_answers` are given before it answers as Slack does."""

    handler = _Slack

    def __init__(self, port: int = 0) -> None:
        self.left, self.over = threading.Event(), threading.Event()
        self.posts: list[dict[str, Any]] = []
        self.channels = {"C1", "D1"}
        self.next_answers: list[tuple[int, Mapping[str, str], dict[str, Any]]] = []
        self._port = port

    def __enter__(self) -> "SlackServer":
        if not self._port:
            super().__enter__()
            return self
        self._server = _Server(("127.0.0.1", self._port), self.handler)
        self._server.told = self
        serve = ThreadingHTTPServer.serve_forever
        threading.Thread(target=serve, args=(self._server, 0.02), daemon=True).start()
        return self

    def answered(
        self, path: str, authorization: str | None, fields: dict[str, Any]
    ) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        """What Slack answers to a request; an error of its API is a 200, but for too many of them."""
        if self.next_answers:
            return self.next_answers.pop(0)
        if path != "/api/chat.postMessage":
            return 200, {}, {"ok": False, "error": "unknown_method"}
        if authorization != f"Bearer {TOKEN}":
            return 200, {}, {"ok": False, "error": "invalid_auth"}
        if fields.get("channel") not in self.channels:
            return 200, {}, {"ok": False, "error": "channel_not_found"}
        if not fields.get("text") and not fields.get("blocks"):
            return 200, {}, {"ok": False, "error": "no_text"}
        if not all(map(_is_valid, fields.get("blocks", []))) or len(fields.get("blocks", [])) > 50:
            return 200, {}, {"ok": False, "error": "invalid_blocks"}
        self.posts.append(fields)
        return 200, {}, {"ok": True, "channel": fields["channel"], "ts": f"1700000000.{len(self.posts):06d}"}


def _is_valid(block: dict[str, Any]) -> bool:
    match block:
        case {"type": "section", "text": {"type": "mrkdwn", "text": str(text)}}:
            return 0 < len(text) <= 3_000
        case {"type": "actions", "elements": [*buttons], "block_id": str(block_id)}:
            named = {button["action_id"] for button in buttons}
            fits = all(len(each["text"]["text"]) <= 75 and len(each["value"]) <= 2_000 for each in buttons)
            return len(named) == len(buttons) and 0 < len(buttons) <= 25 and fits and len(block_id) <= 255
        case {"type": "context", "elements": [*elements]}:
            return 0 < len(elements) <= 10
    return False
