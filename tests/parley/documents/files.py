"""Small real files, written by the libraries that people's programs use too."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import docx
from fpdf import FPDF

TEXT_SIZE = 11
HEADING_SIZE = 16


class Paper(FPDF):
    """Pages with a header and a footer."""

    def __init__(self, running: str = "") -> None:
        super().__init__()
        self.running = running

    def header(self) -> None:
        """The running header."""
        if self.running:
            self.set_font("helvetica", size=8)
            self.cell(0, 8, self.running, new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        """The running footer."""
        if self.running:
            self.set_y(-15)
            self.set_font("helvetica", size=8)
            self.cell(0, 8, f"Page {self.page_no()} of 9")


def pdf(*pages: Sequence[str], running: str = "", **about: str) -> bytes:
    """A PDF file; a line that begins with `#` is a heading, an empty one a gap."""
    paper = Paper(running)
    for name, value in about.items():
        getattr(paper, f"set_{name}")(value)
    for lines in pages:
        paper.add_page()
        for line in lines:
            paper.set_font("helvetica", size=HEADING_SIZE if line.startswith("#") else TEXT_SIZE)
            if line:
                paper.cell(0, 6, line.lstrip("# "), new_x="LMARGIN", new_y="NEXT")
            else:
                paper.ln(8)
    return bytes(paper.output())


def word(write: Callable[[Any], None]) -> bytes:
    """A DOCX file that `write` wrote."""
    document = docx.Document()
    write(document)
    content = BytesIO()
    document.save(content)
    return content.getvalue()
