"""Somebody who talks to the deployed stack over HTTP, with the standard library only."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any

WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What the stack answered."""

    status: int
    headers: Message
    body: Any


def ask(url: str, *, method: str = "GET", body: Any = None, raw: bytes | None = None, **headers: str) -> Answer:
    """One HTTP request; an error status is an answer too."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    named = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url, data=data, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_SECONDS) as response:
            return _answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers, error.read())


def _answer(status: int, headers: Message, content: bytes) -> Answer:
    kind = headers.get("Content-Type", "")
    if kind.startswith("image/"):
        return Answer(status, headers, content)
    return Answer(status, headers, json.loads(content) if "json" in kind and content else content.decode())


class Person:
    """One person in one conversation."""

    def __init__(self, http: str) -> None:
        self.http = http
        self.conversation_id: str | None = None
        self._token: str | None = None

    def say(self, message: str, *, prefer: str = "", **fields: Any) -> Answer:
        """Says something; the conversation goes on from the last time."""
        headers = {"Prefer": prefer} if prefer else {}
        if self.conversation_id:
            fields["conversation_id"] = self.conversation_id
            headers["Authorization"] = f"Bearer {self._token}"
        answer = ask(f"{self.http}/v1/chat", method="POST", body={"message": message, **fields}, **headers)
        if answer.status < 300 and "conversation_token" in answer.body:
            self.conversation_id, self._token = answer.body["conversation_id"], answer.body["conversation_token"]
        return answer

    def resume(self, *, conversation_id: str, conversation_token: str) -> None:
        """Goes on with a conversation that began elsewhere."""
        self.conversation_id, self._token = conversation_id, conversation_token

    def own(self, path: str = "", *, method: str = "GET", **more: Any) -> Answer:
        """A request about the own conversation."""
        url = f"{self.http}/v1/conversations/{self.conversation_id}{path}"
        return ask(url, method=method, Authorization=f"Bearer {self._token}", **more)

    def messages(self) -> list[str]:
        """What this person has said, as the stack remembers it."""
        return [turn["message"] for turn in self.own().body["turns"]]

    def follow(self, turn_id: str) -> Any:
        """The progress of a turn once it is done or failed."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < deadline:
            answer = self.own(f"/turns/{turn_id}")
            assert answer.status == 200, answer
            if answer.body["status"] in ("done", "failed"):
                return answer.body
            time.sleep(0.2)
        raise TimeoutError(f"turn {turn_id} was neither done nor failed within {WITHIN_SECONDS} s")
