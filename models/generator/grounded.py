"""Questions about passages, from knowledge bases, documents and plain prose, for prepare.py.

Knows which sets there are, which part of each is held out, and how a question without a set of its own is made up.
Every answer is one or several whole sentences of its passages, word for word, but for the written replies of
`dialogues`. Reads gzip'd JSONL; writes nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tokens import Grounded, pieces_of, quoted

HELD_OUT = 20  # one entity or passage of so many is kept for validation
KB_PASSAGES = 11  # made of each entity, every one another choice of its answers
PROSE_SETS = {  # paragraphs taken of each
    "text/us_gov_web": 6000,
    "text/openstax": 5000,
    "text/aws_docs": 6000,
    "text/onestop_english": 1500,
    "text/gnome_help": 400,
    "text/opensource_guide": 130,
}
KEPT = {  # share of a set's examples; half an hour on two cores reads no more
    "dstc9_faq_kb": 1.0,
    "dstc11_track5_val": 0.6,
    "docs_faq": 0.6,
    "selqa": 0.6,
    "begin_attributable": 0.5,
    "covid_qa": 0.5,
    "qed_dev": 0.5,
    "medquad": 0.4,
    "openstax_glossary_qa": 0.3,
}
KEPT_PROSE = 0.1
PASSAGE_WORDS = 170
REPLY_WORDS = 130
SENTENCE_WORDS = (5, 45)  # of prose, that a question is made up about
RARE_SHARE = 0.002  # of the prose's sentences; words in more of them say little
WORD = re.compile(r"[A-Za-z][A-Za-z'-]+")
ALNUM = re.compile(r"[a-z0-9]+")
ASKING = (
    "What about {}?",
    "what about {}",
    "Tell me about {}.",
    "tell me about {}",
    "What do you know about {}?",
    "Can you tell me about {}?",
    "how does {} work",
    "What does it say about {}?",
    "Is there anything on {}?",
    "I have a question about {}.",
    "{}",
    "{}?",
    "do you know {}",
    "Why {}?",
    "How {}?",
    "When {}?",
    "Which {}?",
    "Is it true that {}?",
    "is {}",
    "Do {}?",
    "what is {}",
    "What are {}?",
    "Who {}?",
)
UNPRINTED = re.compile(r"https?:|www\.|[<>{}|`]|\$\\|\\\w")


@dataclass(frozen=True, slots=True)
class Question:
    """A question about passages, as evaluation reads it."""

    passage: str
    question: str
    answers: tuple[str, ...]
    source: str

    def as_json(self) -> str:
        content = {
            "passage": self.passage,
            "question": self.question,
            "answers": self.answers,
            "source": self.source,
        }
        return json.dumps(content, ensure_ascii=False)


@dataclass(slots=True)
class Sets:
    """What was made of the sets: examples to learn from and questions to judge by."""

    examples: list[tuple[str, Grounded]] = field(default_factory=list)  # (source, example)
    questions: list[Question] = field(default_factory=list)


def read_rows(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def held_out(text: str) -> bool:
    return int(hashlib.sha1(text.encode()).hexdigest(), 16) % HELD_OUT == 0


def plain(text: str) -> str:
    """One kind of quote and space; line breaks stay, empty lines go, as a passage's lines need it."""
    for typed, written in (("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("…", "..."), ("–", "-"), ("—", "-")):
        text = text.replace(typed, written)
    return "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())


def as_sentence(text: str) -> str:
    text = " ".join(plain(text).split())
    return text if text[-1:] in ".!?" else text + "."


def asked(question: str, draw: random.Random) -> str:
    """The question as people write it: most as it stands, some without capital or closing mark."""
    question = " ".join(plain(question).split())
    style = draw.random()
    if style < 0.6:
        return question
    if style < 0.8:
        return question.lower().rstrip("?.! ")
    return question.rstrip("?.! ") if style < 0.9 else question[:1].lower() + question[1:]


def numbered(passages: Iterable[str]) -> str:
    return "\n".join(f"[{number}] {passage}" for number, passage in enumerate(passages, 1))


def quotation(passages: str, first: str, words: int = REPLY_WORDS) -> str:
    """The run of whole sentences that `first`, found in the passages, lies in; empty if it is not there or too long."""
    pieces = pieces_of(passages)
    text = "".join(pieces)
    begin = text.find(first)
    if begin < 0 or not first:
        return ""
    end, place, said = begin + len(first), 0, ""
    for piece in pieces:
        if place < end and place + len(piece.rstrip()) > begin:
            said += piece
        place += len(piece)
    return said.rstrip() if len(said.split()) <= words else ""


def shortened(passage: str, keep: str, words: int, draw: random.Random) -> str:
    """Some of the passage's sentences around `keep`, at most so many words; where it begins is a matter of chance."""
    pieces = pieces_of(passage)
    run = [place for place, piece in enumerate(pieces) if piece.strip() and piece.strip() in keep]
    if not run:
        return passage
    first, last = run[0], run[-1]
    while True:
        grow = [each for each in (first - 1, last + 1) if 0 <= each < len(pieces)]
        grow = [each for each in grow if len("".join(pieces[min(first, each) : max(last, each) + 1]).split()) <= words]
        if not grow:
            return "".join(pieces[first : last + 1]).rstrip()
        chosen = draw.choice(grow)
        first, last = min(first, chosen), max(last, chosen)


def knowledge_base(data: Path, draw: random.Random) -> Sets:
    """Entities with short answers: any handful of an entity's answers is a passage for each of their questions."""
    entities: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    for name in ("kb_train", "kb_eval"):
        for row in read_rows(data / f"dstc9_faq_kb/{name}.jsonl.gz"):
            if isinstance(row["answer"], str) and len(row["answer"].split()) >= 2 and row["entity"]:
                key = row["entity"].lower().strip()
                names[key] = row["entity"].title() if row["entity"].isupper() else row["entity"]
                entities.setdefault(key, {})[row["question"]] = as_sentence(row["answer"])
    sets = Sets()
    for key, pairs in entities.items():
        if held_out(key):
            chosen = draw.sample(list(pairs), min(len(pairs), 12))
            passage = " ".join(dict.fromkeys(pairs[question] for question in chosen))
            sets.questions += [
                Question(passage, " ".join(question.split()), (pairs[question],), "dstc9_faq_kb") for question in chosen
            ]
            continue
        for _ in range(min(KB_PASSAGES, len(pairs))):
            count = min(len(pairs), draw.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12)))
            chosen = draw.sample(list(pairs), count)
            example = kb_example(names[key], [(question, pairs[question]) for question in chosen], draw)
            sets.examples.append(("dstc9_faq_kb", example))
    return sets


