"""Teaching an understanding and asking it: what `evaluate_nlu.py`, `bench_nlu.py` and `validate_bot.py` share.

Knows how a head is fitted and how an answer becomes a reading; scores, pictures and files are other modules'.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nlu_noise import Perturbation
from nlu_scores import Reading, Span
from parley.bots.bot import EntityPatterns, SystemSettings
from parley.bots.training import Example
from parley.conversation import Entity
from parley.nlu.fit import fit_nlu
from parley.nlu.understand import Understander
from parley.ports import Encoded, Encoder

Tell = Callable[[str], None]  # says how far the work is

TIMED_UTTERANCES = 300


class RememberingEncoder:
    """`ports.Encoder` that encodes a text once; folds and seeds ask for the same texts again and again."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder  # the one that remembers nothing, for what is timed or never asked again
        self._known: dict[str, Encoded] = {}
        self.version = encoder.version

    def encode(self, text: str) -> Encoded:
        """See `ports.Encoder.encode`."""
        if text not in self._known:
            self._known[text] = self.encoder.encode(text)
        return self._known[text]

    def knows(self, word: str) -> bool:
        """See `ports.Encoder.knows`."""
        return self.encoder.knows(word)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `ports.Encoder.embed`."""
        return np.stack([self.encode(text).vector for text in texts])

    def read(self, text: str, parts: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """See `ports.Encoder.read`."""
        return self.encoder.read(text, parts)

    def learn(self, texts: Sequence[str], tell: Tell) -> float:
        """Encodes what is not known yet; gives the seconds that it took."""
        begun = time.perf_counter()
        unknown = [text for text in dict.fromkeys(texts) if text not in self._known]
        for number, text in enumerate(unknown):
            if number % 100 == 0:
                tell(f"{number:,} of {len(unknown):,} texts encoded")
            self.encode(text)
        return time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one head is taught, and what it is asked then."""

    taught: Sequence[Example]
    asked: Sequence[Example]
    outside: Sequence[Example] = ()  # asked too; they belong to no intent
    known_outside: Sequence[str] = ()  # texts of no intent on which the threshold may be chosen
    patterns: EntityPatterns = field(default_factory=EntityPatterns)
    language: str = "en"
    entities: Sequence[str] = ()  # of the domain: those among them that are system entities are found by rule
    system: SystemSettings | None = None


@dataclass(slots=True)
class Answers:
    """What came of some lessons."""

    readings: list[Reading] = field(default_factory=list)
    noisy: dict[str, list[Reading]] = field(default_factory=dict)  # perturbation -> readings of perturbed utterances
    fit_seconds: list[float] = field(default_factory=list)  # of each lesson, without the encoding
    encode_seconds: float = 0.0  # of everything taught
    call_ms: list[float] = field(default_factory=list)  # wall time of single utterances, encoder included


def hold(
    lessons: Sequence[Lesson],
    encoder: RememberingEncoder,
    tell: Tell,
    perturbations: Mapping[str, Perturbation] | None = None,
) -> Answers:
    """Teaches each lesson and asks what it asks, also as the `perturbations` change it."""
    answers = Answers()
    for number, lesson in enumerate(lessons):
        name = f"lesson {number + 1} of {len(lessons)}: " if len(lessons) > 1 else ""

        def say(news: str, name: str = name) -> None:
            tell(name + news)

        answers.encode_seconds += encoder.learn([e.text for e in lesson.taught], say)
        begun = time.perf_counter()
        understander = fitted(lesson, encoder, say)
        answers.fit_seconds.append(time.perf_counter() - begun)
        encoder.learn([e.text for e in (*lesson.asked, *lesson.outside)], say)
        answers.readings += readings(understander, encoder, lesson, number, say)
        if number == 0:
            answers.call_ms = _timed(understander, encoder.encoder, [e.text for e in lesson.asked])
        for kind, perturb in (perturbations or {}).items():
            say(kind)
            answers.noisy.setdefault(kind, []).extend(
                _perturbed(understander, encoder.encoder, lesson, number, perturb)
            )
    return answers


def fitted(lesson: Lesson, encoder: Encoder, tell: Tell) -> Understander:
    """An understanding that was taught a lesson."""
    with threadpool_limits(1):  # on matrices of this size a second thread only spins
        return fit_nlu(
            lesson.taught,
            lesson.patterns,
            encoder,
            language=lesson.language,
            entities=lesson.entities,
            system=lesson.system,
            out_of_scope=lesson.known_outside,
            progress=tell,
        ).understander


def readings(understander: Understander, encoder: Encoder, lesson: Lesson, trial: int, tell: Tell) -> list[Reading]:
    """What is made of everything that a lesson asks, first of what is in scope."""
    made = []
    total = len(lesson.asked) + len(lesson.outside)
    questions = chain(((e, e.intent) for e in lesson.asked), ((e, None) for e in lesson.outside))
    for number, (example, wanted) in enumerate(questions):
        if number % 100 == 0:
            tell(f"{number:,} of {total:,} utterances asked")
        made.append(reading(understander, encoder, example, wanted, trial))
    return made


def reading(understander: Understander, encoder: Encoder, example: Example, wanted: str | None, trial: int) -> Reading:
    """What is made of one utterance."""
    understood = understander.understand(example.text, understander.hear(example.text, encoder))
    return Reading(
        text=example.text,
        place=example.place,
        wanted=wanted,
        got=understood.retrieval_intent or understood.ranking[0].name,
        confidence=understood.confidence,
        in_scope=understood.in_scope,
        kept=understood.intent is not None,
        marked=tuple(map(_span, example.entities)),
        found=tuple(map(_span, understood.entities)),
        trial=trial,
    )


def _span(entity: Entity) -> Span:
    return Span(entity.start, entity.end, entity.name, entity.role)


def _perturbed(
    understander: Understander, encoder: Encoder, lesson: Lesson, trial: int, perturb: Perturbation
) -> list[Reading]:
    """Readings of the perturbed utterances; without entities, whose places have moved."""
    changed = [Example(perturb(e.text, trial), e.intent, (), e.place) for e in lesson.asked]
    return [reading(understander, encoder, example, example.intent, trial) for example in changed]


def _timed(understander: Understander, encoder: Encoder, texts: Sequence[str]) -> list[float]:
    """Milliseconds of wall time for each of some texts, tokenization to entities."""
    times = []
    for text in texts[:TIMED_UTTERANCES]:
        begun = time.perf_counter()
        understander.understand(text, understander.hear(text, encoder))
        times.append((time.perf_counter() - begun) * 1e3)
    return times
