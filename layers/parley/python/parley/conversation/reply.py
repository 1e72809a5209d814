"""The reply: what the person gets for a turn."""

from dataclasses import dataclass, replace
from typing import Any, Literal

Source = Literal["scripted", "knowledge", "cached", "generated", "fallback", "handoff", "person"]


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
    place: str = ""  # where in the document its section begins: "#hours", "page=3", "row=12"; "" is its beginning


@dataclass(frozen=True, slots=True)
class Message:
    """One bubble of a reply."""

    text: str
    buttons: tuple[Button, ...] = ()
    image: str | None = None
    citations: tuple[Citation, ...] = ()
    attachment: Any = None  # as the author wrote it
    custom: Any = None  # a payload for the channel, as the author or a custom action wrote it


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything the bot says to one turn, and where it has it from."""

    messages: tuple[Message, ...]
    source: Source
    may_wait: bool = False  # the generator was away; who agrees to wait gets its answer later

    def recalled(self) -> "Reply":
        """The same reply, said again from the reply cache."""
        return replace(self, source="cached")
