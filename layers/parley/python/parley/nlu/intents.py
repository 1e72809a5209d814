"""The intent head: a linear layer over the embedding, and a test for what it was never taught.

Knows numbers only; training it is `nlu.fit`'s. A softmax alone is sure of itself
far away from everything it has seen, so an utterance must also lie near one of the
examples: it counts as known by the product of the two.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from parley.conversation import IntentScore

FloatArray = NDArray[np.float32]

MIN_KNOWN = 0.25  # confidence x similarity; best F1 on small validation bots, models/encoder/README.md, "Thresholds"


@dataclass(frozen=True, slots=True)
class IntentHead:
    """What was learned from a bot's examples."""

    intents: tuple[str, ...]
    weights: FloatArray  # (C, D)
    bias: FloatArray  # (C,)
    examples: FloatArray  # (N, D), rows of unit length

    @classmethod
    def from_arrays(cls, intents: tuple[str, ...], arrays: dict[str, FloatArray]) -> Self:
        """The head as `arrays` gave it."""
        return cls(intents, arrays["weights"], arrays["bias"], arrays["examples"])

    def arrays(self) -> dict[str, FloatArray]:
        """The head as named arrays, for the bundle."""
        return {"weights": self.weights, "bias": self.bias, "examples": self.examples}

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
        return confidence * self.similarity(embedding) >= MIN_KNOWN

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
