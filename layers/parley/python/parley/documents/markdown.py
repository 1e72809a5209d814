"""Markdown: a section for each heading, its text as it was written."""

import itertools

from markdown_it import MarkdownIt

from parley.documents import front_matter
from parley.documents.document import Document, title_of
from parley.documents.outline import Outline, Places
from parley.documents.text import decode
from parley.errors import Unreadable

MAX_LINES = 50_000  # of a list, each costs the parser 80 us and 2.5 KB; a book has 10,000
_BLOCKS = MarkdownIt().disable("inline")  # only blocks are looked at; of a heading its text as it was written


def read_markdown(name: str, content: bytes) -> Document:
    """The sections of a Markdown document; what stands before its first heading is a section named like the document.

    Raises:
        Unreadable: the content is not UTF-8, or too long.
    """
    about, markdown, faults = front_matter.split(decode(name, content))
    lines = markdown.split("\n")  # as the parser counts them
    if len(lines) > MAX_LINES:
        raise Unreadable(name, f"{len(lines):,} lines; split it into documents of {MAX_LINES:,} at most")
    headings = [
        (token.map[0], token.map[1], token.tag, inline.content)
        for token, inline in itertools.pairwise(_BLOCKS.parse(markdown))
        if token.type == "heading_open"
        and token.level == 0
        and token.map  # deeper ones belong to a list or a quotation
    ]
    title = next((text for _, _, tag, text in headings if tag == "h1" and text), about.get("title") or title_of(name))
    outline, places = Outline(), Places()
    begins = [0, *(body for _, body, _, _ in headings)]
    ends = [*(begin for begin, *_ in headings), len(lines)]
    for heading, begin, end in zip([None, *headings], begins, ends, strict=True):
        if heading is not None:
            outline.heading(heading[3], places.anchor(heading[3] or title))
        outline.paragraph("\n".join(lines[begin:end]).strip())
    return Document(name, title, outline.sections(title), about, faults)