def kb_example(name: str, pairs: list[tuple[str, str]], draw: random.Random) -> Grounded:
    answers = list(dict.fromkeys(answer for _, answer in pairs))
    style = draw.random()
    if style < 0.3:
        passages = numbered(f"{name}: {answer}" for answer in answers)
    elif style < 0.7:
        passages = numbered([f"{name}: {' '.join(answers)}"])
    elif style < 0.8:
        passages = " ".join(answers)
    elif style < 0.9:
        passages = numbered([f"{name}: " + " ".join(f"{as_question(question)} {answer}" for question, answer in pairs)])
    else:
        passages = numbered(f"{as_question(question)}: {answer}" for question, answer in pairs)
    branches = [(asked(question, draw), answer) for question, answer in pairs[:6]]
    return Grounded(passages, tuple(branches))


def as_question(text: str) -> str:
    text = " ".join(plain(text).split())
    return text if text[-1:] in ".!?" else text + "?"


def question_answering(data: Path, draw: random.Random) -> Sets:
    """Sets of passage, question and answers; an answer inside a sentence becomes the sentence."""
    sets = Sets()
    for name in ("docs_faq", "selqa", "qed_dev", "covid_qa", "openstax_glossary_qa"):
        rows = [(row, False) for row in read_rows(data / f"text/{name}/train.jsonl.gz")]
        valid = data / f"text/{name}/valid.jsonl.gz"
        rows += [(row, True) for row in read_rows(valid)] if valid.exists() else []
        kept: list[tuple[str, str, str]] = []
        apart = {row["passage"] for row, validating in rows if validating}
        for row, validating in rows:
            passage, question = plain(row["passage"]), " ".join(plain(row["question"]).split())
            answers = tuple(plain(answer) for answer in row["answers"] if answer)
            if UNPRINTED.search(passage) or not answers:
                continue
            if validating or row["passage"] in apart or held_out(passage):
                if name != "openstax_glossary_qa":
                    sets.questions.append(Question(passage, question, answers, name))
                continue
            said = nearest(passage, answers[0]) if name == "openstax_glossary_qa" else quotation(passage, answers[0])
            if said:
                kept.append((passage, question, said))
        for times in range(2):
            draw.shuffle(kept)
            for place, (passage, question, said) in enumerate(kept):
                others = [kept[place - back] for back in range(1, draw.choice((1, 1, 1, 2, 3, 4)))] if times else []
                sets.examples.append((name, section_example(passage, question, said, others, draw)))
    return sets


