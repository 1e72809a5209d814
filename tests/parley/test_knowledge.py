"""From documents to passages, and from what was said to passages: nothing is lost, and what says nothing is named."""

from pathlib import Path

import numpy as np
import pytest

from parley.bots.source import Faults
from parley.conversation import Citation
from parley.knowledge.chunks import MAX_WORDS, passages
from parley.knowledge.snapshot import FloatArray, Snapshot


def sections(folder: Path, content: str, name: str = "our-shop.md") -> list[tuple[str, str, str]]:
    (folder / name).write_text(content, encoding="utf-8")
    return [(passage.title, passage.section, passage.text) for passage in passages(folder, Faults())]


def test_a_document_is_cut_at_its_headings(tmp_path: Path) -> None:
    found = sections(tmp_path, "# Shop\n\nWelcome.\n\n## Hours\nNine to six.\n\nPrices\n------\nLow.\n")

    assert found == [("Shop", "Shop", "Welcome."), ("Shop", "Hours", "Nine to six."), ("Shop", "Prices", "Low.")]


def test_what_stands_before_the_first_heading_is_a_section_named_like_the_title(tmp_path: Path) -> None:
    assert sections(tmp_path, "A preface.\n\n# Shop\n\n## Hours\n\nNine.\n") == [
        ("Shop", "Shop", "A preface."),
        ("Shop", "Hours", "Nine."),
    ]


def test_a_document_without_headings_is_one_section_titled_from_its_file_name(tmp_path: Path) -> None:
    assert sections(tmp_path, "Just text.\n") == [("our shop", "our shop", "Just text.")]


@pytest.mark.parametrize("character", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_only_line_ends_of_markdown_count_as_lines(tmp_path: Path, character: str) -> None:
    found = sections(tmp_path, f"# Shop\n\none{character}two\n\n## Hours\n\nNine.\n")

    assert found == [("Shop", "Shop", f"one{character}two"), ("Shop", "Hours", "Nine.")]


def test_a_heading_within_a_list_does_not_cut_the_list(tmp_path: Path) -> None:
    assert sections(tmp_path, "# Shop\n\n- # Inner\n  text\n") == [("Shop", "Shop", "- # Inner\n  text")]


def test_a_byte_order_mark_hides_no_heading(tmp_path: Path) -> None:
    assert sections(tmp_path, "\ufeff# Shop\n\nWelcome.\n") == [("Shop", "Shop", "Welcome.")]


def test_a_ruler_is_no_passage(tmp_path: Path) -> None:
    assert sections(tmp_path, "---\n\n# Shop\n\nWelcome.\n") == [("Shop", "Shop", "Welcome.")]


def test_a_long_section_is_cut_between_paragraphs(tmp_path: Path) -> None:
    paragraph = " ".join(["word"] * (MAX_WORDS - 1))

    found = sections(tmp_path, f"# Shop\n\n{paragraph}\n\nMore words.\n")

    assert [text for _, _, text in found] == [paragraph, "More words."]


def test_all_documents_that_say_nothing_are_named_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    (folder / "more").mkdir(parents=True)
    (folder / "good.md").write_text("# Good\n\nText.\n")
    (folder / "empty.md").write_text("")
    (folder / "headings.md").write_text("# Only\n\n## Headings\n")
    (folder / "more/latin.md").write_bytes(b"# T\n\ncaf\xe9\n")

    faults = Faults()
    passages(folder, faults)

    assert faults.lines == [
        "documents/empty.md:1: this document holds no text",
        "documents/headings.md:1: this document holds no text",
        "documents/more/latin.md:3: not UTF-8; save the document as UTF-8",
    ]


def a_snapshot(*texts: str) -> Snapshot:
    """One passage for each text, the first along the first axis, and so on."""
    found = tuple(Citation("Shop", "shop.md", "Shop", text) for text in texts)
    return Snapshot.of(found, np.eye(len(texts), 4, dtype=np.float32))


def towards(*lengths: float) -> FloatArray:
    """A vector that is so near to each passage."""
    return np.array([*lengths, *[0.0] * (4 - len(lengths))], dtype=np.float32)


def test_related_passages_come_nearest_first_and_no_more_than_wanted() -> None:
    snapshot = a_snapshot("hours", "prices", "repairs")

    related = snapshot.related("?", towards(0.5, 0.7, 0.45), limit=2)

    assert [passage.text for passage in related] == ["prices", "hours"]


def test_what_has_little_to_do_with_what_was_said_is_not_related() -> None:
    snapshot = a_snapshot("hours", "prices")

    assert snapshot.related("?", towards(0.3, 0.1), limit=3) == ()


def test_a_passage_may_be_related_that_is_no_answer() -> None:
    snapshot = a_snapshot("hours")

    assert snapshot.answer("?", towards(0.45)) is None
    assert [passage.text for passage in snapshot.related("?", towards(0.45), limit=1)] == ["hours"]


def test_nothing_is_related_where_there_are_no_documents() -> None:
    assert a_snapshot().related("hello", towards(1.0), limit=3) == ()
