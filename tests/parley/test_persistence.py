"""What is done about a generator that is cold, full or broken, by a clock and a chance of the test's own."""

import random
import threading
import time
from collections.abc import Generator as Yields
from dataclasses import dataclass, field

import pytest

from parley.adapters.memory import MemoryGenerator
from parley.errors import GenerationAsleep, GenerationBusy, GenerationFailed, GenerationSlow, ParleyError
from parley.generation.persistence import (
    FIRST_PAUSE_SECONDS,
    FIRST_SHARE,
    LONGEST_PAUSE_SECONDS,
    MAX_TRIES,
    Persistent,
    is_substitute,
)
from parley.ports import Generator, Patience, Prompt

PROMPT = Prompt((("user", "hello"),), 16, 0.5)
PATIENCE = Patience(first_seconds=20.0, whole_seconds=45.0)
BUSY = GenerationBusy("throttled")
ASLEEP = GenerationAsleep("no instance")
SLOW = GenerationSlow("silent")
FAILED = GenerationFailed("out of memory")


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Scripted:
    """A generator that does the next thing at every call: pieces, and perhaps an error, in the time it is given."""

    def __init__(self, clock: Time, *calls: tuple[str | ParleyError, ...], model: str = "large", takes: float = 0.0):
        self.patiences: list[Patience] = []
        self.model = model
        self.closed = 0
        self._clock = clock
        self._calls = list(calls)
        self._takes = takes

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        self.patiences.append(patience)
        script = self._calls.pop(0)
        self._clock.now += self._takes
        try:
            for each in script:
                if isinstance(each, ParleyError):
                    raise each
                yield each
        except GeneratorExit:
            self.closed += 1


@pytest.fixture
def clock() -> Time:
    return Time()


def persistent(clock: Time, first: Generator, second: Generator | None = None, seed: int = 7) -> Persistent:
    return Persistent(first, second, sleep=clock.sleep, clock=clock, random=random.Random(seed).random)


def said(generator: Persistent, patience: Patience = PATIENCE) -> str:
    return "".join(generator.stream(PROMPT, patience=patience))


def test_what_works_is_passed_on_piece_by_piece(clock: Time) -> None:
    first = Scripted(clock, ("Good ", "day."))

    assert list(persistent(clock, first).stream(PROMPT, patience=PATIENCE)) == ["Good ", "day."]
    assert first.patiences == [PATIENCE]
    assert clock.slept == []


def test_a_completion_of_no_pieces_is_none(clock: Time) -> None:
    assert said(persistent(clock, Scripted(clock, ()))) == ""


def test_who_is_busy_is_asked_again_after_pauses_that_grow_and_differ(clock: Time) -> None:
    first = Scripted(clock, *[(BUSY,)] * (MAX_TRIES - 1), ("Good day.",))
    chance = random.Random(7)

    assert said(persistent(clock, first, seed=7)) == "Good day."

    ceilings = [min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**n) for n in range(MAX_TRIES - 1)]
    assert ceilings == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert clock.slept == [chance.random() * ceiling for ceiling in ceilings]


def test_each_try_has_the_patience_that_those_before_have_left(clock: Time) -> None:
    first = Scripted(clock, (BUSY,), (BUSY,), ("Good day.",), takes=2.0)

    said(persistent(clock, first))

    spent = [0.0, 2.0 + clock.slept[0], 4.0 + sum(clock.slept)]
    assert [patience.first_seconds for patience in first.patiences] == pytest.approx([20.0 - each for each in spent])
    assert [patience.whole_seconds for patience in first.patiences] == pytest.approx([45.0 - each for each in spent])


def test_who_stays_busy_is_given_up(clock: Time) -> None:
    first = Scripted(clock, *[(BUSY,)] * 99)

    with pytest.raises(GenerationBusy):
        said(persistent(clock, first))

    assert len(first.patiences) == MAX_TRIES


def test_a_pause_that_the_turn_cannot_wait_is_not_made(clock: Time) -> None:
    first = Scripted(clock, *[(BUSY,)] * 99, takes=2.0)

    with pytest.raises(GenerationBusy):
        said(persistent(clock, first), Patience(first_seconds=2.1, whole_seconds=45.0))

    assert sum(clock.slept) < 0.1
    assert clock.now < 1_000.0 + 2.1 + 2.0


def test_without_patience_nobody_is_asked(clock: Time) -> None:
    first = Scripted(clock)

    with pytest.raises(GenerationSlow):
        said(persistent(clock, first), Patience(first_seconds=0.0, whole_seconds=0.0))

    assert first.patiences == []


