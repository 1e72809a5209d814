"""Training all of a bot's understanding, when it is compiled or measured."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from parley.bots.bot import EntityPatterns, SystemSettings
from parley.bots.training import Example
from parley.nlu.entities import EntityFinder
from parley.nlu.intents_fit import FittedIntents, fit_intents
from parley.nlu.system_entities import SystemEntities
from parley.nlu.tagger import Tagger
from parley.nlu.tagger_fit import fit_tagger
from parley.nlu.understand import Understander
from parley.ports import Encoded, Encoder


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained understanding, and how well its like did on examples held out."""

    understander: Understander
    intents: FittedIntents
    tagger: Tagger | None


class _Once:
    """An encoder that encodes each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self.version = encoder.version
        self._encoder = encoder
        self._known: dict[str, Encoded] = {}

    def encode(self, text: str) -> Encoded:
        if text not in self._known:
            self._known[text] = self._encoder.encode(text)
        return self._known[text]


def fit_nlu(
    examples: Sequence[Example],
    patterns: EntityPatterns,
    encoder: Encoder,
    *,
    language: str = "en",
    entities: Collection[str] = (),
    system: SystemSettings | None = None,
    out_of_scope: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> Fitted:
    """The understanding that a bot's examples, of at least two intents, teach.

    `entities` are the names of the bot's domain, some of which may be system entities; `out_of_scope` are utterances
    known to be foreign to the bot; `progress` is told what is being done.
    """
    tell = progress or (lambda _: None)
    once = _Once(encoder)
    with threadpool_limits(1):  # on matrices of this size a second thread mostly spins
        intents = fit_intents(examples, once.encode, out_of_scope=out_of_scope, progress=tell)
        tell("training the tagger")
        tagger = fit_tagger(examples, once.encode, patterns)
    found = SystemEntities(entities, system or SystemSettings(language))
    finder = EntityFinder(patterns, tagger=tagger, system=found)
    return Fitted(Understander(intents.head, finder, language), intents, tagger)