def section_example(
    passage: str, question: str, said: str, others: list[tuple[str, str, str]], draw: random.Random
) -> Grounded:
    """The question among its own passage and, cut short, those of others; some have their question for a title."""
    words = PASSAGE_WORDS // (len(others) + 1)
    own = passage if not others and draw.random() < 0.5 else shortened(passage, said, max(words, 60), draw)
    sections = [(question, own)] + [(title, shortened(text, quote, words, draw)) for text, title, quote in others]
    titles = draw.random() < 0.5
    draw.shuffle(sections)
    lines = [f"{title.rstrip('?: ')}: {text}" if titles and draw.random() < 0.5 else text for title, text in sections]
    branches = [(asked(question, draw), said)]
    branches += [(asked(title, draw), quote) for text, title, quote in others if quotation(numbered(lines), quote)]
    if len(lines) == 1 and draw.random() < 0.5:
        return Grounded(lines[0], tuple(branches))
    return Grounded(numbered(lines), tuple(branches))


def nearest(passage: str, answer: str) -> str:
    """The passage's sentence that shares most words with the answer, if it shares half of them."""
    wanted = set(ALNUM.findall(answer.lower()))

    def shared(piece: str) -> float:
        words = set(ALNUM.findall(piece.lower()))
        return 2 * len(words & wanted) / (len(words) + len(wanted) or 1)

    best = max(pieces_of(passage), key=shared)
    return best.rstrip() if shared(best) >= 0.5 else ""


def health(data: Path, draw: random.Random) -> Sets:
    """MedQuAD: the beginning of one answer among those to other questions."""
    rows = []
    for row in read_rows(data / "text/medquad/train.jsonl.gz"):
        text = plain(row["answers"][0]) if row["answers"] else ""
        pieces = pieces_of(text)
        if len(pieces) >= 2 and not UNPRINTED.search(text) and len(row["question"].split()) < 30:
            reply = "".join(pieces[: draw.choice((1, 1, 2))]).rstrip()
            if 5 <= len(reply.split()) <= 60:
                rows.append((text, " ".join(row["question"].split()), reply))
    draw.shuffle(rows)
    sets = Sets()
    for start in range(0, min(len(rows), 9000) - 3, 3):
        group = rows[start : start + draw.choice((1, 2, 3))]
        words = draw.choice((90, 120, 160)) // len(group)
        lines = []
        for text, question, reply in group:
            body = reply
            for piece in pieces_of(text[len(reply) :].lstrip()):
                if len((body + piece).split()) > words:
                    break
                body = f"{body} {piece.strip()}"
            lines.append(f"{question.rstrip('?: ')}: {body}" if draw.random() < 0.2 else body)
        branches = [(asked(question, draw), reply) for _, question, reply in group]
        sets.examples.append(("medquad", Grounded(numbered(lines), tuple(branches))))
    return sets


def dialogues(data: Path) -> Sets:
    """Written replies to what people asked after reviews and FAQ; the only answers here that are not quotations."""
    sets = Sets()
    for name in ("dstc11_track5_val", "begin_attributable"):
        for row in read_rows(data / f"text/{name}/train.jsonl.gz"):
            turns = [" ".join(plain(turn["text"]).split()) for turn in row["turns"][-4:]]
            turns = turns if len(turns) % 2 == 0 else turns[1:]
            knowledge = [" ".join(plain(text).split()) for text in row["knowledge"]]
            fit = sum(len(turn.split()) for turn in turns) < 100 and sum(len(k.split()) for k in knowledge) < 150
            if not fit or any(UNPRINTED.search(text) for text in (*turns, *knowledge)):
                continue
            if name == "begin_attributable":
                reply = nearest(" ".join(knowledge), turns[-1])
                turns = [*turns[-2:-1], reply] if reply else []
            if turns:
                sets.examples.append((name, Grounded(numbered(knowledge), (tuple(turns),))))
    return sets


