"""The guard: what of a completion may leave.

Pure. A small model rambles, repeats itself and invents addresses; what cannot be
trimmed into a clean reply is not a reply, and the bot's fallback is said instead.
"""

import re

_CONTACT = re.compile(r"https?://|www\.|\w@\w|\d(?:[\s./-]?\d){6,}")  # nobody answers at an invented one
_MARKUP = re.compile(r"<\|?[a-z_/]+\|?>|(?:^|[\n.!?]\s*)(?:user|assistant|system)\s*:", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"')\]]*(?=\s|$)")
# The same two to six words three times over, or one word four times.
_LOOP = re.compile(r"\b(\w+(?:\W+\w+){1,5})(?:\W+\1\b){2,}|\b(\w+)(?:\W+\2\b){3,}", re.IGNORECASE)


def clean(completion: str) -> str | None:
    """The completion up to the end of its last whole sentence; None when it is not fit to be said."""
    if _MARKUP.search(completion):
        return None
    text = " ".join(completion.split())
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    text = text[: ends[-1]] if ends else ""
    if sum(character.isalpha() for character in text) < 2:
        return None
    if _CONTACT.search(text) or _LOOP.search(text):
        return None
    return text
