"""From a bot's folder to its bundle: read, embed, train, pack. Runs on a laptop or in CI, never in a function."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle, pack
from parley.bots.reader import read_bot
from parley.errors import BadBot
from parley.knowledge import chunks
from parley.nlu.fit import Fit, fit_head
from parley.ports import Encoder


@dataclass(frozen=True, slots=True)
class Compiled:
    """A bundle, and what is worth telling its author."""

    bot: Bot
    content: bytes
    fit: Fit
    examples: int
    passages: int


def compile_bot(folder: Path, encoder: Encoder) -> Compiled:
    """The bundle of the bot in `folder`.

    Raises:
        BadBot: with every fault in the files, each with its place.
    """
    read = read_bot(folder)
    examples = read.training.examples
    if len({example.intent for example in examples}) < 2:
        raise BadBot(f"{folder}: a bot needs examples of at least two intents")
    passages = chunks.passages(read.documents)
    fit = fit_head(_embed(encoder, [example.text for example in examples]), [example.intent for example in examples])
    vectors = _embed(encoder, [chunks.embedded_text(passage) for passage in passages])
    bundle = Bundle(read.bot, fit.head.arrays(), fit.head.intents, passages, vectors)
    bot, content = pack(bundle)
    return Compiled(bot, content, fit, len(examples), len(passages))


def _embed(encoder: Encoder, texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """One text at a time: no padding, and the same bytes whatever stands beside it."""
    return np.concatenate([encoder.embed([text]) for text in texts]) if texts else np.zeros((0, 384), np.float32)
