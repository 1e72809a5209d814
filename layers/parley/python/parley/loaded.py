"""A bot ready to talk: what its bundle holds, brought to life."""

from dataclasses import dataclass

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle
from parley.errors import BadBot
from parley.knowledge.snapshot import Snapshot
from parley.nlu.entities import EntityFinder
from parley.nlu.intents import IntentHead
from parley.nlu.understand import Understander
from parley.ports import Encoder


@dataclass(frozen=True, slots=True)
class LoadedBot:
    """A bot with its understanding and its knowledge."""

    bot: Bot
    nlu: Understander
    knowledge: Snapshot


def load(bundle: Bundle, encoder: Encoder) -> LoadedBot:
    """The bot in `bundle`, ready to talk.

    Raises:
        BadBot: its vectors were made by another encoder.
    """
    if bundle.encoder != encoder.version:
        raise BadBot(
            f"the bot {bundle.bot.name!r} was compiled with encoder {bundle.encoder}, and this is {encoder.version}; "
            "compile the bot again"
        )
    head = IntentHead.from_arrays(bundle.intents, bundle.head)
    nlu = Understander(head, EntityFinder(bundle.bot.entities), bundle.bot.language)
    return LoadedBot(bundle.bot, nlu, Snapshot.of(bundle.passages, bundle.passage_vectors))
