"""CSV and TSV: a table of questions and answers. Any other columns become what is known about a section.

Rows are counted as a spreadsheet shows them, from 1, the header among them. Source: RFC 7111, `#row=`.
"""

import csv
from collections.abc import Iterator, Sequence

from parley.documents import questions
from parley.documents.document import MAX_SECTIONS, Document, Section, title_of
from parley.documents.text import decode
from parley.errors import Unreadable

_DELIMITERS = (",", ";", "\t")  # spreadsheets write semicolons where the comma is the decimal mark
MAX_COLUMNS = 100
_MAX_LOOKED_AT_AGAIN = 10  # how often all lines may be read once more, for quotes that never close


def read_table(name: str, content: bytes) -> Document:
    """A section for each row that holds a question and an answer; the other rows are faults.

    Raises:
        Unreadable: the content is not UTF-8, or no row names the columns.
    """
    lines = [f"{line}\n" for line in decode(name, content).split("\n")]
    delimiter = next((mark for mark in _DELIMITERS if questions.columns(_first_row(lines, mark))), None)
    if delimiter is None:
        raise Unreadable(name, f"its first row names no question and answer; {questions.NAMES}")
    if len(_first_row(lines, delimiter)) > MAX_COLUMNS:
        raise Unreadable(name, f"more than {MAX_COLUMNS} columns; leave only those that matter to a question")
    names: Sequence[str] | None = None
    sections: list[Section] = []
    faults: list[str] = []
    for number, cells in _rows(lines, delimiter):
        place = f"row={number}"
        if len(sections) + len(faults) > MAX_SECTIONS:
            break
        if isinstance(cells, str):
            faults.append(f"{place}: {cells}")
        elif not any(cell.strip() for cell in cells):
            continue
        elif names is None:
            names = cells
        elif len(cells) > len(names):
            faults.append(f"{place}: {len(cells)} cells under {len(names)} columns; put texts with a comma in quotes")
        else:
            row = dict(zip(reversed(names), [""] * len(names), strict=True))
            row |= dict(zip(names, cells, strict=False))
            said = questions.section(row, place)
            if isinstance(said, str):
                faults.append(said)
            else:
                sections.append(said)
    return Document(name, title_of(name), tuple(sections), faults=tuple(faults))


def _first_row(lines: Sequence[str], delimiter: str) -> Sequence[str]:
    """The first row that is not empty, if it can be read."""
    for _, cells in _rows(lines, delimiter):
        if isinstance(cells, str):
            break
        if any(cell.strip() for cell in cells):
            return cells
    return ()


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Each row with its number; in place of one that cannot be read, what is wrong with it.

    A quote that never closes would swallow all that follows, so reading goes on with the line after where it opens.
    """
    number, begin, looked_at_again = 0, 0, 0
    while begin < len(lines):
        first = begin
        reader = csv.reader((lines[at] for at in range(first, len(lines))), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                number += 1
                begin = first + reader.line_num
                yield number, cells
        except csv.Error as error:
            number += 1
            yield number, f"not valid CSV: {error}"
            looked_at_again += first + reader.line_num - begin - 1
            begin += 1
        if looked_at_again > _MAX_LOOKED_AT_AGAIN * len(lines):
            yield number + 1, "too many quotes do not close; from here on nothing was read"
            return
