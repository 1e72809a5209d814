"""Operators: who bears their key may take conversations over, read them, and be told why the bot did what it did.

Comparison takes the same time whatever is presented.
"""

import hmac

from parley.channels.token import bearer


def is_operator(authorization: str | None, key: bytes) -> bool:
    """Whether the key is in an `Authorization: Bearer` header."""
    presented = bearer(authorization)
    return presented is not None and bool(key) and hmac.compare_digest(presented.encode(), key)
