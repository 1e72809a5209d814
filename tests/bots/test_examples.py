"""Every example bot against its author's own tests: dialogues alone, and whole, with the NLU that ships."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from compile_bot import bundle_of
from parley.bots.bundle import unpack
from parley.bots.source import Faults
from parley.compile import read_and_learn
from parley.dialogue.policy import Policy
from parley.loaded import LoadedBot, load
from parley.nlu.encoder import OnnxEncoder
from test_bot import judged, stories_in

BOTS = Path(__file__).resolve().parents[2] / "models/bots"
EXAMPLES = sorted(path.parent.name for path in BOTS.glob("*/bot.yml"))
OTHERS = [name for name in EXAMPLES if name != "support"]  # which has a module of its own


@pytest.fixture(scope="module", params=OTHERS)
def loaded(request: pytest.FixtureRequest, encoder: OnnxEncoder) -> LoadedBot:
    """A bot that is compiled, for the stack's tests too, and ready to talk."""
    return load(unpack(bundle_of(BOTS / request.param).read_bytes()), encoder)


def measured(bot: str) -> dict[str, list[Any]]:
    return dict(YAML(typ="safe").load((BOTS / bot / "tests/questions.yml").read_text()))


def share(outcomes: list[bool]) -> float:
    return sum(outcomes) / len(outcomes)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_no_faults_and_its_dialogues_go_as_they_are_told(name: str) -> None:
    faults = Faults()
    bot = read_and_learn(BOTS / name, faults).bot

    tests = list(judged(Policy(bot), stories_in(BOTS / name, bot, [], faults), None, None, lambda _: None))

    assert not faults.lines
    assert len(tests) >= 12
    assert [test.story.title for test in tests if not test.is_right] == []


def test_its_conversations_are_understood_and_go_as_they_are_told(loaded: LoadedBot, encoder: OnnxEncoder) -> None:
    folder = BOTS / loaded.bot.name
    stories = stories_in(folder, loaded.bot, [], Faults())

    tests = list(
        judged(
            loaded.policy,
            stories,
            lambda text: loaded.understand(text, loaded.hear(text, encoder)),
            None,
            lambda _: None,
        )
    )

    said = sum(event.kind == "user" for story in stories for event in story.events)
    assert sum(len(test.misheard) for test in tests) <= 0.06 * said
    assert sum(test.matched for test in tests) >= 0.96 * sum(test.actions for test in tests)


def test_utterances_that_it_was_not_taught_are_understood(loaded: LoadedBot, encoder: OnnxEncoder) -> None:
    rows = measured(loaded.bot.name)["utterances"]

    right = [
        loaded.understand(row["text"], loaded.hear(row["text"], encoder)).intent == row["intent"].partition("/")[0]
        for row in rows
    ]

    assert share(right) >= 0.92


def test_questions_find_their_section_and_the_unanswerable_are_mostly_declined(
    loaded: LoadedBot, encoder: OnnxEncoder
) -> None:
    rows = measured(loaded.bot.name)
    found = [
        loaded.knowledge.search(row["question"], encoder.embed([row["question"]])[0], limit=1)[0].passage
        for row in rows["questions"]
    ]

    right = [
        (passage.document, passage.section) == (row["document"], row["section"])
        for row, passage in zip(rows["questions"], found, strict=True)
    ]
    declined = [loaded.knowledge.answer(text, encoder.embed([text])[0]) is None for text in rows["unanswerable"]]

    assert share(right) >= 0.8
    assert share(declined) >= 0.75


def test_a_bundle_names_what_it_needs_in_the_account(loaded: LoadedBot) -> None:
    assert json.loads(json.dumps(sorted(loaded.bot.custom.secrets()))) == []
    assert loaded.bot.custom.functions() == frozenset()


def test_the_clinic_hears_every_emergency_and_never_diagnoses(loaded: LoadedBot, encoder: OnnxEncoder) -> None:
    if loaded.bot.name != "clinic":
        return
    rows = measured("clinic")["utterances"]
    heard = {row["text"]: loaded.understand(row["text"], loaded.hear(row["text"], encoder)).intent for row in rows}

    missed = [
        row["text"] for row in rows if row["intent"].startswith("emergency") and heard[row["text"]] != "emergency"
    ]
    answered = [
        row["text"]
        for row in rows
        if row["intent"] == "ask_diagnosis" and heard[row["text"]] in ("ask_knowledge", None)
    ]

    assert missed == []
    assert len(answered) <= 1
    assert "generate" not in loaded.bot.unsure
