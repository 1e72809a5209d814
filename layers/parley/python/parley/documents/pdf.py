"""PDF: lines of text with their size and height on the page become headings and paragraphs.

Where no line is clearly larger than the rest, each page is a section. What repeats at
the edge of most pages is a running header or footer. pypdf keeps to limits against
files that unfold, loop or nest; the operations of all pages are counted besides.
"""

import itertools
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pypdf import PageObject, PdfReader, apply_configuration
from pypdf.generic import ArrayObject, DictionaryObject

from parley.documents.document import Document, title_of
from parley.documents.outline import Outline, Places
from parley.documents.text import clean, metadata, says_something, squeezed
from parley.errors import Unreadable

MAX_PAGES = 2_000
MAX_WORK = 2_000_000  # operations and operands; a page of text has about 1,000, and each takes up to 30 us
_LIMITS: dict[str, Any] = {
    "zlib_maximum_output_length": 5_000_000,
    "lzw_maximum_output_length": 5_000_000,
    "run_length_maximum_output_length": 5_000_000,
    "maximum_declared_stream_length": 5_000_000,
    "array_based_stream_maximum_output_length": 5_000_000,
    "stream_decoding_work_maximum_length": 20_000_000,
    "stream_parsing_work_maximum_count": 1_000_000,
    "xform_maximum_invocations_per_extraction": 200,
    "page_tree_maximum_entries": 20_000,
}
_WORK_OF_A_FORM = 500  # a form is parsed each time it is drawn
_BYTES_OF_AN_OPERATION = 10
# For each operation pypdf copies what the page has shown so far, and looks at what the line has: 100,000 operations
# on one line took 129 s. So many characters are the work of one more operation.
_COPIED, _LOOKED_AT = 50_000, 500

LARGER = 1.15  # a heading is so much larger than the text; 11 points beside 10 are still a matter of taste
MAX_HEADING_WORDS = 25
MAX_HEADING_SHARE = 0.25  # of all characters: where more is large, size means something else
EDGE_LINES = 3  # at the top and at the bottom of a page
MIN_PAGES_TO_REPEAT = 3
_PARAGRAPH_GAP = 1.3  # times the usual distance of two lines
_BULLET = re.compile(r"(?:[•‣◦▪●○■–*-]|\d{1,3}[.)]|[a-z]\))\s+\S")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"\W*\d+\W*")
_CONTENTS = re.compile(r".*(?:\. ?){5}\W*\w*")  # a line of a table of contents, with dots up to the page
_HYPHENED = re.compile(r"\w+-\w+")
_DIVIDED = re.compile(r"(\w+)-\n(\w+)")

# It warns of every oddity of a file, quoting it; logs never hold what people wrote.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: float  # in points, on the page
    height: float  # of its baseline
    page: int  # from 1


def read_pdf(name: str, content: bytes) -> Document:
    """The sections of a PDF document.

    Raises:
        Unreadable: it is protected or broken, holds pictures of text, or is out of all proportion.
    """
    try:
        with apply_configuration(**_LIMITS):
            reader = PdfReader(BytesIO(content))
            if reader.is_encrypted:
                raise Unreadable(name, "protected by a password or against copying; save it without protection")
            if len(reader.pages) > MAX_PAGES:
                raise Unreadable(name, f"{len(reader.pages)} pages; split it into documents of {MAX_PAGES} at most")
            lines, faults = _lines(reader)
            about = _about(reader)
    except Unreadable:
        raise
    except _TooMuch as error:
        raise Unreadable(name, "drawn in too many steps; print it to a new PDF file and upload that") from error
    except Exception as error:  # of a broken file pypdf raises whatever its code runs into
        raise Unreadable(name, "a broken PDF; save or print it to a new file and upload that") from error
    if not any(says_something(line.text) for line in lines):
        raise Unreadable(
            name, faults[0] if faults else "no text in it, perhaps pictures of it; recognize it (OCR) first"
        )
    lines = _without_running(lines)
    headings = _headings(lines, _usual_size(lines))
    title = _title(lines, headings) or about.get("title") or title_of(name)
    outline = _outline(lines, headings)
    return Document(name, title, outline.sections(title), about, tuple(faults))


class _TooMuch(BaseException):
    """More operations than a document has. No `Exception`, so that pypdf, which goes on after those, stops."""


