"""The generator's engine: chat messages in, text pieces out, on a CPU.

Puts the parts together: the chat format (`tokens`), the batches (`batching`) and the model (`decoder`). Knows nothing
of HTTP or gRPC. Any thread or coroutine may ask it, many at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from batching import Batcher, Busy
from decoder import Decoder, Network
from lane import Failed, Hear, Job, Piece, Vocabulary
from quoting import quotation
from sampling import Sampler
from spelling import Spelling
from tokenizers import Tokenizer
from tokens import END, SPECIAL, prompt_tokens

__all__ = ["Busy", "Engine", "GenerationFailed", "Piece", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to generate. The defaults suit a weak model: some chance, few repetitions."""

    messages: tuple[tuple[str, str], ...]  # (role, content)
    max_tokens: int = 128
    temperature: float = 0.6
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    min_tokens: int = 0  # before which the model cannot end the reply


class GenerationFailed(Exception):
    """The model broke while it wrote; its cause is what broke it."""


class Engine:
    """A loaded model, its tokenizer, and threads that write."""

    def __init__(self, artefact: Path, *, threads: int, running: int = 16, waiting: int = 32) -> None:
        """`threads` cores write at most `running` replies at a time, while at most `waiting` more wait.

        Raises:
            NotServable: the folder holds no model that can be served here.
        """
        network = Network(artefact)
        self._context_tokens = network.context_tokens
        self._tokenizer = Tokenizer.from_file(str(artefact / "tokenizer.json"))
        # Encoding changes a setting of its tokenizer, which must not happen while lanes decode with it.
        self._encoding_tokenizer = Tokenizer.from_file(str(artefact / "tokenizer.json"))
        self._encoding = threading.Lock()
        places = [len(range(lane, running, threads)) for lane in range(min(threads, running))]
        decoders = [Decoder(network, places=count, context_tokens=network.context_tokens) for count in places]
        self._batcher = Batcher(decoders, vocabulary_of(self._tokenizer, network.end), waiting=waiting)

    def reply(self, request: Request) -> Iterator[Piece]:
        """The reply, piece by piece; closing the iterator stops the work.

        Raises:
            Busy: too many are being served.
        """
        heard: SimpleQueue[Piece | Failed] = SimpleQueue()
        job = self._job(request, heard.put)
        self._batcher.submit(job)
        try:
            while not (piece := piece_of(heard.get())).finish_reason:
                yield piece
            yield piece
        finally:
            self._batcher.cancel(job)

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """The same for coroutines; whoever stops before the last piece must close the generator."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[Piece | Failed] = asyncio.Queue()

        def hear(piece: Piece | Failed) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever listened
                loop.call_soon_threadsafe(heard.put_nowait, piece)

        job = await asyncio.to_thread(self._job, request, hear)  # a long prompt takes a while to encode
        self._batcher.submit(job)
        try:
            while not (piece := piece_of(await heard.get())).finish_reason:
                yield piece
            yield piece
        finally:
            self._batcher.cancel(job)

    def _job(self, request: Request, hear: Hear) -> Job:
        kept_free = min(request.max_tokens, self._context_tokens // 2)
        with self._encoding:
            budget_tokens = self._context_tokens - kept_free
            prompt = prompt_tokens(self._encoding_tokenizer, list(request.messages), budget_tokens)
            quotes = quotation(self._encoding_tokenizer, prompt, request.messages)
        max_tokens = min(request.max_tokens, self._context_tokens - len(prompt))
        sampler = Sampler(
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            repetition_penalty=request.repetition_penalty,
            seed=request.seed,
        )
        spelling = Spelling(self._tokenizer, request.stop)
        return Job(prompt, request.min_tokens, max_tokens, sampler, quotes, spelling, hear)


def piece_of(heard: Piece | Failed) -> Piece:
    """What was heard, if it is a piece.

    Raises:
        GenerationFailed: it is not.
    """
    if isinstance(heard, Failed):
        raise GenerationFailed("the model failed") from heard.cause
    return heard


def vocabulary_of(tokenizer: Tokenizer, end: int) -> Vocabulary:
    """Which of the tokenizer's tokens are no text."""
    silent = frozenset(number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special)
    prompts_only = (tokenizer.token_to_id(token) for token in SPECIAL if token != END)
    return Vocabulary(end, [number for number in prompts_only if number is not None], silent)
