"""The turn: one thing a person said."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing a person said to the bot, freed of its channel's format."""

    id: str  # unique in its conversation; a channel that retries sends the same id
    conversation_id: str
    bot: str
    channel: str
    text: str
    sent_at: float  # seconds since the Unix epoch, UTC
    explain: bool = False  # the reply shall say why
    waits: bool = False  # if the generator is away now, its answer may come later
    reply_to: str = ""  # the address that its channel gave for the reply alone; whoever has it may write there
    uploads: tuple[str, ...] = ()  # the ids of files that were sent with it; with them the text may be empty
    origin: Mapping[str, Any] | None = None  # what a reply will want of the message through a webhook, by path
