"""Turn the public dialogue sets into chat windows the generator trains on.

    python models/generator/prepare.py --data DIR [--out models/generator/build]

Reads gzip'd JSONL below DIR (default: $PARLEY_DATA, then ../shared/data next to the checkout) and `smalltalk.yaml`
beside this file. Writes, as JSON lines of {"turns": [user, reply, user, reply ...], "source"}:

    chat.jsonl        every dialogue, cut into short windows that start with the user
    smalltalk.jsonl   single exchanges closest to what the bot is asked: our own small talk and short, warm pairs
    valid.jsonl       windows from the sets' own validation files, never trained on

and, as grounded.py makes them,

    grounded.jsonl    {"passages", "branches": [[user, reply ...] ...], "source"}: what is asked about passages
    questions.jsonl   {"passage", "question", "answers", "source"} about entities and passages held out of training

Only sets whose licence lets weights trained on them be shipped are read; the model card lists them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grounded
import yaml
from tokens import Grounded

HERE = Path(__file__).parent
DIALOGUE_SETS = (
    "text/self_dialogue",
    "text/topical_chat",
    "text/synthetic_persona_chat",
    "text/casino",
    "text/star",
    "text/taskmaster3_bc",
    "text/camrest676",
    "taskmaster4",
)
SHORT_PAIR_SETS = ("text/self_dialogue", "text/topical_chat", "text/synthetic_persona_chat", "text/casino")
CHATTERBOT_CATEGORIES = frozenset({"greetings", "conversations", "emotion", "humor", "food"})
MAX_REPLY_WORDS = 40
MAX_WINDOW_WORDS = 150  # a window must fit 256 tokens with its markers
WINDOW_TURNS = 8
SHORT_PAIR_WORDS = 18  # small talk is answered in a breath
SHORT_PAIRS_PER_SET = 10_000  # two people chatting about films would drown out the rest

UNWANTED = re.compile(
    r"https?:|www\.|\.com\b|@|\d{3}[-. ]\d{3,4}|\b\d{6,}\b|[<>{}\[\]|`]"
    r"|\b(?:alexa|siri|cortana|google|openai|chatgpt|bixby|rasa|dialogflow|olly|turker?s?|mturk|hit)\b"
    r"|\b(?:trump|obama|clinton|republicans?|democrats?|abortion|gun control|nazis?|hitler|terroris[tm]s?)\b"
    r"|\b(?:sex\w*|porn\w*|naked|nude|rap(?:e|ed|ist)|suicid\w*|murder\w*|kill(?:ed|ing|er|s)?|drugs?|weed|cocaine)\b"
    r"|\b(?:\w*fuck\w*|shit\w*|bitch\w*|ass(?:es|hole)?|dicks?|cocks?|pussy|cunts?|nigg\w*|fag\w*|slut\w*|whores?)\b"
    r"|\b(?:retard\w*|tits|titties|boobs|horny|thugs?|dykes?|lmfao\w*|stfu|bullshit|dumbass|badass|sexist|hookers?)\b"
    r"|\b(?:shoot\w*|shot|guns?|weapons?|stab\w*|dead|blood\w*|drunk\w*|beers?|wines?|alcohol\w*|cigarettes?|vodka)\b"
    r"|\b(?:damn|crap\w*|hell|suck(?:s|ed)?|idiots?|stupid|dumb|pissed|jesus|god|wtf|racis[tm]\w*|slaves?)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[a-z']+")
LONE_I = re.compile(r"\bi(?=\b|')")
QUESTION_START = re.compile(
    r"(?:who|what|which|when|where|why|how|are|is|do|does|did|can|could|would|will|have|any)\b", re.I
)
SENTENCE_START = re.compile(r"(^|[.!?]\s+)([a-z])")


@dataclass(frozen=True, slots=True)
class Window:
    """A few consecutive turns; even places are the user's, odd ones the reply."""

    turns: tuple[str, ...]
    source: str

    def as_json(self) -> str:
        return json.dumps({"turns": self.turns, "source": self.source}, ensure_ascii=False)


