"""The command that fine-tunes the encoder: what it reads, and what it refuses. Nothing is trained."""

import json
import sys
from pathlib import Path

import pytest

import fine_tune
from steps import Stop

ROOT = Path(__file__).resolve().parents[2]


def write_examples(path: Path, *intents: str) -> Path:
    rows = (json.dumps({"text": f"text {number}", "intent": intent}) for number, intent in enumerate(intents))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def give(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["fine_tune.py", *map(str, words)])
    fine_tune.main()


def test_a_bots_own_examples_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    name, examples = fine_tune.taught_by(ROOT / "models/bots/support", None)

    assert name == "support"
    assert len({example.intent for example in examples}) > 2


def test_a_bot_that_is_not_there_is_told_without_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stop, match="nothing"):
        give(monkeypatch, "--bot", tmp_path / "nothing", "--out", tmp_path / "out")


def test_one_intent_is_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = write_examples(tmp_path / "train.jsonl", "greet", "greet")

    with pytest.raises(Stop, match="at least two intents are needed, and there is only `greet`"):
        give(monkeypatch, "--train", train, "--out", tmp_path / "out")


@pytest.mark.parametrize("words", [("--share", "0"), ("--share", "1.5"), ("--epochs", "0"), ("--near", "-1")])
def test_a_setting_outside_of_what_it_may_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    train = write_examples(tmp_path / "train.jsonl", "greet", "leave")

    with pytest.raises(Stop, match=f"not {words[1]}"):
        give(monkeypatch, "--train", train, "--out", tmp_path / "out", *words)


def test_without_torch_it_says_how_to_make_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    train = write_examples(tmp_path / "train.jsonl", "greet", "leave")

    with pytest.raises(Stop, match=r"torch is missing here.*\n.*pip install -r models/requirements\.txt"):
        give(monkeypatch, "--train", train, "--out", tmp_path / "out")

    assert not (tmp_path / "out").exists()
