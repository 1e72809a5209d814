"""A bot ready to talk: what its bundle holds, brought to life."""

from dataclasses import dataclass, replace

import msgspec

from parley.bots.bot import DEFAULT_INTENTS, Bot
from parley.bots.bundle import Bundle
from parley.conversation import Citation, IntentScore, Understanding, read_command
from parley.dialogue.policy import Policy
from parley.errors import BadBot
from parley.knowledge.beyond import Beyond
from parley.knowledge.snapshot import FloatArray, Snapshot
from parley.nlu.entities import EntityFinder
from parley.nlu.intents import IntentHead
from parley.nlu.patterns import Patterns
from parley.nlu.system_entities import SystemEntities
from parley.nlu.tagger import Tagger, TaggerSpec
from parley.nlu.understand import Understander
from parley.ports import Encoded, Encoder

INTENTS, TAGGER, KNOWLEDGE = "intents", "tagger", "knowledge"  # the names of the trained parts in a bundle


@dataclass(frozen=True, slots=True)
class LoadedBot:
    """A bot with its understanding, its policy and its knowledge."""

    bot: Bot
    nlu: Understander
    knowledge: Snapshot  # what of it is in memory
    policy: Policy
    encoder: str  # the version that made all vectors
    library: str = ""  # which of the documents that were put in since; "" is none
    beyond: Beyond | None = None  # the documents that were put in, if they are too many for memory

    def knowledge_near(self, embedding: FloatArray) -> Snapshot:
        """The knowledge that comes into question for a question: all of it, unless some lies beyond memory.

        Shapes:
            embedding: (D,) float32, unit length

        Raises:
            Unavailable: what is beyond memory could not be had.
        """
        return self.knowledge.joined(self.beyond.near(embedding)) if self.beyond else self.knowledge

    def of_document(self, name: str) -> tuple[Citation, ...]:
        """The passages of one document, in its order.

        Raises:
            Unavailable: what is beyond memory could not be had.
        """
        return self.knowledge.of_document(name) or (self.beyond.of_document(name) if self.beyond else ())

    def passages_by_document(self) -> dict[str, int]:
        """How many passages each document has."""
        return self.knowledge.counts() | (self.beyond.counts() if self.beyond else {})

    def hear(self, text: str, encoder: Encoder) -> Encoded:
        """What somebody typed, as the encoder reads what was meant."""
        return self.nlu.hear(text, encoder, self.knowledge.index)

    def understand(self, text: str, heard: Encoded, *, now: float | None = None) -> Understanding:
        """What the bot makes of an utterance; less sure than config.yml wants, nothing was understood.

        "tomorrow" counts from `now`, in seconds since the Unix epoch, UTC.
        """
        understanding = self.nlu.understand(text, heard, now=now)
        settings, ranking = self.bot.policy, understanding.ranking
        second = ranking[1].confidence if len(ranking) > 1 else 0.0
        too_close = understanding.confidence - second < settings.ambiguity_threshold
        if understanding.confidence < settings.intent_threshold or too_close:
            return replace(understanding, intent=None)
        return understanding

    def command(self, text: str) -> Understanding | None:
        """What `/intent{"entity": "value"}` says beyond doubt; None if it is none, or of no intent of the bot's."""
        said = read_command(text)
        if said is None:
            return None
        intent, _, part = said.intent.partition("/")
        if intent not in self.bot.intents and intent not in DEFAULT_INTENTS:
            return None
        return Understanding(
            intent=intent,
            confidence=said.confidence,
            ranking=(IntentScore(intent, said.confidence),),
            entities=tuple(entity for entity in said.entities if entity.name in self.bot.entity_names),
            language=self.bot.language,
            retrieval_intent=said.intent if part else None,
        )


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
    knowledge = bundle.trained[KNOWLEDGE]
    snapshot = Snapshot.from_arrays(knowledge.about, knowledge.arrays)
    return LoadedBot(bundle.bot, _understander(bundle), snapshot, Policy(bundle.bot), bundle.encoder)


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
