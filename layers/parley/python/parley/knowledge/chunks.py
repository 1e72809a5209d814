"""From Markdown documents to passages: one per section, its heading kept with its text.

Used when a bot is compiled; knows Markdown, knows no model.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from parley.bots.source import Faults
from parley.conversation import Citation

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\w")  # a ruler such as --- has none
MIN_WORDS = 4  # a shorter sentence says nothing by itself
MAX_WORDS = 160  # about 220 tokens: a passage and its headings fit the encoder's 256


def passages(folder: Path, faults: Faults) -> tuple[Citation, ...]:
    """Every section of every Markdown document under `folder`, in the order of file names.

    A document that cannot be read, or that says nothing, is noted in `faults`.
    """
    found: list[Citation] = []
    for path in sorted(folder.rglob("*.md")):
        place = path.relative_to(folder.parent).as_posix()
        try:
            sections = tuple(_sections(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8-sig")))
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            faults.add(f"{place}:{line}", "not UTF-8; save the document as UTF-8")
            continue
        if not sections:
            faults.add(f"{place}:1", "this document holds no text")
        found.extend(sections)
    return tuple(found)


def views(passage: Citation) -> tuple[tuple[str, float], ...]:
    """What the encoder reads of a passage, and how much each reading counts.

    A question may be near the heading, near the whole, or near one sentence; the weights are those
    with the best recall on the support bot's questions (0.75 at the first place; 0.73 with the first
    reading alone).
    """
    sentences = [sentence for sentence in _SENTENCE_END.split(passage.text) if len(sentence.split()) >= MIN_WORDS]
    return (
        (f"{passage.title}. {passage.section}. {passage.text}", 1.0),
        (f"{passage.section}. {passage.text}", 1.0),
        (passage.section, 0.5),
        *((sentence, 1.0 / len(sentences)) for sentence in sentences),
    )


def _sections(document: str, markdown: str) -> Iterator[Citation]:
    """The sections of one document; what stands before its first heading is a section named like the document."""
    lines = markdown.split("\n")  # as the parser counts them
    headings = [
        (token.map[0], token.map[1], token.tag, inline.content)
        for token, inline in itertools.pairwise(MarkdownIt().parse(markdown))
        if token.type == "heading_open"
        and token.level == 0
        and token.map  # deeper ones belong to a list or a quotation
    ]
    title = next((text for _, _, tag, text in headings if tag == "h1" and text), Path(document).stem.replace("-", " "))
    begins = [(0, title), *((body, heading or title) for _, body, _, heading in headings)]
    ends = [*(begin for begin, *_ in headings), len(lines)]
    for (begin, section), end in zip(begins, ends, strict=True):
        for text in _pieces("\n".join(lines[begin:end]).strip()):
            yield Citation(title=title, document=document, section=section, text=text)


def _pieces(text: str) -> Iterator[str]:
    """The text, cut between paragraphs where it is too long for one passage."""
    piece: list[str] = []
    for paragraph in filter(_WORD.search, (part.strip() for part in text.split("\n\n"))):
        if piece and len(" ".join([*piece, paragraph]).split()) > MAX_WORDS:
            yield "\n\n".join(piece)
            piece = []
        piece.append(paragraph)
    if piece:
        yield "\n\n".join(piece)
