"""What a distillation decides before it computes: which texts go together, what to hit, how fast to learn.

Pure numpy. Knows nothing of torch, models or files.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

POOL_BATCHES = 8  # batches whose texts are sorted by likeness together
NEIGHBOURS = 16  # texts to a neighbourhood, about


def batches_by_length(lengths: Sequence[int], most_tokens: int) -> list[IntArray]:
    """Indices of texts, those of like length together, with at most `most_tokens` in a batch, padding included."""
    batches: list[list[int]] = []
    for index in np.argsort(lengths, kind="stable").tolist():
        if batches and (len(batches[-1]) + 1) * lengths[index] <= most_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return [np.array(batch) for batch in batches]


def neighbour_batches(rows: NDArray[np.floating], size: int, seed: int, epoch: int) -> list[IntArray]:
    """Batches in which texts have neighbours: every text once, in an order that seed and epoch decide alone.

    In a batch drawn at random nearly all similarities are near zero and say little. So texts are shuffled into pools;
    in each, some texts drawn at random gather those that are nearest to them, and the pool is cut along these groups.
    Texts that do not fill a batch at the end are left to another epoch.

    Shapes:
        rows: (N, D), what the teacher says of the texts, unit length
        returns: N // size arrays of (size,)
    """
    chance = np.random.default_rng([seed, epoch])
    order = chance.permutation(len(rows))
    batches: list[IntArray] = []
    left = order[:0]
    for start in range(0, len(order), size * POOL_BATCHES):
        pool = np.concatenate([left, order[start : start + size * POOL_BATCHES]])
        vectors = np.asarray(rows[pool], np.float32)
        centres = vectors[: max(1, len(pool) // NEIGHBOURS)]
        sorted_pool = pool[np.argsort((vectors @ centres.T).argmax(axis=1), kind="stable")]
        whole = len(pool) // size * size
        batches += list(sorted_pool[:whole].reshape(-1, size))
        left = sorted_pool[whole:]
    return [batches[index] for index in chance.permutation(len(batches))]


def principal_directions(rows: NDArray[np.floating], width: int) -> FloatArray:
    """The `width` directions in which the rows are longest; about the origin, so that cosines stay what they were.

    Shapes:
        rows: (N, D); returns: (D, width), orthonormal columns

    Source: Pearson 1901; that a student may learn the projected teacher, Reimers, "Model distillation",
    https://sbert.net/examples/sentence_transformer/training/distillation/README.html
    """
    matrix = np.asarray(rows, np.float64)
    _, vectors = np.linalg.eigh(matrix.T @ matrix)  # ascending
    return np.asarray(vectors[:, ::-1][:, :width], np.float32)


def rotation_onto(rows: NDArray[np.floating], goals: NDArray[np.floating]) -> FloatArray:
    """The rotation R that brings rows R nearest to the goals; it changes no similarity.

    A student starts from a space of its own. Turned towards it, the teacher's says the same and is less far away.

        R = U V',  U S V' = SVD(rows' goals)

    Shapes:
        rows, goals: (N, D); returns: (D, D), orthogonal

    Source: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem"
    """
    left, _, right = np.linalg.svd(np.asarray(rows, np.float64).T @ np.asarray(goals, np.float64))
    return np.asarray(left @ right, np.float32)


def aligned_projection(teacher: NDArray[np.floating], student: NDArray[np.floating]) -> FloatArray:
    """From the teacher's space to the student's: principal directions, turned towards where the student stands.

    Shapes:
        teacher: (N, E); student: (N, D), D <= E
        returns: (E, D), orthonormal columns

    Raises:
        ValueError: the student is wider than the teacher.
    """
    if student.shape[1] > teacher.shape[1]:
        raise ValueError(f"the student has {student.shape[1]} dimensions, the teacher only {teacher.shape[1]}")
    directions = principal_directions(teacher, student.shape[1])
    return directions @ rotation_onto(np.asarray(teacher, np.float32) @ directions, student)


def rate_share(step: int, steps: int, warm_up: float) -> float:
    """The learning rate of a step as a share of the greatest: up in a line, then down in a line to zero."""
    warm = max(1.0, warm_up * steps)
    return min((step + 1) / warm, max(0.0, (steps - step) / max(1.0, steps - warm)))
