"""Test the generator's backends against real servers, each in an environment of its own.

    python scripts/backends.py [PYTEST OPTIONS]         (make test-backends)

Makes .parley/backends/NAME for each tests/backends/requirements-NAME.txt, once; the first time that installs 4 GB and
takes minutes. Then runs tests/backends in a network and among processes of their own (Linux): what a server binds is
reached from nowhere else, and whatever one started ends with the tests.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from steps import PARLEY, ROOT, Step, Stop, finish, run

ENVIRONMENTS = PARLEY / "backends"
TESTS = ROOT / "tests" / "backends"
TEST_SECONDS = 900

_ALONE = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_UP = ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def main() -> None:
    """Make what is missing, then test."""
    for requirements in sorted(TESTS.glob("requirements-*.txt")):
        name = requirements.stem.removeprefix("requirements-")
        with Step(name) as step:
            _make(ENVIRONMENTS / name, requirements, step)
    missing = [program for program in ("unshare", "ip", "java") if shutil.which(program) is None]
    if missing:
        raise Stop(
            f"The servers need {' and '.join(missing)}: Debian has them in util-linux, iproute2 and default-jre."
        )
    tests = (sys.executable, "-m", "pytest", "-m", "backends", str(TESTS), *sys.argv[1:])
    try:
        tested = subprocess.run([*_ALONE, *_UP, *tests], cwd=ROOT, timeout=TEST_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Stop(f"The tests took longer than {TEST_SECONDS} s.") from error
    if tested.returncode != 0:
        raise Stop("The tests failed.")


def _make(folder: Path, requirements: Path, step: Step) -> None:
    """The environment in `folder`; one that was made from other requirements is made anew."""
    mark = folder / requirements.name
    if mark.is_file() and mark.read_bytes() == requirements.read_bytes():
        return
    step.say("making the environment")
    venv.create(folder, with_pip=True, clear=True)
    run([folder / "bin" / "pip", "install", "-r", requirements], log=f"backends-{folder.name}", step=step)
    shutil.copy(requirements, mark)
    step.say("")


if __name__ == "__main__":
    finish(main)
