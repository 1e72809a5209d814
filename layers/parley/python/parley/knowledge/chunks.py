"""From Markdown documents to passages: one per section, its heading kept with its text.

Used when a bot is compiled; knows Markdown, knows no model.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

from parley.conversation import Citation

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
MIN_WORDS = 4  # a shorter sentence says nothing by itself
MAX_WORDS = 160  # about 220 tokens: a passage and its headings fit the encoder's 256


def passages(folder: Path) -> tuple[Citation, ...]:
    """Every section of every Markdown document under `folder`, in the order of file names."""
    found: list[Citation] = []
    for path in sorted(folder.rglob("*.md")):
        found.extend(_sections(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")))
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
    lines = markdown.splitlines()
    tokens = MarkdownIt().parse(markdown)
    headings = [
        (token.map[0], token.map[1], int(token.tag[1:]), inline.content)
        for token, inline in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.map
    ]
    title = next((text for _, _, level, text in headings if level == 1), Path(document).stem.replace("-", " "))
    ends = [begin for begin, *_ in headings[1:]] + [len(lines)]
    for (_, body, level, heading), end in zip(headings, ends, strict=True):
        section = title if level == 1 else heading
        for text in _pieces("\n".join(lines[body:end]).strip()):
            yield Citation(title=title, document=document, section=section, text=text)


def _pieces(text: str) -> Iterator[str]:
    """The text, cut between paragraphs where it is too long for one passage."""
    piece: list[str] = []
    for paragraph in filter(None, (part.strip() for part in text.split("\n\n"))):
        if piece and len(" ".join([*piece, paragraph]).split()) > MAX_WORDS:
            yield "\n\n".join(piece)
            piece = []
        piece.append(paragraph)
    if piece:
        yield "\n\n".join(piece)
