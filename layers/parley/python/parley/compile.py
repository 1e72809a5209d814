"""From a bot's folder to its bundle: read, embed, train, pack. Runs on a laptop or in CI, never in a function."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from parley.bots.bot import Bot
from parley.bots.bundle import Bundle, Trained, pack
from parley.bots.reader import read_bot
from parley.conversation import Citation
from parley.errors import BadBot
from parley.knowledge import chunks
from parley.loaded import INTENTS, TAGGER
from parley.nlu.fit import Fitted, fit_nlu
from parley.ports import Encoder

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A bundle, and what is worth telling its author."""

    bot: Bot
    content: bytes
    fit: Fitted
    examples: int
    passages: int


def compile_bot(folder: Path, encoder: Encoder, progress: Callable[[str], None] | None = None) -> Compiled:
    """The bundle of the bot in `folder`; `progress` is told what is being done.

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
    bot = read.bot
    fit = fit_nlu(
        examples,
        bot.entities,
        encoder,
        language=bot.language,
        entities=bot.entity_names,
        system=bot.reading,
        progress=progress,
    )
    vectors = np.stack([_passage_vector(encoder, passage) for passage in passages])
    bundle = Bundle(bot, encoder.version, _trained(fit), passages, vectors)
    versioned, content = pack(bundle)
    return Compiled(versioned, content, fit, len(examples), len(passages))


def _trained(fit: Fitted) -> dict[str, Trained]:
    head, tagger = fit.intents.head, fit.tagger
    parts = {INTENTS: Trained(head.intents, head.arrays())}
    if tagger is not None:
        parts[TAGGER] = Trained(msgspec.to_builtins(tagger.spec), tagger.arrays())
    return parts


def _passage_vector(encoder: Encoder, passage: Citation) -> FloatArray:
    """One vector for all readings of a passage.

    Shapes:
        returns: (384,) float32, unit length
    """
    texts, weights = zip(*chunks.views(passage), strict=True)
    mixed = np.array(weights, dtype=np.float32) @ encoder.embed(texts)
    return np.asarray(mixed / np.linalg.norm(mixed), dtype=np.float32)
