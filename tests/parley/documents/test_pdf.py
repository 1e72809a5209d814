"""PDF: headings by their size, pages where size does not tell, and nothing of what only runs along."""

import zlib
from io import BytesIO

import pytest
from pypdf import PdfReader, PdfWriter

from parley.documents import pdf
from parley.documents.document import Document
from parley.documents.pdf import read_pdf
from parley.errors import Unreadable
from tests.parley.documents import files


def texts(document: Document) -> list[tuple[str, str, str]]:
    return [(section.heading, section.text, section.place) for section in document.sections]


def raw(*objects: bytes) -> bytes:
    """A PDF file of these objects, numbered from 1; the first is its catalogue."""
    content, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(content)
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    count, begin = len(objects) + 1, len(content)
    content += b"xref\n0 %d\n%strailer << /Root 1 0 R /Size %d >>\n" % (count, table, count)
    return content + b"startxref\n%d\n%%%%EOF\n" % begin


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), more, data)


PAGES = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def test_larger_lines_are_headings_with_their_page() -> None:
    content = files.pdf(
        ["# Delivery", "Parcels take two days within the country.", "# Costs", "Each parcel costs five euros."],
        ["Two parcels cost eight.", "# Returns", "Returns are free of charge within thirty days."],
    )

    assert texts(read_pdf("post.pdf", content)) == [
        ("Delivery", "Parcels take two days within the country.", "page=1"),
        ("Costs", "Each parcel costs five euros.\n\nTwo parcels cost eight.", "page=1&part=2"),
        ("Returns", "Returns are free of charge within thirty days.", "page=2"),
    ]


def test_without_headings_each_page_is_a_section() -> None:
    document = read_pdf("our-post.pdf", files.pdf(["One."], ["Two."], title="Post", author="Ann"))

    assert texts(document) == [("Post", "One.", "page=1"), ("Post", "Two.", "page=2")]
    assert document.about == {"title": "Post", "author": "Ann"}


def test_what_runs_along_the_pages_is_left_out() -> None:
    document = read_pdf("a.pdf", files.pdf(["One."], ["Two."], ["Three."], running="Parley Ltd., page 7"))

    assert [text for _, text, _ in texts(document)] == ["One.", "Two.", "Three."]


def test_divided_words_are_joined_unless_the_hyphen_is_their_own() -> None:
    document = read_pdf(
        "a.pdf", files.pdf(["We deliver ever-", "ywhere by e-", "mail. Send an e-mail on 2-", "3 May."])
    )

    assert document.sections[0].text == "We deliver everywhere by e-mail. Send an e-mail on 2-3 May."


def test_a_gap_parts_paragraphs_and_items_keep_their_lines() -> None:
    document = read_pdf("a.pdf", files.pdf(["First it", "begins.", "- a1", "- b1", "", "Then it", "ends."]))

    assert document.sections[0].text == "First it begins.\n- a1\n- b1\n\nThen it ends."


@pytest.mark.parametrize("password", ["secret", ""])
def test_a_protected_file_is_refused(password: str) -> None:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(files.pdf(["One."]))))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    content = BytesIO()
    writer.write(content)

    with pytest.raises(Unreadable, match=r"a\.pdf: protected by a password or against copying"):
        read_pdf("a.pdf", content.getvalue())


def test_pictures_of_text_are_refused() -> None:
    with pytest.raises(Unreadable, match=r"a\.pdf: no text in it, perhaps pictures of it; recognize it"):
        read_pdf("a.pdf", files.pdf([], []))


def test_a_page_that_is_a_picture_is_named_and_loses_no_other() -> None:
    picture = stream(b"\0", b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray")
    content = raw(
        PAGES[0],
        b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>",
        b"<< /Type /Page /Parent 2 0 R /Resources << /XObject << /I 6 0 R >> >> /Contents 7 0 R >>",
        b"<< /Type /Page /Parent 2 0 R /Resources << /Font << /F 5 0 R >> >> /Contents 8 0 R >>",
        FONT,
        picture,
        stream(b"/I Do"),
        stream(b"BT /F 12 Tf (Words.) Tj ET"),
    )

    document = read_pdf("a.pdf", content)

    assert texts(document) == [("a", "Words.", "page=2")]
    assert document.faults == ("page=1: a picture without text; recognize it (OCR) first",)


def test_too_many_pages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGES", 1)

    with pytest.raises(Unreadable, match="2 pages; split it into documents of 1 at most"):
        read_pdf("a.pdf", files.pdf(["One."], ["Two."]))


def test_forms_that_draw_each_other_do_not_go_on_without_end() -> None:
    forms = [
        stream(b"/F Do " * 20, b"/Type /XObject /Subtype /Form /Resources << /XObject << /F %d 0 R >> >>" % (6 + level))
        for level in range(10)
    ]
    page = b"<< /Type /Page /Parent 2 0 R /Resources << /XObject << /F 5 0 R >> >> /Contents 4 0 R >>"

    with pytest.raises(Unreadable):
        read_pdf("a.pdf", raw(*PAGES, page, stream(b"/F Do"), *forms))


def test_a_file_drawn_in_too_many_steps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_WORK", 10)

    with pytest.raises(Unreadable, match="drawn in too many steps"):
        read_pdf("a.pdf", files.pdf(["One.", "Two.", "Three.", "Four.", "Five."]))


def test_a_line_without_end_is_refused_before_it_takes_minutes() -> None:
    page = b"<< /Type /Page /Parent 2 0 R /Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>"
    line = b"BT /F 12 Tf " + b"(x) Tj " * 100_000 + b"ET"

    with pytest.raises(Unreadable, match="drawn in too many steps"):
        read_pdf("a.pdf", raw(*PAGES, page, stream(line), FONT))


@pytest.mark.parametrize(
    "content",
    [
        stream(zlib.compress(b"0 " * 30_000_000), b"/Filter /FlateDecode"),
        stream(b"[" * 100_000),
        stream(b"BT " + b"<<" * 100_000),
        b"4 0 R",
        b"[4 0 R 4 0 R]",
    ],
    ids=["bomb", "arrays", "dictionaries", "itself", "list of itself"],
)
def test_content_out_of_proportion_is_refused(content: bytes) -> None:
    page = b"<< /Type /Page /Parent 2 0 R /Resources << >> /Contents 4 0 R >>"

    with pytest.raises(Unreadable):
        read_pdf("a.pdf", raw(*PAGES, page, content))


def test_a_tree_of_pages_that_holds_itself_is_refused() -> None:
    with pytest.raises(Unreadable):
        read_pdf("a.pdf", raw(PAGES[0], b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"))
