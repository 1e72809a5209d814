"""The report: what is measured, kept, marked and said."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import compression_report
import quantize
from models.compression import measure, report
from models.compression.quantize_codebook import CodebookSettings, quantize_folder
from models.compression.report import Row
from steps import Stop

points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


@given(points)
def test_nothing_on_the_front_is_beaten_and_all_else_is(drawn: list[tuple[int, int]]) -> None:
    flags = report.pareto_front(drawn)

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    front = [point for point, flag in zip(drawn, flags, strict=True) if flag]
    assert front
    assert not any(beats(one, other) for one in drawn for other in front)
    assert all(any(beats(one, other) for one in front) for other, flag in zip(drawn, flags, strict=True) if not flag)


def test_a_report_keeps_the_latest_row_of_each_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.jsonl"
    rows = [Row("a", "original", size_bytes=9), Row("b", "prune", {"share": 0.5}, "a"), Row("a", "original")]
    for row in rows:
        report.append(row, path)

    assert report.read(path) == [rows[2], rows[1]]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text('{"name": "a", "step": "prune"}\n{"step": "prune"}\n', encoding="utf-8")

    with pytest.raises(ValueError, match="line 2"):
        report.read(path)


def test_the_table_marks_both_fronts() -> None:
    rows = [
        Row("whole", "original", size_bytes=90_000_000, accuracy=0.95, short_ratio=1.0),
        Row("small", "quantize", size_bytes=20_000_000, accuracy=0.95, short_ratio=1.2, extra={"perplexity": 23.4}),
        Row("unknown", "quantize", size_bytes=1),
    ]

    table = report.markdown(rows).splitlines()

    assert table[2].startswith("| **whole** |  | T | 90.00 |")
    assert table[3].startswith("| **small** |  | S | 20.00 |")
    assert table[3].endswith(" 23.40 |")
    assert table[4].startswith("| unknown |  |  | 0.00 |")
    assert len({line.count("|") for line in table}) == 1


@pytest.fixture
def labelled(tmp_path: Path, sentences: list[str]) -> Path:
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": text, "intent": "question" if text.startswith("w") else "thing"} for text in sentences]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(monkeypatch: pytest.MonkeyPatch, command: str, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", [command, *map(str, words)])
    {"quantize": quantize, "report": compression_report}[command].main()


def test_two_commands_quantize_a_folder_and_draw_up_what_it_cost(
    folder: Path,
    labelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    graph: onnx.ModelProto,
) -> None:
    monkeypatch.setattr(measure, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(measure, "ROUNDS", 1)
    monkeypatch.setattr(measure, "CALLS_PER_ROUND", {12: 40, 64: 20})
    whole, log = tmp_path / "whole.onnx", tmp_path / "report.jsonl"
    onnx.save(graph, whole)
    told = ["--report", log, "--baseline", whole, "--train", labelled, "--valid", labelled]
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    text = tmp_path / "calibration.txt"
    text.write_text("what is it\nmy new shoes\n", encoding="utf-8")

    run(monkeypatch, "report", "measure", whole, "--name", "whole", "--step", "export", *told)
    options = ["--static", "--smooth", "0.5", "--reduce-range", "--calibration", text]
    run(monkeypatch, "quantize", folder, "--out", tmp_path / "int8", *options, "--parent", "whole", *told)
    run(monkeypatch, "report", "draw", "--report", log, "--markdown", tmp_path / "table.md")

    first, second = report.read(log)
    assert (first.name, second.name, second.parent, second.settings["static"]) == ("whole", "int8", "whole", True)
    assert first.accuracy in (0.5, 0.75, 1.0)
    assert second.accuracy in (0.5, 0.75, 1.0)
    assert first.cosine_least == pytest.approx(1, abs=1e-6)
    assert 0.98 < (second.cosine_least or 0) <= (second.cosine_mean or 0) < 1
    assert second.size_bytes < first.size_bytes
    assert first.parameters == second.parameters
    assert min(second.short_ms or 0, second.short_ratio or 0, second.load_seconds or 0) > 0
    assert (second.long_ms or 0) > (second.short_ms or 0)
    assert (second.peak_bytes or 0) > 10_000_000
    assert "| int8 | whole |" in (tmp_path / "table.md").read_text(encoding="utf-8").replace("**", "")
    assert "MB of weights" in capsys.readouterr().out


def test_parameters_of_a_packed_folder_are_those_it_stands_for(folder: Path, tmp_path: Path) -> None:
    quantize_folder(folder, tmp_path / "packed", CodebookSettings())

    assert measure.count_parameters(tmp_path / "packed")[0] == measure.count_parameters(folder)[0]
    assert measure.weight_bytes(tmp_path / "packed") < measure.weight_bytes(folder)


def test_zeros_are_not_counted(tmp_path: Path, folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    total = sum(int(np.count_nonzero(value)) for value in tensors.values())
    pruned = {name: np.where(np.abs(value) < 0.1, 0, value) for name, value in tensors.items()}
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    save_file(pruned, str(tmp_path / "model.safetensors"))

    parameters, nonzeros = measure.count_parameters(tmp_path)

    assert parameters == total
    assert nonzeros == sum(int(np.count_nonzero(value)) for value in pruned.values()) < total


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--static"], "need --calibration"),
        (["--method", "int4", "--block", "24"], "power of two"),
        (["--method", "int8", "--format", "safetensors"], "is for kmeans and log"),
        (["--smooth", "3"], "a share from 0 to 1"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    words: list[str], reason: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop, match=reason):
        run(monkeypatch, "quantize", folder, "--out", tmp_path / "out", *words)


def test_a_model_that_is_not_there_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stop, match="neither an ONNX file nor a folder"):
        run(monkeypatch, "quantize", tmp_path / "nothing", "--out", tmp_path / "out")
