"""A question as bytes, to be kept with its reply: some 3 KB for twelve word pieces."""

import msgspec
import numpy as np

from parley.caching.facts import Facts
from parley.caching.sameness import Question

_INT8 = 127


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    text: str
    vector: bytes  # float16
    pieces: bytes  # uint32
    states: bytes  # int8, each row by its scale
    scales: bytes  # float32
    facts: Facts
    intent: str | None
    entities: list[tuple[str, str]]


def pack(question: Question) -> bytes:
    """The question as bytes."""
    states = question.states.astype(np.float32)
    scales = np.maximum(np.abs(states).max(axis=1, initial=0.0), 1e-6) / _INT8
    return msgspec.msgpack.encode(
        _Packed(
            question.text,
            question.vector.astype(np.float16).tobytes(),
            question.pieces.tobytes(),
            np.round(states / scales[:, None]).astype(np.int8).tobytes(),
            scales.astype(np.float32).tobytes(),
            question.facts,
            question.intent,
            sorted(question.entities),
        )
    )


def unpack(content: bytes) -> Question | None:
    """The question that `pack` packed; None of bytes that another version of Parley wrote."""
    try:
        packed = msgspec.msgpack.decode(content, type=_Packed)
        scales = np.frombuffer(packed.scales, np.float32)
        states = np.frombuffer(packed.states, np.int8).reshape(len(scales), -1)
        return Question(
            packed.text,
            np.frombuffer(packed.vector, np.float16).astype(np.float32),
            np.frombuffer(packed.pieces, np.uint32),
            (states * scales[:, None]).astype(np.float16),
            packed.facts,
            packed.intent,
            frozenset(packed.entities),
        )
    except (msgspec.MsgspecError, ValueError):
        return None
