"""A document as a value, whatever it was written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

# What is read, by its ending: `reading` and `links` have the readers.
ENDINGS = (
    *(".md", ".markdown", ".txt", ".html", ".htm", ".pdf", ".docx"),
    *(".csv", ".tsv", ".json", ".jsonl"),
    *(".urls", ".xml", ".xml.gz"),
)
MAX_SECTIONS = 10_000  # each becomes one passage at least, and the functions hold all passages in memory


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str  # the document's title where the section has none
    text: str  # paragraphs with an empty line between them
    place: str = ""  # where it begins: "#hours", "page=3", "row=12"; unique within the document, "" is its beginning
    about: Mapping[str, str] = field(default_factory=dict)  # further columns of a table of questions and answers


@dataclass(frozen=True, slots=True)
class Document:
    """All sections of one document, in its own order."""

    name: str  # "returns/policy.md"
    title: str
    sections: tuple[Section, ...]
    about: Mapping[str, str] = field(default_factory=dict)  # author, subject and the like, where the document says so
    faults: tuple[str, ...] = ()  # what was left out, each with its place


def title_of(name: str) -> str:
    """The title of a document that has none of its own."""
    split = urlsplit(name) if "://" in name else None
    path = PurePosixPath(split.path if split else name)
    return path.stem.replace("-", " ") or (split.netloc if split else name)
