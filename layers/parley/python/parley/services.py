"""What a turn needs: its bot, its models and its ports. Every function builds its own."""

from collections.abc import Callable
from dataclasses import dataclass

from parley.caching.recall import ReplyCache
from parley.loaded import LoadedBot
from parley.metering import Metering
from parley.ports import (
    Actions,
    Announcements,
    Clock,
    Conversations,
    Encoder,
    Generator,
    Patience,
    Uploads,
    Window,
)


@dataclass(frozen=True, slots=True)
class Services:
    """What a turn needs."""

    bots: Callable[[str], LoadedBot]  # by name; raises NotFound
    encoder: Encoder
    conversations: Conversations
    cache: ReplyCache
    generator: Generator
    window: Window  # of the generator
    composes: bool  # whether the generator is to be trusted with putting answers into words of its own
    patience: Patience  # with the generator, of a turn, however often it runs
    actions: Actions
    announcements: Announcements
    metering: Metering
    uploads: Uploads
    clock: Clock