def tidy(text: str) -> str:
    """The text with one kind of quote and space, and the capitals that hurried typing leaves out."""
    for typed, plain in (("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("…", "..."), (" ,", ","), (" .", ".")):
        text = text.replace(typed, plain)
    text = " ".join(text.split())
    text = re.sub(r"([!?.])\1{2,}", r"\1", text)
    text = LONE_I.sub("I", text)
    return SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), text)


def is_fit(text: str, max_words: int) -> bool:
    """Whether a turn may be learned: printable, of a sane length, harmless, no contact data or assistant brands."""
    words = WORD.findall(text.lower())
    if not words or len(text.split()) > max_words or UNWANTED.search(text):
        return False
    letters = sum(character.isascii() for character in text)
    return letters >= 0.95 * len(text) and not (text.isupper() and len(words) > 2)


def windows(turns: list[str], source: str, first: int) -> Iterator[Window]:
    """The dialogue cut into windows of fit turns, beginning at turn `first`; an unfit turn ends its window."""
    current: list[str] = []
    for turn in turns[first:]:
        fit = is_fit(turn, MAX_REPLY_WORDS)
        words = sum(len(t.split()) for t in current) + len(turn.split())
        if not fit or len(current) == WINDOW_TURNS or (words > MAX_WINDOW_WORDS and len(current) % 2 == 0):
            yield from closed(current, source)
            current = []
        if fit:
            current.append(turn)
    yield from closed(current, source)


def closed(turns: list[str], source: str) -> Iterator[Window]:
    even = len(turns) - len(turns) % 2
    if even:
        yield Window(tuple(turns[:even]), source)


def dialogue_windows(data: Path, split: str) -> Iterator[Window]:
    """Windows of every dialogue set; where two equal people talk, alternately from the first and the second turn."""
    for name in DIALOGUE_SETS:
        for row_number, row in enumerate(grounded.read_rows(data / name / f"{split}.jsonl.gz")):
            roles = [turn["role"] for turn in row["turns"]]
            texts = [tidy(turn["text"]) for turn in row["turns"]]
            equals = "user" not in roles
            first = row_number % 2 if equals else roles.index("user")
            yield from windows(texts, Path(name).name, first)


def short_pairs(data: Path) -> Iterator[Window]:
    """Single exchanges of open chat that stand alone: short on both sides, no unusual words."""
    pairs = [
        Window((user, reply), Path(name).name)
        for name in SHORT_PAIR_SETS
        for row in grounded.read_rows(data / name / "train.jsonl.gz")
        for user, reply in pairwise_texts(row["turns"])
        if is_fit(user, SHORT_PAIR_WORDS) and is_fit(reply, SHORT_PAIR_WORDS)
    ]
    counts = Counter(word for pair in pairs for turn in pair.turns for word in WORD.findall(turn.lower()))
    kept: Counter[str] = Counter()
    common = {word for word, count in counts.items() if count >= 200}
    for pair in pairs:
        words = [word for turn in pair.turns for word in WORD.findall(turn.lower())]
        if all(word in common for word in words) and not looks_named(pair.turns):
            kept[pair.source] += 1
            if kept[pair.source] <= SHORT_PAIRS_PER_SET:
                yield pair


