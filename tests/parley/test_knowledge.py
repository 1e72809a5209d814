"""From documents to passages, and from what was said to passages: nothing is lost, and what says nothing is named."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from parley.bots.source import Faults
from parley.conversation import Citation
from parley.documents.document import Document, Section
from parley.knowledge.chunks import MAX_WORDS, passages, passages_of
from parley.knowledge.extract import excerpt
from parley.knowledge.library import Library, pack, unpack
from parley.knowledge.snapshot import FloatArray, Passage, Snapshot, sentences_of, texts_of


def sections(folder: Path, content: str, name: str = "our-shop.md") -> list[tuple[str, str, str]]:
    (folder / name).write_text(content, encoding="utf-8")
    found = [passage.citation for passage in passages(folder, Faults())]
    return [(citation.title, citation.section, citation.text) for citation in found]


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


@pytest.mark.parametrize("between", ["\n", " ", ".\n", ". "])
def test_no_passage_is_longer_than_may_be_and_no_word_is_lost(between: str) -> None:
    words = [f"w{number}" for number in range(3 * MAX_WORDS)]
    text = between.join(words)
    section = Section("Hours", f"Before.\n\n{text}\n\nAfter.", "#hours")

    found = passages_of(Document("shop.md", "Shop", (section,)))

    assert all(len(passage.citation.text.split()) <= MAX_WORDS for passage in found)
    assert " ".join(passage.citation.text for passage in found).split() == ["Before.", *text.split(), "After."]


def test_a_passage_says_where_its_section_begins() -> None:
    section = Section("Hours", "Nine to six.", "page=3")

    (passage,) = passages_of(Document("shop.pdf", "Shop", (section,)))

    assert passage.citation == Citation("Shop", "shop.pdf", "Hours", "Nine to six.", place="page=3")


def test_what_is_known_of_a_document_is_known_of_each_passage_unless_that_says_otherwise() -> None:
    sections = (Section("Hours", "Nine to six.", about={"shop": "Graz"}), Section("Prices", "Low."))
    document = Document("shop.pdf", "Shop", sections, about={"shop": "Linz", "author": "Maeve"})

    found = passages_of(document)

    assert [passage.about for passage in found] == [
        {"shop": "Graz", "author": "Maeve"},
        {"shop": "Linz", "author": "Maeve"},
    ]


def test_front_matter_is_no_passage_and_what_is_wrong_with_it_is_noted(tmp_path: Path) -> None:
    (tmp_path / "shop.md").write_text("---\ntitle: a: b\n---\nNine to six.\n")

    faults = Faults()
    found = passages(tmp_path, faults)

    assert [passage.citation.text for passage in found] == ["Nine to six."]
    assert faults.lines == []
    assert "shop.md: line 2: the front matter is not valid YAML" in faults.notes[0]


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


def a_snapshot(*texts: str, about: Sequence[Mapping[str, str]] = ()) -> Snapshot:
    """One passage for each text, the first along the first axis, and so on."""
    known = [*about, *[{}] * (len(texts) - len(about))]
    found = [Passage(Citation("Shop", "shop.md", "", text), each) for text, each in zip(texts, known, strict=True)]
    return Snapshot.of(found, [np.eye(1, 4, place, dtype=np.float32) for place in range(len(texts))])


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


def test_words_that_both_share_decide_between_passages_that_mean_the_same() -> None:
    snapshot = a_snapshot("model A7 weighs two kilograms", "model B9 weighs three kilograms")

    (best,) = snapshot.search("what does the model B9 weigh", towards(0.5, 0.5), limit=1)

    assert "B9" in best.passage.text


def test_the_nearest_sentence_counts_beside_the_whole() -> None:
    long = Passage(Citation("T", "a.md", "", "It is about one thing. It is about another thing."), {})
    short = Passage(Citation("T", "b.md", "", "quite something else"), {})
    axes = np.eye(4, dtype=np.float32)
    snapshot = Snapshot.of([long, short], [np.stack([axes[2], axes[2], axes[0]]), axes[1:2]])

    (best, other) = snapshot.search("?", towards(0.9, 0.4), limit=2)

    assert best.passage.document == "a.md"
    assert best.score == pytest.approx(0.45, abs=0.01)
    assert other.score == pytest.approx(0.4, abs=0.01)


def test_a_heading_helps_to_find_but_is_no_answer() -> None:
    passage = Passage(Citation("T", "a.md", "What does it cost?", "That depends."), {})
    axes = np.eye(4, dtype=np.float32)
    snapshot = Snapshot.of([passage], [np.stack([axes[1], axes[0], axes[2]])])

    assert snapshot.search("?", towards(0.9))[0].passage is passage.citation
    assert snapshot.answer("?", towards(0.9)) is None


def test_a_search_can_be_narrowed_to_what_is_known_of_passages() -> None:
    snapshot = a_snapshot("here", "there", "anywhere", about=[{"shop": "Linz"}, {"shop": "Graz"}])

    found = snapshot.search("?", towards(0.9, 0.8, 0.1), about={"shop": "graz"})

    assert [each.passage.text for each in found] == ["there", "anywhere"]


@pytest.fixture
def two() -> tuple[Snapshot, Snapshot]:
    axes = np.eye(4, dtype=np.float32)

    def of(document: str, *texts: str) -> Snapshot:
        found = [Passage(Citation("T", document, "", text), {}) for text in texts]
        return Snapshot.of(found, [axes[place : place + 1] for place in range(len(texts))])

    return of("a.md", "the red hen", "the blue hen"), of("b.md", "the red fox", "the green fox")


def test_two_snapshots_joined_are_as_one(two: tuple[Snapshot, Snapshot]) -> None:
    first, second = two

    joined = first.joined(second)

    assert joined.counts() == {"a.md": 2, "b.md": 2}
    assert (joined.index.scores("red") > 0).tolist() == [True, False, True, False]
    assert joined.index.scores("the").max() < joined.index.scores("blue").max()


def test_of_a_document_that_both_have_the_later_counts(two: tuple[Snapshot, Snapshot]) -> None:
    first, second = two
    again = Snapshot.of([Passage(Citation("T", "a.md", "", "a new hen"), {})], [np.eye(1, 4, dtype=np.float32)])

    joined = first.joined(second).joined(again)

    assert joined.counts() == {"b.md": 2, "a.md": 1}
    assert "blue" not in joined.index
    assert "new" in joined.index


def test_a_document_can_be_taken_out_and_put_back(two: tuple[Snapshot, Snapshot]) -> None:
    first, second = two
    whole = first.joined(second)

    again = whole.without(["b.md"]).joined(second)

    assert again.passages == whole.passages
    for question in ("red fox", "the hen", "green"):
        assert again.index.scores(question).tolist() == pytest.approx(whole.index.scores(question).tolist())


def test_a_library_is_read_back_as_it_was_packed(two: tuple[Snapshot, Snapshot]) -> None:
    catalogue, content = pack(Library("e", two[0].joined(two[1]), {}))

    again = unpack(catalogue, content).snapshot

    assert again.passages == two[0].passages + two[1].passages
    assert again.search("green fox", towards(0.1, 0.6))[0].passage.text == "the green fox"
    assert pack(Library("e", again, {}))[0].file == catalogue.file


def test_what_was_read_of_a_passage_can_be_had_again() -> None:
    citation = Citation("T", "a.md", "Heading", "It is about one thing. It is about another thing.")
    readings = np.eye(4, dtype=np.float32)

    again = Snapshot.of([Passage(citation, {})], [readings]).readings(0)

    assert len(texts_of(citation)) == 4
    assert again == pytest.approx(readings, abs=0.01)


@pytest.mark.parametrize("question", ["parcels", "PARCEL", "Parcel?"])
def test_a_word_is_found_in_its_other_forms(question: str) -> None:
    snapshot = a_snapshot("your parcel", "our shop")

    assert snapshot.index.scores(question).argmax() == 0
    assert snapshot.index.scores(question)[0] > 0


def test_words_are_found_in_a_script_without_spaces() -> None:
    snapshot = a_snapshot("我们九点开门", "退货免费")

    assert snapshot.index.scores("退货要钱吗").tolist()[0] == 0
    assert snapshot.index.scores("退货要钱吗").tolist()[1] > 0


def test_sentences_too_short_to_say_something_are_left_out() -> None:
    assert sentences_of("Yes. We open at nine every day. No!\nAnd we close at six.") == (
        "We open at nine every day.",
        "And we close at six.",
    )


LONG = " ".join(["filling words that say little"] * 15)


def test_a_short_passage_is_said_whole() -> None:
    assert excerpt("One thing. Another thing.", "Another thing.") == "One thing. Another thing."


def test_of_a_long_passage_the_paragraph_is_said_that_answers() -> None:
    assert excerpt(f"{LONG}.\n\nWe open at nine. We close at six.", "We open at nine.") == (
        "We open at nine. We close at six."
    )


def test_a_list_keeps_the_line_that_leads_to_it() -> None:
    text = f"{LONG}.\n\nYou need:\n\n- a spade\n- a bucket"

    assert excerpt(text, "- a spade") == "You need:\n\n- a spade\n- a bucket"
    assert excerpt(text, "You need:") == "You need:\n\n- a spade\n- a bucket"


def test_of_a_long_paragraph_whole_sentences_are_said_from_the_nearest_on() -> None:
    text = f"{LONG}. We open at nine. We close at six. {LONG}. The end."

    assert excerpt(text, "We open at nine.") == "We open at nine. We close at six."


def test_a_sentence_that_is_long_by_itself_is_said_whole() -> None:
    assert excerpt(f"Before. {LONG}. After that.", f"{LONG}.") == f"{LONG}."
