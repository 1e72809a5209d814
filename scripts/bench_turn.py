"""Time and memory of a turn in one process, without AWS or an emulator of it.

    python scripts/bench_turn.py [--turns 400] [--json FILE]

Every kind of turn runs through `turn.answer` with the models that ship and the in-memory
stores, in a fresh process with one thread. CPU is the process's own; wall time on a shared
machine is only a hint, so each kind is also given as a ratio to one call of the encoder in
the same run. A cold start is a new interpreter up to its first reply, the imports included:
`engine` for the turn alone, `chat function` for a request to the whole function, with
Powertools, boto3 and PynamoDB imported as on AWS.
"""

import sys
import time

BEGUN = time.perf_counter(), time.process_time()  # a cold start counts its imports

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from compile_bot import ENCODER, PACKAGE, ROOT, bundle_of  # noqa: E402

if TYPE_CHECKING:
    from parley.services import Services
    from parley.turn import Answered

COLD_STARTS = 5
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(PACKAGE)}
QUESTION = "how long do I have to return something?"
SMALL_TALK = "how are you today?"


def cold_start(bundle: Path, *, as_function: bool) -> dict[str, float]:
    """Seconds and bytes from the start of this interpreter to its first reply."""
    services = make_services(bundle)
    if as_function:
        answer_request(services)
    else:
        say(services, "hello", 0)
    wall, cpu = time.perf_counter() - BEGUN[0], time.process_time() - BEGUN[1]
    return {"wall_s": wall, "cpu_s": cpu, "rss_mb": rss_mb()}


def warm_turns(bundle: Path, turns: int) -> dict[str, Any]:
    """Milliseconds for each kind of turn, and megabytes after all of them."""
    from dataclasses import replace

    from parley.nlu.remembering import RememberingEncoder

    cached, uncached = make_services(bundle), make_services(bundle, cache_seconds=0)
    known = replace(cached, encoder=RememberingEncoder(cached.encoder))
    kinds = {
        "encoder call": measure(lambda _: cached.encoder.embed(["where is my order?"]), turns),
        "scripted": turns_of(cached, "where is my order?", "scripted", turns),
        "knowledge": turns_of(uncached, QUESTION, "knowledge", turns),
        "cached": turns_of(cached, SMALL_TALK, "cached", turns),
        "cached, asked here before": turns_of(known, SMALL_TALK, "cached", turns),
        "generated (model not counted)": turns_of(uncached, SMALL_TALK, "generated", turns),
    }
    return {"kinds": kinds, "rss_mb": rss_mb()}


def turns_of(services: "Services", text: str, source: str, turns: int) -> dict[str, float]:
    """What one kind of turn takes; a turn of another kind ends the benchmark."""

    def act(number: int) -> None:
        services.bots("support").knowledge._recent.clear()  # each turn is the first to ask
        reply = say(services, text, number).turn.reply
        if reply.source != source:
            raise SystemExit(f"{text!r} was answered as {reply.source}, not as {source}: nothing was measured")

    for number in range(2):  # a reply is shared when its question is asked for the second time
        say(services, text, turns + number)
    return measure(act, turns)


