"""From a bot's folder to its bundle: read, embed, train, pack. Runs on a laptop or in CI, never in a function."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle, pack
from parley.bots.reader import read_bot
from parley.conversation import Citation
from parley.errors import BadBot
from parley.knowledge import chunks
from parley.nlu.fit import Fit, fit_head
from parley.ports import Encoder

FloatArray = NDArray[np.float32]


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
    if not passages:
        raise BadBot(f"{read.documents}: no Markdown document here; a bot answers from at least one")
    fit = fit_head(encoder.embed([example.text for example in examples]), [example.intent for example in examples])
    vectors = np.stack([_passage_vector(encoder, passage) for passage in passages])
    bundle = Bundle(read.bot, encoder.version, fit.head.arrays(), fit.head.intents, passages, vectors)
    bot, content = pack(bundle)
    return Compiled(bot, content, fit, len(examples), len(passages))


def _passage_vector(encoder: Encoder, passage: Citation) -> FloatArray:
    """One vector for all readings of a passage.

    Shapes:
        returns: (384,) float32, unit length
    """
    texts, weights = zip(*chunks.views(passage), strict=True)
    mixed = np.array(weights, dtype=np.float32) @ encoder.embed(texts)
    return np.asarray(mixed / np.linalg.norm(mixed), dtype=np.float32)
