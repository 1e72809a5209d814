"""Slack on loopback, as far as we talk to it: what it takes, how it refuses the rest, and how it tells what happens.

Its Web API has `chat.postMessage`, `chat.update` and `oauth.v2.access`; beside it are the addresses for responses.
"""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from tests.contracts.loopback import Handler, Loopback

TOKEN = "xoxb-0-of-a-test"
CLIENT_ID, CLIENT_SECRET = "0.0", "0123456789abcdef-of-a-test"
MOST_UPDATES_A_MINUTE = 50
MOST_RESPONSES = 5
MOST_UPDATED_CHARACTERS = 4_000  # of the text; a post's is cut at 40,000 instead
WAITS_SECONDS = 3.0  # for an event to be acknowledged
AGAIN_AFTER_SECONDS = (0.0, 0.5, 1.0)  # Slack's are at once, a minute and five minutes


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


Answered = tuple[int, Mapping[str, str], dict[str, Any]]


class SlackServer(Loopback):
    """Keeps what was posted, as it reads now. `next_answers` are given before it answers as Slack does."""

    handler = _Slack

    def __init__(self, port: int = 0) -> None:
        self.left, self.over = threading.Event(), threading.Event()
        self.posts: list[dict[str, Any]] = []
        self.updates: list[tuple[float, dict[str, Any]]] = []  # with when they came, by the monotonic clock
        self.responses: list[tuple[str, dict[str, Any]]] = []  # by the name of their address
        self.channels = {"C1", "D1"}
        self.tokens = {TOKEN: "T1"}  # of each workspace
        self.codes: dict[str, dict[str, Any]] = {}  # what each is good for, once
        self.next_answers: list[Answered] = []
        self.wanted_port = port

    def response_url(self, name: str) -> str:
        """An address for responses to something that somebody did."""
        return f"{self.url}/response/{name}"

    def answered(self, path: str, authorization: str | None, fields: dict[str, Any]) -> Answered:
        """What Slack answers to a request; an error of its API is a 200, but for too many of them."""
        if self.next_answers:
            return self.next_answers.pop(0)
        if path.startswith("/response/"):
            return self._responded(path.removeprefix("/response/"), fields)
        if path == "/api/oauth.v2.access":
            return self._granted(authorization, fields)
        if path not in ("/api/chat.postMessage", "/api/chat.update"):
            return _refused("unknown_method")
        if (authorization or "").removeprefix("Bearer ") not in self.tokens:
            return _refused("invalid_auth")
        if fields.get("channel") not in self.channels:
            return _refused("channel_not_found")
        if reason := _fault(fields):
            return _refused(reason)
        fields = {**fields, "authorization": authorization}
        return self._posted(fields) if path == "/api/chat.postMessage" else self._updated(fields)

    def _posted(self, fields: dict[str, Any]) -> Answered:
        ts = f"1700000000.{len(self.posts) + 1:06d}"
        self.posts.append({**fields, "ts": ts})
        return 200, {}, {"ok": True, "channel": fields["channel"], "ts": ts}

    def _updated(self, fields: dict[str, Any]) -> Answered:
        now = time.monotonic()
        if len([at for at, _ in self.updates if at > now - 60]) >= MOST_UPDATES_A_MINUTE:
            return 429, {"Retry-After": "1"}, {"ok": False, "error": "ratelimited"}
        post = next((post for post in self.posts if post["ts"] == fields.get("ts")), None)
        if post is None:
            return _refused("message_not_found")
        if len(fields.get("text", "")) > MOST_UPDATED_CHARACTERS:
            return _refused("msg_too_long")
        self.updates.append((now, fields))
        post |= {"text": fields.get("text", ""), "blocks": fields.get("blocks", post.get("blocks", []))}
        return 200, {}, {"ok": True, "channel": fields["channel"], "ts": post["ts"], "text": post["text"]}

    def _responded(self, name: str, fields: dict[str, Any]) -> Answered:
        if len([each for each, _ in self.responses if each == name]) >= MOST_RESPONSES:
            return 404, {}, {"ok": False, "error": "used_url"}
        if reason := _fault(fields):
            return 400, {}, {"ok": False, "error": reason}
        self.responses.append((name, fields))
        return 200, {}, {"ok": True}

    def _granted(self, authorization: str | None, fields: dict[str, Any]) -> Answered:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {basic}":
            return _refused("bad_client_secret")
        if fields.get("code") not in self.codes:
            return _refused("invalid_code")
        granted = self.codes.pop(fields["code"])
        if granted.get("team"):
            self.tokens[granted["access_token"]] = granted["team"]["id"]
        return 200, {}, {"ok": True, **granted}


def a_grant(team_id: str, token: str, **changes: Any) -> dict[str, Any]:
    """What `oauth.v2.access` answers."""
    granted = {"access_token": token, "token_type": "bot", "scope": "chat:write", "bot_user_id": "UBOT", "app_id": "A1"}
    granted |= {"team": {"id": team_id, "name": f"{team_id} <Ltd>"}, "enterprise": None, "is_enterprise_install": False}
    return {**granted, "authed_user": {"id": "U1"}, **changes}


def tell(url: str, body: bytes, headers: Mapping[str, str]) -> list[int]:
    """Tells an event as Slack does: again, up to three times, unless it was acknowledged in time. The statuses."""
    statuses: list[int] = []
    for number, pause in enumerate((0.0, *AGAIN_AFTER_SECONDS)):
        time.sleep(pause)
        again = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_error"} if number else {}
        request = urllib.request.Request(url, data=body, headers={**headers, **again}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=WAITS_SECONDS) as response:
                return [*statuses, response.status]
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
            error.close()
        except OSError:
            statuses.append(0)
    return statuses


def _refused(reason: str) -> Answered:
    return 200, {}, {"ok": False, "error": reason}


def _fault(fields: Mapping[str, Any]) -> str | None:
    blocks = fields.get("blocks") or []
    if not fields.get("text") and not blocks:
        return "no_text"
    if not all(map(_is_valid, blocks)) or len(blocks) > 50:
        return "invalid_blocks"
    named = [block["block_id"] for block in blocks if "block_id" in block]
    return "invalid_blocks" if len(set(named)) < len(named) else None


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
