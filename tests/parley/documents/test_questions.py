"""Tables and lists of questions and answers: each row a section, and one broken row loses no other."""

import json

import pytest

from parley.documents.document import Document
from parley.documents.records import read_json, read_json_lines
from parley.documents.table import read_table
from parley.errors import Unreadable


def rows(document: Document) -> list[tuple[str, str, str]]:
    return [(section.heading, section.text, section.place) for section in document.sections]


@pytest.mark.parametrize("header", ["question,answer", "Q,A", " Answer ,QUERY", "reply,prompt,team"])
def test_columns_go_by_their_usual_names(header: str) -> None:
    names = header.split(",")
    swapped = names[0].strip().lower() in ("answer", "reply")
    cells = ("So.", "How?") if swapped else ("How?", "So.")

    document = read_table("faq.csv", f"{header}\n{','.join(cells)}\n".encode())

    assert rows(document) == [("How?", "So.", "row=2")]


def test_other_columns_are_about_the_row() -> None:
    document = read_table("faq.csv", b"question,answer,Team,link\nHow?,So.,Sales,\n")

    assert document.sections[0].about == {"team": "Sales"}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_mark_between_cells_is_found(mark: str) -> None:
    text = f'question{mark}answer\r\nHow?{mark}"So,\r\nor; so\tthen"\r\n'

    assert rows(read_table("faq.tsv", text.encode()))[0][1] == "So,\nor; so\tthen"


def test_rows_are_numbered_as_a_spreadsheet_shows_them() -> None:
    document = read_table("faq.csv", b'question,answer\n\nHow?,"a1\nb1"\nWhy?,Because.\n')

    assert [place for _, _, place in rows(document)] == ["row=3", "row=4"]


def test_a_row_that_lacks_something_is_named_and_loses_no_other() -> None:
    document = read_table("faq.csv", b"question,answer\nHow?,\n,So.\nWhy?\nWho?,We,are,here\nWhen?,Now.\n")

    assert rows(document) == [("When?", "Now.", "row=6")]
    assert document.faults == (
        "row=2: the answer is empty",
        "row=3: the question is empty",
        "row=4: the answer is empty",
        "row=5: 4 cells under 2 columns; put texts with a comma in quotes",
    )


def test_a_quote_that_never_closes_loses_its_own_row_only() -> None:
    content = b'question,answer\nHow?,"So.\nWhy?,Because.\nWhen?,"Now."\nWho?,We.\n'

    document = read_table("faq.csv", content)

    assert [heading for heading, _, _ in rows(document)] == ["Why?", "When?", "Who?"]
    assert document.faults[0].startswith("row=2: not valid CSV")


def test_a_table_of_nothing_but_open_quotes_is_given_up() -> None:
    document = read_table("faq.csv", b"question,answer\n" + b'a,b "c"\n"x\n' * 3 + b',"\n ' * 20_001)

    assert len(document.faults) < 20_100


def test_a_table_of_too_many_columns_is_refused() -> None:
    with pytest.raises(Unreadable, match="more than 100 columns; leave only those that matter"):
        read_table("faq.csv", b"question,answer" + b",x" * 100 + b"\nHow?,So.\n")


def test_a_table_without_the_columns_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"prices\.csv: its first row names no question and answer; name one column"):
        read_table("prices.csv", b"article,price\nRake,5\n")


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_list_of_objects_is_read(wrapped: bool) -> None:
    items = [{"Q": "How?", "A": "So.", "id": 1.10, "tags": ["x", "y"], "more": {"z": 1}, "no": None}]

    document = read_json("faq.json", json.dumps({"version": 3, "items": items} if wrapped else items).encode())

    assert rows(document) == [("How?", "So.", "row=1")]
    assert document.sections[0].about == {"id": "1.1", "tags": "x, y", "more": '{"z": "1"}'}


def test_one_object_is_one_row() -> None:
    assert rows(read_json("faq.json", b'{"question": "How?", "response": "So."}')) == [("How?", "So.", "row=1")]


def test_objects_that_lack_something_are_named_and_lose_no_other() -> None:
    items = [{"question": "How?"}, 7, {"question": ["x"], "answer": "y"}, {"q": "a?", "a": "b."}]

    document = read_json("faq.json", json.dumps(items).encode())

    assert rows(document) == [("a?", "b.", "row=4")]
    assert [fault.split(":")[0] for fault in document.faults[:2]] == ["row=1", "row=2"]


def test_each_line_stands_for_itself() -> None:
    content = b'{"q": "a?", "a": "b."}\n{broken\n\n' + b"[" * 100_000 + b'\n{"q": "c?", "a": "\\ud800d\\u0000."}\n'

    document = read_json_lines("faq.jsonl", content)

    assert rows(document) == [("a?", "b.", "row=1"), ("c?", "d.", "row=5")]
    assert [fault.split(":")[0] for fault in document.faults] == ["row=2", "row=4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[\n{"q": }]', r"faq\.json:2: not valid JSON"),
        (b"[" * 200_000, "not JSON that can be read"),
        (b'"text"', "no list of questions and answers"),
        (b'{"a": [], "b": []}', "no list of questions and answers"),
        (b"", r"faq\.json:1: not valid JSON"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        read_json("faq.json", content)