def prose(data: Path, draw: random.Random) -> Sets:
    """Paragraphs with made-up questions: some words of a sentence ask for that sentence."""
    paragraphs: list[tuple[str, list[str]]] = []
    for name, count in PROSE_SETS.items():
        texts = [plain(row["text"]) for row in read_rows(data / f"{name}/train.jsonl.gz")]
        texts = [text for text in texts if not UNPRINTED.search(text) and text.isascii() and not held_out(text)]
        draw.shuffle(texts)
        paragraphs += [(Path(name).name, pieces_of(text)) for text in texts[:count]]
    seen = Counter(word for _, pieces in paragraphs for piece in pieces for word in set(words_of(piece)))
    frequent = RARE_SHARE * sum(len(pieces) for _, pieces in paragraphs)
    sets = Sets()
    for name, pieces in paragraphs:
        words = draw.choice((30, 60, 90, 120, PASSAGE_WORDS))
        first = draw.randrange(len(pieces))
        chosen: list[str] = []
        for piece in pieces[first:]:
            if chosen and len("".join([*chosen, piece]).split()) > words:
                break
            chosen.append(piece)
        passage = "".join(chosen).rstrip()
        pieces_now = pieces_of(passage)
        branches = []
        for piece in draw.sample(pieces_now, len(pieces_now)):
            sentence = piece.rstrip()
            fit = SENTENCE_WORDS[0] <= len(sentence.split()) <= SENTENCE_WORDS[1] and sentence[-1] in ".!?"
            telling = [word for word in dict.fromkeys(words_of(sentence)) if seen[word] < frequent]
            if fit and len(telling) >= 2 and len(quoted(pieces_now, sentence)) == 1:
                branches.append((made_up(sentence, telling, draw), sentence))
        if branches and len(passage.split()) <= 250:
            sets.examples.append((name, Grounded(passage, tuple(branches[:4]))))
    return sets


def words_of(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def made_up(sentence: str, telling: list[str], draw: random.Random) -> str:
    """A question that names some of the sentence's telling words, in a form of words or in a stretch of it."""
    if draw.random() < 0.4:
        words = sentence.rstrip(".!?").split()
        length = draw.randint(3, 9)
        start = draw.randrange(max(1, len(words) - length))
        stretch = " ".join(words[start : start + length]).strip(",;:\"'()")
        if any(word in telling for word in words_of(stretch)):
            return draw.choice(ASKING).format(stretch[:1].lower() + stretch[1:])
    chosen = draw.sample(telling, min(len(telling), draw.choice((1, 2, 2, 3, 4))))
    chosen = [varied(word, draw) for word in (chosen if draw.random() < 0.3 else sorted(chosen, key=telling.index))]
    joint = draw.choice((" ", " ", " and ", " the ", ", "))
    return draw.choice(ASKING).format(joint.join(chosen))


def varied(word: str, draw: random.Random) -> str:
    """The word, or now and then another form of it, so that more than equal tokens must be matched."""
    if draw.random() < 0.7 or len(word) < 5:
        return word
    for ending in ("ing", "ed", "es", "s", "ly"):
        if word.endswith(ending):
            return word.removesuffix(ending)
    return word + draw.choice(("s", "ing", "ed"))


def with_small_talk(
    examples: list[tuple[str, Grounded]], pairs: list[tuple[str, str]], draw: random.Random
) -> Iterator[tuple[str, Grounded]]:
    """The examples, some with earlier talk before a question, and some with talk that is not about the passages."""
    for source, example in examples:
        branches = []
        for branch in example.branches:
            if draw.random() < 0.12:
                earlier = draw.choice([*pairs[:50], *(b[:2] for b in example.branches if b is not branch)])
                branch = (*(earlier if draw.random() < 0.5 else draw.choice(pairs)), *branch)
            branches.append(branch)
        if draw.random() < 0.15:
            branches.append(draw.choice(pairs))
        yield source, Grounded(example.passages, tuple(branches))


def all_sets(data: Path, draw: random.Random) -> Sets:
    """Everything above; examples in the order of their sets."""
    sets = Sets()
    parts = [knowledge_base(data, draw), question_answering(data, draw), health(data, draw), dialogues(data)]
    for part in [*parts, prose(data, draw)]:
        sets.examples += [each for each in part.examples if draw.random() < KEPT.get(each[0], KEPT_PROSE)]
        sets.questions += part.questions
    return sets
