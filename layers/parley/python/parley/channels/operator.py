"""Operators: who bears their key may take conversations over, read them, and be told why the bot did what it did.

Comparison takes the same time whatever is presented.
"""

import hmac
from collections.abc import Callable

from parley.channels.token import bearer
from parley.errors import NotYours


def is_operator(authorization: str | None, key: bytes) -> bool:
    """Whether the key is in an `Authorization: Bearer` header."""
    presented = bearer(authorization)
    return presented is not None and bool(key) and hmac.compare_digest(presented.encode(), key)


def check_operator(authorization: str | None, key: Callable[[], bytes]) -> None:
    """Raises: NotYours: the key is not in an `Authorization: Bearer` header."""
    if bearer(authorization) is None or not is_operator(authorization, key()):
        raise NotYours("this is for the bearer of the operator key")
