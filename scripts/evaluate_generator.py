"""Measure how well a generator answers out of passages: words shared with the right answer, and speed.

    python scripts/evaluate_generator.py --questions FILE [--every N] [--json FILE]
        [--endpoint URL [--model NAME] | --artefact FOLDER]

FILE holds JSON lines of `passage`, `question`, `answers` and optionally `source`; models/generator/prepare.py writes
such. `--endpoint` is any OpenAI-compatible chat completions URL; without it the bundled model answers in this process.
Each question is asked as Parley asks: the passage stands in a system message, behind a line `Knowledge:`.

Token F1 and exact match are SQuAD's, each against the nearest of the answers; BLEU is sacrebleu's over the whole, ROUGE
rouge-score's, both against the first answer. The mark of a passage, such as [1], is no part of an answer. One question
is asked at a time, at temperature 0.
"""

import argparse
import json
import re
import statistics
import string
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

from steps import ROOT, Step, Stop, finish

GENERATOR = ROOT / "models/generator"
MAX_TOKENS = 128
TIMEOUT_SECONDS = 60
CITATION = re.compile(r"\s*\[\d+\]")
ARTICLE = re.compile(r"\b(a|an|the)\b")

Messages = list[dict[str, str]]
# Pieces of a reply as they come, each with how many tokens there have been.
Ask = Callable[[Messages], Iterator[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a passage."""

    passage: str
    question: str
    answers: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one question."""

    question: Question
    reply: str
    first_seconds: float
    seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over questions; all but the last three are in 0..100."""

    questions: int
    f1: float
    exact: float
    bleu: float
    rouge1: float
    rouge2: float
    rouge_l: float
    first_token_p50_ms: float
    first_token_p99_ms: float
    tokens_per_s: float


def read_questions(lines: Iterable[str]) -> list[Question]:
    """Raises: Stop: a line lacks something."""
    questions = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            answers = tuple(row["answers"])
            questions.append(Question(row["passage"], row["question"], answers, row.get("source", "all")))
        except (ValueError, KeyError, TypeError) as error:
            raise Stop(f"line {number} is no question: {error!r}") from error
        if not answers:
            raise Stop(f"line {number} has no answers")
    return questions


def messages_for(question: Question) -> Messages:
    """The chat messages that ask it."""
    lines = [" ".join(line.split()) for line in question.passage.splitlines()]
    knowledge = "\n".join(line for line in lines if line)
    system = f"Answer from the knowledge below only.\n\nKnowledge:\n[1] Passage: {knowledge}\n"
    return [{"role": "system", "content": system}, {"role": "user", "content": question.question}]


def words(text: str) -> list[str]:
    """A text's words as SQuAD compares them: no capitals, punctuation or articles.

    Source: Rajpurkar et al. 2016, "SQuAD", arXiv:1606.05250; its evaluate-v1.1.py
    """
    bare = "".join(letter for letter in CITATION.sub("", text).lower() if letter not in string.punctuation)
    return ARTICLE.sub(" ", bare).split()


def token_f1(reply: str, answer: str) -> float:
    """The harmonic mean of precision and recall of words, in 0..1; two empty texts are alike."""
    got, wanted = words(reply), words(answer)
    if not got or not wanted:
        return float(got == wanted)
    shared = sum((Counter(got) & Counter(wanted)).values())
    return 2 * shared / (len(got) + len(wanted))


def is_exact(reply: str, answer: str) -> bool:
    return words(reply) == words(answer)


def best_f1(answered: Answered) -> float:
    """Against the nearest of the answers, in 0..1."""
    return max(token_f1(answered.reply, answer) for answer in answered.question.answers)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


def scores_of(answered: Sequence[Answered]) -> Scores:
    """Raises: ValueError: nothing was answered."""
    replies = [CITATION.sub("", each.reply).strip() for each in answered]
    firsts = [each.question.answers[0] for each in answered]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    rouge = [scorer.score(answer, reply) for answer, reply in zip(firsts, replies, strict=True)]
    first_ms = [each.first_seconds * 1000 for each in answered]

    def mean(values: Iterable[float]) -> float:
        return 100 * statistics.fmean(values)

    return Scores(
        questions=len(answered),
        f1=mean(map(best_f1, answered)),
        exact=mean(any(is_exact(each.reply, answer) for answer in each.question.answers) for each in answered),
        bleu=sacrebleu.corpus_bleu(replies, [firsts]).score,
        rouge1=mean(each["rouge1"].fmeasure for each in rouge),
        rouge2=mean(each["rouge2"].fmeasure for each in rouge),
        rouge_l=mean(each["rougeL"].fmeasure for each in rouge),
        first_token_p50_ms=quantile(first_ms, 0.5),
        first_token_p99_ms=quantile(first_ms, 0.99),
        tokens_per_s=sum(each.tokens for each in answered) / max(sum(each.seconds for each in answered), 1e-9),
    )


def by_source(answered: Sequence[Answered]) -> dict[str, Scores]:
    """The scores of each source, and of `all`."""
    sources = dict.fromkeys(each.question.source for each in answered)
    parts = {source: [each for each in answered if each.question.source == source] for source in sources}
    return {source: scores_of(part) for source, part in {**parts, "all": list(answered)}.items()}


def bundled(artefact: Path) -> Ask:
    """The bundled model, or another of its kind, in this process."""
    sys.path.insert(0, str(GENERATOR))
    from engine import Engine, Request

    engine = Engine(artefact, threads=2)

    def ask(messages: Messages) -> Iterator[tuple[str, int]]:
        said = tuple((message["role"], message["content"]) for message in messages)
        for piece in engine.reply(Request(messages=said, max_tokens=MAX_TOKENS, temperature=0.0)):
            yield piece.text, piece.completion_tokens

    return ask


def endpoint(url: str, model: str) -> Ask:
    """A server that speaks OpenAI's chat completions."""

    def ask(messages: Messages) -> Iterator[tuple[str, int]]:
        content = {"model": model, "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0, "stream": True}
        content["stream_options"] = {"include_usage": True}
        request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                yield from chunks(line.decode() for line in response)
        except urllib.error.URLError as error:
            raise Stop(f"{url} does not answer: {error}") from error

    return ask


def chunks(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Server-sent chunks as pieces; where the server does not count tokens, each chunk counts for one."""
    count = 0
    for line in lines:
        if not line.startswith("data: ") or line.strip() == "data: [DONE]":
            continue
        chunk = json.loads(line.removeprefix("data: "))
        text = "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
        count = (chunk.get("usage") or {}).get("completion_tokens", count + bool(text))
        yield text, count


def answer(ask: Ask, question: Question) -> Answered:
    """Ask one question and time the reply."""
    began, first, text, tokens = time.perf_counter(), None, "", 0
    for piece, so_far in ask(messages_for(question)):
        text, tokens = text + piece, so_far
        if first is None and piece:
            first = time.perf_counter() - began
    seconds = time.perf_counter() - began
    return Answered(question, text, seconds if first is None else first, seconds, tokens)


def table(scores: dict[str, Scores]) -> str:
    """One line for each source."""
    columns = ("F1", "EM", "BLEU", "R-1", "R-L")
    head = f"{'source':22}{'n':>6}{''.join(f'{name:>7}' for name in columns)}{'first p50':>11}{'p99 ms':>8}{'tok/s':>8}"
    lines = [
        f"{name:22}{each.questions:6}{each.f1:7.1f}{each.exact:7.1f}{each.bleu:7.1f}{each.rouge1:7.1f}"
        f"{each.rouge_l:7.1f}{each.first_token_p50_ms:11.0f}{each.first_token_p99_ms:8.0f}{each.tokens_per_s:8.0f}"
        for name, each in scores.items()
    ]
    return "\n".join([head, *lines])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--endpoint", help="URL of chat completions, such as http://127.0.0.1:8080/v1/chat/completions")
    parser.add_argument("--model", default="llm_chatbot", help="what the endpoint calls its model")
    parser.add_argument(
        "--artefact", type=Path, default=GENERATOR / "artefact", help="what answers without an endpoint"
    )
    parser.add_argument("--every", type=int, default=1, help="ask one question of so many")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    if not given.questions.exists():
        raise Stop(f"{given.questions} does not exist")
    questions = read_questions(given.questions.read_text(encoding="utf-8").splitlines())[:: given.every]
    if not questions:
        raise Stop(f"{given.questions} holds no questions")
    ask = endpoint(given.endpoint, given.model) if given.endpoint else bundled(given.artefact)
    answered = []
    with Step("asking") as step:
        for question in questions:
            answered.append(answer(ask, question))
            step.say(f"{len(answered)} of {len(questions)} questions")
    scores = by_source(answered)
    print(table(scores))
    if given.json:
        content = {
            "scores": {name: asdict(each) for name, each in scores.items()},
            "answers": [{"question": each.question.question, "reply": each.reply} for each in answered],
        }
        given.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    finish(main)
