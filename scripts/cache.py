"""Look into the reply cache of a stage, drop what should not be said again, and warm it.

    python scripts/cache.py list   (--stage STAGE | --table TABLE) --bot BOT [--limit N]
    python scripts/cache.py lookup (--stage STAGE | --table TABLE) --bot BOT "a question"
    python scripts/cache.py drop   (--stage STAGE | --table TABLE) --bot BOT
                                   (--question TEXT | --document NAME | --everything)
    python scripts/cache.py warm   --url URL --bot BOT FILE

`list` shows what is shared, the newest first. `lookup` shows which shared reply a question would get, and for those
that are near why it would not get them. `drop` forgets the reply to a question, all that cite a document, or all of a
bot; every function knows within half a minute. `warm` asks the questions in FILE, one a line, at the HTTP API until
each is answered from the cache; what the bot answers without its generator needs no warming, and what it may not share
is told. Needs your AWS credentials, but for `warm`; --stage finds the table in the outputs of the deployed stack.
"""

import argparse
import json
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER
from parley.adapters.replies import DynamoReplies
from parley.caching.key import normalise
from parley.caching.packing import unpack
from parley.caching.sameness import MIN_COSINE, Question, compare
from parley.errors import Unavailable
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Replies, SharedReply
from steps import Step, Stop, finish

MOST = 100_000  # entries that are looked at
TOLD_SECONDS = 3_600  # for how long functions are told that an entry went
TRIES = 3  # a reply is shared when its question is asked for the second time
WIDTH = 76


@dataclass(frozen=True, slots=True)
class Entry:
    """A shared reply as an operator sees it."""

    key: str
    shared: SharedReply
    question: Question | None  # None: another version of Parley wrote it

    @property
    def text(self) -> str:
        """The question."""
        return self.question.text if self.question else "(of another version)"

    @property
    def documents(self) -> set[str]:
        """What the reply cites."""
        return {citation.document for message in self.shared.reply.messages for citation in message.citations}

    def told(self, now: float) -> str:
        """The entry on a terminal."""
        age = timedelta(seconds=round(now - self.shared.made_at))
        reply = " ".join(message.text for message in self.shared.reply.messages)
        cited = f", cites {', '.join(sorted(self.documents))}" if self.documents else ""
        shown = textwrap.shorten(reply, WIDTH, placeholder=" ...")
        return f"{self.text}\n    {shown}\n    {age} old, {self.shared.tokens} tokens{cited}, {self.key[:12]}"


def entries_of(store: Replies, bot: str) -> list[Entry]:
    """What is shared for a bot, the newest first.

    Raises:
        Stop: the table cannot be read.
    """
    try:
        changes = store.changes(bot, since=0.0, limit=MOST)
    except Unavailable as error:
        raise Stop(f"The table cannot be read: {error.__cause__ or error}") from error
    return [Entry(each.key, each.shared, unpack(each.shared.question)) for each in changes if each.shared is not None]


def to_drop(
    entries: Sequence[Entry], *, question: str | None = None, document: str | None = None, everything: bool = False
) -> list[Entry]:
    """The entries that an operator names."""
    if everything:
        return list(entries)
    if document is not None:
        return [entry for entry in entries if document in entry.documents]
    return [entry for entry in entries if normalise(entry.text) == normalise(question or "")]


def looked_up(entries: Sequence[Entry], asked: Question) -> list[tuple[Entry, str]]:
    """The entries near a question, each with what decides, the nearest first."""
    found = []
    for entry in entries:
        if entry.question is None:
            continue
        cosine = float(entry.question.vector @ asked.vector)
        if normalise(entry.text) == normalise(asked.text):
            found.append((2.0, entry, "the same words"))
        elif cosine >= MIN_COSINE:
            verdict = compare(asked, entry.question)
            found.append((cosine, entry, "the same question" if verdict.same else f"not given: {verdict.difference}"))
    return [(entry, why) for _, entry, why in sorted(found, key=lambda each: -each[0])]


def table_of(stage: str) -> str:
    """The table's name, from the outputs of the deployed stack.

    Raises:
        Stop: there is no such stack, or no credentials for it.
    """
    name = f"Parley-{stage}-Chat"
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise Stop(f"The stack {name} cannot be looked at: {error}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return str(outputs["RepliesTable"])


def warm(url: str, bot: str, questions: Sequence[str]) -> None:
    """Ask each question until its reply comes from the cache, or will not."""
    outcomes: dict[str, int] = {}
    with Step("Warm") as step:
        for number, question in enumerate(questions, 1):
            source = ""
            for _ in range(TRIES):
                source = _ask(url, bot, question)
                if source != "generated":
                    break
            outcomes[source] = outcomes.get(source, 0) + 1
            if source == "generated":
                step.tell(f"not shared: {question}")
            step.say(f"{number} of {len(questions)}")
        step.say(", ".join(f"{count} {source}" for source, count in sorted(outcomes.items())))


def _ask(url: str, bot: str, question: str) -> str:
    body = json.dumps({"message": question, "bot": bot}).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/chat", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answered:
            return str(json.load(answered)["source"])
    except urllib.error.HTTPError as error:
        raise Stop(f"{url} answers {error.code}: {error.read(500).decode(errors='replace')}") from error
    except OSError as error:
        raise Stop(f"{url} cannot be reached: {error}") from error


def main() -> None:
    """One of the four commands."""
    given = _arguments()
    if given.command == "warm":
        if not given.url.startswith(("https://", "http://")):
            raise Stop("--url must begin with https:// or http://")
        questions = [line.strip() for line in given.file.read_text(encoding="utf-8").splitlines() if line.strip()]
        warm(given.url, given.bot, questions)
        return
    store = DynamoReplies(given.table or table_of(given.stage), clock=time.time)
    entries = entries_of(store, given.bot)
    if given.command == "list":
        print(f"{len(entries)} shared replies")
        for entry in entries[: given.limit]:
            print(entry.told(time.time()))
    elif given.command == "lookup":
        encoder = OnnxEncoder(ENCODER)
        found = looked_up(entries, Question.of(encoder.encode(given.question), encoder.knows))
        for entry, why in found:
            print(f"{why}\n  {entry.told(time.time())}")
        if not found:
            print("Nothing near it is shared.")
    else:
        going = to_drop(entries, question=given.question, document=given.document, everything=given.everything)
        for entry in going:
            store.drop(entry.key, given.bot, expires_at=time.time() + TOLD_SECONDS)
            print(f"dropped: {entry.text}")
        print(f"{len(going)} of {len(entries)} dropped")


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("list", "lookup", "drop"):
        command = commands.add_parser(name)
        where = command.add_mutually_exclusive_group(required=True)
        where.add_argument("--stage")
        where.add_argument("--table")
        command.add_argument("--bot", required=True)
        if name == "list":
            command.add_argument("--limit", type=int, default=50)
        elif name == "lookup":
            command.add_argument("question")
        else:
            what = command.add_mutually_exclusive_group(required=True)
            what.add_argument("--question")
            what.add_argument("--document")
            what.add_argument("--everything", action="store_true")
    warming = commands.add_parser("warm")
    warming.add_argument("--url", required=True)
    warming.add_argument("--bot", required=True)
    warming.add_argument("file", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    finish(main)
