"""Set up what Parley needs: Python packages in .venv and node packages in node_modules, both from their lock files.

    python3 scripts/setup.py          (make setup; every other command of the Makefile does it first)

Does nothing while the lock files are what they were. Uses the standard library alone: it runs before anything is
installed, under whichever Python >= 3.11 the Makefile found. Node comes from PyPI, so that no machine needs its own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from steps import ROOT, Step, Stop, finish, run

VENV = ROOT / ".venv"
PYTHON_LOCK = ROOT / "requirements.lock"
NODE_LOCK = ROOT / "package-lock.json"
NODE_MODULES = ROOT / "node_modules"

# Nothing is compiled. rouge-score alone is published as source only; it is pure Python.
_WHEELS = ("--only-binary=:all:", "--no-binary=rouge-score")
_ROOM_GB = 4.0  # 1.6 for the packages, as much again while they are unpacked, and the build


def main() -> None:
    """Install what the lock files name, where that has not been done."""
    stale = [
        (install, stamp, mark)
        for install, stamp, mark in (
            (_install_python_packages, VENV / ".parley-lock", _mark(PYTHON_LOCK, sys.version)),
            (_install_node_packages, NODE_MODULES / ".parley-lock", _mark(NODE_LOCK)),
        )
        if not stamp.is_file() or stamp.read_text() != mark
    ]
    with Step("set-up") as step:
        if stale:
            _check_room()
        for install, stamp, mark in stale:
            install(step)
            stamp.write_text(mark)
        step.say("packages installed" if stale else "")


def _install_python_packages(step: Step) -> None:
    if not (VENV / "bin" / "python").exists() or _made_by_another_python():
        step.say("virtual environment")
        try:
            venv.create(VENV, clear=True, with_pip=True)
        except (ImportError, subprocess.CalledProcessError) as error:
            raise Stop(
                "Python's venv module cannot make a virtual environment; on Debian: apt-get install python3-venv."
            ) from error
    step.say("python packages")
    run(
        [VENV / "bin" / "python", "-m", "pip", "install", "--require-hashes", *_WHEELS, "-r", PYTHON_LOCK],
        log="setup-python",
        step=step,
    )


def _install_node_packages(step: Step) -> None:
    step.say("node packages")
    npm = VENV / "bin" / "npm"
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run([npm, "ci", "--no-audit", "--no-fund"], log="setup-node", step=step, env={**os.environ, "PATH": path})


def _made_by_another_python() -> bool:
    described = (VENV / "pyvenv.cfg").read_text()
    return f"version = {sys.version_info.major}.{sys.version_info.minor}." not in described


def _mark(lock: Path, *more: str) -> str:
    return hashlib.sha256("\0".join((lock.read_text(), *more)).encode()).hexdigest()


def _check_room() -> None:
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < _ROOM_GB:
        raise Stop(f"Set-up needs {_ROOM_GB:.0f} GB of disk, and only {free_gb:.1f} GB are free.")


if __name__ == "__main__":
    finish(main)
