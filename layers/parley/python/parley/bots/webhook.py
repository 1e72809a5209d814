"""Webhooks in: how JSON of other people's servers becomes a turn of a bot, and how its reply gets back to them.

Values that the bundle holds, with what can be wrong with them. Knows names of secrets, never their values, and no
HTTP: `channels.webhook` fills the templates in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from parley.actions.checks import check_http_call, texts_in
from parley.actions.custom_actions import HttpCall
from parley.actions.template import pieces, secrets_in, slots_in

REPLY: Final = "reply"  # what paths of a reply begin with
REPLY_FIELDS: Final = ("text", "source", "turn", "conversation", "messages")
DEFAULT_REPLY: Final = {name: f"{{{REPLY}.{name}}}" for name in REPLY_FIELDS}
_HEADER_SCHEMES: Final = ("hmac", "token")


@dataclass(frozen=True, slots=True)
class Verify:
    """How a caller is known."""

    scheme: Literal["standard", "hmac", "token"]
    secret: str  # the name of one in Secrets Manager
    header: str = ""  # hmac, token: what has the signature, or the token
    prefix: str = ""  # what stands before it there
    algorithm: Literal["sha256", "sha512"] = "sha256"  # hmac
    encoding: Literal["hex", "base64"] = "hex"  # hmac


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """Where replies are posted, signed."""

    url: str  # paths of the caller's JSON in path and query only
    secret: str  # the name of what signs them
    headers: Mapping[str, str] = field(default_factory=dict)  # `{secret:NAME}` in their values


@dataclass(frozen=True, slots=True)
class Webhook:
    """One way in: `POST /v1/webhooks/{name}`. Texts are templates over paths of the caller's JSON, as `{ticket.id}`."""

    verify: Verify
    id: str  # of the turn: the same twice is answered once
    conversation: str
    message: str
    user: str = ""
    only_if: Mapping[str, Any] = field(default_factory=dict)  # path -> the only value, or list of values, of interest
    reply: Any = field(default_factory=lambda: dict(DEFAULT_REPLY))  # JSON whose strings are templates
    callback: CallbackSettings | None = None  # None: the reply is the answer to the request

    def paths(self) -> frozenset[str]:
        """What a turn takes from the caller's JSON."""
        return frozenset().union(*map(slots_in, (self.id, self.conversation, self.message, self.user)))

    def paths_of_reply(self) -> frozenset[str]:
        """What a reply, and the way back, take from it."""
        texts = [*texts_in(self.reply), *([self.callback.url] if self.callback else [])]
        return frozenset(path for text in texts for path in slots_in(text) if not _is_of_reply(path))


def secrets_of(webhooks: Mapping[str, Webhook]) -> frozenset[str]:
    """The names of the secrets by which callers are known."""
    return frozenset(each.verify.secret for each in webhooks.values())


def callback_secrets_of(webhooks: Mapping[str, Webhook]) -> frozenset[str]:
    """The names of the secrets that callbacks are signed by, or bear."""
    callbacks = [each.callback for each in webhooks.values() if each.callback is not None]
    borne = {name for each in callbacks for value in each.headers.values() for name in secrets_in(value)}
    return frozenset(borne | {each.secret for each in callbacks})


def check_webhook(webhook: Webhook) -> Iterator[str]:
    """What is wrong with a webhook."""
    verify = webhook.verify
    if (verify.scheme in _HEADER_SCHEMES) != bool(verify.header):
        yield "`verify` has a `header` where its scheme is hmac or token, and only there"
    for where, text in (("id", webhook.id), ("conversation", webhook.conversation)):
        yield from _check_text(where, text)
        if not _names(text):
            yield f"`{where}` must name something of the caller's JSON, such as {{ticket.id}}"
    for where, text in (("message", webhook.message), ("user", webhook.user)):
        yield from _check_text(where, text)
    for path in webhook.only_if:
        yield from _check_path("only_if", path)
    for text in texts_in(webhook.reply):
        yield from _check_text("reply", text, has_reply=True)
    if webhook.callback is not None:
        yield from (f"`callback`: {fault}" for fault in _check_callback(webhook.callback))


def _check_callback(callback: CallbackSettings) -> Iterator[str]:
    faults = list(check_http_call(HttpCall("POST", callback.url, callback.headers)))
    yield from faults
    if faults:
        return
    for value in callback.headers.values():
        if slots_in(value):
            yield "a header has secrets, as {secret:NAME}, and nothing of the caller's JSON"
    yield from _check_text("url", callback.url)


def _check_text(where: str, text: str, *, has_reply: bool = False) -> Iterator[str]:
    try:
        pieces(text)
    except ValueError as error:
        yield f"`{where}`: {error} (a brace that is meant is written twice)"
        return
    if secrets_in(text):
        yield f"`{where}`: a secret may stand in a header of `callback` only"
    for path in sorted(slots_in(text)):
        yield from _check_path(where, path)
        if not has_reply and _is_of_reply(path):
            yield f"`{where}`: there is no reply yet"
        if has_reply and _is_of_reply(path) and path.removeprefix(f"{REPLY}.") not in REPLY_FIELDS:
            yield f"`{where}`: a reply has {', '.join(REPLY_FIELDS)}, and no `{path}`"


def _check_path(where: str, path: str) -> Iterator[str]:
    if not all(step.strip() for step in path.split(".")):
        yield f"`{where}`: {path!r} is no path such as `ticket.comments.0.text`"


def _is_of_reply(path: str) -> bool:
    return path.partition(".")[0] == REPLY


def _names(text: str) -> frozenset[str]:
    try:
        return slots_in(text)
    except ValueError:
        return frozenset({"?"})  # told already
