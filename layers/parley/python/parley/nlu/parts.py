"""One reading, several vectors: of a text and of each of its parts.

A text's vector is the mean of what the last layer says of its tokens; the mean over the tokens of a part is the vector
of that part, as it is meant in its place. Knows tokens; knows no tokenizer and no sentences.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Span = tuple[int, int]  # the first, and the one after the last

# models/encoder/README.md, "How passages are found", has where these come from.
WINDOW_TOKENS = 128  # a longer text is read in windows, or its parts would all be alike
APART_TOKENS = 64  # the parts of a text no longer than this are better, and soon enough, read one by one
SHARPENING = 0.3  # the share of what is around a part that is taken out of it

# The pooling in models/compression/onnx_export.py: a node with inputs "mask_rows" and NAME, and output "summed".
_POOLING = re.compile(rb"\x0a\x09mask_rows\x0a.(\w+)\x12\x06summed", re.DOTALL)
_GRAPH, _OUTPUT, _NAME = 7, 12, 1  # the numbers of ModelProto.graph, GraphProto.output and ValueInfoProto.name


def with_last_layer(model: bytes) -> tuple[bytes, str]:
    """An ONNX model with what its pooling reads as one more output, and that output's name: "" if there is none.

    A protobuf message goes on where it is appended to, so that nothing of the model is changed.
    """
    found = _POOLING.search(model)
    if not found:
        return model, ""
    name = found[1]
    return model + _field(_GRAPH, _field(_OUTPUT, _field(_NAME, name))), name.decode()


def vectors_of(
    tokens: int, parts: Sequence[Span], last_layer: Callable[[int, int], FloatArray], *, most: int
) -> FloatArray:
    """The vector of a text of so many tokens, and of each of its parts, which are given as spans of tokens.

    `last_layer` reads the tokens from one to another, `most` at once.

    Shapes:
        last_layer gives: (1 + T + 1, D) float32: of the tokens, between the two special ones
        returns: (1 + P, D) float32, rows of unit length; a part without tokens is as the whole
    """
    edges = [*_windows(tokens, [begin for begin, _ in parts], most), tokens]
    total = np.float32(0)
    found: dict[int, FloatArray] = {}
    for first, last in pairwise(edges):
        hidden = last_layer(first, last)
        around = hidden.sum(0)
        total = total + around
        for place, (begin, end) in enumerate(parts):
            own = hidden[1 + max(begin - first, 0) : 1 + max(min(end, last) - first, 0)]
            if place not in found and len(own):
                found[place] = _unit(_unit(own.sum(0)) - SHARPENING * _unit(around))
    whole = _unit(np.asarray(total))
    return np.stack([whole, *(found.get(place, whole) for place in range(len(parts)))])


def _windows(tokens: int, begins: Sequence[int], most: int) -> Iterator[int]:
    """Where windows of about the same length begin: where parts do, unless one is too long for that."""
    length = tokens / max(1, math.ceil(tokens / WINDOW_TOKENS))
    window = 0
    yield 0
    for here, after in zip(begins[1:], [*begins[2:], tokens], strict=False):
        if (here + after) / 2 - window > length:
            yield from range(window + most, here, most)
            window = here
            yield here
    yield from range(window + most, tokens, most)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf that is shorter than 128 bytes."""
    return bytes((number << 3 | 2, len(content))) + content
