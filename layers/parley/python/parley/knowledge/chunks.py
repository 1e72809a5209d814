"""From documents to passages: one per section, its heading kept with its text, cut where it is too long.

Knows how long a passage may be; knows no format and no model.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from parley.bots.source import Faults
from parley.conversation import Citation
from parley.documents.document import Document
from parley.documents.markdown import read_markdown
from parley.documents.text import says_something
from parley.errors import Unreadable
from parley.knowledge.snapshot import Passage

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
MAX_WORDS = 160  # about 220 tokens: a passage and its headings fit the encoder's 256
# Where a text may be cut, best first, and what joins the parts again: paragraphs, lines, sentences, words.
_CUTS = ((re.compile(r"\n\n"), "\n\n"), (re.compile(r"\n"), "\n"), (_SENTENCE_END, " "), (re.compile(r"\s+"), " "))


def passages(folder: Path, faults: Faults) -> tuple[Passage, ...]:
    """Every section of every Markdown document under `folder`, in the order of file names.

    A document that cannot be read, or that says nothing, is noted in `faults`.
    """
    found: list[Passage] = []
    for path in sorted(folder.rglob("*.md")):
        place = path.relative_to(folder.parent).as_posix()
        try:
            document = read_markdown(path.relative_to(folder).as_posix(), path.read_bytes())
        except Unreadable as error:
            faults.add(f"{place}:{error.line or 1}", error.problem)
            continue
        for fault in document.faults:
            faults.note(place, fault)
        if not document.sections:
            faults.add(f"{place}:1", "this document holds no text")
        found.extend(passages_of(document))
    return tuple(found)


def passages_of(document: Document) -> tuple[Passage, ...]:
    """The sections of a document as passages of at most MAX_WORDS, in their order."""
    return tuple(
        Passage(
            Citation(document.title, document.name, section.heading, text, section.place),
            {**document.about, **section.about},
        )
        for section in document.sections
        for text in _pieces(section.text)
    )


def _pieces(text: str, depth: int = 0) -> Iterator[str]:
    """The text, cut between paragraphs where it is too long, and within one only where that alone is too long."""
    cut, joint = _CUTS[depth]
    piece: list[str] = []
    words = 0
    for part in filter(says_something, cut.split(text)):
        whole = part.strip() if depth == 0 else part
        count = len(whole.split())
        if piece and words + count > MAX_WORDS:
            yield joint.join(piece)
            piece, words = [], 0
        if count > MAX_WORDS:
            yield from _pieces(whole, depth + 1)
        else:
            piece.append(whole)
            words += count
    if piece:
        yield joint.join(piece)
