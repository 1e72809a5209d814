"""The intent head: which intent an utterance has, and whether it has any that was taught.

Knows numbers and words only; training it is `nlu.fit`'s. Two linear models judge every
utterance, one by its meaning (the embedding), one by its words (`nlu.lexical`); what each
says is weighed and added. Whether the utterance is in scope is judged by three things that
go wrong in different ways: how much evidence there is for any intent at all, how strong its
words are, and how near it lies to what is typical of an intent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from parley.conversation import IntentScore
from parley.nlu.lexical import Vocabulary
from parley.ports import Encoded

FloatArray = NDArray[np.float32]

NEARER_THE_WORDS = 0.5  # of a middle layer's mean beside the sentence's vector; models/encoder/README.md, "Intents"
RANKED = 10  # the intents that a ranking names, as Rasa's
IN_SCOPE = 0.5  # the least `in_scope` of what counts as taught; `fit` lays the scale so that this is the best divide


@dataclass(frozen=True, slots=True)
class Scope:
    """How three kinds of evidence become one probability.

    p = sigmoid(slope x mean((evidence - usual) / spread) + offset), where usual and spread are the mean and the
    standard deviation of what held-out examples have.

    Source: Platt scaling, Platt 1999, "Probabilistic outputs for support vector machines"
    """

    usual: FloatArray  # (3,)
    spread: FloatArray  # (3,)
    slope: float
    offset: float

    def composite(self, evidence: FloatArray) -> FloatArray:
        """All evidence as one number, 0 for a usual example.

        Shapes:
            evidence: (..., 3); returns: (...)
        """
        return np.asarray(((evidence - self.usual) / self.spread).mean(axis=-1), dtype=np.float32)

    def probability(self, evidence: FloatArray) -> FloatArray:
        """How likely it is that something was taught.

        Shapes:
            evidence: (..., 3); returns: (...)
        """
        odds = np.clip(self.slope * self.composite(evidence) + self.offset, -50, 50)  # beyond, exp() overflows
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class IntentHead:
    """What was learned from a bot's examples, for C intents and senses of D numbers."""

    intents: tuple[str, ...]
    meaning: FloatArray  # (C, D)
    meaning_bias: FloatArray  # (C,)
    vocabulary: Vocabulary  # of V features
    wording: NDArray[np.float16]  # (V, C)
    wording_bias: FloatArray  # (C,)
    prototypes: FloatArray  # (P, D), rows of unit length: some for each intent, in the midst of its examples
    trust: FloatArray  # (2,): the weights of meaning and of wording
    scope: Scope

    @classmethod
    def from_arrays(cls, intents: tuple[str, ...], arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """The head as `arrays` gave it."""
        floats = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        return cls(
            intents,
            floats["meaning"],
            floats["meaning_bias"],
            Vocabulary(np.asarray(arrays["hashes"], np.uint32), floats["rarity"]),
            np.asarray(arrays["wording"], np.float16),
            floats["wording_bias"],
            floats["prototypes"],
            floats["trust"],
            Scope(floats["usual"], floats["spread"], *map(float, floats["platt"])),
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The head as named arrays, for the bundle."""
        return {
            "meaning": self.meaning.astype(np.float16),
            "meaning_bias": self.meaning_bias,
            "hashes": self.vocabulary.hashes,
            "rarity": self.vocabulary.rarity.astype(np.float16),
            "wording": self.wording,
            "wording_bias": self.wording_bias,
            "prototypes": self.prototypes.astype(np.float16),
            "trust": self.trust,
            "usual": self.scope.usual,
            "spread": self.scope.spread,
            "platt": np.array([self.scope.slope, self.scope.offset], np.float32),
        }

    def read(self, encoded: Encoded) -> tuple[tuple[IntentScore, ...], float]:
        """The likeliest intents, best first, and how likely it is that the text has an intent that was taught."""
        sensed = sense(encoded)
        meaning, wording = self.judge(encoded.text, sensed)
        probabilities = softmax(self.trust[0] * meaning + self.trust[1] * wording)
        best = np.argsort(-probabilities, kind="stable")[:RANKED]
        ranking = tuple(IntentScore(self.intents[i], float(probabilities[i])) for i in best)
        return ranking, float(self.scope.probability(evidence(meaning, wording, (self.prototypes @ sensed).max())))

    def judge(self, text: str, sensed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the meaning and what the words say for each intent.

        Shapes:
            sensed: (D,) float32, unit length
            returns: twice (C,) float32, the second about -1 to 1
        """
        features, weights = self.vocabulary.weigh(text)
        wording = weights @ self.wording[features].astype(np.float32) + self.wording_bias
        return self.meaning @ sensed + self.meaning_bias, wording


def sense(encoded: Encoded) -> FloatArray:
    """What a text means, and a little of how it is said: its vector beside the mean of its word pieces.

    The encoder was trained to bring together what means the same; what it has before its last layers keeps
    intents apart that differ in a nuance only.

    Shapes:
        returns: (2 E,) float32, unit length, for an encoder of E dimensions
    """
    mean = encoded.tokens.sum(axis=0)
    length = max(float(np.linalg.norm(mean)), 1e-9)
    together = np.concatenate([encoded.vector, mean * np.float32(NEARER_THE_WORDS / length)])
    return np.asarray(together / np.linalg.norm(together), dtype=np.float32)


def evidence(meaning: FloatArray, wording: FloatArray, near: FloatArray) -> FloatArray:
    """What speaks for an utterance being in scope: free energy, the best word score, the nearest prototype's cosine.

    Energy is ln sum_c exp(z_c) of the logits z: large only where some intent has much evidence, which a
    softmax, being relative, cannot tell.

    Shapes:
        meaning, wording: (..., C); near: (...); returns: (..., 3) float32

    Source: energy, Liu et al. 2020, https://arxiv.org/abs/2010.03759; nearness, Sun et al. 2022,
        https://arxiv.org/abs/2204.06507, to prototypes in place of all examples
    """
    peak = meaning.max(axis=-1)
    energy = peak + np.log(np.exp(meaning - peak[..., None]).sum(axis=-1))
    return np.stack([energy, wording.max(axis=-1), near], axis=-1).astype(np.float32)


def softmax(logits: FloatArray) -> FloatArray:
    """exp(z_i) / sum_j exp(z_j), along the last axis.

    Shapes:
        logits, returns: (..., C) float32
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)
