"""A bot ready to talk: what its bundle holds, brought to life."""

from dataclasses import dataclass

import msgspec

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle
from parley.errors import BadBot
from parley.knowledge.snapshot import Snapshot
from parley.nlu.entities import EntityFinder
from parley.nlu.intents import IntentHead
from parley.nlu.patterns import Patterns
from parley.nlu.system_entities import SystemEntities
from parley.nlu.tagger import Tagger, TaggerSpec
from parley.nlu.understand import Understander
from parley.ports import Encoded, Encoder

INTENTS, TAGGER = "intents", "tagger"  # the names of the trained parts in a bundle


@dataclass(frozen=True, slots=True)
class LoadedBot:
    """A bot with its understanding and its knowledge."""

    bot: Bot
    nlu: Understander
    knowledge: Snapshot

    def hear(self, text: str, encoder: Encoder) -> Encoded:
        """What somebody typed, as the encoder reads what was meant."""
        return self.nlu.hear(text, encoder, self.knowledge.postings)


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
    snapshot = Snapshot.of(bundle.passages, bundle.passage_vectors)
    return LoadedBot(bundle.bot, _understander(bundle), snapshot)


def _understander(bundle: Bundle) -> Understander:
    bot, intents = bundle.bot, bundle.trained[INTENTS]
    head = IntentHead.from_arrays(tuple(intents.about), intents.arrays)
    finder = EntityFinder(bot.entities, tagger=_tagger(bundle), system=SystemEntities(bot.entity_names, bot.reading))
    return Understander(head, finder, bot.language)


def _tagger(bundle: Bundle) -> Tagger | None:
    trained = bundle.trained.get(TAGGER)
    if trained is None:
        return None
    return Tagger.from_arrays(msgspec.convert(trained.about, TaggerSpec), trained.arrays, Patterns(bundle.bot.entities))
