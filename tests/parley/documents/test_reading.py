"""Any document: its ending decides, its size is bounded, and whatever it holds, it is read or refused."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.documents import reading
from parley.documents.document import ENDINGS, Document
from parley.documents.links import ENDINGS as LISTS
from parley.documents.reading import READERS, read_document
from parley.errors import Rejected, Unreadable
from tests.parley.documents import files


def everything(document: Any) -> None:
    document.add_heading("Shop", 0)
    document.add_paragraph("First", style="List Number")
    document.add_table(rows=2, cols=2).rows[0].cells[0].text = "Spain"


WHOLE = {
    ".md": b"---\ntitle: Shop\n---\n# Shop\n\nHello.\n\n## Hours\n\n- nine\n",
    ".markdown": b"# Shop\n\nHello.\n",
    ".txt": b"One.\n\n\nTwo.\n",
    ".html": b"<meta charset=utf-8><main><h1>A</h1><ul><li>b<table><tr><th>c<td>d</table></ul><form><p>e</form></main>",
    ".htm": b"<p>Hello.",
    ".pdf": files.pdf(["# Shop", "Hello, this is our shop."], ["Hours"], running="Run", title="Shop"),
    ".docx": files.word(everything),
    ".csv": b'question,answer,team\nHow?,"So,\nthen",Sales\n',
    ".tsv": b"q\ta\nHow?\tSo.\n",
    ".json": json.dumps([{"question": "How?", "answer": "So.", "n": [1, 2.5]}]).encode(),
    ".jsonl": b'{"q": "How?", "a": "So."}\n',
}


def outcome(name: str, content: bytes) -> Document | str:
    """The document, or the one error that says why there is none."""
    try:
        return read_document(name, content)
    except Unreadable as error:
        return str(error)


def read_or_refused(name: str, content: bytes) -> None:
    """Nothing, if all parts of the document can be stored, or a line with its name says why there is none."""
    read = outcome(name, content)
    if isinstance(read, str):
        assert read.startswith(name)
        assert "\n" not in read
        return
    places = [section.place for section in read.sections]
    assert len(places) == len(set(places)) > 0
    assert all(section.heading and section.text for section in read.sections)
    stored = json.dumps(asdict(read), ensure_ascii=False).encode()
    assert rb"\u0000" not in stored


def test_who_takes_documents_knows_every_ending_that_is_read() -> None:
    assert set(ENDINGS) == {*READERS, *LISTS}


@pytest.mark.parametrize("ending", READERS)
def test_a_document_is_read_by_its_ending(ending: str) -> None:
    document = read_document(f"a/shop{ending.upper()}", WHOLE[ending])

    assert document.sections
    assert document.faults == ()


def test_another_ending_is_refused_with_those_that_are_read() -> None:
    with pytest.raises(
        Unreadable, match=r"a\.doc: `\.doc` is no ending of a document that is read; \.md, .*\.xml\.gz are"
    ):
        read_document("a.doc", b"x")


def test_a_document_that_cannot_be_read_is_the_callers_fault() -> None:
    assert issubclass(Unreadable, Rejected)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(Unreadable, match=r"10,000,001 bytes; split it into documents of 10,000,000 at most"):
        read_document("a.md", bytes(10_000_001))


def test_too_many_sections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_SECTIONS", 1)

    with pytest.raises(Unreadable, match="more than 1 sections; split it into several documents"):
        read_document("a.md", b"# A\n\nb\n\n# C\n\nd\n")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", WHOLE[".docx"]),
        ("a.docx", WHOLE[".pdf"]),
        ("a.docx", WHOLE[".html"]),
        ("a.md", WHOLE[".pdf"]),
        ("a.html", WHOLE[".docx"]),
        ("a.csv", WHOLE[".docx"]),
        ("a.json", WHOLE[".html"]),
    ],
)
def test_content_that_is_not_what_its_ending_says_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(Unreadable, match=name):
        read_document(name, content)


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html", "a.json", "a.jsonl"])
def test_a_document_without_text_is_refused(name: str) -> None:
    with pytest.raises(Unreadable, match=name):
        read_document(name, b"\n")


def test_where_no_row_can_be_read_the_first_fault_is_told() -> None:
    with pytest.raises(Unreadable, match=r"a\.csv: row=2: the answer is empty"):
        read_document("a.csv", b"q,a\nHow?,\n")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ending=st.sampled_from(sorted(READERS)), content=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(ending: str, content: bytes) -> None:
    read_or_refused(f"a{ending}", content)


@settings(max_examples=300, deadline=None)
@given(ending=st.sampled_from([".md", ".txt", ".html", ".csv", ".json", ".jsonl"]), text=st.text(max_size=400))
def test_any_text_is_read_or_refused(ending: str, text: str) -> None:
    read_or_refused(f"a{ending}", text.encode(errors="surrogatepass"))


PIECES = [
    "<div>",
    "</div>",
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "<th>",
    "<li>",
    "<ul>",
    "</ul>",
    "<ol>",
    "<dt>",
    "<dd>",
]
PIECES += ["<h1>", "</h1>", "<h2 id=a>", "<main>", "</main>", "<form>", "</form>", "<nav>", "</nav>", "<pre>", "</pre>"]
PIECES += [
    "<br>",
    "<p>",
    "<summary>",
    "<title>",
    "</title>",
    "<head>",
    "<body>",
    "<template>",
    "<svg>",
    "<!--",
    "-->",
    "x ",
]


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_order_of_tags_is_read_or_refused(pieces: list[str]) -> None:
    read_or_refused("a.html", "".join(pieces).encode())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ending=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_a_damaged_file_is_read_or_refused(ending: str, data: st.DataObject) -> None:
    content = bytearray(WHOLE[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(content)))
        end = begin + data.draw(st.integers(0, 20))
        content[begin:end] = data.draw(st.one_of(st.binary(max_size=8), st.just(bytes(content[:end]))))

    read_or_refused(f"a{ending}", bytes(content))
