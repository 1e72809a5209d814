"""A lane: replies that are written in step, by one thread with a decoder of its own, and a prompt that is being read.

Every round reads a chunk of the prompt and adds a token to every reply, so a long prompt costs the others one chunk
between two tokens. Knows tokens, places and time, and nothing of queues, messages or HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from decoder import Decoder
from quoting import Quotation
from sampling import Sampler, choose
from spelling import Spelling

CHUNK_TOKENS = 64  # enough rows to multiply efficiently; 30 ms of one core for the bundled model
PIECE_SECONDS = 0.02  # between two pieces of a reply: nobody reads faster, and sending costs more than writing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bit of a reply; the last piece alone has a finish reason.

    `text` never holds part of a character.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str | None = None  # "stop" or "length"


@dataclass(frozen=True, slots=True)
class Failed:
    """What comes instead of the last piece when the model broke."""

    cause: Exception


Hear = Callable[[Piece | Failed], None]  # called in a lane's thread; must return at once and never raise


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens that are no text."""

    end: int  # of a reply
    never: list[int]  # what only prompts have
    silent: frozenset[int]  # whatever is not printed

    @property
    def never_yet(self) -> list[int]:
        """What must not come while the reply may not end."""
        return [*self.never, self.end]


@dataclass(slots=True, eq=False)
class Job:
    """One reply that somebody wants, and how far it is. Once it is in a lane, the lane alone changes it."""

    prompt: list[int]  # two tokens at least
    min_tokens: int
    max_tokens: int
    sampler: Sampler
    quotation: Quotation
    spelling: Spelling
    hear: Hear
    is_cancelled: bool = False
    length: int = 0  # tokens in its place of the decoder
    made: int = 0  # tokens of the reply
    latest: int = 0  # the token that goes in next
    has_spoken: bool = False  # a token with text of its own has come
    unsent: str = ""
    sent_at: float = 0.0  # seconds of the monotonic clock

    def send(self, finish_reason: str | None) -> None:
        """Let the listener have what there is, unless something went out a moment ago and more will follow."""
        now = time.monotonic()
        if finish_reason or (self.unsent and now - self.sent_at >= PIECE_SECONDS):
            self.hear(Piece(self.unsent, len(self.prompt), self.made, finish_reason))
            self.unsent, self.sent_at = "", now


class Lane:
    """The replies that are written have the decoder's first places, without a gap; the prompt has the place behind."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary) -> None:
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._writing: list[Job] = []
        self._reading: Job | None = None

    @property
    def load(self) -> int:
        """How many requests are in it."""
        return len(self._writing) + (self._reading is not None)

    @property
    def has_room(self) -> bool:
        """Whether it can let one in."""
        return self._reading is None and len(self._writing) < self._decoder.places

    def admit(self, job: Job) -> None:
        """Begin with its prompt in the next round."""
        self._reading = job

    def go_round(self) -> None:
        """One chunk of the prompt, one token of every reply."""
        try:
            self._drop_cancelled()
            self._read()
            self._write()
        except Exception as error:  # noqa: BLE001  onnxruntime's errors have no other base
            self._fail(error)

    def _drop_cancelled(self) -> None:
        if self._reading and self._reading.is_cancelled:
            self._reading = None
        self._leave([place for place, job in enumerate(self._writing) if job.is_cancelled])

    def _read(self) -> None:
        """All of a prompt but its last token, which is the first that is written."""
        job = self._reading
        if job is None:
            return
        chunk = job.prompt[job.length : -1][:CHUNK_TOKENS]
        self._decoder.read(len(self._writing), chunk, job.length)
        job.length += len(chunk)
        if job.length == len(job.prompt) - 1:
            job.latest = job.prompt[-1]
            self._writing.append(job)
            self._reading = None

    def _write(self) -> None:
        if not self._writing:
            return
        jobs = list(self._writing)
        logits = self._decoder.step([job.latest for job in jobs], [job.length for job in jobs])
        tokens = choose(
            [job.sampler for job in jobs],
            logits,
            [self._forbidden(job) for job in jobs],
            [job.quotation.allowed for job in jobs],
        )
        finish_reasons = [
            self._add(place, job, token) for place, (job, token) in enumerate(zip(jobs, tokens, strict=True))
        ]
        self._leave([place for place, reason in enumerate(finish_reasons) if reason])
        for job, reason in zip(jobs, finish_reasons, strict=True):
            job.send(reason)  # who hears the end finds the place free

    def _forbidden(self, job: Job) -> list[int]:
        may_end = job.has_spoken and job.made >= job.min_tokens
        never = self._vocabulary.never if may_end else self._vocabulary.never_yet
        return never + job.quotation.unsayable

    def _add(self, place: int, job: Job, chosen: int) -> str | None:
        """Add what was chosen, and at once whatever must follow it; the finish reason if the reply ends there.

        Nothing is chosen within a quotation, so that its tokens are read together, like a prompt.
        """
        job.length += 1
        tokens = [job.quotation.taken(chosen)]
        while tokens[-1] != self._vocabulary.end and len(only := job.quotation.allowed or ()) == 1:
            tokens.append(job.quotation.taken(only[0]))
        for token in tokens:
            if finish_reason := self._say(job, token):
                return finish_reason
        if tokens[:-1]:
            self._decoder.read(place, tokens[:-1], job.length)
            job.length += len(tokens) - 1
        job.latest = tokens[-1]
        return None

    def _say(self, job: Job, token: int) -> str | None:
        """Add a token to what is to be sent; the finish reason if it was the last."""
        if token == self._vocabulary.end:
            job.unsent += job.spelling.rest()
            return "stop"
        job.made += 1
        job.has_spoken |= token not in self._vocabulary.silent
        job.unsent += job.spelling.push(token)
        if job.spelling.stopped:
            return "stop"
        if job.made == job.max_tokens:
            job.unsent += job.spelling.rest()
            return "length"
        return None

    def _leave(self, places: list[int]) -> None:
        """Give these places up, and close the gaps."""
        for place in reversed(places):
            last = self._writing.pop()
            if place < len(self._writing):
                self._decoder.move(len(self._writing), place, last.length)
                self._writing[place] = last
            if self._reading and self._reading.length:
                self._decoder.move(len(self._writing) + 1, len(self._writing), self._reading.length)

    def _fail(self, error: Exception) -> None:
        log.error("the model failed", exc_info=error)
        jobs = [*self._writing, *([self._reading] if self._reading else [])]
        self._writing, self._reading = [], None
        for job in jobs:
            job.hear(Failed(error))
