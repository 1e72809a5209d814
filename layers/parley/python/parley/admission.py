"""Who may come in with an API key, and as what."""

from parley.channels import api_key
from parley.errors import NotKnown, NotYours
from parley.ports import ApiKey, Keys


def admit(authorization: str | None, keys: Keys, *, scope: str, now: float) -> ApiKey:
    """The API key in an `Authorization: Bearer` header, if it opens `scope`.

    Every request reads the key anew, so that one which is revoked opens nothing from that moment on.

    Raises:
        NotKnown: there is none, or it is wrong, expired or revoked. Which of these is not said.
        NotYours: it is not for this.
        Unavailable: the key could not be looked up.
    """
    shown = api_key.presented(authorization)
    key = keys.get(shown[0]) if shown else None
    if shown is None or key is None or not api_key.unlocks(shown[1], key, now=now):
        raise NotKnown("send a valid API key as `Authorization: Bearer ...`")
    if scope not in key.scopes:
        raise NotYours(f"this API key lacks the scope {scope!r}")
    return key


def check_bot(key: ApiKey, bot: str) -> None:
    """Raises: NotYours: the key is limited to other bots."""
    if not may_ask(key, bot):
        raise NotYours(f"this API key is limited to {', '.join(key.bots)}")


def may_ask(key: ApiKey, bot: str) -> bool:
    """Whether the key opens this bot."""
    return not key.bots or bot in key.bots