def pairwise_texts(turns: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    texts = [tidy(turn["text"]) for turn in turns]
    yield from itertools.pairwise(texts)


def looks_named(turns: Iterable[str]) -> bool:
    """Whether a capital stands inside a sentence, as in a title or a name; such pairs need context to make sense."""
    return any(re.search(r"[a-z,] (?!I\b)[A-Z]", turn) for turn in turns)


def chatterbot_pairs(data: Path) -> Iterator[Window]:
    for row in grounded.read_rows(data / "chatterbot/english.jsonl.gz"):
        turns = [tidy(turn) for turn in row["turns"][:2]]
        if row["category"] in CHATTERBOT_CATEGORIES and all(is_fit(turn, 30) for turn in turns):
            yield Window(tuple(turns), "chatterbot")


def own_pairs(data: Path, copies: int, draw: random.Random) -> Iterator[Window]:
    """Our own replies to every way a group's question is put: written here, or labelled so in CLINC150."""
    questions_of: dict[str, list[str]] = {}
    for row in grounded.read_rows(data / "clinc150/train.jsonl.gz"):
        questions_of.setdefault(row["intent"], []).append(row["text"])
    own = yaml.safe_load((HERE / "smalltalk.yaml").read_text(encoding="utf-8"))
    for group in own["exchanges"]:
        borrowed = [text for intent in group.get("clinc150", []) for text in questions_of[intent]]
        borrowed = [text for text in borrowed if not UNWANTED.search(text)]
        for question, times in [*((q, 2 * copies) for q in group["users"]), *((q, copies) for q in borrowed)]:
            for _ in range(times):
                words = {name: draw.choice(choices) for name, choices in own["words"].items()}
                yield Window((typed_as(question.format(**words), draw), draw.choice(group["replies"])), "own")


def typed_as(question: str, draw: random.Random) -> str:
    """The question the way people type it: sometimes without capital or closing mark."""
    style = draw.random()
    if style < 0.35:
        return tidy(question)
    if style < 0.6:
        return question.lower().rstrip("?.!")
    if style < 0.8:
        return tidy(question).rstrip("?.!")
    mark = "?" if QUESTION_START.match(question) else draw.choice([".", "!"])
    return tidy(question) if question[-1] in "?.!" else tidy(question) + mark


def chained(pairs: list[Window], draw: random.Random) -> Iterator[Window]:
    """The exchanges, some joined two or three in a row, so that earlier talk is seen and does not derail a reply."""
    pairs = list(pairs)
    draw.shuffle(pairs)
    while pairs:
        length = draw.choices((1, 2, 3), weights=(6, 2, 1))[0]
        group, pairs = pairs[-length:], pairs[:-length]
        yield Window(tuple(turn for pair in group for turn in pair.turns), "+".join(sorted({p.source for p in group})))


def held_out(text: str) -> bool:
    """Whether a small-talk pair belongs to validation: one in fifty, by its text, so that repeats fall together."""
    return int(hashlib.sha1(text.encode()).hexdigest(), 16) % 50 == 0


def write(path: Path, rows: Iterable[Window]) -> None:
    count, sources = 0, Counter[str]()
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(row.as_json() + "\n")
            count += 1
            sources[row.source] += 1
    print(f"{path.name}: {count} windows", dict(sources.most_common(12)))


def write_grounded(path: Path, examples: list[tuple[str, Grounded]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for source, example in examples:
            content = {"passages": example.passages, "branches": example.branches, "source": source}
            file.write(json.dumps(content, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(examples)} passages", dict(Counter(source for source, _ in examples)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_data = os.environ.get("PARLEY_DATA", HERE.parents[1].parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default_data))
    parser.add_argument("--out", type=Path, default=HERE / "build")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--own-copies", type=int, default=5, help="repetitions of a borrowed question; our own get twice as many"
    )
    arguments = parser.parse_args()

    draw = random.Random(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    chat = list(dict.fromkeys(dialogue_windows(arguments.data, "train")))
    draw.shuffle(chat)
    write(arguments.out / "chat.jsonl", chat)

    pairs = list(dict.fromkeys(short_pairs(arguments.data)))
    pairs += list(chatterbot_pairs(arguments.data))
    own = list(own_pairs(arguments.data, arguments.own_copies, draw))
    train_pairs = [pair for pair in pairs if not held_out(pair.turns[0])] + own
    write(arguments.out / "smalltalk.jsonl", chained(train_pairs, draw))

    valid = list(dict.fromkeys(dialogue_windows(arguments.data, "valid")))
    valid += [pair for pair in pairs if held_out(pair.turns[0])]
    write(arguments.out / "valid.jsonl", valid)

    sets = grounded.all_sets(arguments.data, draw)
    talk = [(pair.turns[0], pair.turns[1]) for pair in own]
    examples = list(grounded.with_small_talk(sets.examples, talk, draw))
    draw.shuffle(examples)
    write_grounded(arguments.out / "grounded.jsonl", examples)
    with (arguments.out / "questions.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(question.as_json() + "\n" for question in sets.questions)
    print(f"questions.jsonl: {len(sets.questions)}", dict(Counter(question.source for question in sets.questions)))


if __name__ == "__main__":
    main()
