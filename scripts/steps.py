"""Steps on a terminal: one line each, with its time; a slow one tells how far it is.

Knows how a command is run and how its end is told. What a command says goes to a log: a person sees its latest line
while it runs, and its last lines when it fails. Knows nothing of what the steps are for.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn, Self

ROOT = Path(__file__).resolve().parent.parent
PARLEY = ROOT / ".parley"
LOGS = PARLEY / "logs"

_WIDTH = 118
_LINES_OF_A_FAILURE = 20
_SECONDS_BETWEEN_NEWS = 15  # where a line cannot be rewritten, as in CI
_GRACE_SECONDS = 5  # between asking a process to end and ending it

# What a tool says when the fault is not its own -> what a person should read.
FULL = "The disk is full."
_NO_NETWORK = "No package registry can be reached; what is not on this machine yet comes over the network."
_KNOWN_CAUSES = {
    "No space left on device": FULL,
    "ENOSPC": FULL,
    "NewConnectionError": _NO_NETWORK,
    "EAI_AGAIN": _NO_NETWORK,
    "ENOTFOUND": _NO_NETWORK,
    "ECONNREFUSED": _NO_NETWORK,
}


class Stop(Exception):
    """Why the command ends, in words for the person who gave it."""


class Step:
    """One step while it runs: what it is doing, and in the end what came of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._news = ""
        self._below: list[str] = []
        self._began = time.monotonic()
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)
        self._rewrites = sys.stdout.isatty()

    def say(self, news: str) -> None:
        """Tell how far the step is; the last words stay on its line."""
        self._news = news

    def tell(self, line: str) -> None:
        """Put a line below the step's own."""
        self._below.append(line)

    def __enter__(self) -> Self:
        self._teller.start()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._teller.join()
        self._print("failed" if failed else self._news, end="\n")
        for line in self._below:
            print(f"{'':<21}{line}", flush=True)

    def _tell(self) -> None:
        while not self._over.wait(1 if self._rewrites else _SECONDS_BETWEEN_NEWS):
            self._print(f"... {self._news}", end="" if self._rewrites else "\n")

    def _print(self, words: str, *, end: str) -> None:
        line = f"{self._name:<11} {time.monotonic() - self._began:6.1f} s  {words}"[:_WIDTH]
        try:
            print(f"\r\033[K{line}" if self._rewrites else line, end=end, flush=True)
        except (
            OSError
        ):  # nobody reads any more, as when the terminal was closed; what was started is ended all the same
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(
    command: Sequence[str | Path], *, log: str, step: Step | None = None, env: Mapping[str, str] | None = None
) -> str:
    """What `command` wrote to its standard output.

    Raises:
        Stop: it failed; gives the reason where it is known, or else the end of what it said
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    said, answered = LOGS / f"{log}.log", LOGS / f"{log}.out"
    with said.open("w") as errors, answered.open("w") as output:
        process = start(command, output=output, errors=errors, env=env)
        try:
            while not _ends_within(process, seconds=0.2):
                if step is not None:
                    step.say(_latest_line(said, answered))
        finally:
            end(process)
    if process.returncode != 0:
        raise Stop(_why(said, answered))
    return answered.read_text()


def finish(main: Callable[[], None]) -> NoReturn:
    """Run a script's `main` and end the process; one that was stopped says why in place of a trace.

    Being asked to end, the terminal closing, and Ctrl-C all unwind the stack, so that what was started is ended too.
    """
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell starts background jobs deaf to the first
        signal.signal(sign, signal.default_int_handler)
    try:
        main()
    except Stop as reason:
        sys.exit(f"{reason}")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(FULL)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def start(
    command: Sequence[str | Path], *, output: IO[str], errors: IO[str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """`command` as a process that leads a group of its own, so that `end` reaches all that it starts."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
    )


def end(*processes: subprocess.Popen[bytes]) -> None:
    """End processes of `start` and everything they started, even those that are themselves gone already."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            # Nobody of the group is left; macOS refuses where only the unburied dead are.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sign)
        deadline = time.monotonic() + _GRACE_SECONDS
        while any(map(_anyone_in, processes)) and time.monotonic() < deadline:
            time.sleep(0.05)
    for process in processes:
        process.wait()


def latest_lines(log: Path) -> str:
    """The end of a log, and where the rest is."""
    lines = log.read_text(errors="replace").strip().splitlines()[-_LINES_OF_A_FAILURE:]
    return "\n".join([*lines, f"(all of it: {log.relative_to(ROOT)})"])


def _anyone_in(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # buries the leader if it is dead: until then it counts as a member
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _ends_within(process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _latest_line(*logs: Path) -> str:
    latest = max(logs, key=lambda log: log.stat().st_mtime_ns)
    lines = latest.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _why(*logs: Path) -> str:
    said = "\n".join(log.read_text(errors="replace") for log in logs)
    for sign, cause in _KNOWN_CAUSES.items():
        if sign in said:
            return cause
    return "\n".join(latest_lines(log) for log in logs if log.stat().st_size)
