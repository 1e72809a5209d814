"""Where a bot's custom actions run, as values that the bundle holds.

Knows names of secrets, never their values, and no protocol: `actions.http_call` fills
a declared call in, `adapters.actions` makes the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parley.actions.template import secrets_in

MAX_TIMEOUT_SECONDS = 10.0  # a person waits, and API Gateway gives a turn 29 s for everything
_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ActionServer:
    """A server that speaks Rasa's action-server protocol and runs every action that is not declared."""

    url: str
    secret: str | None = None  # the name of one, sent as `Authorization: Bearer VALUE`
    timeout_seconds: float = _TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class HttpCall:
    """An action that is one HTTP request, its templates not filled in."""

    method: str
    url: str  # `{slot}` in path and query only
    headers: Mapping[str, str] = field(default_factory=dict)  # `{slot}` and `{secret:NAME}`
    body: Any | None = None  # JSON whose strings are templates
    slots: Mapping[str, str] = field(default_factory=dict)  # slot -> where its value is in the JSON answer: `a.b.0.c`
    say: str | None = None  # the response said afterwards
    failed: str | None = None  # the response said when the call fails
    timeout_seconds: float = _TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class LambdaCall:
    """An action that is a function on AWS Lambda; it is given and answers what an action server would."""

    function: str
    failed: str | None = None  # the response said when the call fails
    timeout_seconds: float = _TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class CustomActions:
    """All of a bot's custom actions."""

    server: ActionServer | None = None
    calls: Mapping[str, HttpCall] = field(default_factory=dict)  # by the action's name
    lambdas: Mapping[str, LambdaCall] = field(default_factory=dict)

    def serves(self, action: str) -> bool:
        """Whether somebody runs this action; a server is taken to know every action."""
        return self.server is not None or action in self.calls or action in self.lambdas

    def said_when_failed(self, action: str) -> str | None:
        """The response that the author wants said when this action fails."""
        declared = self.calls.get(action) or self.lambdas.get(action)
        return declared.failed if declared is not None else None

    def secrets(self) -> frozenset[str]:
        """The names of all secrets in use. Wants calls that `check_http_call` found nothing wrong with."""
        named = {name for call in self.calls.values() for value in call.headers.values() for name in secrets_in(value)}
        if self.server is not None and self.server.secret is not None:
            named.add(self.server.secret)
        return frozenset(named)

    def functions(self) -> frozenset[str]:
        """The names of all Lambda functions in use."""
        return frozenset(call.function for call in self.lambdas.values())
