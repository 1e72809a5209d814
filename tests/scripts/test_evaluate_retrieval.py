"""The measure of retrieval: what is counted, and what is said of files that are no such thing."""

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate_retrieval import Outcome, Question, main, read_passages, read_questions, scores_of
from steps import Stop


def lines(*rows: dict[str, Any]) -> list[str]:
    return [json.dumps(row) for row in rows]


PASSAGES = (
    {"id": "a", "title": "Shop", "text": "We open at nine in the morning."},
    {"id": "b", "title": "Shop", "text": "Parcels are sent within two days."},
    {"id": "c", "title": "", "text": "Repairs of mowers cost forty euros."},
)
QUESTIONS = (
    {"question": "When do you open?", "passage": "a", "answerable": True},
    {"question": "How long do parcels take?", "passage": "b"},
    {"question": "What does it cost to repair a mower?", "passage": "c", "answerable": True},
    {"question": "Who won the match?", "passage": None, "answerable": False},
)


def test_recall_counts_the_right_passage_among_the_first() -> None:
    questions = [Question("q", 0), Question("q", 1), Question("q", 2), Question("q", None)]
    outcomes = [Outcome(0, 0.9, 1.0), Outcome(4, 0.8, 1.0), Outcome(None, 0.7, 1.0), Outcome(None, 0.1, 3.0)]

    scores = scores_of(questions, outcomes)

    assert scores.recall_at_1 == pytest.approx(1 / 3)
    assert scores.recall_at_5 == scores.recall_at_10 == pytest.approx(2 / 3)
    assert scores.mrr == pytest.approx((1 + 1 / 5) / 3)
    assert scores.declined_when_unanswerable == 1.0


def test_what_scores_as_the_answerable_do_is_not_declined() -> None:
    questions = [*[Question("q", 0)] * 10, Question("q", None), Question("q", None)]
    outcomes = [*[Outcome(0, score / 10, 1.0) for score in range(10)], Outcome(None, 0.5, 1.0), Outcome(None, 0, 1.0)]

    assert scores_of(questions, outcomes).declined_when_unanswerable == 0.5


def test_where_nothing_is_unanswerable_no_share_is_told() -> None:
    assert scores_of([Question("q", 0)], [Outcome(0, 0.9, 1.0)]).declined_when_unanswerable is None


def test_the_whole_is_measured_beside_its_halves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passages, questions, told = tmp_path / "p", tmp_path / "q", tmp_path / "told.json"
    passages.write_text("\n".join(lines(*PASSAGES)))
    questions.write_text("\n".join(lines(*QUESTIONS)))

    main(["--passages", str(passages), "--questions", str(questions), "--json", str(told)])

    content = json.loads(told.read_text())
    assert set(content["searches"]) == {"parley", "BM25 alone", "dense alone"}
    assert content["searches"]["parley"]["recall_at_1"] == 1.0
    assert content["searches"]["parley"]["declined_when_unanswerable"] == 1.0
    assert "BM25 alone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"id": "a"}], "'text'"),
        ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "came before"),
        ([], "no passages"),
    ],
)
def test_passages_that_are_none_are_named(rows: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(Stop, match=reason):
        read_passages(lines(*rows))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (['{"passage": "a"}'], "line 1 has no 'question'"),
        (['{"question": "q", "passage": "z"}'], "there is no passage 'z'"),
        (["nonsense"], "line 1 is not JSON"),
        (["[]"], "line 1 is no JSON object"),
        ([], "no questions"),
    ],
)
def test_questions_that_are_none_are_named(written: list[str], reason: str) -> None:
    with pytest.raises(Stop, match=reason):
        read_questions(written, ["a"])