def measure(act: Callable[[int], object], turns: int) -> dict[str, float]:
    """Wall time at p50 and p99 and mean CPU time of `act`, in milliseconds."""
    walls = []
    begun = time.process_time()
    for number in range(turns):
        started = time.perf_counter()
        act(number)
        walls.append((time.perf_counter() - started) * 1e3)
    cpu = (time.process_time() - begun) * 1e3 / turns
    walls.sort()
    return {"p50": walls[turns // 2], "p99": walls[int(turns * 0.99)], "cpu": cpu}


def make_services(bundle: Path, *, cache_seconds: int = 3600) -> "Services":
    """The services of a turn, in memory but for the models."""
    from parley.adapters.memory import (
        MemoryActions,
        MemoryAnnouncements,
        MemoryConversations,
        MemoryGenerator,
        MemoryMetrics,
        MemoryReplies,
        MemoryUploads,
        unmetered,
    )
    from parley.bots.bundle import unpack
    from parley.caching.cache import reply_cache
    from parley.generation.counting import by_bytes
    from parley.loaded import load
    from parley.nlu.encoder import OnnxEncoder
    from parley.ports import Patience, Window
    from parley.services import Services

    encoder = OnnxEncoder(ENCODER)
    loaded = load(unpack(bundle.read_bytes()), encoder)
    return Services(
        bots=lambda _: loaded,
        encoder=encoder,
        conversations=MemoryConversations(time.time),
        cache=reply_cache(
            MemoryReplies(time.time),
            lambda: b"bench",
            encoder,
            MemoryMetrics(),
            clock=time.time,
            ttl_seconds=cache_seconds,
        ),
        generator=MemoryGenerator("Quite well, thank you."),
        window=Window(4096, by_bytes),
        composes=False,
        patience=Patience(first_seconds=5, whole_seconds=20),
        actions=MemoryActions(),
        announcements=MemoryAnnouncements(),
        metering=unmetered(time.time),
        uploads=MemoryUploads(),
        clock=time.time,
    )


def say(services: "Services", text: str, number: int) -> "Answered":
    """One turn in a conversation of its own."""
    from parley.conversation import Session, Turn
    from parley.ports import Opened
    from parley.turn import answer

    session = Session(f"{text}{number}", "support", "", time.time())
    turn = Turn(f"t{number}", session.conversation_id, "support", "bench", text, time.time())
    return answer(turn, services, opened=Opened(session, is_new=True))


def answer_request(services: "Services") -> None:
    """One request through the whole chat function, with all that it imports on AWS."""
    import parley.adapters.aws  # noqa: F401
    from parley.adapters.memory import MemoryDocuments, MemoryLibraries, MemoryQueue, memory_callers, memory_lines
    from parley.http_api import HttpApi
    from parley.http_door import HttpDoor
    from parley.knowledge_door import KnowledgeDoor
    from parley.rasa_door import RasaDoor

    event = {
        "headers": {},
        "requestContext": {"http": {"method": "POST", "path": "/v1/chat"}, "stage": "$default"},
        "rawPath": "/v1/chat",
        "body": '{"message": "hello"}',
    }
    callers = memory_callers("support")
    door = HttpDoor(services, MemoryQueue(), memory_lines(), callers, "support", "bench")
    response = HttpApi(
        door,
        RasaDoor(services, callers, "support"),
        KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
    )(event, None)
    if response["statusCode"] != 200:
        raise SystemExit(f"the chat function answered {response}: nothing was measured")


def rss_mb() -> float:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: getrusage would count what the process that started this one held
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS: bytes


def in_fresh_process(what: str, turns: int) -> Any:
    """What this script measures of `what` in a new interpreter with one thread."""
    command = [sys.executable, __file__, "--measure", what, "--turns", str(turns)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """The middle value of each column."""
    return {name: sorted(row[name] for row in rows)[len(rows) // 2] for name in rows[0]}


def show(figures: dict[str, Any], turns: int) -> None:
    """The figures as two tables, and the goals below."""
    kinds = figures["kinds"]
    print(f"{platform.machine()}, Python {platform.python_version()}, one thread, {turns} turns of each kind\n")
    print(f"{'turn':<30} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8} {'x encoder':>10}")
    for name, row in kinds.items():
        ratio = row["cpu"] / kinds["encoder call"]["cpu"]
        print(f"{name:<30} {row['p50']:8.2f} {row['p99']:8.2f} {row['cpu']:8.2f} {ratio:10.2f}")
    print(f"\n{f'cold start (median of {COLD_STARTS})':<30} {'wall s':>8} {'CPU s':>8} {'RSS MB':>8}")
    for name, row in figures["cold"].items():
        print(f"{name:<30} {row['wall_s']:8.2f} {row['cpu_s']:8.2f} {row['rss_mb']:8.0f}")
    print()
    for name, goal, value in (
        ("scripted turn, ms of CPU", 4.0, kinds["scripted"]["cpu"]),
        ("cached turn, ms of CPU", 6.0, kinds["cached"]["cpu"]),
        ("cold start of the engine, s", 1.0, figures["cold"]["engine"]["wall_s"]),
        ("memory after all turns, MB", 200.0, figures["rss_mb"]),
    ):
        print(f"goal {name}: at most {goal:g}, measured {value:.2f}: {'reached' if value <= goal else 'NOT reached'}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=400, help="turns of each kind")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--measure", choices=["engine", "chat function", "warm"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    bundle = bundle_of(ROOT / "models/bots/support")
    match options.measure:
        case "warm":
            print(json.dumps(warm_turns(bundle, options.turns)))
        case "engine" | "chat function" as what:
            print(json.dumps(cold_start(bundle, as_function=what == "chat function")))
        case _:
            cold = {
                name: medians([in_fresh_process(name, 1) for _ in range(COLD_STARTS)])
                for name in ("engine", "chat function")
            }
            figures = {**in_fresh_process("warm", options.turns), "cold": cold}
            show(figures, options.turns)
            if options.json:
                options.json.write_text(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
