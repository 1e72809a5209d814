"""A reply's tokens turned into text that may be sent: no half characters, no special tokens, nothing of a stop string.

Knows the tokenizer and the stop strings, and nothing of models or places.
"""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

NO_CHARACTER = "\ufffd"  # stands for bytes that make no character; at high temperatures the model writes some


class Spelling:
    """The text of one reply, token by token."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._held = HeldBack(stop)

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come."""
        return self._held.stopped

    def push(self, token: int) -> str:
        """What may be sent now that `token` has come."""
        decoded = self._stream.step(self._tokenizer, token) or ""
        return self._held.push(decoded.replace(NO_CHARACTER, ""))

    def rest(self) -> str:
        """What is left once no token will come."""
        return self._held.rest()


class HeldBack:
    """Text on its way out, held back while it may still turn into a stop string."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._text = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """What may be sent now that `text` has been added."""
        self._text += text
        found = [place for place in (self._text.find(stop) for stop in self._stop) if place >= 0]
        if found:
            self.stopped = True
            sendable, self._text = self._text[: min(found)], ""
            return sendable
        keep = max((self._overlap(stop) for stop in self._stop), default=0)
        cut = len(self._text) - keep
        sendable, self._text = self._text[:cut], self._text[cut:]
        return sendable

    def rest(self) -> str:
        """What is left once nothing more will come."""
        rest, self._text = self._text, ""
        return rest

    def _overlap(self, stop: str) -> int:
        """How many of the text's last characters begin `stop`."""
        lengths = range(min(len(stop) - 1, len(self._text)), 0, -1)
        return next((length for length in lengths if self._text.endswith(stop[:length])), 0)
