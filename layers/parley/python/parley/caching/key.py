"""The key of a shared reply: a keyed hash over everything that the reply depends on."""

import hashlib
import hmac
import json
import unicodedata

from parley.bots.bot import Bot


def cache_key(secret: bytes, bot: Bot, *, decided: str, library: str, model: str, language: str, text: str) -> str:
    """The key for a question, 64 hexadecimal digits; `decided` is what the policy made of it.

    A new version of the bot or of its library makes what was kept before unreachable. Without the secret nobody can
    test which questions were asked.
    """
    parts = [bot.name, bot.version, library, decided, model, language, normalise(text)]
    return hmac.new(secret, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def normalise(text: str) -> str:
    """The question without what does not change it: case, width, spacing, the mark at its end.

    Other punctuation stays, for it can change the meaning (C and C++).
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.rstrip("?!. ") or folded
