"""DOCX: sections by the styles of headings, lists and tables in words, and no more unpacked than is in proportion."""

import io
import zipfile
from typing import Any

import pytest
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls

from parley.documents import docx
from parley.documents.document import Document
from parley.documents.docx import read_docx
from parley.errors import Unreadable
from tests.parley.documents import files


def texts(document: Document) -> list[tuple[str, str, str]]:
    return [(section.heading, section.text, section.place) for section in document.sections]


LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
BODY = f"<w:document {nsdecls('w')}><w:body><w:p><w:r><w:t>Hello. %s</w:t></w:r></w:p></w:body></w:document>"


def with_part(content: bytes, name: str, part: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The file with one part put in the place of another."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for each in old.namelist():
            new.writestr(each, part if each == name else old.read(each), method)
    return changed.getvalue()


def hello(document: Any) -> None:
    document.add_paragraph("Hello.")


def test_headings_begin_sections_under_the_title() -> None:
    def write(document: Any) -> None:
        document.add_heading("Our shop", 0)
        document.add_paragraph("Hello.")
        document.add_heading("Hours", 1)
        document.add_paragraph("Nine to six.").add_run(" Bold.").bold = True
        document.add_heading("On Sundays", 2)
        document.add_paragraph("Never.")

    document = read_docx("shop.docx", files.word(write))

    assert document.title == "Our shop"
    assert texts(document) == [
        ("Our shop", "Hello.", "#our-shop"),
        ("Hours", "Nine to six. Bold.", "#hours"),
        ("On Sundays", "Never.", "#on-sundays"),
    ]


def test_a_style_made_from_a_heading_is_one() -> None:
    def write(document: Any) -> None:
        style = document.styles.add_style("Chapter", 1)
        style.base_style = document.styles["Heading 2"]
        document.add_paragraph("Hours", style="Chapter")
        document.add_paragraph("Nine to six.")

    assert texts(read_docx("our-shop.docx", files.word(write))) == [("Hours", "Nine to six.", "#hours")]


def test_styles_based_on_each_other_come_to_an_end() -> None:
    def write(document: Any) -> None:
        style, other = document.styles.add_style("A", 1), document.styles.add_style("B", 1)
        style.base_style, other.base_style = other, style
        document.add_paragraph("Hello.", style="A")

    assert texts(read_docx("shop.docx", files.word(write))) == [("shop", "Hello.", "")]


def test_lists_keep_their_marks() -> None:
    def write(document: Any) -> None:
        document.add_paragraph("First", style="List Number")
        document.add_paragraph("Then", style="List Number")
        document.add_paragraph("So.")
        document.add_paragraph("a1", style="List Bullet")

    assert texts(read_docx("shop.docx", files.word(write))) == [("shop", "1. First\n2. Then\n\nSo.\n\n- a1", "")]


def test_a_row_of_a_table_names_its_columns() -> None:
    def write(document: Any) -> None:
        table = document.add_table(rows=0, cols=2)
        for cells in (("Country", "Price"), ("Spain", "5 €"), ("Peru", "")):
            for cell, text in zip(table.add_row().cells, cells, strict=True):
                cell.text = text

    assert texts(read_docx("shop.docx", files.word(write))) == [
        ("shop", "Country: Spain; Price: 5 €\nCountry: Peru", "")
    ]


def test_what_was_deleted_is_not_read_and_what_was_put_in_is() -> None:
    def write(document: Any) -> None:
        paragraph = document.add_paragraph("We open at ")._p
        for tag, text in (("w:ins", "nine"), ("w:moveFrom", "ten")):
            change = OxmlElement(tag)
            change.append(parse_xml(f"<w:r {nsdecls('w')}><w:t>{text}</w:t></w:r>"))
            paragraph.append(change)

    assert texts(read_docx("shop.docx", files.word(write))) == [("shop", "We open at nine", "")]


def test_a_table_of_contents_is_left_out_and_other_controls_are_read() -> None:
    def write(document: Any) -> None:
        for gallery in ("Table of Contents", "Cover Pages"):
            control = parse_xml(
                f"<w:sdt {nsdecls('w')}><w:sdtPr><w:docPartObj><w:docPartGallery w:val='{gallery}'/></w:docPartObj>"
                f"</w:sdtPr><w:sdtContent><w:p><w:r><w:t>{gallery}</w:t></w:r></w:p></w:sdtContent></w:sdt>"
            )
            document.element.body.insert(0, control)

    assert [text for _, text, _ in texts(read_docx("shop.docx", files.word(write)))] == ["Cover Pages"]


def test_core_properties_are_about_the_document() -> None:
    def write(document: Any) -> None:
        document.core_properties.title = "Our shop"
        document.core_properties.author = "Ann"
        document.core_properties.subject = "Hours"
        document.add_paragraph("Hello.")

    document = read_docx("shop.docx", files.word(write))

    assert (document.title, document.about) == ("Our shop", {"title": "Our shop", "author": "Ann", "subject": "Hours"})


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = with_part(files.word(hello), "word/document.xml", b" " * (docx.MAX_UNPACKED_BYTES + 1))
    monkeypatch.setattr(zipfile.ZipFile, "read", None)

    with pytest.raises(Unreadable, match=r"shop\.docx: unpacks to more than 30 MB"):
        read_docx("shop.docx", bomb)


def test_a_file_of_too_many_elements_is_refused() -> None:
    xml = (BODY % f"</w:t></w:r>{'<w:r/>' * docx.MAX_TAGS}<w:r><w:t>").encode()

    with pytest.raises(Unreadable, match=r"shop\.docx: too long; split it into several documents"):
        read_docx("shop.docx", with_part(files.word(hello), "word/document.xml", xml))


def test_a_file_that_lies_about_what_it_unpacks_to_is_refused() -> None:
    content = bytearray(with_part(files.word(hello), "word/document.xml", b" " * 20_000_000))
    entry = content.rindex(b"word/document.xml") - 46  # of the central directory
    content[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")

    with pytest.raises(Unreadable, match="a broken DOCX"):
        read_docx("shop.docx", bytes(content))


def test_a_method_that_cannot_be_bounded_is_refused() -> None:
    content = files.word(hello)

    with pytest.raises(Unreadable, match="packed in an unusual way"):
        read_docx("shop.docx", with_part(content, "", b"", zipfile.ZIP_BZIP2))


@pytest.mark.parametrize(
    ("entities", "use"),
    [
        (f'<!ENTITY e0 "ha">{LAUGHS}', "&e11;"),
        ('<!ENTITY e SYSTEM "file:///etc/passwd">', "&e;"),
        (f'<!ENTITY e0 "ha">{LAUGHS}', '<w:tab w:val="&e11;"/>'),
    ],
    ids=["laughs", "file", "attribute"],
)
def test_no_entity_is_expanded(entities: str, use: str) -> None:
    xml = f"<!DOCTYPE x [{entities}]>{BODY % use}".encode()

    try:
        document = read_docx("shop.docx", with_part(files.word(hello), "word/document.xml", xml))
    except Unreadable:
        return

    assert texts(document) == [("shop", "Hello.", "")]


def test_elements_nested_without_end_are_refused() -> None:
    xml = (BODY % f"</w:t></w:r>{'<w:ins>' * 100_000}").encode()

    with pytest.raises(Unreadable, match="a broken DOCX"):
        read_docx("shop.docx", with_part(files.word(hello), "word/document.xml", xml))


@pytest.mark.parametrize("content", [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old", b"PK\x03\x04 broken", b""])
def test_what_is_no_docx_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"shop\.docx: .*save it"):
        read_docx("shop.docx", content)
