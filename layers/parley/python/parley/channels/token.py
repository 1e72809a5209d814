"""Conversation tokens: who holds one may read and go on with that one conversation.

The token is random and given once; only its digest is stored. Comparison takes the
same time whatever is presented.
"""

import hashlib
import hmac
import re
import secrets

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits in base64


def new_token() -> str:
    """A fresh token: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def is_one(shown: str) -> bool:
    """Whether it looks like a token."""
    return _TOKEN.fullmatch(shown) is not None


def digest(token: str) -> str:
    """What is stored of a token: its SHA-256, hexadecimal. A random token needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def matches(presented: str | None, stored_digest: str) -> bool:
    """Whether the presented token is the one behind the stored digest."""
    return presented is not None and hmac.compare_digest(digest(presented), stored_digest)


def bearer(authorization: str | None) -> str | None:
    """The token in an `Authorization: Bearer` header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