@dataclass(slots=True)
class _Runs:
    """Pieces of text as a page draws them."""

    work: int = 0  # of all pages
    pieces: list[tuple[str, float, float]] = field(default_factory=list)  # text, size, height
    _of_page: int = 0  # characters shown so far
    _of_line: int = 0

    def begin(self, page: PageObject) -> None:
        """A page begins; what it holds is work even if it does nothing."""
        self.pieces.clear()
        self._of_page = self._of_line = 0
        contents = page.get("/Contents", ArrayObject()).get_object()
        streams = contents if isinstance(contents, ArrayObject) else [contents]
        self._count(sum(len(stream.get_object().get_data()) for stream in streams) // _BYTES_OF_AN_OPERATION)

    def operate(self, operator: bytes, operands: Any, _cm: Any, _tm: Any) -> None:
        """An operation comes, on the page or in a form that it draws."""
        parts = [part for operand in operands for part in (operand if isinstance(operand, list) else [operand])]
        shown = sum(len(part) for part in parts if isinstance(part, str | bytes))
        self._of_page += shown
        self._of_line += shown
        of_each = 1 + self._of_page // _COPIED + self._of_line // _LOOKED_AT
        self._count(_WORK_OF_A_FORM if operator == b"Do" else (1 + len(parts)) * of_each)

    def draw(self, text: str, cm: Sequence[float], tm: Sequence[float], _font: Any, size: float) -> None:
        """A line, or a part of it, is complete."""
        self._of_line = 0
        upright = math.hypot(tm[2] * cm[0] + tm[3] * cm[2], tm[2] * cm[1] + tm[3] * cm[3])
        height = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        self.pieces.append((text, abs(size) * upright, height))

    def _count(self, work: int) -> None:
        self.work += work
        if self.work > MAX_WORK:
            raise _TooMuch


def _lines(reader: PdfReader) -> tuple[list[_Line], list[str]]:
    """The lines of all pages in the order in which they are drawn, and the pages that gave none."""
    runs, lines, faults = _Runs(), list[_Line](), list[str]()
    for number, page in enumerate(reader.pages, 1):
        try:
            runs.begin(page)
            page.extract_text(visitor_operand_before=runs.operate, visitor_text=runs.draw)
            found = list(_lines_of(runs.pieces, number))
            if not found and _has_picture(page):
                faults.append(f"page={number}: a picture without text; recognize it (OCR) first")
        except Exception:  # noqa: BLE001  # as above; the other pages may be whole
            faults.append(f"page={number}: broken, nothing of it was read")
        else:
            lines.extend(found)
    return lines, faults


def _lines_of(pieces: Sequence[tuple[str, float, float]], page: int) -> Iterator[_Line]:
    text, sizes, height = "", Counter[float](), 0.0
    for piece, size, at in [*pieces, ("\n", 0.0, 0.0)]:
        for part in re.split(r"(\n)", piece):
            if part == "\n":
                if says_something(text) and not _CONTENTS.fullmatch(text.rstrip()):
                    yield _Line(squeezed(text), sizes.most_common(1)[0][0], height, page)
                text, sizes = "", Counter[float]()
            elif part:
                if not text.strip():
                    height = at if math.isfinite(at) else 0.0
                text += part
                sizes[round(size * 2) / 2 if math.isfinite(size) else 0.0] += len(part.strip())


def _has_picture(page: PageObject) -> bool:
    resources = page.get("/Resources", DictionaryObject()).get_object()
    objects = resources.get("/XObject", DictionaryObject()).get_object()
    return any(objects[key].get_object().get("/Subtype") == "/Image" for key in objects)


def _about(reader: PdfReader) -> dict[str, str]:
    said = reader.metadata
    if said is None:
        return {}
    pairs = (("title", said.title), ("author", said.author), ("subject", said.subject), ("keywords", said.keywords))
    return metadata((name, value) for name, value in pairs if isinstance(value, str))


def _without_running(lines: list[_Line]) -> list[_Line]:
    """The lines without page numbers, and without what repeats, but for its numbers, at the edge of most pages."""
    pages: dict[int, list[int]] = {}
    for index, line in enumerate(lines):
        pages.setdefault(line.page, []).append(index)
    if len(pages) < MIN_PAGES_TO_REPEAT:
        return lines
    edges: dict[int, str] = {}
    numbers: set[int] = set()
    for indexes in pages.values():
        by_height = sorted(indexes, key=lambda index: lines[index].height)
        numbers |= {index for index in (by_height[0], by_height[-1]) if _PAGE_NUMBER.fullmatch(lines[index].text)}
        for index in {*by_height[:EDGE_LINES], *by_height[-EDGE_LINES:]}:
            edges[index] = _DIGITS.sub("#", lines[index].text)
    seen = Counter(text for _, text in {(lines[index].page, text) for index, text in edges.items()})
    most = max(MIN_PAGES_TO_REPEAT, len(pages) // 2 + 1)
    kept = [line for index, line in enumerate(lines) if seen[edges.get(index, "")] < most and index not in numbers]
    return kept if kept else lines


def _usual_size(lines: Sequence[_Line]) -> float:
    sizes = Counter[float]()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0]


def _headings(lines: Sequence[_Line], usual: float) -> frozenset[int]:
    """Which lines are headings; none where size does not tell."""
    found = frozenset(
        index
        for index, line in enumerate(lines)
        if line.size >= usual * LARGER and len(line.text.split()) <= MAX_HEADING_WORDS and usual > 0
    )
    share = sum(len(lines[index].text) for index in found) / sum(len(line.text) for line in lines)
    return found if share <= MAX_HEADING_SHARE else frozenset()


def _title(lines: Sequence[_Line], headings: frozenset[int]) -> str:
    """The largest heading, if it is on the first page and no other is as large."""
    if not headings:
        return ""
    largest = max(lines[index].size for index in headings)
    titles = [text for _, text, size, page in _joined_headings(lines, headings) if size == largest and page == 1]
    others = any(size == largest and page > 1 for _, _, size, page in _joined_headings(lines, headings))
    return titles[0] if len(titles) == 1 and not others else ""


def _joined_headings(lines: Sequence[_Line], headings: frozenset[int]) -> Iterator[tuple[range, str, float, int]]:
    """Headings with the lines that they take, one or several of the same size."""
    index = 0
    while index < len(lines):
        end = index
        while end in headings and (lines[end].size, lines[end].page) == (lines[index].size, lines[index].page):
            end += 1
        if end > index:
            text = " ".join(line.text for line in lines[index:end])
            yield range(index, end), text, lines[index].size, lines[index].page
        index = max(end, index + 1)


def _outline(lines: Sequence[_Line], headings: frozenset[int]) -> Outline:
    outline, places = Outline(), Places()
    starts = {rows.start: (rows.stop, text, page) for rows, text, _, page in _joined_headings(lines, headings)}
    leading = _leading(lines)
    known = frozenset(word for line in lines for word in _HYPHENED.findall(line.text.lower()))
    index = 0
    while index < len(lines):
        if index in starts:
            index, text, page = starts[index]
            if (
                index < len(lines) and index not in starts
            ):  # one with nothing under it, such as the title, needs no place
                outline.heading(text, places.page(page))
            continue
        end = index + 1
        while end < len(lines) and end not in starts and (headings or lines[end].page == lines[index].page):
            end += 1
        if not headings:
            outline.heading("", places.page(lines[index].page))
        for paragraph in _paragraphs(lines[index:end], leading):
            outline.paragraph(_whole_words(paragraph, known))
        index = end
    return outline


def _leading(lines: Sequence[_Line]) -> float:
    """The usual distance of two lines, in points."""
    gaps = Counter(
        round(before.height - line.height)
        for before, line in itertools.pairwise(lines)
        if line.page == before.page and line.height < before.height
    )
    return float(gaps.most_common(1)[0][0]) if gaps else 0.0


def _paragraphs(lines: Sequence[_Line], leading: float) -> Iterator[str]:
    """Lines that belong together, each on a line of its own as yet."""
    together: list[str] = []
    before: _Line | None = None
    for line in lines:
        if before is not None and _is_apart(before, line, leading):
            yield "\n".join(together)
            together = []
        together.append(line.text)
        before = line
    yield "\n".join(together)


def _is_apart(before: _Line, line: _Line, leading: float) -> bool:
    """Whether a new paragraph begins; over the end of a page or a column one goes on until its sentence ends."""
    gap = before.height - line.height
    if before.page != line.page or gap <= 0:
        return before.text.endswith((".", "!", "?", ":"))
    return gap > leading * _PARAGRAPH_GAP


def _whole_words(paragraph: str, known: frozenset[str]) -> str:
    """A paragraph in one line, except that items of a list keep lines of their own; divided words are joined.

    A hyphen stays where the document has the word with it in the midst of a line.
    """

    def joined(match: re.Match[str]) -> str:
        divided = f"{match[1]}-{match[2]}"
        is_one_word = match[2][0].islower() and not match[1][-1].isdigit() and divided.lower() not in known
        return match[1] + match[2] if is_one_word else divided

    lines = _DIVIDED.sub(joined, paragraph).split("\n")
    text = lines[0]
    for line in lines[1:]:
        text += ("\n" if _BULLET.match(line) else " ") + line
    return clean(text)
