"""Which token comes next: logits in, a token out.

Knows nothing of models, places or text. A sampler belongs to one reply and draws from random numbers of its own, so
that a seed gives the same reply whoever else is served.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Sampler:
    """Draws the tokens of one reply; at temperature 0 it takes the likeliest."""

    def __init__(
        self, *, temperature: float, top_p: float, top_k: int, repetition_penalty: float, seed: int | None
    ) -> None:
        """The penalty is on what the reply itself has said: words of the prompt may well be quoted."""
        self._temperature = temperature
        self._top_p = top_p
        self._top_k = top_k
        self._penalty = np.float32(repetition_penalty)
        self._random = np.random.default_rng(seed)
        self._said: list[int] = []

    def choose(self, logits: FloatArray, forbidden: Sequence[int]) -> int:
        """The next token, which is none of `forbidden`.

        Shapes:
            logits: (V,) float32; they are changed
        """
        logits[list(forbidden)] = -np.inf
        self._penalise(logits)
        token = self._draw(logits) if self._temperature > 0 else int(logits.argmax())
        if token not in self._said:
            self._said.append(token)
        return token

    def _penalise(self, logits: FloatArray) -> None:
        """Source: Keskar et al. 2019, "CTRL", equation 2; below zero the other way round, as everybody does it."""
        if self._said and self._penalty != 1:
            scores = logits[self._said]
            logits[self._said] = np.where(scores > 0, scores / self._penalty, scores * self._penalty)

    def _draw(self, logits: FloatArray) -> int:
        count = min(self._top_k, len(logits))
        likely = np.argpartition(logits, -count)[-count:]
        likely = likely[np.argsort(-logits[likely])]
        scores = logits[likely].astype(np.float64)
        reached = np.cumsum(np.exp((scores - scores[0]) / self._temperature))
        kept = reached[: np.searchsorted(reached, self._top_p * reached[-1]) + 1]  # up to the one that reaches top_p
        return int(likely[: len(kept)][np.searchsorted(kept, self._random.random() * kept[-1], side="right")])
