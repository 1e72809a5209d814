"""What the lines of a bot's examples say."""

from pathlib import Path

import pytest

from parley.bots.reader import read_bot
from parley.bots.source import Faults
from parley.bots.training import TrainingData, parse_example

BOT = """
name: travel
title: Travel
description: Books flights.
unsure: [utter_hello]
declined: utter_hello
fallback: utter_hello
generation: {persona: Be kind.}
"""
DOMAIN = """
intents: [greet, book, greet+book]
entities:
- date
- city:
    roles: [from, to]
    groups: ["1", 2]
responses:
  utter_hello: [{text: hello}]
"""
NLU = """
nlu:
- intent: greet
  examples: |
    - hello
- intent: greet+book
  examples: |
    - hi, to Rome please
- intent: book
  examples: |
    - from [Berlin]{"entity": "city", "role": "from"} to [SF]{"entity": "city", "role": "to", "value": "San Francisco"}
    - first [Rome]{"entity": "city", "group": "1"}, then [Oslo]{"entity": "city", "group": 2} on [friday](date)
"""


def read(folder: Path, nlu: str = NLU) -> tuple[TrainingData, Faults]:
    """What the examples say, and what is wrong or odd about them."""
    for name, text in {"bot": BOT, "domain": DOMAIN, "nlu": nlu}.items():
        (folder / f"{name}.yml").write_text(text)
    faults = Faults()
    return read_bot(folder, faults).training, faults


def test_roles_and_groups_are_read(tmp_path: Path) -> None:
    training, faults = read(tmp_path)

    marked = {e.text: [(found.text, found.role, found.group) for found in e.entities] for e in training.examples}
    assert marked["from Berlin to SF"] == [("Berlin", "from", None), ("SF", "to", None)]
    assert marked["first Rome, then Oslo on friday"] == [
        ("Rome", None, "1"),
        ("Oslo", None, "2"),
        ("friday", None, None),
    ]
    assert (faults.lines, faults.notes) == ([], [])


@pytest.mark.parametrize(
    ("nlu", "note"),
    [
        (NLU.replace('"role": "from"', '"role": "via"'), "nlu.yml:11: entity `city` has no role `via` in the domain"),
        (NLU.replace('"group": 2', '"group": 3'), "nlu.yml:12: entity `city` has no group `3` in the domain"),
        (NLU.replace("(date)", '{"entity": "date", "role": "to"}'), "nlu.yml:12: entity `date` has no role `to`"),
        (NLU.replace('"role": "from"', '"rolle": "from"'), "nlu.yml:11: `rolle` of an entity is not used"),
    ],
)
def test_a_role_or_group_that_the_domain_does_not_have_is_told(tmp_path: Path, nlu: str, note: str) -> None:
    _, faults = read(tmp_path, nlu=nlu)

    assert [line for line in faults.notes if line.startswith(note)]
    assert not faults.lines


def test_a_mark_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    _, faults = read(tmp_path, nlu=NLU.replace('"role": "from"', "'role': 'from'"))

    assert [line for line in faults.lines if line.startswith("nlu.yml:11: an entity is marked as [words]")]


def test_a_value_may_hold_braces_and_quotes() -> None:
    faults = Faults()

    example = parse_example(r'use [x]{"entity": "code", "value": "{\"a\": 1}"} now', "run", "nlu.yml:1", faults)

    assert not faults.lines
    assert example.text == "use x now"
    assert example.entities[0].value == '{"a": 1}'


def test_a_number_as_a_value_becomes_text() -> None:
    example = parse_example('[two]{"entity": "count", "value": 2}', "run", "nlu.yml:1", Faults())

    assert example.entities[0].value == "2"


@pytest.mark.parametrize("intent", ["faq/ask_name", "thank+goodbye"])
def test_retrieval_intents_and_two_in_one_are_read_by_their_names(intent: str) -> None:
    assert parse_example("hello", intent, "nlu.yml:1", Faults()).intent == intent


def test_marks_stand_where_their_words_are() -> None:
    example = parse_example('a [b c](x) d [e]{"entity": "y"}[f](z)', "run", "nlu.yml:1", Faults())

    assert [example.text[e.start : e.end] for e in example.entities] == ["b c", "e", "f"]
    assert [e.text for e in example.entities] == ["b c", "e", "f"]
