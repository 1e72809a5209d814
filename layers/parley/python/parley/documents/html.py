"""HTML: the main content of a page, with lists and tables in words.

What a page has around its content is left out: navigation, header, footer, forms,
cookie notices. libxml2 calls one method for each tag and builds no tree: its work grows
with the page, whereas parsers that repair a page as HTML 5 has it need 47 s for 100,000
`<div>`s in one another. Hidden elements are kept, for that is where accordions keep
their answers.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lxml import etree

from parley.documents.document import Document, title_of
from parley.documents.outline import Outline, Places, table
from parley.documents.text import clean, decode, encoding_of, metadata, says_something, squeezed
from parley.errors import Unreadable

MAX_DEPTH = 256  # libxml2's own limit for trees
MAX_ELEMENTS = 300_000  # each costs up to 14 us

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "summary"})
_LISTS = frozenset({"ul", "ol", "menu"})
_SECTIONS = frozenset({"section", "article", "div"})
_CELLS = frozenset({"td", "th"})
_BLOCKS = frozenset(
    {
        "address",
        "article",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "hr",
        "li",
        "main",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
    }
) | (_HEADINGS | _LISTS)
_LEFT_OUT = frozenset(
    {
        "applet",
        "aside",
        "audio",
        "button",
        "canvas",
        "datalist",
        "dialog",
        "footer",
        "iframe",
        "input",
        "label",
        "legend",
        "math",
        "nav",
        "noscript",
        "object",
        "optgroup",
        "option",
        "script",
        "select",
        "style",
        "svg",
        "template",
        "textarea",
        "video",
    }
)
_LEFT_OUT_ROLES = frozenset({"alertdialog", "banner", "complementary", "contentinfo", "dialog", "navigation", "search"})
_WHOLE_PAGE = frozenset({"html", "body", "main", "article"})
_COOKIES = re.compile(
    r"(?:cookie|consent|gdpr)[\w-]{0,20}(?:banner|bar|box|dialog|law|message|modal|notice|overlay|popup|wall)"
    r"|onetrust|cookiebot|usercentrics|cookieconsent|\bcc-(?:window|banner)",
    re.IGNORECASE,
)
_LOOKED_AT = 500  # characters of a class that may say what an element is for

# Names of <meta> that speak to browsers and search engines, not about the content.
_TECHNICAL = re.compile(
    r"viewport|generator|robots|referrer|theme-color|color-scheme|format-detection|rating|.*verif.*|.*token.*|csrf.*"
    r"|msapplication.*|apple-.*|mobile-.*|application-name|google.*|bingbot|handheldfriendly|.*:.*",
    re.IGNORECASE,
)

_CHARSET = re.compile(rb"<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_LOOKED_FOR_CHARSET = 1024  # Source: HTML, "prescan a byte stream to determine its encoding"
_PERMALINK = re.compile(r"\s*[¶🔗]$|\s#$")  # what generators put behind a heading
_BREAK = "\v"


def read_html(name: str, content: bytes) -> Document:
    """The sections of a page's main content.

    Raises:
        Unreadable: the encoding is not what the page says, or it is out of all proportion.
    """
    page = _Page()
    parser = etree.HTMLParser(target=page, encoding="utf-8", no_network=True)
    text = decode(name, content, _encoding(name, content))
    try:
        etree.fromstring(text.encode(), parser)
    except _TooMuch as error:
        raise Unreadable(name, f"{error}; save its text as Markdown, or as several pages") from error
    except etree.XMLSyntaxError:
        pass  # a page of nothing but comments, say; what came before still counts
    blocks = page.main_content()
    title = next((block.text for block in blocks if block.kind == "h1"), squeezed(page.title) or title_of(name))
    outline, places = Outline(), Places()
    for block in blocks:
        if block.kind == "p":
            outline.paragraph(block.text)
        else:
            outline.heading(block.text, places.named(block.anchor) if block.anchor else places.anchor(block.text))
    return Document(name, title, outline.sections(title), metadata(page.about))


def _encoding(name: str, content: bytes) -> str:
    """What the page says of its encoding, as Python names it."""
    said = _CHARSET.search(content[:_LOOKED_FOR_CHARSET])
    return encoding_of(name, said[1].decode("ascii")) if said else "utf-8"


class _TooMuch(Exception):
    """More elements than a page has, in all or in one another."""


class _Block(NamedTuple):
    kind: str  # a heading's tag, or "p"
    text: str
    anchor: str
    zone: int  # 2 within <main>, 1 within <article>
    form: int  # the number of the form around it


class _Around(NamedTuple):
    """What an open element says of what is in it."""

    tag: str
    zone: int
    form: int
    is_left_out: bool


@dataclass(slots=True)
class _Page:
    """What libxml2 tells of a page, as blocks in their order."""

    title: str = ""
    about: list[tuple[str, str]] = field(default_factory=list)
    _elements: int = 0
    _blocks: list[_Block] = field(default_factory=list)
    _open: list[_Around] = field(default_factory=lambda: [_Around("", 0, 0, is_left_out=False)])
    _line: list[str] = field(default_factory=list)
    _anchor: str = ""  # of the open heading
    _section: str = ""  # the anchor of an element that has only begun, so that it is its first heading's as well
    _forms: int = 0
    _whole_page_forms: set[int] = field(default_factory=set)
    _lists: list[int] = field(default_factory=list)  # how many items each open list has; -1 and less: not numbered
    _items: list[str] = field(default_factory=list)
    _marker: str = ""
    _tables: int = 0  # open ones
    _rows: list[list[list[str]]] | None = None  # of the open table; None where it only lays out the page
    _headers: int = 0  # cells of the first row that name columns
    _term: str = ""  # what the next block explains

    def main_content(self) -> list[_Block]:
        """The blocks of <main>, or else of <article>, or else all; of forms only what holds the page."""
        self._end_block()
        kept = [block for block in self._blocks if not block.form or block.form in self._whole_page_forms]
        for zone in (2, 1):
            if any(block.zone == zone and block.kind == "p" for block in kept):
                return [block for block in kept if block.zone == zone]
        return kept

    def start(self, tag: str, attributes: Any) -> None:
        """An element begins."""
        around = self._open[-1]
        self._elements += 1
        if len(self._open) > MAX_DEPTH:
            raise _TooMuch(f"elements nested more than {MAX_DEPTH} deep")
        if self._elements > MAX_ELEMENTS:
            raise _TooMuch(f"more than {MAX_ELEMENTS:,} elements")
        if tag == "meta":
            self.about.extend(_said_by(attributes))
        zone, form = max(around.zone, _zone(tag, attributes)), around.form
        if tag == "form" and not form:
            self._forms += 1
            form = self._forms
        if form and (tag in ("h1", "main", "article") or zone > around.zone):
            self._whole_page_forms.add(form)
        is_left_out = around.is_left_out or _is_left_out(tag, attributes, zone)
        if tag in _BLOCKS and not is_left_out:
            self._end_block()
        self._open.append(_Around(tag, zone, form, is_left_out))
        if is_left_out:
            self._line.append(" " * (not around.is_left_out))
        else:
            self._start(tag, attributes)

    def end(self, tag: str) -> None:
        """An element ends."""
        if len(self._open) > 1:
            closed = self._open[-1]
            if not closed.is_left_out:
                self._end(tag)
            self._open.pop()

    def data(self, text: str) -> None:
        """Characters."""
        around = self._open[-1]
        if around.tag == "title" and self._open[-2].tag == "head":
            self.title += text
        elif not around.is_left_out and around.tag not in ("head", "title"):
            self._line.append(text)

    def close(self) -> None:
        """The page ends."""

    def _start(self, tag: str, attributes: Any) -> None:
        if tag == "br":
            self._line.append(_BREAK)
        elif tag in _HEADINGS:
            self._leave_table()
            self._end_list()
            self._anchor = _anchor(attributes) or self._section
        elif tag == "a" and self._is_in_heading() and not self._anchor:
            self._anchor = _anchor(attributes)
        elif tag in _SECTIONS:
            self._section = _anchor(attributes)
        elif tag in _LISTS:
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "li" and self._lists:
            self._lists[-1] += 1 if self._lists[-1] >= 0 else 0
            self._marker = f"{self._lists[-1]}. " if self._lists[-1] > 0 else "- "
        elif tag == "table":
            self._tables += 1
            self._leave_table()
            self._rows = [] if self._tables == 1 else None
            self._headers = 0
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in _CELLS and self._rows:
            self._rows[-1].append([])
            self._headers += tag == "th" and len(self._rows) == 1

    def _end(self, tag: str) -> None:
        if tag in _HEADINGS:
            text = _PERMALINK.sub("", squeezed("".join(self._line)))
            self._line.clear()
            if says_something(text):
                self._add(tag, text)
            self._anchor = ""
        elif tag == "dt":
            self._term = " / ".join(filter(None, (self._term, squeezed("".join(self._line)).rstrip(":"))))
            self._line.clear()
        elif tag in _BLOCKS:
            self._end_block()
        if tag in _LISTS and self._lists:
            self._lists.pop()
            if not self._lists:
                self._end_list()
        elif tag == "table" and self._tables:
            self._tables -= 1
            if self._rows is not None:
                cells = [[" ".join(cell) for cell in row] for row in self._rows]
                has_header = bool(self._rows) and 0 < self._headers == len(self._rows[0])
                self._rows = None
                self._add("p", table(cells, has_header=has_header))

    def _end_block(self) -> None:
        """Puts the characters since the last block where they belong."""
        raw = "".join(self._line)
        self._line.clear()
        if self._open[-1].tag == "pre":
            text = clean(raw).strip("\n")
        else:
            text = "\n".join(filter(None, (squeezed(line) for line in raw.split(_BREAK))))
        if not says_something(text):
            return
        if self._term:
            text, self._term = f"{self._term}: {text}", ""
        if self._rows and self._rows[-1]:
            self._rows[-1][-1].append(squeezed(text))
        elif self._lists:
            indent = "  " * (len(self._lists) - 1)
            self._items.append(f"{indent}{self._marker or '  '}{squeezed(text)}")
            self._marker = ""
        else:
            self._add("p", text)

    def _end_list(self) -> None:
        if self._items:
            items = "\n".join(self._items)
            self._items.clear()
            self._add("p", items)

    def _leave_table(self) -> None:
        """Takes a table that holds headings or other tables for a way to lay out the page."""
        rows, self._rows = self._rows or [], None
        for row in rows:
            for cell in row:
                self._add("p", "\n".join(cell))

    def _add(self, kind: str, text: str) -> None:
        around = self._open[-1]
        self._section = ""
        self._blocks.append(_Block(kind, text, self._anchor if kind != "p" else "", around.zone, around.form))

    def _is_in_heading(self) -> bool:
        return any(around.tag in _HEADINGS for around in self._open[-4:])


def _zone(tag: str, attributes: Any) -> int:
    if tag == "main" or attributes.get("role") == "main":
        return 2
    return 1 if tag == "article" else 0


def _is_left_out(tag: str, attributes: Any, zone: int) -> bool:
    if tag in _LEFT_OUT or (tag == "header" and not zone):  # an article's own header has its headline
        return True
    if tag in _WHOLE_PAGE:
        return False
    if attributes.get("role") in _LEFT_OUT_ROLES:
        return True
    named = f"{attributes.get('id', '')[:_LOOKED_AT]} {attributes.get('class', '')[:_LOOKED_AT]}"
    return _COOKIES.search(named) is not None


def _anchor(attributes: Any) -> str:
    """The element's own anchor, if it is fit to be one."""
    anchor = str(attributes.get("id") or attributes.get("name") or "")
    return anchor if anchor == squeezed(anchor) and " " not in anchor and len(anchor) <= _LOOKED_AT else ""


def _said_by(attributes: Any) -> list[tuple[str, str]]:
    name, content = str(attributes.get("name", "")), str(attributes.get("content", ""))
    return [(name, content)] if name and not _TECHNICAL.fullmatch(name[:_LOOKED_AT]) else []
