"""The keys of shared replies: keyed hashes over everything that a reply depends on.

Without the secret nobody can test which questions were asked, or by whom.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Iterable

from parley.bots.bot import Bot
from parley.conversation import Citation


def scope_of(secret: bytes, bot: Bot, *, model: str, language: str) -> str:
    """All but the words of the question.

    A new version of the bot makes what was kept before unreachable. What the documents say is not in the scope: a reply
    remembers the passages that it was made from, and is given only while they are found for the question.
    """
    return keyed_hash(secret, bot.name, bot.version, model, language)


def key_of(secret: bytes, scope: str, text: str) -> str:
    """The key of a question, 64 hexadecimal digits."""
    return keyed_hash(secret, scope, normalise(text))


def keyed_hash(secret: bytes, *parts: str) -> str:
    """A hash that nobody can make who has not the secret."""
    return hmac.new(secret, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def passage_id(passage: Citation) -> str:
    """Which passage it is, and what it says: another one as soon as a letter of it changes."""
    return hashlib.sha256(json.dumps([passage.document, passage.section, passage.text]).encode()).hexdigest()[:32]


def support_of(passages: Iterable[Citation]) -> str:
    """What a reply is made from; another one as soon as other passages are found, or one says something else."""
    return hashlib.sha256("".join(map(passage_id, passages)).encode()).hexdigest()[:32]


def normalise(text: str) -> str:
    """The question without what does not change it: case, width, spacing, the mark at its end.

    Other punctuation stays, for it can change the meaning (C and C++).
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.rstrip("?!. ") or folded
