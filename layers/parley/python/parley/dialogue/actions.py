"""What the dialogue needs from outside while it goes on, as values; and what it says."""

from dataclasses import dataclass

from parley.conversation import Dialogue, Event, Message, Source


@dataclass(frozen=True, slots=True)
class Say:
    """Say a response of the bot, in its author's words."""

    response: str
    as_fallback: bool = False  # said for want of something better


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer from the bot's documents, if they hold it."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Let the generator speak, if it can be reached."""


@dataclass(frozen=True, slots=True)
class HandOff:
    """Call a person, and say so."""


Step = Say | Answer | Generate | HandOff


@dataclass(frozen=True, slots=True)
class FirstOf:
    """Several ways to go on: the first whose first step has something to say is the one."""

    ways: tuple[tuple[Step, ...], ...]
    dialogue: Dialogue  # as it stands
    said: tuple[Message, ...] = ()  # in this turn so far


@dataclass(frozen=True, slots=True)
class Call:
    """Run a custom action."""

    action: str
    dialogue: Dialogue  # as it stands
    events: tuple[Event, ...] = ()  # the latest ones, for the action to look at


Need = Call | FirstOf


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the bot says, where it has it from, and by which response."""

    message: Message
    source: Source
    response: str | None = None
    hands_off: bool = False  # with it a person takes over
