"""Carrying out a decision: say, answer from the documents, generate; recall and share what may be shared.

Knows no policy: what to do has been decided. What cannot be had, such as a generator
that is away, is replaced by what the decision names next.
"""

import logging
import time
from dataclasses import dataclass

from parley.caching.eligibility import is_shareable
from parley.caching.recall import CACHEABLE_SOURCES
from parley.conversation import Message, RecordedTurn, Reply, Session, Source, Turn
from parley.dialogue.actions import Answer, Decision, FirstOf, Generate, Say, Step
from parley.dialogue.responses import word
from parley.errors import GenerationBusy, GenerationFailed
from parley.generation.guard import clean
from parley.generation.prompt import compose
from parley.loaded import LoadedBot
from parley.ports import Encoded
from parley.services import Services

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actor:
    """Carries out the decision about one turn."""

    turn: Turn
    session: Session
    decision: Decision
    heard: Encoded
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
                passage = self.loaded.knowledge.answer(self.heard.text, self.heard.vector)
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
