"""The build: which encoder and tokenizer the functions get, and that every bot is compiled with the same encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import build
import build_layers
from build import chosen_encoder, chosen_tokenizer
from steps import Step, Stop

MB = 1_000_000
FILES = ("model.onnx", "tokenizer.json", "config.json")


def without_packages(monkeypatch: pytest.MonkeyPatch, megabytes: int = 0) -> None:
    """Builds no layer of packages; the one of every function weighs so much."""

    def make(name: str, target: build_layers.Target, step: Step, folder: Path) -> None:
        (folder / "rest").write_bytes(bytes(megabytes * MB if name == "dependencies" else 0))

    monkeypatch.setattr(build_layers, "_packages", make)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The folder of an encoder of a bot's own."""
    folder = tmp_path / "tuned"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(f"{name} of my own")
    return folder


def test_without_a_word_on_it_the_encoder_that_ships_is_deployed() -> None:
    assert chosen_encoder({}) == chosen_encoder({"PARLEY_ENCODER": ""}) == build_layers.ENCODER


def test_a_folder_that_is_no_encoder_is_refused_with_what_it_lacks(encoder: Path) -> None:
    (encoder / "config.json").unlink()

    with pytest.raises(Stop, match=r"no encoder: it has no config\.json"):
        chosen_encoder({"PARLEY_ENCODER": str(encoder)})


def test_layer_and_bots_are_made_with_the_encoder_that_is_named(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: Sequence[str | Path], **_: Any) -> str:
        commands.append([str(word) for word in command])
        return str(tmp_path / "support-0.zip")

    for module in (build, build_layers):
        monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(build_layers, "PARLEY", tmp_path / "built")
    without_packages(monkeypatch)
    monkeypatch.setenv("PARLEY_ENCODER", str(encoder))

    built = build.build("local")

    assert [(built.layers / "encoder/encoder" / name).read_text() for name in FILES] == [
        f"{name} of my own" for name in FILES
    ]
    compiling = [command for command in commands if any(word.endswith("compile_bot.py") for word in command)]
    assert compiling
    assert all(command[-2:] == ["--encoder", str(encoder)] for command in compiling)


def test_another_encoder_takes_the_place_of_the_one_before(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_layers, "PARLEY", tmp_path / "built")
    without_packages(monkeypatch)
    with Step("layers") as step:
        build_layers.build_layers(build_layers.target("local"), step, encoder)
        (encoder / "model.onnx").write_text("tuned again")

        layers = build_layers.build_layers(build_layers.target("local"), step, encoder)

    assert (layers / "encoder/encoder/model.onnx").read_text() == "tuned again"


def test_without_a_word_on_it_prompts_are_counted_as_the_bundled_generator_counts_them() -> None:
    assert chosen_tokenizer({}) == chosen_tokenizer({"PARLEY_TOKENIZER": ""}) == build_layers.TOKENIZER


def test_a_tokenizer_is_named_by_its_file_or_by_its_folder() -> None:
    file = build_layers.ENCODER / "tokenizer.json"

    assert chosen_tokenizer({"PARLEY_TOKENIZER": str(file)}) == file
    assert chosen_tokenizer({"PARLEY_TOKENIZER": str(file.parent)}) == file


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")

    for named in (tmp_path, tmp_path / "not-there.json"):
        with pytest.raises(Stop, match=r"is no tokenizer.*fetch_tokenizer\.py"):
            chosen_tokenizer({"PARLEY_TOKENIZER": str(named)})


def test_the_tokenizer_travels_with_the_encoder_and_takes_its_chat_template_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_layers, "PARLEY", tmp_path)
    without_packages(monkeypatch)
    own = tmp_path / "own.json"
    own.write_text("my own")
    own.with_name("chat_template.jinja").write_text("my template")

    with Step("layers") as step:
        layers = build_layers.build_layers(build_layers.target("local"), step, tokenizer=own)

    assert (layers / "encoder/tokenizer/tokenizer.json").read_text() == "my own"
    assert (layers / "encoder/tokenizer/chat_template.jinja").read_text() == "my template"


def test_another_models_tokenizer_may_go_beyond_the_budget_but_not_beyond_lambdas_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_layers, "PARLEY", tmp_path)
    without_packages(monkeypatch, megabytes=110)
    own = tmp_path / "own.json"

    with Step("layers") as step:
        own.write_bytes(bytes(20 * MB))
        build_layers.build_layers(build_layers.target("local"), step, tokenizer=own)
        own.write_bytes(bytes(140 * MB))
        with pytest.raises(Stop, match=r"over the budget of 250 MB: .* tokenizer 140 MB"):
            build_layers.build_layers(build_layers.target("local"), step, tokenizer=own)
