"""Questions about passages: every answer to be learnt stands in its passages, and what is held out stays out."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models.generator.conftest import modules

PASSAGE = "We open at nine. The pool is closed in winter! Pets are welcome in all rooms. Parking costs five dollars."
PAIRS = [("When do you open?", "We open at nine."), ("Can I swim?", "The pool is closed in winter!")]


@pytest.fixture(scope="module")
def found() -> Iterator[Any]:
    with modules("grounded", "tokens") as names:
        yield names


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("seed", range(12))
def test_answers_of_a_knowledge_base_are_whole_sentences_of_its_passages(found: Any, seed: int) -> None:
    example = found.grounded.kb_example("The Inn", PAIRS, random.Random(seed))

    pieces = found.tokens.pieces_of(example.passages)
    assert [len(found.tokens.quoted(pieces, reply)) for _, reply in example.branches] == [1, 1]


def test_an_entity_is_either_learnt_or_asked_about(found: Any, tmp_path: Path) -> None:
    rows = [
        {"entity": f"Inn {number}", "question": question, "answer": answer}
        for number in range(60)
        for question, answer in PAIRS
    ]
    write(tmp_path / "dstc9_faq_kb/kb_train.jsonl.gz", rows)
    write(tmp_path / "dstc9_faq_kb/kb_eval.jsonl.gz", [])

    sets = found.grounded.knowledge_base(tmp_path, random.Random(1))

    learnt = [example for _, example in sets.examples]
    assert 0 < len(sets.questions) < len(rows)
    assert len(learnt) + len(sets.questions) == len(rows)  # two passages of each entity, or its two questions


def test_a_quotation_is_the_sentences_around_what_was_found(found: Any) -> None:
    assert found.grounded.quotation(PASSAGE, "closed in winter") == "The pool is closed in winter!"
    assert found.grounded.quotation(PASSAGE, "nine. The pool") == "We open at nine. The pool is closed in winter!"
    assert found.grounded.quotation(PASSAGE, "sauna") == ""
    assert found.grounded.quotation(PASSAGE, "closed in winter", words=3) == ""


@pytest.mark.parametrize("seed", range(6))
def test_a_shortened_passage_keeps_the_answer(found: Any, seed: int) -> None:
    short = found.grounded.shortened(PASSAGE, "Pets are welcome in all rooms.", 12, random.Random(seed))

    assert "Pets are welcome in all rooms." in short
    assert len(short.split()) <= 12


@pytest.mark.parametrize("seed", range(20))
def test_a_made_up_question_names_a_telling_word(found: Any, seed: int) -> None:
    question = found.grounded.made_up("The pool is closed in winter.", ["pool", "winter"], random.Random(seed))

    assert "pool" in question.lower() or "winter" in question.lower()


def test_the_nearest_sentence_shares_half_of_the_words(found: Any) -> None:
    assert found.grounded.nearest(PASSAGE, "the pool is closed") == "The pool is closed in winter!"
    assert found.grounded.nearest(PASSAGE, "breakfast is served at eight") == ""