@pytest.mark.parametrize("error", [ASLEEP, SLOW], ids=["asleep", "slow"])
def test_who_is_asleep_or_slow_is_not_asked_again(clock: Time, error: ParleyError) -> None:
    first = Scripted(clock, (error,))

    with pytest.raises(type(error)):
        said(persistent(clock, first))

    assert len(first.patiences) == 1
    assert clock.slept == []


def test_who_fails_is_asked_once_more_at_once(clock: Time) -> None:
    assert said(persistent(clock, Scripted(clock, (FAILED,), ("Good day.",)))) == "Good day."
    assert clock.slept == []


def test_who_fails_twice_is_broken(clock: Time) -> None:
    first = Scripted(clock, (FAILED,), (BUSY,), (FAILED,))

    with pytest.raises(GenerationFailed):
        said(persistent(clock, first))

    assert len(first.patiences) == 3


@pytest.mark.parametrize(
    "calls",
    [[(ASLEEP,)], [(SLOW,)], [(FAILED,), (FAILED,)], [(BUSY,)] * MAX_TRIES],
    ids=["asleep", "slow", "failed", "busy"],
)
def test_a_second_answers_for_a_first_that_cannot(clock: Time, calls: list[tuple[ParleyError]]) -> None:
    first, second = Scripted(clock, *calls), Scripted(clock, ("Hi.",), model="small")
    generator = persistent(clock, first, second)

    pieces = generator.stream(PROMPT, patience=PATIENCE)

    assert "".join(pieces) == "Hi."
    assert is_substitute(pieces, generator)
    assert len(first.patiences) == len(calls)


def test_what_the_first_says_may_be_shared_under_its_name(clock: Time) -> None:
    generator = persistent(clock, Scripted(clock, ("Good day.",)), Scripted(clock, model="small"))

    pieces = generator.stream(PROMPT, patience=PATIENCE)

    assert generator.model == "large"
    assert not is_substitute(pieces, generator)


def test_what_a_second_of_the_same_model_says_is_no_substitute(clock: Time) -> None:
    generator = persistent(clock, Scripted(clock, (ASLEEP,)), Scripted(clock, ("Good day.",), model="large"))

    assert not is_substitute(generator.stream(PROMPT, patience=PATIENCE), generator)


def test_a_generator_without_a_second_is_no_substitute_for_itself() -> None:
    generator = MemoryGenerator("Good day.")

    assert not is_substitute(generator.stream(PROMPT, patience=PATIENCE), generator)


def test_a_first_that_has_a_second_leaves_it_time(clock: Time) -> None:
    first = Scripted(clock, (SLOW,), takes=20.0 * FIRST_SHARE)
    second = Scripted(clock, ("Hi.",), model="small")

    said(persistent(clock, first, second))

    assert first.patiences == [Patience(20.0 * FIRST_SHARE, 45.0)]
    assert second.patiences == [Patience(20.0 - 20.0 * FIRST_SHARE, 45.0 - 20.0 * FIRST_SHARE)]


def test_a_second_is_not_asked_when_no_time_is_left(clock: Time) -> None:
    first, second = Scripted(clock, (FAILED,), takes=20.0), Scripted(clock, model="small")

    with pytest.raises(GenerationFailed):
        said(persistent(clock, first, second))

    assert second.patiences == []


def test_of_two_errors_the_first_is_told_for_it_says_what_to_wait_for(clock: Time) -> None:
    generator = persistent(clock, Scripted(clock, (ASLEEP,)), Scripted(clock, (FAILED,), (FAILED,), model="small"))

    with pytest.raises(GenerationAsleep) as raised:
        said(generator)

    assert isinstance(raised.value.__cause__, GenerationFailed)


@pytest.mark.parametrize(
    ("error", "told"), [(FAILED, GenerationFailed), (SLOW, GenerationSlow), (BUSY, GenerationFailed)]
)
def test_what_breaks_after_the_first_piece_goes_on_as_an_error(
    clock: Time, error: ParleyError, told: type[ParleyError]
) -> None:
    first, second = Scripted(clock, ("Half a ", error)), Scripted(clock, model="small")
    pieces: list[str] = []

    with pytest.raises(told) as raised:
        pieces.extend(persistent(clock, first, second).stream(PROMPT, patience=PATIENCE))

    assert type(raised.value) is told
    assert (pieces, len(first.patiences), second.patiences) == (["Half a "], 1, [])


