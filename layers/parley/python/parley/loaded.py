"""A bot ready to talk: what its bundle holds, brought to life."""

from dataclasses import dataclass

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle
from parley.knowledge.snapshot import Snapshot
from parley.nlu.entities import EntityFinder
from parley.nlu.intents import IntentHead
from parley.nlu.understand import Understander


@dataclass(frozen=True, slots=True)
class LoadedBot:
    """A bot with its understanding and its knowledge."""

    bot: Bot
    nlu: Understander
    knowledge: Snapshot


def load(bundle: Bundle) -> LoadedBot:
    """The bot in `bundle`, ready to talk."""
    head = IntentHead.from_arrays(bundle.intents, bundle.head)
    nlu = Understander(head, EntityFinder(bundle.bot.entities), bundle.bot.language)
    return LoadedBot(bundle.bot, nlu, Snapshot.of(bundle.passages, bundle.passage_vectors))
