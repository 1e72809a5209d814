"""The guard: what of a completion may leave.

Pure. A small model rambles, repeats itself and invents addresses; what cannot be
trimmed into a clean reply is not a reply, and the bot's fallback is said instead.
"""

import re

_CONTACT = re.compile(r"https?://|www\.|\S+@\S+\.\w|\d(?:[\s./-]?\d){5,}")  # nobody answers at an invented one
_MARKUP = re.compile(r"<\|?[a-z_/]+\|?>|^(?:user|assistant|system)\s*:", re.IGNORECASE | re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*(?=\s|$)")
_LOOP = re.compile(r"(\b\w+\b(?:\W+\w+\b){1,5})(?:\W+\1){2,}", re.IGNORECASE)  # the same 2-6 words three times over


def clean(completion: str) -> str | None:
    """The completion up to the end of its last whole sentence; None when it is not fit to be said."""
    text = " ".join(completion.split())
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    text = text[: ends[-1]] if ends else ""
    if sum(character.isalpha() for character in text) < 2:
        return None
    if _CONTACT.search(text) or _MARKUP.search(text) or _LOOP.search(text):
        return None
    return text
