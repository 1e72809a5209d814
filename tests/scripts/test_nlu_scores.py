"""The figures of an evaluation, against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from nlu_scores import (
    Reading,
    Span,
    calibration,
    confusions,
    entity_scores,
    intent_scores,
    misread,
    scope_scores,
)

READING = Reading("text", "f:1", "a", "a", confidence=0.9, in_scope=0.9, kept=True)


def readings(*pairs: tuple[str, str]) -> list[Reading]:
    return [replace(READING, wanted=wanted, got=got) for wanted, got in pairs]


def test_accuracy_and_f1_are_those_of_the_textbook() -> None:
    scores = intent_scores(readings(("a", "a"), ("a", "a"), ("a", "b"), ("b", "b")))

    assert scores.accuracy == 0.75
    assert scores.intents["a"].precision == 1
    assert scores.intents["a"].recall == pytest.approx(2 / 3)
    assert scores.intents["b"].f1 == pytest.approx(2 / 3)
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores.matrix.tolist() == [[2, 1], [0, 1]]
    assert confusions(scores) == [("a", "b", 1)]


def test_an_intent_that_nobody_asked_for_does_not_lower_the_mean_f1_but_stands_in_the_matrix() -> None:
    scores = intent_scores(readings(("a", "a"), ("a", "z")))

    assert scores.intents.keys() == {"a"}
    assert scores.macro_f1 == pytest.approx(2 / 3)
    assert scores.names == ("a", "z")


def test_an_utterance_that_the_threshold_refused_counts_as_right_if_its_intent_ranks_first() -> None:
    scores = intent_scores([replace(READING, kept=False), READING])

    assert (scores.accuracy, scores.kept, scores.kept_and_right) == (1, 0.5, 0.5)


def test_each_trial_has_its_accuracy() -> None:
    scores = intent_scores([READING, replace(READING, trial=1), replace(READING, trial=1, got="b")])

    assert scores.per_trial == (1.0, 0.5)


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    sure_and_right_half_of_the_time = [replace(READING, got=got) for got in "aaxx"]

    assert calibration(sure_and_right_half_of_the_time).error == pytest.approx(0.4)
    assert calibration([replace(READING, confidence=1.0)]).error == 0
    assert calibration([replace(READING, confidence=0.0, got="x")]).error == 0


def test_out_of_scope_figures_are_those_of_the_scores() -> None:
    known = [replace(READING, in_scope=score) for score in np.linspace(0.21, 0.4, 20)]
    unknown = [replace(READING, wanted=None, in_scope=score, kept=score > 0.3) for score in (0.1, 0.215, 0.3, 0.9)]

    scores = scope_scores([*known, *unknown])

    assert scores is not None
    assert scores.auroc == pytest.approx((20 + 19 + 10.5 + 0) / 80, abs=0.01)
    assert scores.recall_at_kept == 0.5  # 19 of 20 are kept from 0.22 on; 0.1 and 0.215 lie below
    assert (scores.kept, scores.recall, scores.precision) == (1.0, 0.75, 1.0)


def test_out_of_scope_is_scored_per_trial_because_each_has_a_head_of_its_own() -> None:
    low = [replace(READING, in_scope=0.2), replace(READING, wanted=None, in_scope=0.1)]
    high = [replace(READING, in_scope=0.9, trial=1), replace(READING, wanted=None, in_scope=0.8, trial=1)]

    scores = scope_scores([*low, *high])

    assert scores is not None
    assert scores.auroc == 1


def test_without_both_kinds_there_are_no_out_of_scope_figures() -> None:
    assert scope_scores([READING]) is None
    assert scope_scores([replace(READING, wanted=None)]) is None


def test_a_span_is_found_only_if_both_ends_and_the_name_are_right() -> None:
    marked = (Span(0, 4, "city"), Span(5, 9, "day"), Span(10, 12, "day"))
    found = (Span(0, 4, "city"), Span(5, 8, "day"), Span(10, 12, "city"), Span(20, 22, "number"))

    scores = entity_scores([replace(READING, marked=marked, found=found)])

    assert scores is not None
    assert (scores.micro.precision, scores.micro.recall) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert scores.names["city"].f1 == pytest.approx(2 / 3)
    assert scores.names["day"].recall == 0
    assert scores.unasked == 1  # the data marks no numbers


def test_roles_are_told_apart_from_the_spans() -> None:
    marked = (Span(0, 4, "city", "from"), Span(5, 9, "city", "to"))
    found = (Span(0, 4, "city", "from"), Span(5, 9, "city", "from"))

    scores = entity_scores([replace(READING, marked=marked, found=found)])

    assert scores is not None
    assert (scores.micro.f1, scores.roles_right) == (1.0, 0.5)


def test_what_marks_no_entity_has_no_entity_figures() -> None:
    assert entity_scores([replace(READING, found=(Span(0, 1, "number"),))]) is None


def test_the_surest_mistakes_come_first_and_what_is_out_of_scope_is_none() -> None:
    wrong = [replace(READING, got="b", confidence=c, text=str(c)) for c in (0.2, 0.7)]

    listed = misread([READING, *wrong, replace(READING, wanted=None, got="b")])

    assert [reading.text for reading in listed] == ["0.7", "0.2"]
