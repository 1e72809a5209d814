"""Continuous batching over a decoder that remembers what each place holds, so that a mix-up changes the replies."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models

from tests.models.generator.conftest import modules

END, VOCABULARY = 0, 50
CHUNK = 64
WAIT_SECONDS = 10


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("batching", "quoting", "lane", "sampling", "spelling") as loaded:
        yield loaded


class FakeDecoder:
    """What follows in a place is told by all that the place holds. Does a step only when the test lets it."""

    def __init__(self, places: int, *, is_free: bool = True) -> None:
        self.places = places
        self.log: list[str] = []
        self.fails = False
        self._held: list[list[int]] = [[] for _ in range(places + 1)]
        self._may_step = threading.Semaphore(10**9 if is_free else 0)

    def let(self, steps: int) -> None:
        """Allow so many steps more."""
        self._may_step.release(steps)

    def read(self, place: int, ids: list[int], length: int) -> None:
        self.log.append(f"read {len(ids)}")
        self._held[place] = [*self._held[place][:length], *ids]

    def step(self, ids: list[int], lengths: list[int]) -> Any:
        assert self._may_step.acquire(timeout=WAIT_SECONDS)
        if self.fails:
            raise RuntimeError("broken")
        self.log.append(f"step {len(ids)}")
        logits = np.zeros((len(ids), VOCABULARY), np.float32)
        for place, (token, length) in enumerate(zip(ids, lengths, strict=True)):
            self._held[place] = [*self._held[place][:length], token]
            assert len(self._held[place]) == length + 1
            logits[place, following(self._held[place])] = 1
        return logits

    def move(self, source: int, target: int, length: int) -> None:
        self._held[target] = self._held[source][:length]


def following(held: list[int]) -> int:
    """A token that is not END and depends on every token before it."""
    return 1 + hash(tuple(held)) % (VOCABULARY - 1)


def expected(prompt: list[int], max_tokens: int) -> list[int]:
    held = list(prompt)
    for _ in range(max_tokens):
        held.append(following(held))
    return held[len(prompt) :]


class Listener:
    """Hears one reply."""

    def __init__(self) -> None:
        self._heard: Queue[Any] = Queue()

    def hear(self, piece: Any) -> None:
        self._heard.put(piece)

    def next(self) -> Any:
        return self._heard.get(timeout=WAIT_SECONDS)

    def whole(self) -> str:
        """The text, once the last piece has come."""
        text = ""
        while True:
            piece = self.next()
            text += piece.text
            if piece.finish_reason:
                return text


class Serving:
    """A batcher, and jobs for it; token n is spelt `n `."""

    def __init__(self, generator: SimpleNamespace, *decoders_: FakeDecoder, waiting: int = 1000) -> None:
        self._generator = generator
        vocabulary = generator.lane.Vocabulary(end=END, never=[], silent=frozenset())
        self.batcher = generator.batching.Batcher(decoders_, vocabulary, waiting=waiting)
        spelt = models.WordLevel({f"{n} ": n for n in range(VOCABULARY)}, unk_token="0 ")
        self._tokenizer = Tokenizer(spelt)
        self._tokenizer.decoder = decoders.Fuse()

    def job(self, prompt: list[int], max_tokens: int, listener: Listener) -> Any:
        g = self._generator
        sampler = g.sampling.Sampler(temperature=0, top_p=1, top_k=1, repetition_penalty=1, seed=None)
        return g.lane.Job(
            prompt,
            0,
            max_tokens,
            sampler,
            g.quoting.Quotation({}),
            g.spelling.Spelling(self._tokenizer, ()),
            listener.hear,
        )

    def ask(self, prompt: list[int], max_tokens: int) -> tuple[Any, Listener]:
        listener = Listener()
        job = self.job(prompt, max_tokens, listener)
        self.batcher.submit(job)
        return job, listener


def spelt(tokens: list[int]) -> str:
    return "".join(f"{token} " for token in tokens)


@pytest.mark.parametrize("lanes", [1, 2])
def test_whoever_comes_and_goes_each_reply_is_what_it_would_be_alone(generator: SimpleNamespace, lanes: int) -> None:
    serving = Serving(generator, *(FakeDecoder(4) for _ in range(lanes)))
    chance = random.Random(lanes)
    wanted = []
    for number in range(150):
        prompt = [chance.randrange(VOCABULARY) for _ in range(chance.choice([2, 5, 63, 64, 65, 66, 200]))]
        job, listener = serving.ask(prompt, max_tokens=chance.randint(1, 30))
        if number % 5 == 4:
            serving.batcher.cancel(job)
        else:
            wanted.append((job, listener))

    for job, listener in wanted:
        assert listener.whole() == spelt(expected(job.prompt, job.max_tokens))


def test_a_request_joins_while_another_is_written_and_leaves_before_it(generator: SimpleNamespace) -> None:
    decoder = FakeDecoder(2, is_free=False)
    serving = Serving(generator, decoder)
    _, long = serving.ask([1, 2], max_tokens=40)
    decoder.let(3)
    assert long.next().text

    _, short = serving.ask([3, 4], max_tokens=2)
    decoder.let(10)

    assert short.whole() == spelt(expected([3, 4], 2))
    assert decoder.log.count("step 2") == 2
    decoder.let(40)
    assert long.whole().endswith(spelt(expected([1, 2], 40)[-10:]))


def test_a_long_prompt_is_read_between_the_tokens_of_the_others(generator: SimpleNamespace) -> None:
    decoder = FakeDecoder(2, is_free=False)
    serving = Serving(generator, decoder)
    _, first = serving.ask([1, 2], max_tokens=40)
    decoder.let(1)
    assert first.next().text

    _, second = serving.ask(list(range(2 * CHUNK + 1)), max_tokens=1)
    decoder.let(100)

    assert second.whole()
    reading = decoder.log[decoder.log.index(f"read {CHUNK}") :]
    assert reading[:4] == [f"read {CHUNK}", "step 1", f"read {CHUNK}", "step 2"]


def test_who_waits_is_served_in_order_of_arrival(generator: SimpleNamespace) -> None:
    serving = Serving(generator, FakeDecoder(1))
    order: list[int] = []
    listeners = []
    for number in range(6):
        listener = Listener()
        job = serving.job([number, number], 3, listener)
        heard = job.hear
        job.hear = lambda piece, number=number, heard=heard: (order.append(number), heard(piece))
        serving.batcher.submit(job)
        listeners.append(listener)

    for listener in listeners:
        listener.whole()

    assert list(dict.fromkeys(order)) == [0, 1, 2, 3, 4, 5]


def test_lanes_share_the_work(generator: SimpleNamespace) -> None:
    lanes = [FakeDecoder(4, is_free=False) for _ in range(2)]
    serving = Serving(generator, *lanes)

    for _ in range(2):
        serving.ask([1, 2], max_tokens=20)
    until(lambda: all(lane.log for lane in lanes))
    for _ in range(2):
        serving.ask([3, 4], max_tokens=20)
    for lane in lanes:
        lane.let(2)

    until(lambda: all(lane.log[-1:] == ["step 2"] for lane in lanes))


class Quoting:
    """After the first token come three that nobody chooses."""

    unsayable: list[int] = []  # noqa: RUF012  as of a reply that may say everything

    def __init__(self) -> None:
        self._due: list[int] | None = None

    @property
    def allowed(self) -> tuple[int, ...] | None:
        return (self._due[0],) if self._due else None

    def taken(self, token: int) -> int:
        if self._due is None:
            self._due = [7, 8, 9]
            return token
        return self._due.pop(0) if self._due else token


@pytest.mark.parametrize("max_tokens", [2, 4, 5, 9])
def test_what_must_follow_is_said_at_once_and_read_together(generator: SimpleNamespace, max_tokens: int) -> None:
    decoder = FakeDecoder(1)
    serving = Serving(generator, decoder)
    listener = Listener()
    job = serving.job([1, 2], max_tokens, listener)
    job.quotation = Quoting()

    serving.batcher.submit(job)

    first = following([1, 2])
    rest = expected([1, 2, first, 7, 8, 9], 5)
    assert listener.whole() == spelt([first, 7, 8, 9, *rest][:max_tokens])
    assert decoder.log[:2] == ["read 1", "step 1"]
    assert decoder.log[2:] == (["read 3", *["step 1"] * (max_tokens - 4)] if max_tokens > 4 else [])


def test_a_reply_ends_where_the_model_ends_it(generator: SimpleNamespace) -> None:
    class Ending(FakeDecoder):
        def step(self, ids: list[int], lengths: list[int]) -> Any:
            logits = super().step(ids, lengths)
            logits[:, END] = 5 if lengths[0] >= 3 else 0
            return logits

    serving = Serving(generator, Ending(1))

    _, listener = serving.ask([1, 2], max_tokens=30)

    last = listener.next()
    while not last.finish_reason:
        last = listener.next()
    assert (last.finish_reason, last.completion_tokens) == ("stop", 2)


def test_a_reply_has_a_word_even_if_the_model_would_end_at_once(generator: SimpleNamespace) -> None:
    class Taciturn(FakeDecoder):
        def step(self, ids: list[int], lengths: list[int]) -> Any:
            logits = super().step(ids, lengths)
            logits[:, END] = 5
            return logits

    serving = Serving(generator, Taciturn(1))

    assert serving.ask([1, 2], max_tokens=30)[1].whole() == spelt(expected([1, 2], 1))


def test_more_than_may_wait_are_refused_until_somebody_is_done(generator: SimpleNamespace) -> None:
    decoder = FakeDecoder(1, is_free=False)
    serving = Serving(generator, decoder, waiting=1)
    _, first = serving.ask([1, 2], max_tokens=1)
    _, second = serving.ask([1, 2], max_tokens=1)

    with pytest.raises(generator.batching.Busy):
        serving.ask([1, 2], max_tokens=1)

    decoder.let(100)
    first.whole()
    second.whole()
    assert serving.ask([5, 6], max_tokens=1)[1].whole()


def test_who_gives_up_waiting_makes_room(generator: SimpleNamespace) -> None:
    decoder = FakeDecoder(1, is_free=False)
    serving = Serving(generator, decoder, waiting=1)
    serving.ask([1, 2], max_tokens=1)
    waiting, _ = serving.ask([1, 2], max_tokens=1)

    serving.batcher.cancel(waiting)

    _, other = serving.ask([3, 4], max_tokens=1)
    decoder.let(100)
    assert other.whole() == spelt(expected([3, 4], 1))


def test_who_gives_up_while_being_written_makes_room(generator: SimpleNamespace) -> None:
    decoder = FakeDecoder(1, is_free=False)
    serving = Serving(generator, decoder, waiting=1)
    running, heard = serving.ask([1, 2], max_tokens=1000)
    decoder.let(1)
    assert heard.next().text
    _, other = serving.ask([3, 4], max_tokens=2)

    serving.batcher.cancel(running)
    decoder.let(5)

    assert other.whole() == spelt(expected([3, 4], 2))


def test_a_model_that_breaks_is_told_to_all_in_its_lane_and_the_next_is_served(
    generator: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    decoder = FakeDecoder(2, is_free=False)
    serving = Serving(generator, decoder)
    decoder.fails = True
    listeners = [serving.ask([n, n], max_tokens=5)[1] for n in range(2)]
    decoder.let(2)

    failures = [listener.next() for listener in listeners]

    assert all(isinstance(failure, generator.lane.Failed) for failure in failures)
    decoder.fails = False
    decoder.let(100)
    assert serving.ask([3, 4], max_tokens=2)[1].whole() == spelt(expected([3, 4], 2))


def until(holds: Callable[[], bool]) -> None:
    """Returns once it holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
