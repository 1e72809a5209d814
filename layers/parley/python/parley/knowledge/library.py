"""The library: what was made of the documents that were put in for one bot, as one file with its catalogue.

Knows how both are written; knows no store.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from parley.errors import BadLibrary
from parley.knowledge.snapshot import Snapshot
from parley.ports import Catalogue, Shelved

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes on any day


@dataclass(frozen=True, slots=True)
class Library:
    """A bot's documents that were put in."""

    encoder: str
    snapshot: Snapshot
    documents: Mapping[str, Shelved] = field(default_factory=dict)
    is_beyond_memory: bool = False


def pack(library: Library) -> tuple[Catalogue, bytes]:
    """The catalogue, and the file that it names by a hash of its content."""
    arrays = io.BytesIO()
    np.savez(arrays, **library.snapshot.arrays())  # type: ignore[arg-type]  # numpy's stub takes names for its options
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # loaded far more often than moved
        archive.writestr(zipfile.ZipInfo("passages.json", _EPOCH), msgspec.json.encode(library.snapshot.about()))
        archive.writestr(zipfile.ZipInfo("arrays.npz", _EPOCH), arrays.getvalue())
    content = buffer.getvalue()
    name = hashlib.sha256(content).hexdigest()[:16]
    return Catalogue(name, library.encoder, library.documents, library.is_beyond_memory), content


def unpack(catalogue: Catalogue, content: bytes) -> Library:
    """The library in a file that `pack` made.

    Raises:
        BadLibrary: the file is none, or of another version of Parley.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            about = msgspec.json.decode(archive.read("passages.json"))
            with np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False) as arrays:
                snapshot = Snapshot.from_arrays(about, dict(arrays))
    except (zipfile.BadZipFile, KeyError, ValueError, msgspec.MsgspecError) as error:
        raise BadLibrary(f"{catalogue.file} is no library that this version can read: {error}") from error
    return Library(catalogue.encoder, snapshot, catalogue.documents, catalogue.is_beyond_memory)
