"""DOCX: paragraphs by their styles, lists by their numbering, tables in words.

The archive is weighed before it is unpacked. lxml expands no entity and follows no
address; python-docx knows which part of the package is which. What lies outside the
body (headers, footers, footnotes, comments) is left out, and so is what was deleted.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn

from parley.documents.document import Document, title_of
from parley.documents.outline import Outline, Places, table
from parley.documents.text import clean, metadata, says_something, squeezed
from parley.errors import Unreadable

MAX_UNPACKED_BYTES = 30_000_000  # a book of 300 pages is 5 MB of XML
MAX_TAGS = 1_000_000  # of all parts; such a book has 150,000, and each element takes 250 bytes and 8 us
MAX_PARTS = 5_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others cannot be unpacked piece by piece
_OLD = b"\xd0\xcf\x11\xe0"  # of Word 97, and of what is protected by a password

_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_BODY_LEVEL = 9  # of an outline; what is less is a heading
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL = f"{_W}val"
_NOT_SAID = frozenset(
    {qn("w:del"), qn("w:moveFrom"), qn("w:pPr"), qn("w:rPr")}
    | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
)
_SPOKEN = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_AROUND = frozenset({qn("w:sdt"), qn("w:sdtContent"), qn("w:customXml"), qn("w:ins"), qn("w:moveTo")})
_NUMBERED = frozenset({"decimal", "decimalZero", "ordinal", "cardinalText"})
_FIRST_ROW = 0x0020  # of w:tblLook; Source: ECMA-376, 17.4.55


def read_docx(name: str, content: bytes) -> Document:
    """The sections of a Word document.

    Raises:
        Unreadable: it is protected, broken, no DOCX, or unfolds to more than is read.
    """
    if content.startswith(_OLD):
        raise Unreadable(name, "an older or a protected Word document; save it as .docx without a password")
    try:
        _weigh(name, content)
        word = docx.Document(BytesIO(content))
        body = _Body(_styles(word), _numberings(word))
        body.read(word.element.body)
        about = _about(word)
    except Unreadable:
        raise
    except Exception as error:  # of a broken file the libraries raise whatever their code runs into
        raise Unreadable(name, "a broken DOCX; open it in a word processor and save it again") from error
    title = body.title or about.get("title") or title_of(name)
    return Document(name, title, body.outline.sections(title), about)


def _weigh(name: str, content: bytes) -> None:
    """Nothing, if what the archive unpacks to is in proportion; zipfile never unpacks more than the archive says."""
    archive = zipfile.ZipFile(BytesIO(content))
    parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        problem = f"unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB; split it, or make its pictures smaller"
        raise Unreadable(name, problem)
    if any(part.flag_bits & 1 for part in parts):
        raise Unreadable(name, "protected by a password; save it without")
    if any(part.compress_type not in _METHODS for part in parts):
        raise Unreadable(name, "packed in an unusual way; open it in a word processor and save it again")
    if sum(archive.read(part).count(b"<") for part in parts) > MAX_TAGS:
        raise Unreadable(name, "too long; split it into several documents")


@dataclass(frozen=True, slots=True)
class _Style:
    """What a paragraph style means, what it is based on included."""

    level: int | None  # 0 the title, 1 to 9 a heading
    is_contents: bool  # of a table of contents
    list_kind: str | None  # the id of a numbering


@dataclass(slots=True)
class _Body:
    """The body of a document, read from top to bottom."""

    styles: dict[str, _Style]
    formats: dict[tuple[str, int], str]  # how each level of each numbering is counted
    outline: Outline = field(default_factory=Outline)
    title: str = ""
    _places: Places = field(default_factory=Places)
    _items: list[str] = field(default_factory=list)  # of the list under way
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)

    def read(self, element: Any) -> None:
        """Adds all that an element holds."""
        self._read(element)
        self._end_list()

    def _read(self, element: Any) -> None:
        for child in element:
            if child.tag == qn("w:p"):
                self._paragraph(child)
            elif child.tag == qn("w:tbl"):
                self._end_list()
                self.outline.paragraph(_table(child))
            elif child.tag in _AROUND and not _is_contents(child):
                self._read(child)

    def _paragraph(self, paragraph: Any) -> None:
        text = _text(paragraph).strip()
        style = self.styles.get(_value(paragraph, "w:pPr/w:pStyle"), _PLAIN)
        outlined = _value(paragraph, "w:pPr/w:outlineLvl")
        level = int(outlined) + 1 if outlined.isdecimal() and int(outlined) < _BODY_LEVEL else style.level
        if not says_something(text) or style.is_contents:
            return
        if level is not None:
            self._end_list()
            heading = squeezed(text)
            if level == 0 and not self.title:
                self.title = heading
            self.outline.heading(heading, self._places.anchor(heading))
            return
        numbering = _value(paragraph, "w:pPr/w:numPr/w:numId") or style.list_kind
        if numbering and numbering != "0":
            self._item(numbering, _value(paragraph, "w:pPr/w:numPr/w:ilvl"), squeezed(text))
        else:
            self._end_list()
            self.outline.paragraph(text)

    def _item(self, numbering: str, said_level: str, text: str) -> None:
        level = int(said_level) if said_level.isdecimal() else 0
        level = min(level, _BODY_LEVEL - 1)
        count = self._counts[numbering, level] = self._counts.get((numbering, level), 0) + 1
        for deeper in range(level + 1, _BODY_LEVEL):
            self._counts.pop((numbering, deeper), None)
        marker = f"{count}." if self.formats.get((numbering, level)) in _NUMBERED else "-"
        self._items.append(f"{'  ' * level}{marker} {text}")

    def _end_list(self) -> None:
        if self._items:
            self.outline.paragraph("\n".join(self._items))
            self._items = []


_PLAIN = _Style(None, is_contents=False, list_kind=None)


def _text(element: Any) -> str:
    """What an element says, without what was deleted."""
    said: list[str] = []
    for child in element:
        if child.tag == qn("w:t"):
            said.append(child.text or "")
        elif child.tag in _SPOKEN:
            said.append(_SPOKEN[child.tag])
        elif child.tag == qn("w:p"):  # of a text box
            said.append(f"\n{_text(child)}\n")
        elif child.tag not in _NOT_SAID:
            said.append(_text(child))
    return clean("".join(said))


def _table(element: Any) -> str:
    """A table in words; one within a cell is read as that cell's text."""
    rows = [[squeezed(_text(cell)) for cell in _cells(row)] for row in element.findall(qn("w:tr"))]
    look = element.find(f"{qn('w:tblPr')}/{qn('w:tblLook')}")
    has_header = False
    if look is not None:
        mask = look.get(_VAL, "0")
        has_header = look.get(f"{_W}firstRow") in ("1", "true") or bool(_hexadecimal(mask) & _FIRST_ROW)
    return table(rows, has_header=has_header and len(rows) > 1)


