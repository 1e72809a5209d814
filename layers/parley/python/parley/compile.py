"""From a bot's folder to its bundle: read, learn, embed, train, pack.

Runs on a laptop or in CI, never in a function.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle, Trained, pack
from parley.bots.reader import ReadBot, read_bot
from parley.bots.source import Faults
from parley.dialogue.learn import learn
from parley.knowledge import chunks
from parley.knowledge.snapshot import Passage, Snapshot, texts_of
from parley.loaded import INTENTS, KNOWLEDGE, TAGGER
from parley.nlu.fit import Fitted, fit_nlu
from parley.ports import Encoder


@dataclass(frozen=True, slots=True)
class Compiled:
    """A bundle, and what is worth telling its author."""

    bot: Bot
    content: bytes
    fit: Fitted
    examples: int
    passages: int
    notes: tuple[str, ...]  # each with its place: what is taken although it is probably not meant, or not used


def read_and_learn(folder: Path, faults: Faults) -> ReadBot:
    """The bot in `folder` with what its rules and stories teach; whatever is wrong is noted in `faults`.

    Raises:
        BadBot: there is no bot here, or its settings cannot be read.
    """
    read = read_bot(folder, faults)
    return replace(read, bot=learn(read.bot, read.rules, read.stories, faults))


def read_whole(folder: Path, faults: Faults) -> tuple[ReadBot, tuple[Passage, ...]]:
    """All that a bundle is made from: the bot in `folder`, and its passages; whatever is wrong is noted in `faults`.

    Raises:
        BadBot: there is no bot here, or its settings cannot be read.
    """
    read = read_and_learn(folder, faults)
    if len({example.intent for example in read.training.examples}) < 2:
        faults.add(folder.name, "a bot needs examples of at least two intents")
    passages = chunks.passages(read.documents, faults)
    if not passages and ("answer" in read.bot.unsure or _answers(read)):
        faults.note(folder.name, f"no Markdown document in {read.documents.name}/: there is nothing to answer from")
    return read, passages


def compile_bot(folder: Path, encoder: Encoder, progress: Callable[[str], None] | None = None) -> Compiled:
    """The bundle of the bot in `folder`; `progress` is told what is being done.

    Raises:
        BadBot: with every fault in the files, each with its place.
    """
    faults = Faults()
    read, passages = read_whole(folder, faults)
    faults.raise_if_any()
    bot, examples = read.bot, read.training.examples
    fit = fit_nlu(
        examples,
        bot.entities,
        encoder,
        language=bot.language,
        entities=bot.entity_names,
        system=bot.reading,
        progress=progress,
    )
    knowledge = Snapshot.of(passages, [encoder.embed(texts_of(passage.citation)) for passage in passages])
    bundle = Bundle(bot, encoder.version, {**_trained(fit), KNOWLEDGE: Trained(knowledge.about(), knowledge.arrays())})
    versioned, content = pack(bundle)
    return Compiled(versioned, content, fit, len(examples), len(passages), tuple(faults.notes))


def _answers(read: ReadBot) -> bool:
    flows = (*read.rules, *read.stories)
    return any(event.name == "action_answer" for flow in flows for event in flow.events if event.kind == "action")


def _trained(fit: Fitted) -> dict[str, Trained]:
    head, tagger = fit.intents.head, fit.tagger
    parts = {INTENTS: Trained(head.intents, head.arrays())}
    if tagger is not None:
        parts[TAGGER] = Trained(msgspec.to_builtins(tagger.spec), tagger.arrays())
    return parts
