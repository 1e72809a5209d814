"""A softmax head on a teacher's vectors, from labelled texts: what a student's head learns from besides the labels.

Needs torch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.compression.distil import Labels

STEPS = 300  # full batches; it has converged by then
RATE = 0.1


def teacher_head(labelled: Sequence[Mapping[str, str]], rows: NDArray[np.float16]) -> Labels:
    """The class of each text, and what a softmax regression on the teacher's vectors says of it.

    Raises:
        ValueError: a text has no `intent`.
    """
    if any("intent" not in row for row in labelled):
        raise ValueError("a head needs an intent for every text")
    names, classes = np.unique([row["intent"] for row in labelled], return_inverse=True)
    vectors, goals = torch.from_numpy(np.asarray(rows, np.float32)), torch.from_numpy(classes)
    head = torch.nn.Linear(vectors.shape[1], len(names))
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(vectors), goals).backward()
        optimizer.step()
    with torch.no_grad():
        return Labels(classes.astype(np.int64), head(vectors).numpy())
