"""The benchmark: that it measures what it says, in turns, and that a goal is only reached when it is."""

import json
import sys
from pathlib import Path

import pytest

import bench_nlu
import nlu_quality
from bench_nlu import TOKENS, Worker, in_fresh_process, people_say, sentences, speeds, table, verdict
from nlu_quality import Collection, quality
from parley.nlu.encoder import OnnxEncoder
from steps import Stop

ECHO = """
import json, sys
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    what, texts = json.loads(line)
    if what == "die":
        sys.exit("the disk has a hole")
    print(json.dumps({"walls": [20.0 for _ in texts], "cpu": 10.0, "rss_mb": 100}), flush=True)
"""


def test_sentences_have_the_number_of_tokens_that_is_printed_and_differ(encoder: OnnxEncoder) -> None:
    made = sentences(50, seed=1)

    assert {len(encoder.encode(text).offsets) for text in made} == {TOKENS - 2}  # without [CLS] and [SEP]
    assert len(set(made)) == 50
    assert made == sentences(50, seed=1)


def test_people_say_what_the_bots_tests_hold() -> None:
    assert len(set(people_say())) > 50


def test_a_worker_that_ends_is_told_with_what_it_said() -> None:
    with Worker(sys.executable, "-c", ECHO) as worker:
        assert worker.ask("encoder", ["a"])["cpu"] == 10.0

        with pytest.raises(Stop, match="the disk has a hole"):
            worker.ask("die", [])


def test_a_worker_that_never_begins_is_told_and_ended() -> None:
    with pytest.raises(Stop, match="no such thing"):
        Worker(sys.executable, "-c", "import sys; sys.exit('no such thing')")


def test_calls_are_measured_in_turns_with_the_reference(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_nlu, "ROUNDS", 2)
    monkeypatch.setattr(bench_nlu, "REFERENCE", ECHO)
    cold = {"imports_s": 0.1, "load_s": 0.1, "first_answer_s": 0.1, "whole_s": 0.3, "cpu_s": 0.2, "rss_mb": 90}

    figures = speeds(bundle, 20, Path(sys.executable))

    kinds = figures["kinds"]
    assert set(kinds) == {
        "encoder, 12 tokens",
        "understand(), 12 tokens",
        "understand(), what people say",
        "torch float32, 12 tokens",
    }
    for name, row in kinds.items():
        assert 0 < row["p50"] <= row["p99"], name
        assert row["cpu"] > 0, name
    assert kinds["torch float32, 12 tokens"] == {"p50": 20.0, "p99": 20.0, "cpu": 10.0}
    lines = list(table({**figures, "cold": cold, "calls": 20, "reference": True}))
    [torch] = [line for line in lines if line.startswith("torch")]
    assert float(torch.split()[-1]) == pytest.approx(10 / kinds["encoder, 12 tokens"]["cpu"], abs=0.01)


def test_without_torch_the_table_says_how_to_get_it() -> None:
    row = {"p50": 1.0, "p99": 2.0, "cpu": 1.0}
    cold = {"imports_s": 0.1, "load_s": 0.1, "first_answer_s": 0.1, "whole_s": 0.3, "cpu_s": 0.2, "rss_mb": 90}
    kinds = {f"encoder, {TOKENS} tokens": row, f"understand(), {TOKENS} tokens": row}

    shown = "\n".join(table({"kinds": kinds, "cold": cold, "rss_mb": 99, "calls": 1, "reference": False}))

    assert "pip install -r models/requirements.txt" in shown


def test_the_reference_is_a_program() -> None:
    compile(bench_nlu.REFERENCE, "reference", "exec")


def test_a_cold_start_counts_everything_from_the_interpreter_to_the_answer(bundle: Path) -> None:
    cold = in_fresh_process(bundle)

    assert 0 < cold["imports_s"] < cold["whole_s"]
    assert cold["whole_s"] == pytest.approx(cold["imports_s"] + cold["load_s"] + cold["first_answer_s"])
    assert 50 < cold["rss_mb"] < 400


@pytest.mark.parametrize(
    ("value", "at_most", "words"),
    [
        (1.0, True, "<= 1      reached"),
        (1.01, True, "<= 1      NOT reached"),
        (1.0, False, ">= 1      reached"),
        (0.99, False, ">= 1      NOT reached"),
    ],
)
def test_a_goal_is_reached_or_not(value: float, at_most: bool, words: str) -> None:
    assert words in verdict("a figure", value, 1.0, at_most=at_most)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    said = {
        "greet": ["hello", "hi there", "good morning", "hello again"],
        "food": ["I want a pizza", "bring me a soup", "a cake please", "we would like to eat"],
    }
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name, part in (("train", slice(0, 3)), ("valid", slice(3, 4))):
        rows = [{"text": text, "intent": intent} for intent, texts in said.items() for text in texts[part]]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    goals = {shots: ((f"tiny, {shots}", nlu_quality.accuracy, 90.0),) for shots in (None, 2)}
    monkeypatch.setattr(nlu_quality, "COLLECTIONS", (Collection("tiny", "train.jsonl", "valid.jsonl", goals),))
    return tmp_path


def test_quality_is_measured_for_all_and_for_few_examples(data: Path) -> None:
    figures = list(quality(data))

    assert [(name, goal) for name, _, goal in figures] == [("tiny, None", 90.0), ("tiny, 2", 90.0)]
    assert all(50 <= value <= 100 for _, value, _ in figures)


def test_a_collection_that_there_is_not_is_refused(data: Path) -> None:
    with pytest.raises(Stop, match="nix: not among tiny"):
        list(quality(data, ["nix"]))


def test_no_collection_is_taught_its_own_valid_file() -> None:
    for collection in nlu_quality.COLLECTIONS:
        assert collection.train != collection.valid
        assert collection.folder != "banking77" or collection.train == "train_minus_valid.jsonl.gz"
