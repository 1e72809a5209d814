"""CPU of a lookup in the reply cache, with as many frequent questions in memory as it ever holds.

    python scripts/bench_cache.py [--entries 5000] [--lookups 400] [--json FILE]

The questions are put together from verbs and things, read by the encoder that ships, and kept in the in-memory store;
the semantic tier takes them in as a function does. An exact lookup asks in the same words, one in other words asks as
nobody did before; both from the text's key on, and in the second case with all that is kept of a question, but without
the encoder, whose one call the turn needs anyway and which the ratio is to. One thread.
"""

import argparse
import itertools
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER
from parley.adapters.memory import MemoryMetrics, MemoryReplies
from parley.caching.cache import reply_cache
from parley.caching.key import key_of
from parley.caching.packing import pack
from parley.caching.recall import Asking, Made, ReplyCache
from parley.caching.sameness import Question
from parley.conversation import Message, Reply
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Encoded, SharedReply
from steps import Step, Stop, finish

BOT, SCOPE, SECRET = "bench", "scope", b"bench"
WARM_UP = 20
VERBS = """change cancel track return repair paint clean replace order sell store move measure lock insure rent ship
    borrow sharpen assemble""".split()  # noqa: SIM905
THINGS = """address order bicycle garden fence window door table chair lamp oven fridge kettle drill saw hammer ladder
    shelf sofa carpet curtain mirror basin shower boiler radiator heater fan filter pump hose tap pipe tank roof tile
    gutter chimney wall floor""".split()  # noqa: SIM905
PLACES = "in the kitchen|at work|for a friend|in winter|on a boat|at school|in a hotel|without help".split("|")  # noqa: SIM905


def questions(count: int) -> list[tuple[str, str]]:
    """As many different questions, each with another wording of it."""
    made = [
        (f"How do I {verb} the {thing} {place}?", f"Can you tell me how to {verb} a {thing} {place}?")
        for verb, thing, place in itertools.product(VERBS, THINGS, PLACES)
    ]
    if count > len(made):
        raise Stop(f"--entries may be {len(made)} at most")
    step = len(made) // count
    return made[: count * step : step]


def filled(cache: ReplyCache, encoder: OnnxEncoder, asked: list[tuple[str, str]]) -> None:
    """Shares a reply to each question."""
    with Step("fill") as step:
        for number, (text, _) in enumerate(asked):
            reply = Reply((Message(f"Reply {number}."),), "generated")
            question = pack(Question.of(encoder.encode(text), encoder.knows))
            shared = SharedReply(reply, SCOPE, question, "", (), "", "", 100, time.time())
            cache.tiers.store.put(key_of(SECRET, SCOPE, text), BOT, shared, expires_at=time.time() + 3600)
            step.say(f"{number + 1} of {len(asked)} questions")


def asking(text: str, heard: Encoded, encoder: OnnxEncoder) -> Asking:
    """The question as a turn asks it."""
    key, made = key_of(SECRET, SCOPE, text), list[Question]()

    def question() -> Question:
        if not made:
            made.append(Question.of(heard, encoder.knows))
        return made[0]

    return Asking(BOT, key, SCOPE, "", "", lambda: "", frozenset, question)


def cpu_ms(look: Callable[[int], object], times: int) -> dict[str, float]:
    """CPU of a call at p50 and p99, in milliseconds."""
    for number in range(WARM_UP):
        look(number)
    spent = []
    for number in range(times):
        began = time.process_time_ns()
        look(WARM_UP + number)
        spent.append((time.process_time_ns() - began) / 1e6)
    spent.sort()
    return {"p50": spent[times // 2], "p99": spent[int(times * 0.99)]}


def measure(entries: int, lookups: int) -> dict[str, dict[str, float]]:
    """Everything."""
    encoder, metrics = OnnxEncoder(ENCODER), MemoryMetrics()
    store = MemoryReplies(time.time)
    cache = reply_cache(
        store, lambda: SECRET, encoder, metrics,
        clock=time.time, ttl_seconds=3600, share_compared=0.0, spawn=lambda work: work(),
    )  # fmt: skip
    asked = questions(entries)
    filled(cache, encoder, asked)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    cache.frequent.refresh(BOT)
    loaded = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chosen = asked[:: max(1, len(asked) // (lookups + WARM_UP))][: lookups + WARM_UP]
    heard = [(encoder.encode(text), encoder.encode(other)) for text, other in chosen]

    def nothing() -> Made | None:
        return None

    def exact(number: int) -> None:
        cache.reply(asking(chosen[number][0], heard[number][0], encoder), nothing)

    def semantic(number: int) -> None:
        cache._semantic(asking(chosen[number][1], heard[number][1], encoder))

    figures = {
        "encoder call": cpu_ms(lambda number: encoder.encode(chosen[number][0]), lookups),
        "exact": cpu_ms(exact, lookups),
        "other words": cpu_ms(semantic, lookups),
    }
    served = sum(
        cache._semantic(asking(other, heard_[1], encoder)) is not None
        for (_, other), heard_ in zip(chosen, heard, strict=True)
    )
    about = {"load_s": loaded, "memory_mb": (after - before) / 1024, "served": served / len(chosen)}
    return {**figures, "tier": about}


def main() -> None:
    """Measure, then show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=5_000)
    parser.add_argument("--lookups", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = measure(given.entries, given.lookups)
    tier, encoder = figures.pop("tier"), figures["encoder call"]["p50"]
    print(f"\n{'lookup':<16}{'p50 ms':>9}{'p99 ms':>9}{'x encoder':>11}   (CPU)")
    for name, row in figures.items():
        print(f"{name:<16}{row['p50']:9.3f}{row['p99']:9.3f}{row['p50'] / encoder:11.2f}")
    print(
        f"\n{given.entries} questions: taken in within {tier['load_s']:.1f} s of CPU, {tier['memory_mb']:.0f} MB; "
        f"{tier['served']:.0%} of the other wordings were served"
    )
    for name, goal in (("exact", 0.5), ("other words", 2.0)):
        print(f"goal {goal} ms for {name}: {'reached' if figures[name]['p50'] <= goal else 'not reached'}")
    if given.json:
        given.json.write_text(json.dumps({**figures, "tier": tier}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    finish(main)
