"""Draw the sentences on which the encoder is distilled: what people say to assistants, and questions.

    python models/encoder/sentences.py --data DIR --out sentences.jsonl [--count 120000]

One JSON object per line, `text` and `source`, in an order that a seed decides, so that every beginning of the file is a
fair sample of the whole. Knows the fields of the data sets under DIR. Knows nothing of models.

Left out on purpose: CLINC150, BANKING77 and HWU64, on which few-shot intents are measured, and SLURP, which shares its
origin with HWU64; what thresholds.py measures knowledge on (docs_faq, qed_dev, selqa, dstc9_faq_kb); stsb.
"""

import argparse
import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FEWEST_WORDS, MOST_WORDS = 3, 40
LONG_WORDS = 24  # longer ones cost the teacher most and look least like what people say to a bot
LONG_SHARE = 0.06
BARE_SHARE = 0.5  # people often type no full stop and no question mark
SEED = 20

Row = dict[str, Any]
Reader = Callable[[Row], Iterator[str]]


def user_turns(row: Row) -> Iterator[str]:
    """Whole turns of the person who wants something."""
    yield from (turn["text"] for turn in row["turns"] if turn["role"] == "user")


def sentences_of_turns(row: Row) -> Iterator[str]:
    """Single sentences of a chat between two people."""
    for turn in row["turns"]:
        yield from split(turn["text"])


def first_turn(row: Row) -> Iterator[str]:
    yield row["turns"][0]


def text(row: Row) -> Iterator[str]:
    yield row["text"]


def question(row: Row) -> Iterator[str]:
    yield row["question"]


def prose(row: Row) -> Iterator[str]:
    yield from split(row["text"])


def split(passage: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+|\n+", passage)


# file -> how it is read, and the most sentences taken of it
SOURCES: dict[str, tuple[Reader, int]] = {
    "sgd/train": (user_turns, 28_000),
    "snips/train": (text, 10_000),
    "bitext_support/train": (text, 6_000),
    "taskmaster4/train": (user_turns, 6_000),
    "multiwoz/valid": (user_turns, 5_000),
    "chatterbot/english": (first_turn, 3_000),
    "text/star/train": (user_turns, 16_000),
    "text/taskmaster3_bc/train": (user_turns, 5_000),
    "text/camrest676/train": (user_turns, 500),
    "text/dstc11_track5_val/train": (user_turns, 5_000),
    "text/casino/train": (sentences_of_turns, 3_000),
    "text/synthetic_persona_chat/train": (sentences_of_turns, 7_000),
    "text/self_dialogue/train": (sentences_of_turns, 16_000),
    "text/topical_chat/train": (sentences_of_turns, 6_000),
    "text/open_trivia_qa/train": (question, 8_000),
    "text/medquad/train": (question, 3_000),
    "text/covid_qa/train": (question, 500),
    "text/openstax_glossary_qa/train": (question, 1_000),
    "text/gnome_help/train": (prose, 1_500),
    "text/aws_docs/train": (prose, 3_000),
    "text/us_gov_web/train": (prose, 3_500),
    "text/onestop_english/train": (prose, 2_500),
    "text/openstax/train": (prose, 2_500),
    "text/standard_ebooks/train": (prose, 5_000),
    "text/children_stories/train": (prose, 2_000),
}


def read(path: Path, reader: Reader) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            for sentence in reader(json.loads(line)):
                yield " ".join(sentence.split())


def key(sentence: str) -> str:
    """What two sentences share that differ only in case, figures and punctuation; templates repeat themselves so."""
    return re.sub(r"[^a-z0 ]", "", re.sub(r"\d+", "0", sentence.lower()))


def draw(data: Path, seed: int) -> list[Row]:
    """The sentences of all sources, without repetitions, shuffled."""
    chance, seen, rows = random.Random(seed), set[str](), list[Row]()
    for source, (reader, most) in SOURCES.items():
        candidates = sorted({sentence for sentence in read(data / f"{source}.jsonl.gz", reader) if fits(sentence)})
        chance.shuffle(candidates)
        taken = 0
        for sentence in candidates:
            long = len(sentence.split()) > LONG_WORDS
            if taken == most or key(sentence) in seen or (long and chance.random() > LONG_SHARE):
                continue
            seen.add(key(sentence))
            bare = chance.random() < BARE_SHARE
            rows.append({"text": sentence.rstrip(".?! ") if bare else sentence, "source": source})
            taken += 1
    chance.shuffle(rows)
    return rows


def fits(sentence: str) -> bool:
    letters = sum(character.isalpha() or character == " " for character in sentence)
    return FEWEST_WORDS <= len(sentence.split()) <= MOST_WORDS and letters > 0.8 * len(sentence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--count", type=int, default=120_000, help="how many sentences at most")
    arguments = parser.parse_args()
    rows = draw(arguments.data, SEED)[: arguments.count]
    with arguments.out.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    counts = {source: sum(row["source"] == source for row in rows) for source in SOURCES}
    print(f"{len(rows)} sentences: " + ", ".join(f"{source} {number}" for source, number in counts.items()))


if __name__ == "__main__":
    main()
