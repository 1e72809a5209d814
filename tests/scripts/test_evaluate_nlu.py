"""The evaluation: what it measures, what it tells, and what it refuses; on small data, with the encoder that ships."""

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import evaluate_nlu
from evaluate_nlu import Plan, evaluate, options_of, plan_bot, plan_files, write
from nlu_plots import draw_confidences, draw_confusions, draw_reliability, most_confused
from nlu_report import Evaluation, as_json, as_markdown, summary
from nlu_scores import Reading, calibration, intent_scores
from nlu_trial import RememberingEncoder
from parley.nlu.encoder import OnnxEncoder
from steps import Stop

GREET = ["hello", "hi there", "good morning", "hey, how are you", "good evening to you", "hi", "hello again", "hey you"]
WEATHER = [
    "will it rain in Oslo",
    "is it sunny in Rome today",
    "what is the weather in Paris",
    "how warm is it in Cairo",
    "do I need an umbrella in London",
    "will it snow in Helsinki tomorrow",
    "is it windy in Dublin",
    "weather forecast for Madrid",
]
PIZZA = [
    "I want a pizza",
    "order a large pizza please",
    "can I have two pizzas with cheese",
    "bring me a margherita",
    "pizza with mushrooms please",
    "I would like to order some food",
    "a small pizza with ham",
    "get me something to eat",
]
OUTSIDE = ["what is the capital of Peru", "sing a song about tractors", "how do I renew my passport", "convert 3 miles"]
CITIES = ("Oslo", "Rome", "Paris", "Cairo", "London", "Helsinki", "Dublin", "Madrid")


def row(text: str, intent: str) -> dict[str, Any]:
    slots = [
        {"start": text.index(city), "end": text.index(city) + len(city), "slot": "city"}
        for city in CITIES
        if city in text
    ]
    return {"text": text, "intent": intent, "slots": slots}


def rows_of(part: slice) -> list[dict[str, Any]]:
    said = {"greet": GREET, "weather": WEATHER, "pizza": PIZZA}
    return [row(text, intent) for intent, texts in said.items() for text in texts[part]]


