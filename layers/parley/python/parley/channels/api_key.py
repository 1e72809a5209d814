"""API keys: how they look, and what they open.

Pure. A key is `parley_`, its id, and a random secret of 256 bits, of which only the digest is stored: there is nothing
to guess, so it needs no salt. Comparison takes the same time whatever is presented. The id is no secret.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from parley.channels import token
from parley.errors import MalformedRequest
from parley.ports import ApiKey, KeySecret

CHAT: Final = "chat"  # the scope that lets its bearer talk with bots
OPERATE: Final = "operate"  # the scope that makes its bearer an operator of the key's tenant

PREFIX: Final = "parley_"
_KEY = re.compile(rf"{PREFIX}(?P<id>[0-9a-f]{{16}})_(?P<secret>[A-Za-z0-9_-]{{43}})")


def new_key(
    name: str, scopes: Sequence[str], bots: Sequence[str], *, tenant: str, now: float, expires_at: float | None
) -> tuple[ApiKey, str]:
    """A new key, and what its bearer shows."""
    key_id, secret = secrets.token_hex(8), token.new_token()
    stored = (KeySecret(token.digest(secret)),)
    key = ApiKey(key_id, name, tuple(scopes), tuple(bots), stored, now, expires_at, tenant=tenant)
    return key, _shown(key_id, secret)


def rotated(key: ApiKey, *, now: float, old_valid_seconds: float | None) -> tuple[ApiKey, str]:
    """The key with a new secret, and what its bearer shows from now on.

    The secret before it stays valid so long; without end where none is given, until the next rotation or `settled`.
    """
    secret = token.new_token()
    ends_at = None if old_valid_seconds is None else now + old_valid_seconds
    old = replace(key.secrets[0], ends_at=ends_at)
    kept = (KeySecret(token.digest(secret)), *([] if old_valid_seconds == 0 else [old]))
    return replace(key, secrets=kept, version=key.version + 1), _shown(key.id, secret)


def settled(key: ApiKey) -> ApiKey:
    """The key with its newest secret alone.

    Raises:
        MalformedRequest: it has no other.
    """
    if len(key.secrets) == 1:
        raise MalformedRequest("this key has one secret only; `finish` ends the one before a rotation")
    return replace(key, secrets=key.secrets[:1], version=key.version + 1)


def presented(authorization: str | None) -> tuple[str, str] | None:
    """The id and the secret of the key in an `Authorization: Bearer` header; None if there is none."""
    found = _KEY.fullmatch(token.bearer(authorization) or "")
    return (found["id"], found["secret"]) if found else None


def unlocks(secret: str, key: ApiKey, *, now: float) -> bool:
    """Whether it is one of the key's secrets, and still valid."""
    matches = [token.matches(secret, each.digest) for each in key.valid_secrets(now)]  # with each, so that time is even
    return any(matches)


def _shown(key_id: str, secret: str) -> str:
    return f"{PREFIX}{key_id}_{secret}"
