"""Small document libraries drawn from question sets, and how well a score tells what they answer from what not.

Knows questions, passages and embeddings; choosing and printing thresholds is thresholds.py's. A library holds some 60
passages (a hotel's or restaurant's own FAQ in dstc9_faq_kb). It is asked what it answers, and three kinds of questions
that it does not: of another source or title ("distant"), of the same source or title but about a passage left out
("near"), and things people say to assistants ("chat").
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from artefact import FloatArray
from evaluate import read_rows

PASSAGES = 60  # per library
LIBRARIES = 6  # per collection, or three per documentation source
CHAT = 20  # chat utterances asked per library
SPOKEN_DISTANT = 6  # distant and near questions asked per library of dstc9_faq_kb, which has 104 answerable ones in all
WORD = re.compile(r"\w+")
KINDS = ("answerable", "distant", "near", "chat")


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    kind: str  # one of KINDS
    passage: int  # the one that answers it; -1: none does


@dataclass(frozen=True, slots=True)
class Library:
    collection: str
    passages: tuple[str, ...]  # "heading. text"
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question put to one library."""

    kind: str
    passage: int
    cosines: FloatArray  # to each passage
    coverage: FloatArray  # of the question's words by each passage, 0..1


class WordCoverage:
    """How much of a question's words each passage holds, rare words counting more.

    Source: the inverse document frequency of BM25, Robertson and Zaragoza 2009, section 3.1
    """

    def __init__(self, passages: Sequence[str]) -> None:
        self._words = [_words(passage) for passage in passages]
        self._count = Counter(word for words in self._words for word in words)

    def __call__(self, question: str) -> FloatArray:
        weights = {word: self._weight(word) for word in _words(question)}
        total = sum(weights.values()) or 1.0
        held = [sum(weights[word] for word in weights.keys() & words) for words in self._words]
        return np.array(held, dtype=np.float32) / np.float32(total)

    def _weight(self, word: str) -> float:
        holding = self._count[word]
        return math.log(1 + (len(self._words) - holding + 0.5) / (holding + 0.5))


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))


def ask(library: Library, embed: Callable[[Sequence[str]], FloatArray]) -> Iterator[Asked]:
    passages, coverage = embed(library.passages), WordCoverage(library.passages)
    for question, vector in zip(
        library.questions, embed([question.text for question in library.questions]), strict=True
    ):
        yield Asked(question.kind, question.passage, passages @ vector, coverage(question.text))


def libraries(data: Path, seed: int) -> Iterator[Library]:
    generator = np.random.default_rng(seed)
    chat = [row["text"] for row in read_rows(data / "clinc150" / "oos_valid.jsonl.gz")]
    chat += [row["text"] for row in read_rows(data / "hwu64" / "valid.jsonl.gz")][::10]
    for library in (*_spoken(data, generator), *_documentation(data, generator), *_encyclopedia(data, generator)):
        asked = tuple(Question(str(text), "chat", -1) for text in generator.permutation(chat)[:CHAT])
        yield Library(library.collection, library.passages, library.questions + asked)


def _spoken(data: Path, generator: np.random.Generator) -> Iterator[Library]:
    """dstc9_faq_kb: a place's FAQ, title and body, asked the last turn of transcribed speech, hesitations and all."""
    answers = defaultdict(list)
    for row in read_rows(data / "dstc9_faq_kb" / "kb_eval.jsonl.gz"):
        answers[row["domain"], str(row["entity_id"])].append(row)
    dialogues = read_rows(data / "dstc9_faq_kb" / "dialogs_dstc10_valid.jsonl.gz")
    seeking = [
        (row["turns"][-1]["text"], fact["domain"], str(fact["entity_id"]), str(fact["doc_id"]))
        for row in dialogues
        if row["target"]
        for fact in row["knowledge"][:1]
    ]
    chatting = [row["turns"][-1]["text"] for row in dialogues if not row["target"]]
    for place in sorted({(domain, entity) for _, domain, entity, _ in seeking} & answers.keys()):
        ids = [row["doc_id"] for row in answers[place]]
        own = [Question(text, "answerable", ids.index(d)) for text, *its, d in seeking if tuple(its) == place]
        foreign = generator.permutation([text for text, domain, *_ in seeking if domain != place[0]])
        yield Library(
            "dstc9_faq_kb, spoken",
            tuple(f"{row['question']} {row['answer']}" for row in answers[place]),
            (
                *own,
                *(Question(str(text), "distant", -1) for text in foreign[:SPOKEN_DISTANT]),
                *(Question(str(text), "near", -1) for text in generator.permutation(chatting)[:SPOKEN_DISTANT]),
            ),
        )


def _documentation(data: Path, generator: np.random.Generator) -> Iterator[Library]:
    """docs_faq: a section's text, asked its heading. The passage goes without its heading, which is the question."""
    rows = [row for split in ("train", "valid") for row in read_rows(data / "text" / "docs_faq" / f"{split}.jsonl.gz")]
    sources = Counter(row["source"] for row in rows)
    for source in sorted(name for name, count in sources.items() if count >= PASSAGES):
        for _ in range(LIBRARIES // 2):
            yield _drawn("docs_faq", rows, generator, group="source", within=source, heading=None)


def _encyclopedia(data: Path, generator: np.random.Generator) -> Iterator[Library]:
    """qed_dev and selqa: a passage under its article's title, asked a written question."""
    for collection in ("qed_dev", "selqa"):
        rows = read_rows(data / "text" / collection / "train.jsonl.gz")
        for _ in range(LIBRARIES):
            yield _drawn(collection, rows, generator, group="title", within=None, heading="title")


def _drawn(
    collection: str,
    rows: list[dict[str, str]],
    generator: np.random.Generator,
    *,
    group: str,
    within: str | None,
    heading: str | None,
) -> Library:
    """A library of random rows, all of one group if `within` names it, and questions on rows left out."""
    order = [rows[i] for i in generator.permutation(len(rows))]
    taken = [row for row in order if within in (None, row[group])][:PASSAGES]
    groups, texts = {row[group] for row in taken}, {row["passage"] for row in taken}
    left = [row for row in order if row["passage"] not in texts]
    distant = [row["question"] for row in left if row[group] not in groups][:PASSAGES]
    near = [row["question"] for row in left if row[group] in groups][:PASSAGES]
    return Library(
        collection,
        tuple(f"{row[heading]}. {row['passage']}" if heading else row["passage"] for row in taken),
        (
            *(Question(row["question"], "answerable", index) for index, row in enumerate(taken)),
            *(Question(text, "distant", -1) for text in distant),
            *(Question(text, "near", -1) for text in near),
        ),
    )
