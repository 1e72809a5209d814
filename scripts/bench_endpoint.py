"""How many people a SageMaker endpoint bears at once: the first token and the speed with ever more of them.

    python scripts/bench_endpoint.py ENDPOINT [--component NAME] [--people 1,2,4,8,16,32] [--seconds 30] [--json FILE]

Takes AWS credentials and region as AWS's own tools do; a sleeping endpoint's component has the endpoint's name. So many
people read streamed replies, one after another, each with a question of their own behind the same passages, as a bot
asks. The last line says what infra/generators.py may have as `requests_per_instance`, if one instance answered: the
most people of whom nine in ten had their first token in time.
"""

import argparse
import json
import math
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

# The scripts' folder is on the path, and steps knows the root; our own package comes from the layer.
from steps import ROOT, finish

sys.path.insert(0, str(ROOT / "layers" / "parley" / "python"))

from parley.adapters.sagemaker import SageMakerGenerator
from parley.errors import ParleyError
from parley.ports import Generator, Patience, Prompt

PASSAGES = ROOT / "models" / "bots" / "support" / "documents"
IN_TIME_SECONDS = 5.0  # functions/chat: so long it waits for the first token
PATIENCE = Patience(first_seconds=60, whole_seconds=120)  # late is to be seen here, and not cut off
REPLY_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Load:
    """What so many people met at once."""

    people: int
    replies: int
    failed: dict[str, int]  # by the kind of error
    first_p50_seconds: float
    first_p90_seconds: float
    characters_per_second: float  # of all replies together

    @property
    def is_borne(self) -> bool:
        """Nobody was refused, and nine in ten had their first token in time."""
        return not self.failed and self.first_p90_seconds <= IN_TIME_SECONDS


def main() -> None:
    """Print a line for each number of people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint")
    parser.add_argument("--component")
    parser.add_argument("--people", default="1,2,4,8,16,32", type=_numbers)
    parser.add_argument("--seconds", default=30.0, type=float, help="for each number of people")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()

    generator = SageMakerGenerator(
        arguments.endpoint, silence_seconds=PATIENCE.first_seconds, component=arguments.component
    )
    print("people  replies  failed  first token p50    p90   characters/s")
    loads = []
    for people in arguments.people:
        load = measure(generator, people, arguments.seconds)
        loads.append(load)
        print(
            f"{load.people:6}  {load.replies:7}  {sum(load.failed.values()):6}  {load.first_p50_seconds:13.2f} s"
            f"  {load.first_p90_seconds:5.2f} s  {load.characters_per_second:11.0f}"
            + "".join(f"\n        {kind}: {times}" for kind, times in load.failed.items()),
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(load) for load in loads], indent=2) + "\n")
    print(f"requests_per_instance: {places(loads) or 'none of these; begin with fewer people'}")


def measure(generator: Generator, people: int, seconds: float) -> Load:
    """What `people` meet who ask without a pause for `seconds`."""
    persona = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(PASSAGES.glob("*.md")))[:6000]
    firsts: list[float] = []
    characters: list[int] = []
    failed: Counter[str] = Counter()
    begun = time.monotonic()

    def ask(person: int) -> None:
        number = 0
        while time.monotonic() < begun + seconds:
            number += 1
            question = f"I am customer {person}-{number}. How do I return something, and when have I got my money back?"
            prompt = Prompt((("system", persona), ("user", question)), max_tokens=REPLY_TOKENS, temperature=0.7)
            asked, first, length = time.monotonic(), math.inf, 0
            try:
                for piece in generator.stream(prompt, patience=PATIENCE):
                    first = min(first, time.monotonic() - asked)
                    length += len(piece)
            except ParleyError as error:
                failed[type(error).__name__] += 1
                time.sleep(1)  # who is refused does not ask again at once
                continue
            firsts.append(first)
            characters.append(length)

    threads = [threading.Thread(target=ask, args=(person,)) for person in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    return Load(people, len(firsts), dict(failed), _share(firsts, 0.5), _share(firsts, 0.9), sum(characters) / took)


def places(loads: Iterable[Load]) -> int:
    """The most people that were borne before the first number that was not."""
    most = 0
    for load in loads:
        if not load.is_borne:
            break
        most = load.people
    return most


def _share(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed; infinity of none."""
    if not values:
        return math.inf
    return (
        values[0]
        if len(values) == 1
        else statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
    )


def _numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if not numbers or min(numbers) < 1 or numbers != sorted(numbers):
        raise argparse.ArgumentTypeError("numbers of people, ever more of them: 1,2,4")
    return numbers


if __name__ == "__main__":
    finish(main)
