"""Ingest: documents that were put in, changed or taken away become the next library, which running functions pick up.

Only what changed is read, and of that only passages that are new are embedded. A document that cannot be read is noted
by name and the rest goes on; what it said before stays found. What takes longer than there is time for is published
as far as it has come, and the rest comes next time. Of a document that is a list of links the pages become documents,
which come and go with it. Knows no store and no event.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parley.documents.document import Document
from parley.documents.links import is_list
from parley.documents.reading import read_document
from parley.errors import BadLibrary, NotFound, TooLarge, Unreadable
from parley.following import begun, follow
from parley.knowledge.beyond import places_by_id, shelf_of, stored
from parley.knowledge.chunks import passages_of
from parley.knowledge.library import Library, pack, unpack
from parley.knowledge.snapshot import Passage, Snapshot, readings_of, texts_of
from parley.ports import Documents, Encoder, Libraries, Pages, PassageStore, Shelved, StoredDocument

FloatArray = NDArray[np.float32]
Tell = Callable[[str], None]

logger = logging.getLogger(__name__)

ROUND_DOCUMENTS = 64  # are read before the clock is looked at
ROUND_PAGES = 16  # of a list are fetched, the clock in sight, before they are embedded


@dataclass(frozen=True, slots=True)
class Memory:
    """How many passages of a bot are searched in memory, and where they are if there are more."""

    passages: int
    beyond: PassageStore


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of a run."""

    passages: int  # in the whole library
    embedded: int
    read: tuple[str, ...]
    removed: tuple[str, ...]
    faults: Mapping[str, str]  # of the documents that were read, and could not be
    is_complete: bool  # nothing is left to do


def ingest(
    bot: str,
    documents: Documents,
    libraries: Libraries,
    pages: Pages,
    encoder: Encoder,
    *,
    deadline: float,
    memory: Memory | None = None,
    clock: Callable[[], float] = time.monotonic,
    tell: Tell = lambda _: None,
) -> Ingested:
    """Brings the library of `bot` up to its documents, or as near to them as there is time for until `deadline`.

    Raises:
        Unavailable: a store did not answer; what was published stays whole.
    """
    before = _library(bot, libraries, encoder)
    listed = {each.name: each.version for each in documents.list(bot)}
    removed = tuple(sorted(set(before.documents) - set(listed)))
    kept = {name: shelved for name, shelved in before.documents.items() if name in listed}
    gone = _pages(before.documents) - _pages(kept)
    library = Library(encoder.version, before.snapshot.without({*removed, *gone}), kept)
    known = {name: shelved.version for name, shelved in kept.items() if not shelved.links}
    to_read = sorted(name for name, version in listed.items() if known.get(name) != version)
    changed, lists = [name for name in to_read if not is_list(name)], [name for name in to_read if is_list(name)]
    read: list[str] = []
    embedded = 0
    for start in range(0, len(changed), ROUND_DOCUMENTS):
        if read and clock() >= deadline:
            break
        names = changed[start : start + ROUND_DOCUMENTS]
        library, count = _with(library, {name: listed[name] for name in names}, bot, documents, encoder)
        read += names
        embedded += count
        tell(f"{len(read)} of {len(changed)} documents, {len(library.snapshot.passages)} passages")
    for name in lists:
        if read and clock() >= deadline:
            break
        wanted = StoredDocument(name, listed[name])
        library, count = _with_list(library, wanted, bot, documents, pages, encoder, lambda: clock() >= deadline)
        read.append(name)
        embedded += count
        tell(f"{name} followed, {len(library.snapshot.passages)} passages")
    is_complete = len(read) == len(to_read) and not any(shelved.links for shelved in library.documents.values())
    if read or removed:
        _publish(bot, before, library, libraries, memory)
    faults = {name: fault for name in read if name in library.documents and (fault := library.documents[name].fault)}
    return Ingested(len(library.snapshot.passages), embedded, tuple(read), removed, faults, is_complete)


def _publish(bot: str, before: Library, library: Library, libraries: Libraries, memory: Memory | None) -> None:
    """Brings the passages to where they are searched, then publishes. What is beyond memory must be there first, and
    what is gone be gone, since a reply that was made of it is cached under the new library's name."""
    if memory is None:
        libraries.publish(bot, *pack(library))
        return
    library = replace(library, is_beyond_memory=len(library.snapshot.passages) > memory.passages)
    shelf = shelf_of(bot, library.encoder)
    old = places_by_id(before.snapshot) if before.is_beyond_memory else {}
    new = places_by_id(library.snapshot) if library.is_beyond_memory else {}
    memory.beyond.put(shelf, stored(library.snapshot, {id_: new[id_] for id_ in new if id_ not in old}))
    gone = [id_ for id_ in old if id_ not in new]
    if library.is_beyond_memory:
        memory.beyond.delete(shelf, gone)
    libraries.publish(bot, *pack(library))
    if not library.is_beyond_memory:  # until now it was searched where it is taken away
        memory.beyond.delete(shelf, gone)


