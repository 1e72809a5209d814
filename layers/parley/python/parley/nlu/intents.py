"""The intent head: a linear layer over the embedding, and a test for what it was never taught.

Knows numbers only; training it is `nlu.fit`'s. A softmax alone is sure of itself
far away from everything it has seen, so an utterance must also lie near one of the
examples.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from parley.conversation import IntentScore

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class IntentHead:
    """What was learned from a bot's examples."""

    intents: tuple[str, ...]
    weights: FloatArray  # (C, D)
    bias: FloatArray  # (C,)
    examples: FloatArray  # (N, D), rows of unit length
    min_confidence: float  # below it an utterance is out of scope
    min_similarity: float  # cosine to the nearest example; below it an utterance is out of scope

    @classmethod
    def from_arrays(cls, intents: tuple[str, ...], arrays: dict[str, FloatArray]) -> Self:
        """The head as `arrays` gave it."""
        thresholds = arrays["thresholds"]
        return cls(
            intents=intents,
            weights=arrays["weights"],
            bias=arrays["bias"],
            examples=arrays["examples"],
            min_confidence=float(thresholds[0]),
            min_similarity=float(thresholds[1]),
        )

    def arrays(self) -> dict[str, FloatArray]:
        """The head as named arrays, for the bundle."""
        thresholds = np.array([self.min_confidence, self.min_similarity], dtype=np.float32)
        return {"weights": self.weights, "bias": self.bias, "examples": self.examples, "thresholds": thresholds}

    def rank(self, embedding: FloatArray) -> tuple[IntentScore, ...]:
        """All intents, the likeliest first; the confidences sum to 1.

        Shapes:
            embedding: (D,) float32, unit length
        """
        probabilities = softmax(self.weights @ embedding + self.bias)
        order = np.argsort(-probabilities, kind="stable")
        return tuple(IntentScore(self.intents[i], float(probabilities[i])) for i in order)

    def knows(self, embedding: FloatArray, confidence: float) -> bool:
        """Whether an utterance is like what the head was taught.

        Shapes:
            embedding: (D,) float32, unit length
        """
        return confidence >= self.min_confidence and self.similarity(embedding) >= self.min_similarity

    def similarity(self, embedding: FloatArray) -> float:
        """Cosine to the nearest example.

        Shapes:
            embedding: (D,) float32, unit length
        """
        return float((self.examples @ embedding).max())


def softmax(logits: FloatArray) -> FloatArray:
    """exp(z_i) / sum_j exp(z_j), along the last axis.

    Shapes:
        logits, returns: (..., C) float32
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)