@pytest.mark.parametrize("heard", [0, 1, 2])
def test_who_closes_the_iterator_ends_the_generation(clock: Time, heard: int) -> None:
    first = Scripted(clock, ("One ", "two ", "three."))
    pieces = persistent(clock, first).stream(PROMPT, patience=PATIENCE)
    for _ in range(heard):
        next(pieces)

    pieces.close()

    assert first.closed == 1
    assert list(pieces) == []


class Held:
    """A generator that keeps silent until a test lets it speak."""

    def __init__(self, model: str, *, error: ParleyError | None = None) -> None:
        self.model = model
        self.asked, self.speaks, self.closed = threading.Event(), threading.Event(), threading.Event()
        self._error = error

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        self.asked.set()
        assert self.speaks.wait(30)
        if self._error is not None:
            raise self._error
        try:
            yield self.model
            yield "."
        except GeneratorExit:
            self.closed.set()


def hedged(first: Generator, second: Generator, *, after: float = 0.02) -> Persistent:
    return Persistent(
        first, second, hedge_after_seconds=after, sleep=time.sleep, clock=time.monotonic, random=lambda: 0.0
    )


def test_beside_a_silent_first_the_second_is_asked_and_the_first_is_closed_when_it_speaks() -> None:
    large, small = Held("large"), Held("small")
    small.speaks.set()
    generator = hedged(large, small)

    pieces = generator.stream(PROMPT, patience=PATIENCE)

    assert "".join(pieces) == "small."
    assert is_substitute(pieces, generator)
    assert not large.closed.is_set()
    large.speaks.set()
    assert large.closed.wait(30)


def test_a_first_that_speaks_first_after_all_answers_and_the_second_is_closed() -> None:
    large, small = Held("large"), Held("small")
    threading.Thread(target=lambda: small.asked.wait(30) and large.speaks.set()).start()

    assert "".join(hedged(large, small).stream(PROMPT, patience=PATIENCE)) == "large."

    small.speaks.set()
    assert small.closed.wait(30)


def test_a_first_that_speaks_in_time_is_not_hedged() -> None:
    large, small = Held("large"), Held("small")
    large.speaks.set()

    assert "".join(hedged(large, small, after=30.0).stream(PROMPT, patience=PATIENCE)) == "large."
    assert not small.asked.is_set()


def test_a_first_that_fails_is_not_waited_for_until_the_hedge() -> None:
    large, small = Held("large", error=ASLEEP), Held("small")
    large.speaks.set()
    small.speaks.set()
    begun = time.monotonic()

    assert "".join(hedged(large, small, after=30.0).stream(PROMPT, patience=PATIENCE)) == "small."
    assert time.monotonic() - begun < 10


def test_of_two_that_fail_side_by_side_the_first_is_told() -> None:
    large, small = Held("large", error=ASLEEP), Held("small", error=FAILED)
    large.speaks.set()
    small.speaks.set()

    with pytest.raises(GenerationAsleep):
        hedged(large, small).stream(PROMPT, patience=PATIENCE)


@pytest.mark.parametrize(("first_error", "told"), [(None, GenerationSlow), (ASLEEP, GenerationAsleep)])
def test_two_that_keep_silent_are_given_up_in_time_and_closed(
    first_error: ParleyError | None, told: type[ParleyError]
) -> None:
    large, small = Held("large", error=first_error), Held("small")
    if first_error is not None:
        large.speaks.set()
    begun = time.monotonic()

    with pytest.raises(told):
        hedged(large, small).stream(PROMPT, patience=Patience(0.2, 45.0))

    assert time.monotonic() - begun < 10
    large.speaks.set()
    small.speaks.set()
    assert small.closed.wait(30)


def test_who_has_lost_is_not_asked_again() -> None:
    tries = []

    class Busy(MemoryGenerator):
        def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
            tries.append(patience)
            raise BUSY
            yield ""

    paused, go_on = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        paused.set()
        go_on.wait(30)

    small = Held("small")
    threading.Thread(target=lambda: paused.wait(30) and small.speaks.set()).start()
    generator = Persistent(
        Busy(), small, hedge_after_seconds=0.02, sleep=sleep, clock=time.monotonic, random=lambda: 0.5
    )

    assert "".join(generator.stream(PROMPT, patience=PATIENCE)) == "small."

    go_on.set()
    time.sleep(0.1)
    assert len(tries) == 1
