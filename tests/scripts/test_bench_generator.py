"""The benchmark of the generator's endpoint: what it prints, and that it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bench_generator


def rounds(rate: float) -> list[dict[str, Any]]:
    return [{"tokens_per_s": rate, "tokens_per_cpu_s": rate, "cores": 1.0, "first_token_s": [0.02, 0.04, 0.03]}]


def figures(**more: Any) -> dict[str, Any]:
    measured = {"1": rounds(500), "8": rounds(1750), "full": rounds(80)}
    return {"measured": measured, "transformers": {}, "memory_mb": 300.0, "artefact_mb": 14.2, "load": 0.5} | more


def line(lines: list[str], name: str) -> list[str]:
    return next(each.split() for each in lines if each.startswith(name))


def test_the_table_sets_everybody_beside_one_person() -> None:
    lines = list(bench_generator.table(figures()))

    assert line(lines, "8")[:5] == ["8", "1750", "3.50", "30", "ms"]
    assert bench_generator.TRAINING_MISSING in "\n".join(lines)


def test_the_better_of_transformers_settings_counts() -> None:
    slow, fast = ([{"tokens_per_s": rate, "tokens_per_cpu_s": rate}] for rate in (40.0, 50.0))

    lines = list(bench_generator.table(figures(transformers={1: slow, 2: fast})))

    assert "x transformers: one person 10.0, eight 35.0" in lines


def test_it_measures_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_generator, "PEOPLE", (1, 8))
    monkeypatch.setattr(bench_generator, "TRAINING_PYTHON", tmp_path / "nowhere")
    file = tmp_path / "figures.json"
    arguments = ["bench_generator.py", "--rounds", "1", "--seconds", "0.2", "--json", str(file)]
    monkeypatch.setattr("sys.argv", arguments)

    bench_generator.main()

    measured = json.loads(file.read_text())["measured"]
    assert set(measured) == {"1", "8", "full"}
    assert all(each["tokens_per_s"] > 0 for (each,) in measured.values())
    assert len(measured["8"][0]["first_token_s"]) >= 8
    assert "people" in capsys.readouterr().out