def _library(bot: str, libraries: Libraries, encoder: Encoder) -> Library:
    """The library as it is; an empty one, and so all is read anew, where there is none that can be gone on with."""
    catalogue = libraries.catalogue(bot)
    if catalogue.file and catalogue.encoder == encoder.version:
        try:
            return unpack(catalogue, libraries.read(bot, catalogue.file))
        except (BadLibrary, NotFound) as error:
            logger.warning("the library is made anew", extra={"bot": bot, "reason": str(error)})
    return Library(encoder.version, Snapshot.of((), ()))


def _with(
    library: Library, wanted: Mapping[str, str], bot: str, documents: Documents, encoder: Encoder
) -> tuple[Library, int]:
    """The library with these documents as they are now, and how many passages had to be embedded."""
    shelved = dict(library.documents)
    passages: dict[str, tuple[Passage, ...]] = {}
    for name, version in wanted.items():
        try:
            document = read_document(name, documents.read(bot, name))
        except NotFound:  # taken away since it was listed: whoever took it away is told to us, too
            continue
        except (Unreadable, TooLarge) as error:
            shelved[name] = _broken(shelved.get(name), version, error)
            continue
        passages[name] = passages_of(document)
        shelved[name] = Shelved(version, len(passages[name]), notes=document.faults)
    together = [passage for name in passages for passage in passages[name]]
    readings, count = _readings(together, library.snapshot, encoder)
    rest = library.snapshot.without(passages)
    return replace(library, snapshot=rest.joined(Snapshot.of(together, readings)), documents=shelved), count


def _with_list(
    library: Library,
    wanted: StoredDocument,
    bot: str,
    documents: Documents,
    pages: Pages,
    encoder: Encoder,
    is_late: Callable[[], bool],
) -> tuple[Library, int]:
    """The library with a list's pages, as many as there is time for, and how many passages had to be embedded."""
    name, version = wanted.name, wanted.version
    shelved = library.documents.get(name)
    if shelved is None or not shelved.links or shelved.version != version:
        try:
            shelved = begun(name, documents.read(bot, name), version, shelved or Shelved(version))
        except NotFound:
            return library, 0
        except (Unreadable, TooLarge) as error:
            return replace(library, documents={**library.documents, name: _broken(shelved, version, error)}), 0
    embedded = 0
    while True:
        shelved, found = follow(shelved, pages, most=ROUND_PAGES, is_late=is_late)
        library, count = _with_pages(library, name, shelved, found, encoder)
        embedded += count
        if not shelved.links or is_late():
            return library, embedded


def _with_pages(
    library: Library, name: str, shelved: Shelved, found: Sequence[Document], encoder: Encoder
) -> tuple[Library, int]:
    """The library with a list as it stands, and the pages found anew in it."""
    together = [passage for document in found for passage in passages_of(document)]
    readings, count = _readings(together, library.snapshot, encoder)
    listed = {**library.documents, name: shelved}
    gone = _pages(library.documents) - _pages(listed)
    rest = library.snapshot.without({*gone, *(document.name for document in found)})
    snapshot = rest.joined(Snapshot.of(together, readings))
    counts = snapshot.counts()
    listed[name] = replace(shelved, passages=sum(counts.get(page, 0) for page in shelved.pages))
    return replace(library, snapshot=snapshot, documents=listed), count


def _broken(before: Shelved | None, version: str, error: Exception) -> Shelved:
    """A document that cannot be read; what it said before stays found."""
    kept = before or Shelved(version)
    return replace(kept, version=version, fault=str(error), notes=(), links=(), followed=0)


def _pages(documents: Mapping[str, Shelved]) -> set[str]:
    """What the pages of all lists became."""
    return {page for shelved in documents.values() for page in shelved.pages}


def _readings(passages: Sequence[Passage], before: Snapshot, encoder: Encoder) -> tuple[list[FloatArray], int]:
    """What the encoder makes of passages, of those that were there before without asking it again; and of how many
    it was asked."""
    documents = {passage.citation.document for passage in passages}
    known = {
        texts_of(passage.citation): place
        for place, passage in enumerate(before.passages)
        if passage.citation.document in documents
    }
    texts = [texts_of(passage.citation) for passage in passages]
    new = {each: at.citation for each, at in zip(texts, passages, strict=True) if each not in known}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        embedded = dict(zip(new, pool.map(lambda each: readings_of(each, encoder), new.values()), strict=True))
    return [embedded[each] if each in embedded else before.readings(known[each]) for each in texts], len(new)
