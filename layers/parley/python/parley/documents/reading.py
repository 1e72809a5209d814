"""Any document: its ending says which reader it gets, and what all of them must keep to is held here.

This imports every format with its library; who reads Markdown alone imports `markdown`.
"""

import codecs
from collections.abc import Callable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from parley.documents.document import MAX_SECTIONS, Document
from parley.documents.docx import read_docx
from parley.documents.html import read_html
from parley.documents.links import ENDINGS as LISTS
from parley.documents.markdown import read_markdown
from parley.documents.pdf import read_pdf
from parley.documents.plain import read_plain
from parley.documents.records import read_json, read_json_lines
from parley.documents.table import read_table
from parley.documents.text import decode, encoding_of
from parley.errors import Unreadable

MAX_BYTES = 10_000_000

READERS: dict[str, Callable[[str, bytes], Document]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_plain,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".csv": read_table,
    ".tsv": read_table,
    ".json": read_json,
    ".jsonl": read_json_lines,
}
_ENDINGS = (*READERS, *LISTS)
_PDF, _ZIP = b"%PDF-", b"PK\x03\x04"
_BEGIN = 1024  # a PDF's mark may stand a little behind the beginning
_MARKED = {".pdf": _PDF, ".docx": _ZIP}
PAGE_TYPES = {  # of pages of the web, each with the ending of documents that are read in the same way
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/pdf": ".pdf",
}


def read_document(name: str, content: bytes) -> Document:
    """The sections of a document, and what of it was left out.

    Raises:
        Unreadable: nothing of it can be read.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending not in READERS:
        raise Unreadable(name, f"`{ending}` is no ending of a document that is read; {', '.join(_ENDINGS)} are")
    if len(content) > MAX_BYTES:
        raise Unreadable(name, f"{len(content):,} bytes; split it into documents of {MAX_BYTES:,} at most")
    _check_kind(name, ending, content)
    return _read(name, ending, content)


def read_page(url: str, media_type: str, content: bytes, charset: str = "") -> Document:
    """The sections of a page of the web, named by its URL; `charset` is what its server says of it.

    Raises:
        Unreadable: nothing of it can be read.
    """
    ending = PAGE_TYPES.get(media_type)
    if ending is None:
        raise Unreadable(
            url, f"`{media_type[:40]}` is no media type of a page that is read; {', '.join(PAGE_TYPES)} are"
        )
    if ending == ".txt" and urlsplit(url).path.endswith((".md", ".markdown")):
        ending = ".md"  # many servers know no media type for it
    if len(content) > MAX_BYTES:
        raise Unreadable(url, f"{len(content):,} bytes; {MAX_BYTES:,} are read at most")
    is_pdf = _PDF in content[:_BEGIN] if ending == ".pdf" else content.startswith(_PDF)
    if is_pdf != (ending == ".pdf") or content.startswith(_ZIP):
        raise Unreadable(url, f"not what its server says that it is, `{media_type}`")
    if charset and ending != ".pdf":
        text = decode(url, content, encoding_of(url, charset))
        content = codecs.BOM_UTF8 + text.encode()  # a mark has more to say than the page itself
    return _read(url, ending, content)


def _read(name: str, ending: str, content: bytes) -> Document:
    """What the reader for this ending reads, if there is something and not too much."""
    document = READERS[ending](name, content)
    if not document.sections:
        raise Unreadable(
            name, document.faults[0] if document.faults else "no text in it; write some and upload it again"
        )
    if len(document.sections) > MAX_SECTIONS:  # readers may stop at one more
        raise Unreadable(name, f"more than {MAX_SECTIONS:,} sections; split it into several documents")
    return document


def _check_kind(name: str, ending: str, content: bytes) -> None:
    """Nothing, if the content begins as its ending says."""
    begin = content[:_BEGIN]
    if ending == ".pdf" and _PDF not in begin:
        raise Unreadable(name, "no PDF, whatever its ending says; name it by what it is")
    if ending != ".pdf" and begin.startswith(_PDF):
        raise Unreadable(name, f"a PDF, although its ending is {ending}; name it .pdf")
    if ending != ".docx" and begin.startswith(_ZIP):
        raise Unreadable(
            name, f"an archive or an office document, although its ending is {ending}; name it by what it is"
        )
