"""Markdown and plain text: sections with places, and what front matter says."""

import pytest

from parley.documents.document import Document
from parley.documents.front_matter import MAX_CHARACTERS
from parley.documents.markdown import read_markdown
from parley.documents.plain import read_plain
from parley.errors import Unreadable


def markdown(text: str) -> Document:
    return read_markdown("our-shop.md", text.encode())


def test_each_section_has_the_anchor_that_its_heading_is_given() -> None:
    document = markdown("Before.\n\n# Our shop\n\nHello.\n\n## Delivery times?\n\nTwo days.\n")

    assert [(section.heading, section.place) for section in document.sections] == [
        ("Our shop", ""),
        ("Our shop", "#our-shop"),
        ("Delivery times?", "#delivery-times"),
    ]


def test_headings_of_the_same_words_have_places_of_their_own() -> None:
    document = markdown("## Cost\n\na1\n\n## Cost\n\nb1\n\n## Cost 1\n\nc1\n\n## Cost\n\nd1\n")

    assert [section.place for section in document.sections] == ["#cost", "#cost-1", "#cost-1-1", "#cost-2"]


def test_front_matter_is_about_the_document_and_no_text_of_it() -> None:
    document = markdown("---\ntitle: Opening hours\nValid: 2026-01-01\nopen: yes\ntags: [a, b]\n---\nNine to six.\n")

    assert document.title == "Opening hours"
    assert document.about == {"title": "Opening hours", "valid": "2026-01-01", "open": "yes", "tags": "a, b"}
    assert [section.text for section in document.sections] == ["Nine to six."]


def test_a_heading_is_the_title_rather_than_what_front_matter_says() -> None:
    assert markdown("---\ntitle: A\n---\n# B\n\ntext\n").title == "B"


@pytest.mark.parametrize(
    ("front", "fault"),
    [
        ("title: a: b", "line 2: the front matter is not valid YAML: mapping values are not allowed here"),
        ("a: {b: c}", "line 1: `a` in the front matter is neither a text nor a list of texts"),
        ("a: " + "[" * 3000, "line 1: front matter with more than 300 brackets"),
        ("a: " + "x" * MAX_CHARACTERS, "line 1: front matter of more than 4000 characters"),
    ],
    ids=["colon", "nested", "deep", "long"],
)
def test_front_matter_that_cannot_be_read_is_named_and_the_rest_is_read(front: str, fault: str) -> None:
    document = markdown(f"---\n{front}\n---\n# Shop\n\nNine to six.\n")

    assert [section.text for section in document.sections] == ["Nine to six."]
    assert [found.startswith(fault) for found in document.faults] == [True]


def test_a_document_of_too_many_lines_is_refused() -> None:
    with pytest.raises(Unreadable, match="60,001 lines; split it into documents of 50,000 at most"):
        markdown("- a\n" * 60_000)


def test_a_tag_of_yaml_makes_nothing_but_text() -> None:
    assert markdown("---\na: !!python/name:os.system x\n---\nText.\n").about == {"a": "x"}


def test_aliases_cannot_make_front_matter_say_more_than_a_little() -> None:
    document = markdown(f"---\na: &a {'x' * 2000}\nb: [{'*a, ' * 450}*a]\n---\nText.\n")

    assert len(document.about["b"]) < MAX_CHARACTERS**2


@pytest.mark.parametrize("between", ["Just words.", "# A comment of YAML"])
def test_text_between_rulers_is_text(between: str) -> None:
    document = markdown(f"---\n{between}\n---\n\nMore words.\n")

    assert "More words." in document.sections[-1].text
    assert not document.about


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_is_marked_as_unicode_is_read(encoding: str) -> None:
    document = read_markdown("a.md", "# Käse\n\n5 €\n".encode(encoding))

    assert [(section.heading, section.text) for section in document.sections] == [("Käse", "5 €")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# T\r\n\r\ncaf\xe9\r\n", "a/b.md:3: not UTF-8; save the document as UTF-8"),
        (b"one\ntwo\0\n", "a/b.md:2: a NUL byte, which no text has; save the document as UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_markdown("a/b.md", content)

    assert str(caught.value) == message


def test_plain_text_is_cut_where_two_lines_are_empty() -> None:
    document = read_plain("our-hours.txt", b"\n\nOne.\n\nTwo.\n \n\n\nThree.\r\n")

    assert [(section.heading, section.text, section.place) for section in document.sections] == [
        ("our hours", "One.\n\nTwo.", "line=3"),
        ("our hours", "Three.", "line=9"),
    ]
