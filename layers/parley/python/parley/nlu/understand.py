"""From words to an understanding: the parts of NLU, put together for one bot."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parley.conversation import IntentScore, Understanding
from parley.nlu.entities import EntityFinder
from parley.nlu.hearing import is_english, mend
from parley.nlu.intents import IN_SCOPE, IntentHead
from parley.nlu.language import detect_language
from parley.nlu.lexical import words_of
from parley.ports import Encoded, Encoder

BESIDE = 1e6  # the rarity of a word that no example holds: any of the examples' words is likelier


@dataclass(frozen=True, slots=True)
class Understander:
    """Understands the utterances of one bot."""

    head: IntentHead
    entities: EntityFinder
    language: str  # that the bot was taught in, ISO 639-1

    def hear(self, text: str, encoder: Encoder, beside: Container[str] = ()) -> Encoded:
        """`text` as the encoder reads it where typing errors are mended and emoji left out.

        `beside` are words, in lower case, that are right although no example holds them: those of the documents.
        """

        def rarity(words: Sequence[str]) -> list[float]:
            of_examples = self.head.vocabulary.rarity_of(words).tolist()
            return [
                BESIDE if rare == math.inf and word in beside else rare
                for word, rare in zip(words, of_examples, strict=True)
            ]

        mended = mend(text, lambda word: encoder.knows(word) or is_english(word), rarity)
        if mended is None:
            return encoder.encode(text)
        encoded = encoder.encode(mended.text)
        return replace(encoded, offsets=tuple(mended.place(start, end) for start, end in encoded.offsets))

    def _holds(self, text: str) -> bool:
        """Whether the bot's examples have all words of a text: then it is in their language, and no model is asked."""
        words = words_of(text)
        return bool(words) and bool(np.isfinite(self.head.vocabulary.rarity_of(words)).all())

    def understand(self, text: str, encoded: Encoded, *, now: float | None = None) -> Understanding:
        """What the bot makes of `text`, which it has heard as `encoded`.

        "tomorrow" counts from `now`, in seconds since the Unix epoch, UTC.

        An utterance in another language than the bot's is out of scope, whatever it looks like to the head: neither
        it nor the encoder was taught that language.
        """
        language = self.language if self._holds(text) else detect_language(text, self.language)
        labels, in_scope = self.head.read(encoded)
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
