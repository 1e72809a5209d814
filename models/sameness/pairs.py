"""What people wrote, as questions that are the same or are not. Knows the folders of the data; measures nothing.

A `Text` stands in a group: texts of one group mean the same, those of two groups of one source do not. Where people
only agree on the intent (`alike` is False), a group says nothing about two of its texts, but two groups still differ.
"""

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """Two questions; 1 if they are the same, 0 if not, None if only a teacher can say."""

    text_a: str
    text_b: str
    label: int | None
    source: str
    kind: str = ""  # how the pair came about


@dataclass(frozen=True)
class Text:
    """Something that somebody said, and what it is one of."""

    text: str
    group: str  # "" of what nobody sorted
    source: str
    alike: bool = True  # whether all of the group mean the same


def read(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


# Groups ---------------------------------------------------------------------------------------------------------------

_TELLING = frozenset({"INFORM_INTENT", "INFORM", "REQUEST", "REQUEST_ALTS"})  # acts that stand in the words themselves


def sgd(data: Path, split: str) -> Iterator[Text]:
    """What users of the schema-guided dialogues say: one group is one service, the same acts, the same values."""
    for row in read(data / f"sgd/{split}.jsonl.gz"):
        for turn in row["turns"]:
            acts = [act for frame in turn["frames"] for act in frame["acts"]]
            services = {frame["service"].rsplit("_", 1)[0] for frame in turn["frames"]}
            if turn["role"] == "user" and len(services) == 1 and acts and {act[0] for act in acts} <= _TELLING:
                group = json.dumps([*services, sorted([name, slot, sorted(v)] for name, slot, v in acts)])
                yield Text(turn["text"], group.lower(), f"sgd {split}")


def multiwoz(data: Path) -> Iterator[Text]:
    """What users of MultiWOZ say, sorted in the same way."""
    for row in read(data / "multiwoz/valid.jsonl.gz"):
        for turn in row["turns"]:
            acts = turn.get("acts") or {}
            if turn["role"] == "user" and acts and not any(name.startswith("general") for name in acts):
                text = re.sub(r" (?=[.,?!'])|(?<=n) (?='?t\b)", "", turn["text"])
                yield Text(text, json.dumps(sorted(acts.items())).lower(), "multiwoz")


def bitext(data: Path) -> Iterator[Text]:
    """Requests to customer service: one intent with the same values is one request."""
    for row in read(data / "bitext_support/train.jsonl.gz"):
        if row["category"] not in ("CONTACT", "FEEDBACK"):
            values = [row["text"][slot["start"] : slot["end"]] for slot in row["slots"]]
            yield Text(row["text"], json.dumps([row["intent"], *values]), "bitext")


def intents(data: Path) -> Iterator[Text]:
    """Utterances by intent: what differs in intent differs, and no more is known."""
    for name, file in (("clinc150", "train"), ("banking77", "train_minus_valid"), ("hwu64", "train")):
        for row in read(data / f"{name}/{file}.jsonl.gz"):
            yield Text(row["text"], row["intent"], name, alike=False)


def slots(data: Path, rng: random.Random) -> Iterator[Pair]:
    """Of two requests with the same kinds of values: with one's values in the other the same, with its own another."""
    for name, file in (("snips", "train"), ("hwu64", "slots_train")):
        shapes = defaultdict(list)
        for row in read(data / f"{name}/{file}.jsonl.gz"):
            kinds = tuple(sorted(slot["slot"] for slot in row["slots"]))
            if kinds and len(set(kinds)) == len(kinds):
                shapes[row["intent"], kinds].append(row)
        for rows in shapes.values():
            for _ in range(len(rows) if len(rows) > 3 else 0):
                one, other = rng.sample(rows, 2)
                ours = {slot["slot"]: one["text"][slot["start"] : slot["end"]] for slot in one["slots"]}
                made, theirs = other["text"], []
                for slot in sorted(other["slots"], key=lambda slot: -slot["start"]):
                    theirs.append(made[slot["start"] : slot["end"]].lower())
                    made = made[: slot["start"]] + ours[slot["slot"]] + made[slot["end"] :]
                if name == "snips":
                    yield Pair(one["text"], made, 1, name, "values")
                if {value.lower() for value in ours.values()} != set(theirs):
                    yield Pair(made, other["text"], 0, name, "values")


def unsorted(data: Path) -> Iterator[Text]:
    """Questions and requests of which nothing is known; a teacher says which of their neighbours are the same."""
    for name in ("medquad", "selqa", "covid_qa"):
        yield from (Text(row["question"], "", name) for row in read(data / f"text/{name}/train.jsonl.gz"))
    for name in ("text/star", "text/dstc11_track5_val", "taskmaster4"):
        for row in read(data / f"{name}/train.jsonl.gz"):
            yield from (Text(turn["text"], "", name) for turn in row["turns"] if turn["role"] == "user")


# Pairs ----------------------------------------------------------------------------------------------------------------

_OPTIONS = re.compile(r"\b(these|following|sound ?clip|pictured?|this quote)\b", re.IGNORECASE)  # nothing without them


def trivia(data: Path) -> Iterator[Text]:
    """Quiz questions by their answer, which is rare: near ones with one answer are the same, others are not."""
    found = {}
    for split in ("train", "valid"):
        for row in read(data / f"text/open_trivia_qa/{split}.jsonl.gz"):
            text, answer = row["question"].strip(), plain_answer(row["answers"][0])
            if 4 <= len(text.split()) <= 25 and answer not in ("true", "false", "") and not _OPTIONS.search(text):
                found.setdefault(text.lower(), (text, answer))
    often = Counter(answer for _, answer in found.values())
    for text, answer in found.values():
        yield Text(text, answer, "trivia", alike=often[answer] <= 4)


def plain_answer(text: str) -> str:
    return re.sub(r"^(the|a|an) ", "", re.sub(r"[^\w ]", "", text.lower())).strip()


# To measure with, never to learn from ---------------------------------------------------------------------------------

_OTHER_NAME = re.compile(r"(?<=[a-z,] )(?!Alpine|Inn|Apple|Pay|Wi|I\\b|TV|ATM|AC)[A-Z]|Alpine Inn's")


def dstc9(data: Path, rng: random.Random, count: int) -> list[Pair]:
    """Frequently asked questions of places: one answer, the place aside, to two wordings is one question."""
    by_answer, by_place = defaultdict(set), defaultdict(set)
    for row in read(data / "dstc9_faq_kb/kb_eval.jsonl.gz"):
        if not row["entity"]:
            continue
        name = re.compile(re.escape(row["entity"]), re.IGNORECASE)
        question, answer = name.sub("Alpine Inn", row["question"]), name.sub("X", row["answer"])
        if _OTHER_NAME.search(question):
            continue  # the place by another name
        by_answer[row["domain"], plain_answer(answer)].add(question)
        by_place[row["domain"], row["entity"]].add((question, plain_answer(answer)))
    pairs = []
    for questions in by_answer.values():
        for named in (True, False):  # "the hotel" is the place only where the place is known
            texts = sorted(text for text in questions if ("Alpine Inn" in text) is named)
            for _ in range(min(4, len(texts) - 1)):
                a, b = rng.sample(texts, 2)
                pairs.append(Pair(a, b, 1, "dstc9", "one answer"))
                if named:
                    pairs.append(
                        Pair(
                            a,
                            b.replace("Alpine Inn", rng.choice(("Harbour Lodge", "Alpine House"))),
                            0,
                            "dstc9",
                            "another place",
                        )
                    )
    for questions in by_place.values():
        texts = sorted(questions)
        for _ in range(8):
            (a, x), (b, y) = rng.sample(texts, 2) if len(texts) > 1 else (("", ""), ("", ""))
            if x != y:
                pairs.append(Pair(a, b, 0, "dstc9", "one place"))
    rng.shuffle(pairs)
    return (
        sorted(pairs, key=lambda pair: -pair.label)[: count // 2]
        + [pair for pair in pairs if not pair.label][: count // 2]
    )


def stsb(data: Path) -> list[Pair]:
    """Judged similarity, to measure with only."""
    rows = [row for split in ("train", "valid") for row in read(data / f"stsb/en_{split}.jsonl.gz")]
    return [
        Pair(row["text_a"], row["text_b"], int(row["score"] >= 4.6), "stsb", "judged")
        for row in rows
        if not 3.5 < row["score"] < 4.6
    ]


def sgd_valid(data: Path, rng: random.Random, draws: int) -> list[Pair]:
    """What users say in dialogues that nothing learns from: one group is the same, two of one service are not."""
    groups = defaultdict(set)
    for text in sgd(data, "valid"):
        groups[text.group].add(text.text)
    pairs = []
    for texts in map(sorted, groups.values()):
        pairs.extend(Pair(*rng.sample(texts, 2), 1, "sgd valid", "one group") for _ in range(min(3, len(texts) - 1)))
    services = defaultdict(list)
    for group, texts in groups.items():
        service, acts = json.loads(group)[:2]
        services[service].append(([act[:2] for act in acts], sorted(texts)))
    for _ in range(draws):
        (acts, texts), (other_acts, others) = rng.sample(services[rng.choice(list(services))], 2)
        if acts == other_acts or rng.random() < 0.1:  # most of what differs in its acts is far away
            pairs.append(Pair(rng.choice(texts), rng.choice(others), 0, "sgd valid", "one service"))
    return pairs


# Questions to edit ----------------------------------------------------------------------------------------------------


def questions_of(data: Path, name: str) -> list[str]:
    """The questions of a set of questions and answers, of eight words or so."""
    match name:
        case "clinc150" | "banking77":
            file = "train" if name == "clinc150" else "train_minus_valid"
            texts = [row["text"] for row in read(data / f"{name}/{file}.jsonl.gz")]
        case _:
            texts = [row["question"] for row in read(data / f"text/{name}/train.jsonl.gz")]
    return sorted({text.strip() for text in texts if 4 <= len(text.split()) <= 18})
