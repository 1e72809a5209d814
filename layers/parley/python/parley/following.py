"""Following: what a list of links names is fetched and read, as far as there is time, and goes on from there.

Knows which of a list's pages stay, come and go; knows no library and no store.
"""

from collections.abc import Callable
from dataclasses import replace

from parley.documents.document import Document
from parley.documents.links import MAX_LINKS, SITEMAP_TYPES, read_links, read_sitemap
from parley.documents.reading import read_page
from parley.errors import Unavailable, Unreadable
from parley.ports import Pages, Shelved

MAX_NOTES = 100  # of one list; who reads them has understood by then

_MORE = "and more"


def begun(name: str, content: bytes, version: str, before: Shelved) -> Shelved:
    """A list that is yet to be followed; of its pages those stay found that it still names.

    Raises:
        Unreadable: it is no list.
    """
    links = read_links(name, content)
    pages = tuple(page for page in before.pages if page in links.urls)
    return Shelved(version, before.passages, notes=links.faults, pages=pages, links=links.urls)


def follow(
    shelved: Shelved, pages: Pages, *, most: int, is_late: Callable[[], bool]
) -> tuple[Shelved, tuple[Document, ...]]:
    """The list after its next links, `most` at most, one at least; and the pages that were read.

    A sitemap's links join the others. What cannot be had now stays as it was; what is there no longer goes.
    """
    links, notes = list(shelved.links), list(shelved.notes)
    own = dict.fromkeys(shelved.pages)
    read: dict[str, Document] = {}
    followed = shelved.followed
    until = min(len(links), followed + most)
    while followed < until and (followed == shelved.followed or not is_late()):
        url = links[followed]
        followed += 1
        try:
            page = pages.fetch(url)
            if page.media_type in SITEMAP_TYPES:
                own.pop(url, None)
                notes += _joined(links, page.url, page.content)
                continue
            document = read_page(page.url, page.media_type, page.content, page.charset)
        except Unavailable as error:
            notes.append(str(error))
            continue
        except Unreadable as error:
            notes.append(str(error))
            own.pop(url, None)
            continue
        if page.url != url:
            own.pop(url, None)
        own[page.url] = None
        read[page.url] = document
        notes += [f"{page.url}: {fault}" for fault in document.faults]
    if len(notes) > MAX_NOTES:
        notes = [*notes[: MAX_NOTES - 1], _MORE]
    after = replace(shelved, notes=tuple(notes), pages=tuple(own))
    is_done = followed == len(links)
    after = replace(after, links=() if is_done else tuple(links), followed=0 if is_done else followed)
    return after, tuple(document for url, document in read.items() if url in own)


def _joined(links: list[str], sitemap: str, content: bytes) -> list[str]:
    """Adds what a sitemap names to `links`; gives what was left out."""
    found = read_sitemap(sitemap, content)
    known = set(links)
    new = [url for url in found.urls if url not in known]
    room = MAX_LINKS - len(links)
    links += new[:room]
    notes = [f"{sitemap}: {fault}" for fault in found.faults]
    if len(new) > room:
        notes.append(f"{sitemap}: more than {MAX_LINKS:,} links with those before it; {len(new) - room:,} left out")
    return notes
