"""What is done about a generator that is cold, full or broken: wait, try again, ask a smaller one.

    busy      again after a pause, as long as the turn can wait
    asleep    the smaller one at once: waking takes minutes, and the call has begun it
    slow      the smaller one, in the time that is left
    failed    once more, which another container may get; then the smaller one

All of it before the first piece. Pieces that have gone out cannot be taken back here, so what breaks after them goes on
as an error. Decides only: sleep, clock and chance are handed in, and the generators do what needs a network.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from typing import Self

from parley.errors import GenerationAsleep, GenerationBusy, GenerationFailed, GenerationSlow
from parley.ports import Completion, Generator, Patience, Prompt

FIRST_PAUSE_SECONDS = 0.25  # a full GPU that answers eight people in three seconds has a place about so often
LONGEST_PAUSE_SECONDS = 4.0  # as long as a reply takes: by then whoever held the place has gone
MAX_TRIES = 6  # pauses of 8 s at most, 4 s on average; who is full for longer needs fewer calls, not more
MAX_FAILURES = 2  # two containers in a row that fail are no accident
FIRST_SHARE = 0.5  # of the wait for the first piece, where there is a second: a smaller model needs no more than a half

logger = logging.getLogger(__name__)


class Begun:
    """`ports.Completion` of which the first piece is there, and whose it is."""

    def __init__(self, model: str, pieces: Completion) -> None:
        """Waits for the first piece. Raises: whatever comes in its place."""
        self.model = model
        self._rest = pieces
        self._first = next(pieces, None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next piece.

        Raises:
            GenerationSlow: the rest took too long.
            GenerationFailed: it broke off.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return next(self._rest)
        except GenerationSlow:
            raise
        except GenerationBusy as error:  # an answer has begun, so there is nothing to wait for
            raise GenerationFailed("the generator broke off in the middle of its answer") from error

    def close(self) -> None:
        """See `ports.Completion.close`."""
        self._first = None
        self._rest.close()


def is_substitute(completion: Completion, generator: Generator) -> bool:
    """Whether it is by another model than the one `generator` is named for: it is not to be shared."""
    return isinstance(completion, Begun) and completion.model != generator.model


class Persistent:
    """`ports.Generator` around one, and around a second, smaller one if there is one.

    With `hedge_after_seconds` the second is asked beside a first that is silent for so long; who begins first answers.
    """

    def __init__(
        self,
        first: Generator,
        second: Generator | None = None,
        *,
        hedge_after_seconds: float | None = None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],  # seconds, monotonic
        random: Callable[[], float],  # from 0 to 1
    ) -> None:
        self._first = first
        self._second = second
        self._hedge_after_seconds = hedge_after_seconds
        self._sleep = sleep
        self._clock = clock
        self._random = random

    @property
    def model(self) -> str:
        """See `ports.Generator.model`. Of what the second says, `is_substitute` is true."""
        return self._first.model

    def stream(self, prompt: Prompt, *, patience: Patience) -> Begun:
        """See `ports.Generator.stream`; returns when the first piece is there. Of two errors the first's is raised."""
        left = _Countdown(patience, self._clock)
        if self._second is None:
            return self._begin(self._first, prompt, left)
        if self._hedge_after_seconds is not None:
            return self._first_to_begin(self._second, prompt, left, self._hedge_after_seconds)
        try:
            return self._begin(self._first, prompt, left.of_first(FIRST_SHARE))
        except (GenerationBusy, GenerationFailed) as error:
            logger.warning("the second generator is asked", extra={"reason": str(error)})
            try:
                return self._begin(self._second, prompt, left)
            except (GenerationBusy, GenerationFailed) as another:
                raise error from another

    def _begin(self, generator: Generator, prompt: Prompt, left: "_Countdown") -> Begun:
        """The completion by one generator, tried as often as is worth it."""
        tries = failures = 0
        while left.first_seconds > 0:
            tries += 1
            try:
                return Begun(generator.model, generator.stream(prompt, patience=left.patience))
            except (GenerationAsleep, GenerationSlow):
                raise
            except GenerationBusy:
                pause = self._random() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (tries - 1))
                if tries == MAX_TRIES or pause >= left.first_seconds:
                    raise
                self._sleep(pause)
            except GenerationFailed:
                failures += 1
                if failures == MAX_FAILURES or tries == MAX_TRIES or left.first_seconds <= 0:
                    raise
        raise GenerationSlow("no time is left to wait for the generator")

    def _first_to_begin(self, second: Generator, prompt: Prompt, left: "_Countdown", head_start: float) -> Begun:
        """The completion of which the first piece comes first. Who comes later is closed when it does."""
        pool = ThreadPoolExecutor(max_workers=2)
        running: list[Future[Begun]] = []
        winner: Future[Begun] | None = None
        try:
            running.append(pool.submit(self._begin, self._first, prompt, left))
            wait(running, timeout=min(head_start, left.first_seconds))
            if not _has_begun(running[0]):
                running.append(pool.submit(self._begin, second, prompt, left))
            winner = next(filter(_has_begun, as_completed(running, timeout=left.first_seconds)), running[0])
            return winner.result()
        except TimeoutError as error:
            failure = running[0].exception() if running[0].done() else None
            raise failure or GenerationSlow("neither generator has begun to answer") from error
        finally:
            left.end()
            for each in running:
                if each is not winner:
                    each.add_done_callback(_close)
            pool.shutdown(wait=False)


class _Countdown:
    """What is left of a turn's patience, which began to run when this was made."""

    def __init__(self, patience: Patience, clock: Callable[[], float], begun: float | None = None) -> None:
        self._whole = patience
        self._clock = clock
        self._begun = clock() if begun is None else begun
        self._ended = False

    @property
    def patience(self) -> Patience:
        spent = self._clock() - self._begun
        return Patience(max(0.0, self._whole.first_seconds - spent), max(0.0, self._whole.whole_seconds - spent))

    @property
    def first_seconds(self) -> float:
        return 0.0 if self._ended else self.patience.first_seconds

    def of_first(self, share: float) -> "_Countdown":
        """The same, with a part of the wait for the first piece."""
        part = Patience(self._whole.first_seconds * share, self._whole.whole_seconds)
        return _Countdown(part, self._clock, self._begun)

    def end(self) -> None:
        """Lets nobody begin anew."""
        self._ended = True


def _has_begun(future: Future[Begun]) -> bool:
    return future.done() and future.exception() is None


def _close(future: Future[Begun]) -> None:
    if _has_begun(future):
        future.result().close()
