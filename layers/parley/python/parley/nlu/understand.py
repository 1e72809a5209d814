"""From words to an understanding: the parts of NLU, put together for one bot."""

from dataclasses import dataclass

from parley.conversation import IntentScore, Understanding
from parley.nlu.entities import EntityFinder
from parley.nlu.intents import IN_SCOPE, IntentHead
from parley.nlu.language import detect_language
from parley.ports import Encoded


@dataclass(frozen=True, slots=True)
class Understander:
    """Understands the utterances of one bot."""

    head: IntentHead
    entities: EntityFinder
    language: str  # that the bot was taught in, ISO 639-1

    def understand(self, text: str, encoded: Encoded, *, now: float | None = None) -> Understanding:
        """What the bot makes of `text`; "tomorrow" counts from `now`, in seconds since the Unix epoch, UTC.

        An utterance in another language than the bot's is out of scope, whatever it looks like to the head: neither
        it nor the encoder was taught that language.
        """
        language = detect_language(text, self.language)
        labels, in_scope = self.head.read(text, encoded)
        if language != self.language:
            in_scope = 0.0
        ranking = _families(labels)
        best = ranking[0]
        return Understanding(
            intent=best.name if in_scope >= IN_SCOPE else None,
            confidence=best.confidence,
            ranking=ranking,
            entities=self.entities.find(text, encoded, now=now),
            language=language,
            in_scope=in_scope,
            retrieval_intent=next((label.name for label in labels if label.name.startswith(f"{best.name}/")), None),
        )


def _families(labels: tuple[IntentScore, ...]) -> tuple[IntentScore, ...]:
    """The ranking in which the parts of a retrieval intent (`faq/hours`, `faq/price`) are one intent (`faq`)."""
    if not any("/" in label.name for label in labels):
        return labels
    together: dict[str, float] = {}
    for label in labels:
        family = label.name.partition("/")[0]
        together[family] = together.get(family, 0.0) + label.confidence
    return tuple(IntentScore(name, together[name]) for name in sorted(together, key=together.__getitem__, reverse=True))
