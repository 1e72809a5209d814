"""The main path: open -> understand -> decide -> act -> save -> reply.

Both doors call `answer`, and nothing here knows through which one a turn came. The
decision is pure; everything with a network in it hangs on a port.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parley.caching.eligibility import is_shareable
from parley.caching.recall import CACHEABLE_SOURCES, ReplyCache
from parley.conversation import Message, RecordedTurn, Reply, Session, Source, Turn
from parley.dialogue.actions import Answer, Decision, FirstOf, Generate, Say, Step
from parley.dialogue.policy import decide
from parley.dialogue.responses import word
from parley.errors import GenerationBusy, GenerationFailed, NotFound, SessionConflict
from parley.generation.guard import clean
from parley.generation.prompt import compose
from parley.loaded import LoadedBot
from parley.ports import Clock, Conversations, Encoder, Generator, Opened

MAX_RACES = 5  # a turn that loses this often meets a conversation that nobody types by hand
GENERATION_BUDGET_SECONDS = 5.5  # of a turn, however often it runs; with the adapter's time-outs it stays below 10 s

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What a turn needs; every function builds its own."""

    bots: Callable[[str], LoadedBot]  # by name; raises NotFound
    encoder: Encoder
    conversations: Conversations
    cache: ReplyCache
    generator: Generator
    clock: Clock


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn with its reply, as it is kept."""

    turn: RecordedTurn
    because: str  # what decided, for people
    timings_ms: Mapping[str, float]


class _Stopwatch:
    """How long each step took."""

    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._steps: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self._steps[step] = self._steps.get(step, 0.0) + (now - self._last) * 1000
        self._last = now

    def timings_ms(self) -> dict[str, float]:
        total = (time.perf_counter() - self._begun) * 1000
        return {step: round(spent, 2) for step, spent in {**self._steps, "total": total}.items()}


def answer(turn: Turn, services: Services, *, opened: Opened | None = None) -> Answered:
    """The reply to a turn; the very same one if the turn was answered before.

    `opened` is the conversation as the door found it, if the door had to look.

    Raises:
        NotFound: there is no such bot or conversation.
        SessionConflict: other turns of the conversation kept being faster.
    """
    watch = _Stopwatch()
    deadline = time.monotonic() + GENERATION_BUDGET_SECONDS
    loaded = services.bots(turn.bot)
    found = opened or services.conversations.open(turn.conversation_id, turn.id)
    watch.lap("open")
    if found.recorded is not None:
        return Answered(found.recorded, "answered before", watch.timings_ms())
    embedding = services.encoder.embed([turn.text])[0]
    understanding = loaded.nlu.understand(turn.text, embedding)
    watch.lap("understand")
    for _ in range(MAX_RACES):
        session = found.session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation {turn.conversation_id!r}, or it was erased")
        decision = decide(loaded.bot, session, understanding, turn.text)
        watch.lap("decide")
        actor = _Actor(turn, session, decision, embedding, loaded, services, deadline)
        reply = actor.reply()
        watch.lap("act")
        after = replace(session, version=session.version + 1, slots=decision.slots, form=decision.form)
        recorded = RecordedTurn(turn.id, after.version, turn.text, turn.channel, turn.sent_at, reply, understanding)
        try:
            services.conversations.record(after, recorded, begins=found.is_new)
        except SessionConflict:  # somebody else's turn was saved first: run again on the newer state
            found = services.conversations.open(turn.conversation_id, turn.id)
            if found.recorded is not None:
                return Answered(found.recorded, "answered before", watch.timings_ms())
            continue
        watch.lap("save")
        return Answered(recorded, decision.because, watch.timings_ms())
    raise SessionConflict("other messages of this conversation were being answered at the same time; send it again")


@dataclass(frozen=True, slots=True)
class _Actor:
    """Carries out a decision."""

    turn: Turn
    session: Session
    decision: Decision
    embedding: NDArray[np.float32]
    loaded: LoadedBot
    services: Services
    deadline: float  # of the generator, on the monotonic clock

    def reply(self) -> Reply:
        """What the decision leads to, recalled from the reply cache where it may be shared."""
        cache, key = self.services.cache, self._key()
        if key is not None and (recalled := cache.recall(key)) is not None:
            return recalled
        said = self._perform() or [self._say(Say(self.loaded.bot.fallback, as_fallback=True))]
        telling: Source = next((source for _, source in said if source != "scripted"), "scripted")
        reply = Reply(tuple(message for message, _ in said), telling)
        if key is not None and CACHEABLE_SOURCES.issuperset(source for _, source in said):
            cache.keep(key, reply)
        return reply

    def _key(self) -> str | None:
        """The key under which the reply may be shared; None if it may not."""
        bot, decision, text = self.loaded.bot, self.decision, self.turn.text
        if not decision.is_open_ended:
            return None
        if not is_shareable(bot, self.session, decision.slots, text, may_generate=decision.may_generate):
            return None
        return self.services.cache.key(
            bot, decided=repr(decision.actions), model=self.services.generator.model, text=text
        )

    def _perform(self) -> list[tuple[Message, Source]]:
        said: list[tuple[Message, Source]] = []
        for action in self.decision.actions:
            match action:
                case FirstOf(ways):
                    said.extend(next(filter(None, map(self._try, ways)), []))
                case Say():
                    said.append(self._say(action))
        return said

    def _try(self, way: tuple[Step, ...]) -> list[tuple[Message, Source]]:
        """What the steps of one way say; nothing if the first has nothing to say."""
        first = self._step(way[0])
        if first is None:
            return []
        return [first, *filter(None, map(self._step, way[1:]))]

    def _step(self, step: Step) -> tuple[Message, Source] | None:
        match step:
            case Say():
                return self._say(step)
            case Answer():
                passage = self.loaded.knowledge.answer(self.turn.text, self.embedding)
                return (Message(passage.text, citations=(passage,)), "knowledge") if passage else None
            case Generate():
                text = self._generate()
                return (Message(text), "generated") if text else None

    def _say(self, say: Say) -> tuple[Message, Source]:
        message = word(self.loaded.bot, say.response, self.decision.slots, seed=self.turn.id)
        return message, "fallback" if say.as_fallback else "scripted"

    def _generate(self) -> str | None:
        """What the generator says; None when it cannot be reached or says nothing fit to be said."""
        prompt = compose(self.loaded.bot, self._history(), self.turn.text)
        budget = max(0.0, self.deadline - time.monotonic())
        try:
            pieces = self.services.generator.stream(prompt, budget_seconds=budget)
            return clean("".join(pieces))
        except (GenerationBusy, GenerationFailed) as error:
            logger.warning("the generator gave no reply", extra={"turn_id": self.turn.id, "reason": str(error)})
            return None

    def _history(self) -> tuple[RecordedTurn, ...]:
        limit = self.loaded.bot.generation.history_turns
        if not limit or not self.session.version:
            return ()
        return self.services.conversations.history(self.session.conversation_id, limit=limit)
