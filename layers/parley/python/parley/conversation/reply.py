"""The reply: what the person gets for a turn."""

from dataclasses import dataclass, replace
from typing import Literal

Source = Literal["scripted", "knowledge", "cached", "generated", "fallback"]


@dataclass(frozen=True, slots=True)
class Button:
    """A suggested next message: shown as `title`, sent as `payload`."""

    title: str
    payload: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Where in the bot's documents a statement comes from."""

    title: str
    document: str  # file name within the bot's documents
    section: str
    text: str  # the passage itself


@dataclass(frozen=True, slots=True)
class Message:
    """One bubble of a reply."""

    text: str
    buttons: tuple[Button, ...] = ()
    image: str | None = None
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything the bot says to one turn, and where it has it from."""

    messages: tuple[Message, ...]
    source: Source

    def recalled(self) -> "Reply":
        """The same reply, said again from the reply cache."""
        return replace(self, source="cached")
