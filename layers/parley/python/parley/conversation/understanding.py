"""The understanding: what the bot makes of one utterance."""

from dataclasses import dataclass
from typing import Any, Literal

Finder = Literal["regex", "lookup", "tagger", "system", "client"]


@dataclass(frozen=True, slots=True)
class Entity:
    """A span found in one utterance, with its value in normal form."""

    name: str
    value: Any  # a text, but for what a client sent as `/intent{"entity": value}`
    start: int  # characters from the beginning of the utterance
    end: int  # exclusive
    text: str  # the span as it was written
    role: str | None = None  # what it does here: the city one leaves *from*
    group: str | None = None  # what belongs together: the size and the topping of the *second* pizza
    found_by: Finder | None = None  # None: by the author who marked it, or before this was noted
    confidence: float = 1.0  # 0..1; patterns are sure, a tagger is not


@dataclass(frozen=True, slots=True)
class IntentScore:
    """An intent and how likely it is."""

    name: str
    confidence: float  # 0..1


@dataclass(frozen=True, slots=True)
class Understanding:
    """Intent ranking, entities and language of one utterance.

    Its embedding travels beside it: the head and the knowledge search need it,
    the policy and the history do not.
    """

    intent: str | None  # None: nothing the bot was taught (out of scope)
    confidence: float  # of the best intent, 0..1, also when `intent` is None
    ranking: tuple[IntentScore, ...]  # best first
    entities: tuple[Entity, ...]  # in the order of the text, never overlapping
    language: str  # ISO 639-1, of the utterance
    in_scope: float = 1.0  # 0..1, how likely it is that the bot was taught this; 1 where it was not asked
    retrieval_intent: str | None = None  # `faq/hours`, where the best intent is `faq` and has such parts

    @property
    def nearest_intent(self) -> str | None:
        """The best intent, whether or not it is likely enough to act on."""
        return self.ranking[0].name if self.ranking else None
