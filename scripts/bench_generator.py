"""Speed of the generator's endpoint with 1 to 16 people talking to it, and beside transformers in the same run.

    python scripts/bench_generator.py [--seconds 3] [--rounds 3] [--artefact DIR] [--json FILE]   (make bench-generator)

Starts the endpoint as the container does and lets so many people read streamed replies over HTTP, one after another.
The first token is timed where they sit. All settings take turns, round after round, so that other work on the machine
meets them alike; each figure is the median of its rounds, and what matters are the ratios. Cores are those that the
endpoint itself used. `full` is one person whose prompt fills the model's window, new each time.

transformers answers the same prompts with the same settings and weights, one at a time, in .venv-train if that exists,
with one thread and with all, and has the better of the two. Its matrices have the values that the artefact's have.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from steps import PARLEY, ROOT, Step, Stop, finish

GENERATOR = ROOT / "models/generator"
PEOPLE = (1, 2, 4, 8, 16)
REPLY_TOKENS = 64  # of every reply: a short one would measure the reading of prompts
START_SECONDS = 60
TRAINING_PYTHON = ROOT / ".venv-train/bin/python"
TRAINING_MISSING = "left out: it needs torch; make .venv-train and `pip install -r models/requirements.txt` into it"
GOALS = "goals: 8 people 3 times one, 10 times transformers, first token within 300 ms"

# Reads [seconds, threads, [[role, content], ...] of each prompt] a line; answers with tokens a second, and of CPU.
REFERENCE = """
import json, sys, time
from pathlib import Path
folder, generator, length = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.path.insert(0, generator)
import torch
from tokenizers import Tokenizer
from tokens import prompt_tokens
from transformers import LlamaForCausalLM
model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
settings = dict(do_sample=True, temperature=0.6, top_p=0.9, top_k=40, repetition_penalty=1.1)
settings |= dict(min_new_tokens=length, max_new_tokens=length, pad_token_id=0)
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    seconds, threads, prompts = json.loads(line)
    torch.set_num_threads(threads)
    made, number, began, cpu = 0, 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        messages = [tuple(message) for message in prompts[number % len(prompts)]]
        ids = torch.tensor([prompt_tokens(tokenizer, messages, 256)])
        mask = torch.ones_like(ids)
        said = model.generate(ids, attention_mask=mask, **settings)
        made, number = made + said.shape[1] - ids.shape[1], number + 1
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"tokens_per_s": made / wall, "tokens_per_cpu_s": made / cpu}), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One setting in one round."""

    tokens_per_s: float
    tokens_per_cpu_s: float
    cores: float
    first_token_s: tuple[float, ...]


class Endpoint:
    """The endpoint in a process of its own, listening on a free port."""

    def __init__(self, artefact: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, GENERATOR / "serve.py", "--port", str(self.port), "--artefact", artefact]
        self._process = subprocess.Popen([str(word) for word in command])

    def wait(self) -> None:
        """Returns once it answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, HTTPException):
                with closing(HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
                    connection.request("GET", "/ping")
                    connection.getresponse().read()
                return
            time.sleep(0.1)
        raise Stop("The generator's endpoint does not start.")

    def cpu_seconds(self) -> float:
        """What its threads have worked so far; where there is no /proc, nothing."""
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def memory_mb(self) -> float:
        """The most that it has held; where there is no /proc, nothing."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) / 1e3
        return 0.0

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def measure(endpoint: Endpoint, people: int, seconds: float, prompts: list[Any]) -> Measured:
    """What `people` get who ask one prompt after another for so long."""
    rates: list[float] = []
    made: list[int] = []
    firsts: list[float] = []
    cpu, began = endpoint.cpu_seconds(), time.perf_counter()

    def talk(person: int) -> None:
        tokens, number = 0, person
        while time.perf_counter() - began < seconds:
            first, count = read_reply(endpoint.port, prompts[number % len(prompts)], seed=number)
            firsts.append(first)
            tokens, number = tokens + count, number + people
        rates.append(tokens / (time.perf_counter() - began))
        made.append(tokens)

    threads = [threading.Thread(target=talk, args=(person,)) for person in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(rates) < people:
        raise Stop("The endpoint broke off a reply; nothing was measured.")
    wall, cpu = time.perf_counter() - began, endpoint.cpu_seconds() - cpu
    return Measured(sum(rates), sum(made) / cpu if cpu else 0.0, cpu / wall, tuple(firsts))


def read_reply(port: int, messages: Any, *, seed: int) -> tuple[float, int]:
    """Seconds until the first words, and tokens of the whole reply."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        said = [{"role": role, "content": content} for role, content in messages]
        wanted = {
            "messages": said,
            "max_tokens": REPLY_TOKENS,
            "min_tokens": REPLY_TOKENS,
            "seed": seed,
            "stream": True,
        }
        body = json.dumps({**wanted, "stream_options": {"include_usage": True}})
        began, first, tokens = time.perf_counter(), 0.0, 0
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                event = json.loads(line.removeprefix(b"data: "))
                if not first and any(choice["delta"].get("content") for choice in event["choices"]):
                    first = time.perf_counter() - began
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    if not tokens:
        raise Stop("The endpoint's reply has no end; nothing was measured.")
    return first, tokens


def short_prompts() -> list[Any]:
    """Each message that the model is tried with, after another and a reply."""
    lines = (GENERATOR / "prompts.txt").read_text(encoding="utf-8").splitlines()
    before = [["user", "Hello there!"], ["assistant", "Hello! How are you today?"]]
    return [[*before, ["user", line]] for line in lines]


def full_prompts(context_tokens: int) -> list[Any]:
    """Prompts that would be longer than the window, each with other passages."""
    sentences = "[1] Opening hours: On day {0} of season {1} the museum opens at {0} and closes at {1} in the evening. "
    passages = ["".join(sentences.format(day, season) for day in range(context_tokens // 8)) for season in range(40)]
    question = ["user", "When does the museum open on day 3?"]
    return [[["system", f"Knowledge:\n{passage}"], question] for passage in passages]


class Reference:
    """transformers in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [TRAINING_PYTHON, "-c", REFERENCE, folder, GENERATOR, str(REPLY_TOKENS)]
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )
        self._read()

    def measure(self, seconds: float, threads: int, prompts: list[Any]) -> dict[str, float]:
        """Tokens a second, by the clock and of CPU."""
        assert self._process.stdin is not None  # noqa: S101  # for the types
        self._process.stdin.write(json.dumps([seconds, threads, prompts]) + "\n")
        self._process.stdin.flush()
        figures: dict[str, float] = self._read()
        return figures

    def _read(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise Stop("transformers cannot be measured: .venv-train lacks what models/requirements.txt names.")
        return json.loads(line)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def reference(artefact: Path) -> Iterator[Reference | None]:
    """transformers with the artefact's weights, if it is there."""
    if not TRAINING_PYTHON.exists():
        yield None
        return
    PARLEY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PARLEY) as folder:
        restored = subprocess.run(
            [sys.executable, GENERATOR / "restore.py", "--artefact", artefact, "--out", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if restored.returncode != 0:
            raise Stop(f"transformers cannot be given the artefact's weights: {restored.stderr.strip()}")
        with closing(Reference(Path(folder))) as found:
            yield found


def bench(artefact: Path, seconds: float, rounds: int, step: Step) -> dict[str, Any]:
    """All figures."""
    settings = json.loads((artefact / "genai_config.json").read_text(encoding="utf-8"))
    short, full = short_prompts(), full_prompts(settings["model"]["context_length"])
    measured: dict[str, list[Measured]] = {}
    compared: dict[int, list[dict[str, float]]] = {}
    with reference(artefact) as torch, closing(Endpoint(artefact)) as endpoint:
        endpoint.wait()
        measure(endpoint, PEOPLE[-1], 1.0, short)  # warms up
        for turn in range(rounds):
            for people in PEOPLE:
                step.say(f"round {turn + 1} of {rounds}, {people} at once")
                measured.setdefault(str(people), []).append(measure(endpoint, people, seconds, short))
            measured.setdefault("full", []).append(measure(endpoint, 1, seconds, full[turn:] + full[:turn]))
            for threads in {1, os.cpu_count() or 1} if torch else ():
                step.say(f"round {turn + 1} of {rounds}, transformers with {threads} threads")
                compared.setdefault(threads, []).append(torch.measure(seconds, threads, short))  # type: ignore[union-attr]
        memory_mb = endpoint.memory_mb()
    step.say("")
    return {
        "measured": {name: [asdict(each) for each in found] for name, found in measured.items()},
        "transformers": compared,
        "memory_mb": memory_mb,
        "artefact_mb": sum(file.stat().st_size for file in artefact.iterdir()) / 1e6,
        "load": os.getloadavg()[0],
    }


def median(rounds: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(each[name] for each in rounds))


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures, line by line."""
    measured, compared = figures["measured"], figures["transformers"]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {figures['load']:.1f}"
    yield f"{machine}, artefact {figures['artefact_mb']:.1f} MB, replies of {REPLY_TOKENS} tokens"
    yield ""
    columns = f"{'first token':>12} {'p99':>8} {'cores':>6} {'tokens/CPU s':>13}"
    yield f"{'people':<14} {'tokens/s':>9} {'x one':>6} {columns}"
    one = median(measured["1"], "tokens_per_s")
    for name, rounds in measured.items():
        firsts = sorted(first for each in rounds for first in each["first_token_s"])
        p50, p99 = firsts[len(firsts) // 2] * 1e3, firsts[int(len(firsts) * 0.99)] * 1e3
        rate, cores = median(rounds, "tokens_per_s"), median(rounds, "cores")
        speed = f"{rate:9.0f} {rate / one:6.2f}"
        cpu = f"{cores:6.2f} {median(rounds, 'tokens_per_cpu_s'):13.0f}"
        yield f"{name:<14} {speed} {p50:9.0f} ms {p99:5.0f} ms {cpu}"
    best = max(compared.values(), key=lambda rounds: median(rounds, "tokens_per_s"), default=None)
    if best:
        rate, cpu = median(best, "tokens_per_s"), f"{median(best, 'tokens_per_cpu_s'):13.0f}"
        yield f"{'transformers':<14} {rate:9.0f} {rate / one:6.2f} {'':>31} {cpu}"
        eight = median(measured["8"], "tokens_per_s")
        yield ""
        yield f"x transformers: one person {one / rate:.1f}, eight {eight / rate:.1f}"
    else:
        yield f"{'transformers':<14} {TRAINING_MISSING}"
    yield f"memory of the endpoint: {figures['memory_mb']:.0f} MB"
    yield GOALS


def main() -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artefact", type=Path, default=GENERATOR / "artefact")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each setting in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures here too")
    arguments = parser.parse_args()
    with Step("generator") as step:
        figures = bench(arguments.artefact, arguments.seconds, arguments.rounds, step)
    print("\n" + "\n".join(table(figures)))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    finish(main)
