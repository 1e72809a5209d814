"""How much an endpoint bears: measured on one that has so many places, and says no beyond them."""

import threading
import time
from collections.abc import Generator as Yields

import pytest

from bench_endpoint import IN_TIME_SECONDS, Load, measure, places
from parley.errors import GenerationBusy
from parley.ports import Patience, Prompt


class TwoPlaces:
    """A generator that answers two at once."""

    model = "two-places"

    def __init__(self) -> None:
        self._free = threading.Semaphore(2)
        self.prompts: list[Prompt] = []

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        self.prompts.append(prompt)
        if not self._free.acquire(blocking=False):
            raise GenerationBusy("no place is free")
        try:
            time.sleep(0.01)
            yield "Within two "
            yield "weeks."
        finally:
            self._free.release()


def load(people: int, *, first: float = 1.0, failed: int = 0) -> Load:
    return Load(people, 10, {"GenerationBusy": failed} if failed else {}, first, first, 100.0)


def test_as_many_as_there_are_places_are_borne() -> None:
    met = measure(TwoPlaces(), people=2, seconds=0.1)

    assert met.is_borne
    assert met.replies >= 4
    assert 0.01 <= met.first_p50_seconds <= met.first_p90_seconds < 1
    assert met.characters_per_second > 0


def test_one_more_is_refused_and_counted_by_what_was_said() -> None:
    met = measure(TwoPlaces(), people=3, seconds=0.1)

    assert met.failed.keys() == {"GenerationBusy"}
    assert not met.is_borne


def test_questions_differ_behind_the_same_persona_and_passages() -> None:
    generator = TwoPlaces()

    measure(generator, people=1, seconds=0.1)

    systems = {prompt.messages[0] for prompt in generator.prompts}
    assert len(systems) == 1
    assert len(next(iter(systems))[1]) > 1000
    assert len({prompt.messages[1] for prompt in generator.prompts}) == len(generator.prompts) > 1


@pytest.mark.parametrize(
    ("loads", "most"),
    [
        ([load(1), load(2), load(4, first=IN_TIME_SECONDS + 1)], 2),
        ([load(1), load(2, failed=1), load(4)], 1),  # what is borne by luck beyond is not borne
        ([load(1, failed=1)], 0),
    ],
)
def test_places_end_where_somebody_waits_too_long_or_is_refused(loads: list[Load], most: int) -> None:
    assert places(loads) == most
