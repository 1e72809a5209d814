"""From words to an understanding: the three parts of NLU, put together for one bot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parley.conversation import Understanding
from parley.nlu.entities import EntityFinder
from parley.nlu.intents import IntentHead


@dataclass(frozen=True, slots=True)
class Understander:
    """Understands the utterances of one bot."""

    head: IntentHead
    entities: EntityFinder
    language: str

    def understand(self, text: str, embedding: NDArray[np.float32]) -> Understanding:
        """What the bot makes of `text`.

        Shapes:
            embedding: (384,) float32, unit length: the encoder's vector of `text`
        """
        ranking = self.head.rank(embedding)
        best = ranking[0]
        known = self.head.knows(embedding, best.confidence)
        return Understanding(
            intent=best.name if known else None,
            confidence=best.confidence,
            ranking=ranking,
            entities=self.entities.find(text),
            language=self.language,
        )
