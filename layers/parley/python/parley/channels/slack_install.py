"""Slack: how the app comes into a workspace. What is shown in a browser, and the state that goes to Slack and back.

Pure. The state says for which bot, is signed, ends after ten minutes, and is good only in the browser that began: a
cookie there holds the other half. So nobody can have somebody else finish what he began.
Source: docs.slack.dev/authentication/installing-with-oauth
"""

import hashlib
import hmac
from html import escape
from urllib.parse import urlencode, urljoin

from parley.errors import NotYours

SCOPES = ("app_mentions:read", "chat:write", "commands", "im:history")
STATE_SECONDS = 600  # who reads what Slack asks of him, and asks a colleague, is back by then
COOKIE = "__Host-parley-slack"  # by its name browsers take it over TLS only, and from no other host

_AGAIN = "this installation was not begun in this browser, or more than ten minutes ago; begin again"


def authorize_url(api_url: str, client_id: str, state: str) -> str:
    """Where Slack asks whether the app may come in. Without a `redirect_uri`, it leads back to the app's own one."""
    asked = {"client_id": client_id, "scope": ",".join(SCOPES), "state": state}
    return f"{urljoin(api_url, '/oauth/v2/authorize')}?{urlencode(asked)}"


def state_of(bot: str, nonce: str, secret: bytes, *, now: float) -> str:
    """The state of an installation for a bot that begins now, in the browser that holds `nonce`."""
    told = f"{int(now) + STATE_SECONDS}.{bot}"
    return f"{_mac(told, nonce, secret)}.{told}"


def bot_of(state: str, nonce: str, secret: bytes, *, now: float) -> str:
    """The bot of a state that has come back.

    Raises:
        NotYours: it was begun elsewhere, or too long ago.
    """
    if not (state.isascii() and nonce.isascii()):
        raise NotYours(_AGAIN)
    presented, _, told = state.partition(".")
    expected = _mac(told, nonce, secret)
    ends_at, _, bot = told.partition(".")
    if not nonce or not hmac.compare_digest(presented.encode(), expected.encode()) or now > int(ends_at):
        raise NotYours(_AGAIN)
    return bot


def cookie(nonce: str) -> str:
    """What the browser keeps; with an empty nonce, what it forgets."""
    seconds = STATE_SECONDS if nonce else 0
    return f"{COOKIE}={nonce}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"


def page(title: str, text: str) -> str:
    """A page that says one thing."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><h1>{escape(title)}</h1><p>{escape(text)}</p></html>"
    )


def _mac(told: str, nonce: str, secret: bytes) -> str:
    return hmac.new(secret, f"install {nonce} {told}".encode(), hashlib.sha256).hexdigest()
