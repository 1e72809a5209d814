"""Which tokens come next: logits in, a token out for each of the replies that are written together.

Knows nothing of models, places or text. A sampler belongs to one reply and draws from random numbers of its own, so
that a seed gives the same reply whoever else is served. All logits are looked at in few and large operations, and the
few tokens that are left as lists: Python lets one lane work at a time, and each small operation on an array costs more
than it does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

NEGLIGIBLE = 12.0  # e to the minus this, 6e-6: what is so much less likely than the likeliest token is never drawn


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
        self._random = Random(seed)
        self._said: list[int] = []

    @property
    def reach(self) -> float:
        """How far below the likeliest token's logit a token may be that is drawn."""
        return NEGLIGIBLE * self._temperature

    def penalise(self, logits: FloatArray) -> None:
        """Make what has been said less likely.

        Source: Keskar et al. 2019, "CTRL", equation 2; below zero the other way round, as everybody does it.

        Shapes:
            logits: (V,); they are changed
        """
        if self._said and self._penalty != 1:
            said = np.array(self._said)
            scores = logits[said]
            logits[said] = np.where(scores > 0, scores / self._penalty, scores * self._penalty)

    def draw(self, tokens: IntArray, logits: FloatArray) -> int:
        """One of these tokens, which are all that are within reach.

        Shapes:
            tokens, logits: (C,)
        """
        token = int(tokens[0]) if self._temperature == 0 else self._by_chance(tokens, logits)
        self._said.append(token)
        return token

    def _by_chance(self, tokens: IntArray, logits: FloatArray) -> int:
        if len(tokens) > self._top_k:
            likely = logits.argpartition(-self._top_k)[-self._top_k :]
            tokens, logits = tokens[likely], logits[likely]
        ranked = sorted(zip(logits.tolist(), tokens.tolist(), strict=True), reverse=True)
        chances = [math.exp((score - ranked[0][0]) / self._temperature) for score, _ in ranked]
        enough, kept, total = self._top_p * sum(chances), 0, 0.0
        while kept < len(chances) and (kept == 0 or total < enough):  # up to the one that reaches top_p
            total += chances[kept]
            kept += 1
        (token,) = self._random.choices([token for _, token in ranked[:kept]], chances[:kept])
        return token


def choose(
    samplers: Sequence[Sampler],
    logits: FloatArray,
    forbidden: Sequence[list[int]],
    allowed: Sequence[Sequence[int] | None],
) -> list[int]:
    """The next token of each reply: none of its forbidden ones, and one of the allowed, where not all are.

    Shapes:
        logits: (N, V), a row for each sampler; they are changed
    """
    for sampler, row, never, only in zip(samplers, logits, forbidden, allowed, strict=True):
        if only is None:
            row[never] = -np.inf
            sampler.penalise(row)
        else:
            kept = row[list(only)]
            row.fill(-np.inf)
            row[list(only)] = kept
    floors = logits.max(axis=1) - np.array([sampler.reach for sampler in samplers], np.float32)
    within = np.flatnonzero(logits >= floors[:, None])  # of all rows, one behind the other
    starts = np.arange(len(samplers) + 1) * logits.shape[1]
    ends = within.searchsorted(starts).tolist()
    tokens = [within[ends[row] : ends[row + 1]] - starts[row] for row in range(len(samplers))]
    return [sampler.draw(each, row[each]) for sampler, row, each in zip(samplers, logits, tokens, strict=True)]