def a_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module", autouse=True)
def _short_training() -> Iterator[None]:
    """How well entities are found is other tests' business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("parley.nlu.tagger_fit.STEPS", 40)
        patch.setattr("parley.nlu.tagger_fit.EPOCHS", 1)
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("utterances")
    outside = [{"text": text, "intent": "oos"} for text in OUTSIDE]
    train = folder / "train.jsonl.gz"
    train.write_bytes(gzip.compress("\n".join(map(json.dumps, rows_of(slice(0, 6)))).encode()))
    return {
        "train": train,
        "test": a_file(folder / "test.jsonl", [*rows_of(slice(6, 8)), *outside[:2]]),
        "oos": a_file(folder / "oos.jsonl", [{"text": OUTSIDE[2], "intent": "whatever"}]),
        "valid": a_file(folder / "valid.jsonl", [*rows_of(slice(5, 6)), outside[3]]),
        "valid_without": a_file(folder / "valid_without.jsonl", rows_of(slice(5, 6))),
    }


@pytest.fixture(scope="module")
def remembering(encoder: OnnxEncoder) -> RememberingEncoder:
    return RememberingEncoder(encoder)


@pytest.fixture(scope="module")
def evaluated(files: dict[str, Path], remembering: RememberingEncoder) -> Evaluation:
    plan = plan_files(files["train"], files["test"], valid=files["valid"], oos_test=files["oos"])
    return evaluate(plan, remembering, lambda _: None, noise=True)


def test_files_are_taught_and_asked(evaluated: Evaluation) -> None:
    assert evaluated.taught == 18
    assert len(evaluated.readings) == 9
    assert evaluated.intents.accuracy >= 0.8
    assert evaluated.intents.intents.keys() == {"greet", "weather", "pizza"}
    assert not evaluated.warnings


def test_what_is_out_of_scope_counts_for_no_intent(evaluated: Evaluation) -> None:
    assert sum(rates.support for rates in evaluated.intents.intents.values()) == 6
    assert evaluated.scope is not None
    assert evaluated.scope.count == 3  # two labelled so, one by its file
    assert evaluated.scope.auroc > 0.5


def test_entities_are_scored_where_the_files_mark_them(evaluated: Evaluation) -> None:
    assert evaluated.entities is not None
    assert evaluated.entities.micro.support == 2
    assert evaluated.entities.names.keys() == {"city"}


def test_noise_is_measured_on_the_same_utterances(evaluated: Evaluation) -> None:
    for name, cost in evaluated.noise.items():
        assert cost.cost == pytest.approx(evaluated.intents.accuracy - cost.accuracy), name
    assert evaluated.noise["upper case"].example[1] == evaluated.noise["upper case"].example[0].upper()


def test_everything_is_written_side_by_side(evaluated: Evaluation, tmp_path: Path) -> None:
    report = write(evaluated, tmp_path / "new", "run")

    markdown, figures = report.read_text(), json.loads(report.with_suffix(".json").read_text())
    for picture in figures["pictures"].values():
        assert f"]({picture})" in markdown
        assert (report.parent / picture).read_bytes().startswith(b"\x89PNG")
    assert set(figures["pictures"]) == {"confusions", "confidence", "reliability", "out_of_scope"}
    assert figures["accuracy"] == pytest.approx(evaluated.intents.accuracy, abs=1e-5)
    assert figures["out_of_scope"]["recall_at_95_kept"] <= 1
    assert figures["entities"]["f1"] <= 1
    assert figures["times"]["call_p50_ms"] > 0


def test_the_same_files_give_the_same_figures(evaluated: Evaluation, files: dict[str, Path]) -> None:
    plan = plan_files(files["train"], files["test"], valid=files["valid"], oos_test=files["oos"])
    again = evaluate(plan, RememberingEncoder(OnnxEncoder(evaluate_nlu.ENCODER)), lambda _: None)

    first, second = as_json(evaluated), as_json(again)

    for name in ("accuracy", "macro_f1", "intents", "misread", "out_of_scope", "entities", "calibration"):
        assert first[name] == second[name], name


def test_the_screen_shows_the_figures(evaluated: Evaluation) -> None:
    shown = summary(evaluated)

    assert f"{evaluated.intents.accuracy:.2%} of 6 utterances" in shown
    assert len(shown.splitlines()) <= 24
    assert max(map(len, shown.splitlines())) <= 120


def test_a_few_examples_are_drawn_for_each_seed(files: dict[str, Path], remembering: RememberingEncoder) -> None:
    plan = plan_files(files["train"], files["test"], examples_per_intent=4, seeds=2)

    evaluation = evaluate(plan, remembering, lambda _: None)

    assert [len(lesson.taught) for lesson in plan.lessons] == [12, 12]
    assert {e.text for e in plan.lessons[0].taught} != {e.text for e in plan.lessons[1].taught}
    assert len(evaluation.intents.per_trial) == 2
    assert len(evaluation.readings) == 2 * 8


def test_known_out_of_scope_utterances_reach_the_fit(files: dict[str, Path]) -> None:
    plan = plan_files(files["train"], files["test"], valid=files["valid"])

    assert plan.lessons[0].known_outside == [OUTSIDE[3]]


def test_a_valid_file_without_them_is_told(files: dict[str, Path]) -> None:
    plan = plan_files(files["train"], files["test"], valid=files["valid_without"])

    assert "no utterance out of scope" in plan.warnings[0]


def test_an_intent_that_was_never_taught_counts_as_wrong_and_is_told(
    files: dict[str, Path], tmp_path: Path, remembering: RememberingEncoder
) -> None:
    test = a_file(tmp_path / "t.jsonl", [row("hello you", "greet"), row("what time is it", "clock")])

    plan = plan_files(files["train"], test)
    evaluation = evaluate(plan, remembering, lambda _: None)

    assert plan.warnings == ["1 utterances ask for `clock`, which was never taught; they count as wrong"]
    assert evaluation.intents.accuracy == 0.5
    assert evaluation.intents.intents["clock"].recall == 0


def test_utterances_that_were_taught_too_are_told(files: dict[str, Path]) -> None:
    plan = plan_files(files["train"], files["train"])

    assert "18 of the 18 utterances asked stand in the training file too" in plan.warnings[0]


def test_files_without_an_intent_to_tell_apart_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    one_intent = a_file(tmp_path / "one.jsonl", [row("hello", "greet")])
    outside_only = a_file(tmp_path / "outside.jsonl", [{"text": "hm", "intent": "oos"}])

    with pytest.raises(Stop, match="at least two intents"):
        plan_files(one_intent, files["test"])
    with pytest.raises(Stop, match="all utterances are out of scope"):
        plan_files(files["train"], outside_only)


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    folder.mkdir()
    said = {"greet": GREET, "pizza": PIZZA}
    listed = {name: "".join(f"    - {text}\n" for text in texts) for name, texts in said.items()}
    nlu = "".join(f"- intent: {name}\n  examples: |\n{texts}" for name, texts in listed.items())
    (folder / "nlu.yml").write_text(f"nlu:\n{nlu}")
    (folder / "domain.yml").write_text("intents: [greet, pizza]\nresponses:\n  utter_hi: [{text: hi}]\n")
    settings = "name: b\ntitle: B\ndescription: B\nunsure: [utter_hi]\ndeclined: utter_hi\nfallback: utter_hi\n"
    (folder / "bot.yml").write_text(f"{settings}generation: {{persona: kind}}\n")
    return folder


def test_a_bot_is_asked_its_own_examples_fold_by_fold(bot: Path, remembering: RememberingEncoder) -> None:
    plan = plan_bot(bot, 4, None)

    evaluation = evaluate(plan, remembering, lambda _: None)

    assert sorted(reading.text for reading in evaluation.readings) == sorted([*GREET, *PIZZA])
    assert len(evaluation.intents.per_trial) == 4
    assert evaluation.intents.accuracy >= 0.7
    assert evaluation.entities is None
    assert evaluation.scope is None


def test_a_bot_with_faults_is_refused_with_their_places(bot: Path) -> None:
    (bot / "domain.yml").write_text("intents: [greet, pizza]\nresponses:\n  utter_ho: [{text: hi}]\n")

    with pytest.raises(Stop, match=r"bot\.yml:4: there is no response `utter_hi`"):
        plan_bot(bot, 5, None)


def test_the_command_prints_one_screen_and_writes_its_json(
    bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, out = tmp_path / "figures.json", tmp_path / "out"
    command = ["evaluate_nlu.py", "--bot", bot, "--folds", "2", "--out", out, "--json", figures]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))

    evaluate_nlu.main()

    assert "accuracy" in capsys.readouterr().out
    assert figures.read_text() == (out / "figures.json").read_text()
    assert (out / "figures.md").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--train", "a"],
        ["--bot", "a", "--train", "b"],
        ["--bot", "a", "--valid", "b"],
        ["--bot", "a", "--folds", "1"],
        ["--train", "a", "--test", "b", "--examples-per-intent", "0"],
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options_of(arguments)

    assert "error:" in capsys.readouterr().err


def many_readings(intents: int) -> list[Reading]:
    names = [f"intent_with_a_long_name_{number:03}" for number in range(intents)]
    made = []
    for number, name in enumerate(names):
        right = Reading(f"t{number}", "f:1", name, name, 0.9, 0.9, kept=True)
        made += [right, replace(right, got=names[(number + 1) % intents], confidence=0.4)]
    return made


@pytest.mark.parametrize("intents", [1, 2, 24, 25, 150])
def test_a_matrix_of_any_size_is_drawn(tmp_path: Path, intents: int) -> None:
    readings = many_readings(intents)
    scores = intent_scores(readings)

    draw_confusions(scores, tmp_path / "c.png")
    draw_confidences(readings, tmp_path / "h.png")
    draw_reliability(calibration(readings), tmp_path / "r.png")

    assert all((tmp_path / name).stat().st_size > 5_000 for name in ("c.png", "h.png", "r.png"))
    assert len(set(most_confused(scores))) == len(most_confused(scores)) <= 14


def test_a_report_without_a_mistake_says_so(evaluated: Evaluation) -> None:
    right = [replace(reading, got=reading.wanted or reading.got) for reading in evaluated.readings]
    within = [reading for reading in right if reading.wanted]
    spotless = replace(evaluated, readings=right, intents=intent_scores(within), scope=None, noise={})

    report = as_markdown(spotless, {})

    assert "No intent was taken for another." in report
    assert report.rstrip().endswith("Nothing.")


def test_a_pipe_in_an_utterance_does_not_break_a_table(evaluated: Evaluation) -> None:
    odd = replace(evaluated.readings[0], text="a | b", wanted="greet", got="pizza")

    assert "a \\| b" in as_markdown(replace(evaluated, readings=[odd]), {})


def test_a_plan_says_how_it_measures(files: dict[str, Path]) -> None:
    plan: Plan = plan_files(files["train"], files["test"], examples_per_intent=2, seeds=3)

    assert "2 of each intent, drawn 3 times; figures are means" in plan.method
