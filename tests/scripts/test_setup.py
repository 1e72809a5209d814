"""Set-up: what it says when the machine cannot hold it."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import setup
from steps import Stop

ROOT = Path(__file__).parents[2]


def test_a_disk_without_room_is_told_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1.2e9))
    monkeypatch.setattr(setup, "VENV", tmp_path / "venv")

    with pytest.raises(Stop) as told:
        setup.main()

    assert str(told.value) == "Set-up needs 4 GB of disk, and only 1.2 GB are free."
    assert not (tmp_path / "venv").exists()


def test_without_a_python_new_enough_make_says_which_is_needed() -> None:
    made = subprocess.run(
        ["make", "--no-print-directory", "setup", "PYTHON="], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert made.returncode != 0
    assert made.stderr.splitlines()[0] == "Parley needs Python 3.11 or newer, and no such python3 is on the PATH."


def test_what_is_locked_is_not_installed_again() -> None:
    made = subprocess.run(["make", "setup"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "installed" not in made.stdout
