"""The environments of the real servers: made once, and anew when what they need has changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import backends
from steps import Step, Stop


def test_an_environment_is_made_once_and_anew_when_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[Sequence[str | Path]] = []
    monkeypatch.setattr(backends.venv, "create", lambda folder, **_: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(backends, "run", lambda command, **_: commands.append(command))
    requirements = tmp_path / "requirements-ray_serve.txt"

    for needs in ("ray==1", "ray==1", "ray==2"):
        requirements.write_text(needs)
        with Step("ray_serve") as step:
            backends._make(tmp_path / "ray_serve", requirements, step)

    assert len(commands) == 2


def test_an_environment_that_could_not_be_made_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise Stop("no network")

    monkeypatch.setattr(backends.venv, "create", lambda folder, **_: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(backends, "run", run)
    requirements = tmp_path / "requirements-ray_serve.txt"
    requirements.write_text("ray==1")

    for _ in range(2):
        with pytest.raises(Stop, match="no network"), Step("ray_serve") as step:
            backends._make(tmp_path / "ray_serve", requirements, step)
