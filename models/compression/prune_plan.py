"""Which weights, heads and neurons go: pure decisions over arrays of weights and of importances.

Pure numpy. Knows nothing of torch, models or files.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Mask = NDArray[np.bool_]  # True where a weight stays


def share_at(step: int, steps: int, first: float, last: float) -> float:
    """How much is gone after a step of a gradual pruning: fast in the beginning, when there is most to spare.

        s_t = s_last + (s_first - s_last) (1 - t / n)^3

    Source: Zhu and Gupta 2017, "To prune, or not to prune", equation 1, arXiv:1710.01878
    """
    if not 0 <= step <= steps or steps < 1:
        raise ValueError(f"step {step} is not between 0 and {steps}")
    return last + (first - last) * (1 - step / steps) ** 3


def masks_by_share(weights: Mapping[str, FloatArray], share: float, *, per_layer: bool) -> dict[str, Mask]:
    """Masks that drop the given share of weights, those of the least magnitude.

    Per layer, every tensor loses the share; globally, all are compared with each other and some lose more. Of equal
    magnitudes the earlier go first, so that the share is exact.

    Source: Han et al. 2015, "Learning both weights and connections", arXiv:1506.02626
    """
    if not 0 <= share < 1:
        raise ValueError(f"a share to drop lies from 0 to below 1, not {share}")
    if per_layer:
        return {name: _kept(np.abs(values).ravel(), share).reshape(values.shape) for name, values in weights.items()}
    kept = _kept(np.concatenate([np.abs(values).ravel() for values in weights.values()]), share)
    ends = np.cumsum([values.size for values in weights.values()])[:-1]
    parts = np.split(kept, ends)
    return {name: part.reshape(weights[name].shape) for name, part in zip(weights, parts, strict=True)}


def masks_by_threshold(weights: Mapping[str, FloatArray], threshold: float, *, per_layer: bool) -> dict[str, Mask]:
    """Masks that drop what is smaller than the threshold; per layer, than the threshold times its standard deviation.

    Source: Han et al. 2015, section 3.1 (the deviation times a quality parameter), arXiv:1506.02626
    """
    if threshold < 0:
        raise ValueError(f"a threshold is a magnitude, not {threshold}")
    return {
        name: np.abs(values) >= threshold * (float(np.std(values)) if per_layer else 1.0)
        for name, values in weights.items()
    }


def two_of_four(weights: FloatArray) -> Mask:
    """The mask that keeps the two largest of every four neighbouring inputs, which sparse tensor cores can use.

    Shapes:
        weights: (outputs, inputs), inputs divisible by 4

    Source: Mishra et al. 2021, "Accelerating sparse deep neural networks", arXiv:2104.08378
    """
    if weights.shape[-1] % 4:
        raise ValueError(f"{weights.shape[-1]} inputs are not divisible by four")
    fours = np.abs(weights).reshape(-1, 4)
    mask = np.zeros(fours.shape, bool)
    np.put_along_axis(mask, np.argsort(-fours, axis=1, kind="stable")[:, :2], True, axis=1)
    return mask.reshape(weights.shape)


def most_important(importance: FloatArray, count: int) -> NDArray[np.int64]:
    """Indices, ascending, of the `count` that matter most.

    Shapes:
        importance: (N,); returns: (count,)
    """
    if not 1 <= count <= len(importance):
        raise ValueError(f"cannot keep {count} of {len(importance)}")
    return np.sort(np.argsort(-importance, kind="stable")[:count])


def rows_of_heads(heads: NDArray[np.int64], head_size: int) -> NDArray[np.int64]:
    """The rows of a query, key or value weight that belong to the heads."""
    return (heads[:, None] * head_size + np.arange(head_size)).ravel()


def _kept(magnitudes: FloatArray, share: float) -> Mask:
    kept = np.ones(magnitudes.shape, bool)
    kept[np.argsort(magnitudes, kind="stable")[: round(share * magnitudes.size)]] = False
    return kept
