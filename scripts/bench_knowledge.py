"""Time and memory of knowledge: a search, loading a library, taking documents in.

    python scripts/bench_knowledge.py [--passages 10000] [--pages 1000] [--json FILE]    (make bench-knowledge)

The library that is searched and loaded has passages of random words and random vectors: how long these take does not
depend on what they say. The pages that are taken in are Markdown of some 400 words in five sections, of words that the
encoder knows, and go through all of ingest, in memory in place of S3. Beside each figure stands the goal.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER
from parley.adapters.memory import MemoryDocuments, MemoryLibraries, MemoryPages
from parley.conversation import Citation
from parley.ingest import ingest
from parley.knowledge.library import Library, pack, unpack
from parley.knowledge.snapshot import FloatArray, Passage, Snapshot
from parley.nlu.encoder import OnnxEncoder
from steps import Step, finish

DIMENSIONS = 384
VOCABULARY = 30_000
PASSAGE_WORDS, PASSAGE_SENTENCES, QUESTION_WORDS = 100, 6, 9
SECTIONS, SECTION_WORDS, SENTENCE_WORDS = 5, 80, 16
SEARCHES = 300
BOT = "bench"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured; CPU is this process's, of all threads."""

    passages: int
    search_cpu_p50_ms: float
    search_cpu_p99_ms: float
    load_seconds: float
    file_mb: float
    joined_seconds: float
    pages: int
    pages_passages: int
    ingest_seconds: float
    ingest_cpu_seconds: float
    memory_mb: float


class Words:
    """Random words, frequent ones often, as in a language."""

    def __init__(self, words: Sequence[str], seed: int) -> None:
        self._words = np.array(words)
        self._draw = np.random.default_rng(seed)

    def some(self, count: int) -> str:
        ranks = np.minimum(self._draw.zipf(1.3, count), len(self._words)) - 1
        return " ".join(self._words[ranks])

    def vectors(self, count: int) -> FloatArray:
        """Shapes: returns (count, DIMENSIONS) float32, rows of unit length"""
        drawn = self._draw.standard_normal((count, DIMENSIONS)).astype(np.float32)
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def library_of(count: int, words: Words) -> Library:
    passages, readings = [], []
    for number in range(count):
        sentences = (words.some(PASSAGE_WORDS // PASSAGE_SENTENCES) for _ in range(PASSAGE_SENTENCES))
        citation = Citation("Title", f"{number // 10}.md", "Section", ". ".join(sentences))
        passages.append(Passage(citation, {}))
        readings.append(words.vectors(2 + PASSAGE_SENTENCES))
    return Library("bench", Snapshot.of(passages, readings))


def page(words: Words) -> str:
    sections = []
    for _ in range(SECTIONS):
        sentences = [words.some(SENTENCE_WORDS).capitalize() for _ in range(SECTION_WORDS // SENTENCE_WORDS)]
        sections.append(f"## {words.some(4)}\n\n{'. '.join(sentences)}.")
    return "\n\n".join([f"# {words.some(3)}", *sections])


def cpu_ms_of(work: Callable[[int], object], times: int) -> list[float]:
    spent = []
    for number in range(times):
        began = time.process_time()
        work(number)
        spent.append((time.process_time() - began) * 1000)
    return spent


def measure(passages: int, pages: int) -> Measured:
    words = Words([f"word{number}" for number in range(VOCABULARY)], 7)
    with Step("library") as step:
        library = library_of(passages, words)
        catalogue, content = pack(library)
        began = time.perf_counter()
        loaded = unpack(catalogue, content)
        load_seconds = time.perf_counter() - began
        other = library_of(200, words)
        began = time.perf_counter()
        other.snapshot.joined(loaded.snapshot)
        joined_seconds = time.perf_counter() - began
        step.say(f"{passages} passages, {len(content) / 1e6:.0f} MB")
    with Step("search") as step:
        asked = [(words.some(QUESTION_WORDS), words.vectors(1)[0]) for _ in range(SEARCHES)]
        spent = cpu_ms_of(lambda number: loaded.snapshot.search(*asked[number]), SEARCHES)
        step.say(f"{SEARCHES} searches")
    with Step("ingest") as step:
        encoder, documents, libraries = OnnxEncoder(ENCODER), MemoryDocuments(), MemoryLibraries()
        english = Words(_words_of(ENCODER), 8)
        for number in range(pages):
            documents.write(BOT, f"{number:05}.md", page(english).encode())
        began, cpu = time.perf_counter(), time.process_time()
        done = ingest(BOT, documents, libraries, MemoryPages(), encoder, deadline=float("inf"), tell=step.say)
        ingest_seconds, ingest_cpu = time.perf_counter() - began, time.process_time() - cpu
    return Measured(
        passages,
        float(np.quantile(spent, 0.5)),
        float(np.quantile(spent, 0.99)),
        load_seconds,
        len(content) / 1e6,
        joined_seconds,
        pages,
        done.passages,
        ingest_seconds,
        ingest_cpu,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def _words_of(encoder: Path) -> list[str]:
    vocabulary = json.loads((encoder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return [word for word in vocabulary if word.isalpha() and word.isascii() and len(word) > 2]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    found = measure(given.passages, given.pages)
    print(
        f"a search among {found.passages} passages: {found.search_cpu_p50_ms:.2f} ms CPU, p99 "
        f"{found.search_cpu_p99_ms:.2f} (goal 5)\n"
        f"loading them: {found.load_seconds:.3f} s (goal 0.3) from {found.file_mb:.0f} MB; joining 200 more: "
        f"{found.joined_seconds:.3f} s\n"
        f"taking in {found.pages} pages, {found.pages_passages} passages: {found.ingest_seconds:.1f} s (goal 60), "
        f"{found.ingest_cpu_seconds:.1f} s of CPU; memory {found.memory_mb:.0f} MB"
    )
    if given.json:
        given.json.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    finish(main)
