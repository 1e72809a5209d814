"""Knowledge beyond memory: of a library that is too large for a function, the passages that come into question.

A store finds those whose meaning is nearest; they are ranked as all are, by their sentences and by their words. So what
is beyond memory is found by meaning first, and how rare a word is counts among what was found. Knows no store.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from parley.conversation import Citation
from parley.knowledge.snapshot import INT8, FloatArray, Passage, Snapshot
from parley.ports import MOST_NEAREST, PassageStore, Shelved, StoredPassage


class _Packed(msgspec.Struct, frozen=True):
    passage: Passage
    whole: bytes  # (D,) float16
    parts: bytes  # (R - 1, D) int8, rows of length INT8


def shelf_of(bot: str, encoder: str) -> str:
    """Where a bot's passages are kept; what another encoder made of them is on another shelf."""
    return f"{bot} {encoder}"


def places_by_id(snapshot: Snapshot) -> dict[str, int]:
    """The places of all passages by their ids in a store, which tell document, order and content."""
    counts: dict[str, int] = {}
    found = {}
    for place, passage in enumerate(snapshot.passages):
        name = passage.citation.document
        counts[name] = number = counts.get(name, -1) + 1
        found[f"{_prefix(name)}{number:06} {_digest(msgspec.json.encode(passage, order='sorted'))}"] = place
    return found


def stored(snapshot: Snapshot, places: Mapping[str, int]) -> Iterator[StoredPassage]:
    """The passages at these places as a store keeps them."""
    for id_, place in places.items():
        whole, *parts = snapshot.readings(place)
        packed = _Packed(
            snapshot.passages[place],
            whole.astype(np.float16).tobytes(),
            b"".join(np.round(each * INT8).astype(np.int8).tobytes() for each in parts),
        )
        yield StoredPassage(id_, whole, msgspec.msgpack.encode(packed))


@dataclass(frozen=True, slots=True)
class Beyond:
    """The part of a bot's knowledge that is not in memory."""

    store: PassageStore
    shelf: str
    documents: Mapping[str, Shelved]

    def near(self, embedding: FloatArray) -> Snapshot:
        """The passages whose meaning is nearest to a question's.

        Shapes:
            embedding: (D,) float32, unit length

        Raises:
            Unavailable: the store did not answer.
        """
        return _snapshot(self.store.nearest(self.shelf, embedding, limit=MOST_NEAREST))

    def of_document(self, name: str) -> tuple[Citation, ...]:
        """The passages of one document, in its order.

        Raises:
            Unavailable: the store did not answer.
        """
        return _snapshot(self.store.beginning(self.shelf, _prefix(name))).of_document(name)

    def counts(self) -> dict[str, int]:
        """How many passages each document has."""
        return {name: shelved.passages for name, shelved in self.documents.items() if shelved.passages}


def _snapshot(contents: Sequence[bytes]) -> Snapshot:
    packed = [msgspec.msgpack.decode(content, type=_Packed) for content in contents]
    readings = []
    for each in packed:
        whole = np.frombuffer(each.whole, np.float16).astype(np.float32)
        parts = np.frombuffer(each.parts, np.int8).astype(np.float32) / np.float32(INT8)
        readings.append(np.concatenate([whole, parts]).reshape(-1, len(whole)))
    return Snapshot.of([each.passage for each in packed], readings)


def _prefix(document: str) -> str:
    return f"{_digest(document.encode())} "


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
