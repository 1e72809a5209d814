"""Steps: what a person sees of them, and that nothing they start outlives them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steps import Step, Stop, end, run, start

# Starts a child that will not end when asked, tells its id, and waits.
STUBBORN = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid, flush=True)
time.sleep(60)
"""


def started(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A process that leads a group, and the id of its stubborn child."""
    output = folder / "output"
    with output.open("w") as file:
        process = start([sys.executable, "-c", STUBBORN], output=file, errors=file)
    while not output.read_text().strip():
        time.sleep(0.05)
    return process, int(output.read_text())


def lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.exists():  # an ended process that nobody has buried yet lives no more
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False).returncode == 0


def test_ending_a_process_ends_the_child_that_would_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps._GRACE_SECONDS", 0.5)
    process, child = started(tmp_path)

    end(process)

    assert process.returncode is not None
    assert not lives(child)


def test_the_children_of_a_killed_process_are_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps._GRACE_SECONDS", 0.5)
    process, child = started(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert lives(child)

    end(process)

    assert not lives(child)


def test_a_command_that_fails_stops_with_the_end_of_what_it_said() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('the disk has a hole')"]

    with pytest.raises(Stop, match="the disk has a hole"):
        run(command, log="test-fails")


def test_a_full_disk_is_told_in_one_sentence() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('OSError: [Errno 28] No space left on device')"]

    with pytest.raises(Stop) as told:
        run(command, log="test-full")

    assert str(told.value) == "The disk is full."


def test_a_step_ends_as_one_line_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with Step("layers") as step:
        step.say("124 MB")

    line = capsys.readouterr().out
    assert line.split() == ["layers", "0.0", "s", "124", "MB"]


def test_a_step_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stop), Step("layers"):
        raise Stop("no network")

    assert capsys.readouterr().out.split()[-1] == "failed"
