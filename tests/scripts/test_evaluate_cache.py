"""The measure of the reply cache: what is counted, and what is said of files that are no such thing."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluate_cache import Pair, cosine_serving, curve, main, read_pairs, scores_of, served
from parley.caching.facts import Difference
from parley.caching.sameness import Verdict
from steps import Stop

LABELS = np.array([True, True, True, False, False])
COSINES = np.array([0.99, 0.9, 0.7, 0.95, 0.2])


def test_wrong_ones_are_counted_among_the_served() -> None:
    chosen = np.array([True, True, False, True, False])

    figures = served(LABELS, chosen)

    assert (figures.hits, figures.wrong) == (2, 1)
    assert figures.recall == pytest.approx(2 / 3)
    assert figures.wrong_share == pytest.approx(1 / 3)


def test_without_a_wrong_one_among_299_the_share_is_at_most_a_hundredth() -> None:
    labels = np.ones(299, bool)

    assert served(labels, labels).wrong_at_most == pytest.approx(0.01, abs=1e-4)


def test_where_nothing_is_served_no_share_is_told() -> None:
    figures = served(LABELS, np.zeros(5, bool))

    assert (figures.recall, figures.wrong_share, figures.wrong_at_most) == (0.0, None, None)


def test_the_cosine_is_measured_where_it_serves_as_much() -> None:
    as_many_hits = cosine_serving(LABELS, COSINES, hits=2)
    as_many_wrong = cosine_serving(LABELS, COSINES, wrong=0)

    assert (as_many_hits.hits, as_many_hits.wrong, as_many_hits.threshold) == (2, 1, pytest.approx(0.9))
    assert (as_many_wrong.hits, as_many_wrong.wrong) == (1, 0)


def test_a_cosine_that_may_serve_all_wrong_ones_serves_all() -> None:
    assert cosine_serving(LABELS, COSINES, wrong=2).hits == 3


def test_the_curve_leaves_out_what_is_never_served() -> None:
    recall, wrong = curve(LABELS, np.array([np.inf, 0.8, -np.inf, 0.8, -np.inf]))

    assert recall.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert wrong.tolist() == pytest.approx([0, 1 / 3])


def test_of_nothing_served_there_is_no_curve() -> None:
    recall, wrong = curve(LABELS, np.full(5, -np.inf))

    assert (recall.size, wrong.size) == (0, 0)


def test_refusals_are_counted_by_reason_and_label() -> None:
    pairs = [Pair("a", "b", True), Pair("a", "c", False), Pair("a", "d", False)]
    verdicts = [
        Verdict(0.1, Difference.MEANING),
        Verdict(-np.inf, Difference.NUMBERS),
        Verdict(0.2, Difference.MEANING),
    ]

    scores = scores_of(pairs, verdicts, [0.1, 0.2, 0.3], np.array([0.9, 0.8, 0.7]))

    assert scores.refused == {Difference.MEANING: (1, 1), Difference.NUMBERS: (0, 1)}
    assert scores.cpu_p50_ms == pytest.approx(0.2)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    rows = [
        ("How do I clean an oven?", "What is the best way to clean an oven?", 1),
        ("How far is it from Bath to York?", "How far is it from York to Bath?", 0),
        ("Do you rent two tents?", "Do you rent three tents?", 0),
    ]
    path = tmp_path / "ovens.jsonl"
    path.write_text("\n".join(json.dumps({"text_a": a, "text_b": b, "label": label}) for a, b, label in rows))
    return path


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_the_whole_asks_the_code_that_serves(tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, picture = tmp_path / "told.json", tmp_path / "pictures" / "curve.png"

    main(["--pairs", str(pairs), "--json", str(told), "--plot", str(picture)])

    content = json.loads(told.read_text())
    assert (content["parley"]["hits"], content["parley"]["wrong"]) == (1, 0)
    assert content["refused"] == {Difference.MEANING: [0, 1], Difference.NUMBERS: [0, 1]}
    assert is_picture(picture)
    assert "other numbers" in capsys.readouterr().out


def test_the_picture_lies_beside_the_figures(
    tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    main(["--pairs", str(pairs), "--json", "told.json"])
    main(["--pairs", str(pairs)])

    assert is_picture(Path("told.png"))
    assert is_picture(Path("ovens.png"))
    assert "the curve: ovens.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (['{"text_a": "x", "label": 1}'], "line 1 has no 'text_b'"),
        (['{"text_a": "x", "text_b": "y", "label": 1}', '{"text_a": "x", "text_b": " "}'], "line 2 has no 'text_b'"),
        (['{"text_a": "x", "text_b": "y", "label": "same"}'], "line 1 has no 'label' that is 0 or 1"),
        (['{"text_a": "x", "text_b": "y", "label": 0.5}'], "line 1 has no 'label' that is 0 or 1"),
        (["", "nonsense"], "line 2 is not JSON"),
        (["[]"], "line 1 is no JSON object"),
        ([], "there are no pairs"),
    ],
)
def test_pairs_that_are_none_are_named(written: list[str], reason: str) -> None:
    with pytest.raises(Stop, match=reason):
        read_pairs(written)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="does not exist"):
        main(["--pairs", str(tmp_path / "none")])