def _cells(row: Any) -> Iterator[Any]:
    for child in row:
        if child.tag == qn("w:tc"):
            yield child
        elif child.tag in _AROUND:
            yield from _cells(child)


def _hexadecimal(mask: str) -> int:
    try:
        return int(mask, 16)
    except ValueError:
        return 0


def _is_contents(element: Any) -> bool:
    """Whether this is a table of contents that the word processor keeps."""
    return _value(element, "w:sdtPr/w:docPartObj/w:docPartGallery") == "Table of Contents"


def _value(element: Any, path: str) -> str:
    """The w:val at the end of a path; empty where there is none."""
    found = element.find("/".join(qn(step) for step in path.split("/")))
    return "" if found is None else str(found.get(_VAL, ""))


def _styles(word: WordDocument) -> dict[str, _Style]:
    """What each paragraph style means, by its id."""
    elements = {str(style.get(f"{_W}styleId", "")): style for style in word.styles.element.findall(qn("w:style"))}
    return {key: _style(key, elements) for key in elements}


def _style(key: str, elements: dict[str, Any]) -> _Style:
    level: int | None = None
    is_contents, list_kind, seen = False, "", set[str]()
    while key in elements and key not in seen:  # a broken file's styles may be based on each other
        seen.add(key)
        style = elements[key]
        name, outlined = _value(style, "w:name"), _value(style, "w:pPr/w:outlineLvl")
        if level is None:
            heading = _HEADING.fullmatch(name)
            if name.lower() == "title":
                level = 0
            elif heading:
                level = int(heading[1])
            elif outlined.isdecimal() and int(outlined) < _BODY_LEVEL:
                level = int(outlined) + 1
        is_contents = is_contents or name.lower().startswith("toc ")
        list_kind = list_kind or _value(style, "w:pPr/w:numPr/w:numId")
        key = _value(style, "w:basedOn")
    return _Style(level, is_contents, list_kind or None)


def _numberings(word: WordDocument) -> dict[tuple[str, int], str]:
    """How each level of each numbering is counted: `decimal`, `bullet` and so on."""
    try:
        element: Any = word.part.part_related_by(RELATIONSHIP_TYPE.NUMBERING).element  # type: ignore[attr-defined]
    except KeyError:
        return {}
    kinds = {kind.get(f"{_W}abstractNumId"): kind for kind in element.findall(qn("w:abstractNum"))}
    return {
        (str(numbering.get(f"{_W}numId")), int(level.get(f"{_W}ilvl", "0"))): _value(level, "w:numFmt")
        for numbering in element.findall(qn("w:num"))
        if (kind := kinds.get(_value(numbering, "w:abstractNumId"))) is not None
        for level in kind.findall(qn("w:lvl"))
    }


def _about(word: WordDocument) -> dict[str, str]:
    said = word.core_properties
    pairs = (("title", said.title), ("author", said.author), ("subject", said.subject), ("keywords", said.keywords))
    return metadata(pairs)
