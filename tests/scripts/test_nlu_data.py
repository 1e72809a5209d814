"""Files of labelled utterances: what is read, what is refused with its line, and how they are dealt."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nlu_data import few, folds, parted, read_utterances
from parley.bots.training import Example
from steps import Stop


def a_file(folder: Path, *rows: dict[str, Any] | str, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def examples_of(**counts: int) -> list[Example]:
    return [Example(f"{name} {n}", name, (), "f:1") for name, count in counts.items() for n in range(count)]


def test_a_row_is_an_example_with_its_place(tmp_path: Path) -> None:
    path = a_file(tmp_path, {"text": "to Rome", "intent": "go", "slots": [{"start": 3, "end": 7, "slot": "city"}]})

    [example] = read_utterances(path)

    assert (example.text, example.intent, example.place) == ("to Rome", "go", "rows.jsonl:1")
    assert [(e.name, e.text, e.start, e.end) for e in example.entities] == [("city", "Rome", 3, 7)]


def test_a_gzipped_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(gzip.compress(b'{"text": "hi", "intent": "greet"}\n\n'))

    assert [example.text for example in read_utterances(path)] == ["hi"]


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        (["O", "B-city", "I-city"], [("city", "new york")]),
        (["B-day", "B-day", "O"], [("day", "to"), ("day", "new")]),
        (["O", "I-city", "I-city"], [("city", "new york")]),  # conlleval: an I- with nothing before it begins a span
        (["O", "B-city", "I-day"], [("city", "new"), ("day", "york")]),
        (["O", "B-city", "O"], [("city", "new")]),
    ],
)
def test_tagged_tokens_become_spans_of_their_text(
    tmp_path: Path, tags: list[str], spans: list[tuple[str, str]]
) -> None:
    path = a_file(tmp_path, {"tokens": ["to", "new", "york"], "tags": tags, "intent": "go"})

    [example] = read_utterances(path)

    assert example.text == "to new york"
    assert [(entity.name, entity.text) for entity in example.entities] == spans
    assert all(example.text[entity.start : entity.end] == entity.text for entity in example.entities)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ('{"text": "a"', "rows.jsonl:2: not JSON"),
        ("[1]", "rows.jsonl:2: a line must be a JSON object"),
        ({"text": "a"}, "rows.jsonl:2: `intent` is missing"),
        ({"text": "a", "intent": None}, "rows.jsonl:2: `intent` must be a text"),
        ({"intent": "x"}, "rows.jsonl:2: `text` is missing"),
        ({"text": " ", "intent": "x"}, "rows.jsonl:2: `text` is empty"),
        (
            {"text": "abc", "intent": "x", "slots": [{"start": 1, "end": 9, "slot": "s"}]},
            "rows.jsonl:2: slot `s` at 1..9 lies outside the text, which has 0..3",
        ),
        ({"text": "abc", "intent": "x", "slots": [{"start": 1}]}, "rows.jsonl:2: a slot must have"),
        ({"text": "abc", "intent": "x", "slots": {"a": 1}}, "rows.jsonl:2: `slots` must be a list"),
        ({"tokens": ["a"], "tags": ["O", "O"], "intent": "x"}, "rows.jsonl:2: there are 1 tokens and 2 tags"),
        ({"tokens": ["a"], "tags": ["X-a"], "intent": "x"}, "rows.jsonl:2: a tag must be O, B-name or I-name"),
        ({"tokens": ["a"], "intent": "x"}, "rows.jsonl:2: `tags` is missing"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, row: dict[str, Any] | str, fault: str) -> None:
    path = a_file(tmp_path, {"text": "fine", "intent": "x"}, row)

    with pytest.raises(Stop) as told:
        read_utterances(path)

    assert fault in str(told.value)


def test_all_bad_lines_are_told_at_once(tmp_path: Path) -> None:
    path = a_file(tmp_path, "x", {"text": "fine", "intent": "x"}, "y")

    with pytest.raises(Stop, match=r"(?s)rows.jsonl:1: .*rows.jsonl:3: "):
        read_utterances(path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"", "no utterance"), (b"\n\n", "no utterance"), (b'{"a\xff', "rows:1: not UTF-8"), (b"\x1f\x8bx", "cannot be")],
)
def test_a_file_that_holds_nothing_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "rows"
    path.write_bytes(content)

    with pytest.raises(Stop, match=fault):
        read_utterances(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"nix\.jsonl: there is no such file"):
        read_utterances(tmp_path / "nix.jsonl")


def test_each_example_is_held_out_once_and_intents_are_spread_evenly() -> None:
    examples = examples_of(a=10, b=25, c=3)

    dealt = list(folds(examples, 5))

    held_out = [example.text for _, asked in dealt for example in asked]
    assert sorted(held_out) == sorted(example.text for example in examples)
    for taught, asked in dealt:
        assert not {e.text for e in taught} & {e.text for e in asked}
        assert Counter(e.intent for e in asked)["b"] == 5
        assert {e.intent for e in taught} == {"a", "b", "c"}


def test_the_only_example_of_an_intent_is_taught_and_never_held_out() -> None:
    dealt = list(folds(examples_of(a=4, single=1), 2))

    assert all("single 0" in [e.text for e in taught] for taught, _ in dealt)
    assert all("single 0" not in [e.text for e in asked] for _, asked in dealt)


def test_few_examples_are_drawn_by_seed_and_do_not_hang_on_the_order_of_the_intents() -> None:
    examples = examples_of(a=20, b=20, c=2)
    turned = examples_of(b=20, c=2, a=20)

    drawn = few(examples, 5, seed=1)

    assert Counter(example.intent for example in drawn) == {"a": 5, "b": 5, "c": 2}
    assert {e.text for e in drawn} == {e.text for e in few(turned, 5, seed=1)}
    assert {e.text for e in drawn} != {e.text for e in few(examples, 5, seed=2)}


def test_out_of_scope_is_what_is_labelled_so_unless_it_is_taught() -> None:
    examples = examples_of(greet=1, oos=2)

    assert [len(part) for part in parted(examples, frozenset({"greet"}))] == [1, 2]
    assert [len(part) for part in parted(examples, frozenset({"greet", "oos"}))] == [3, 0]
