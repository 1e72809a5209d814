"""Giving the dialogue what it needs: answers from the documents, completions, custom actions, a person.

Knows no policy: what is needed has been decided. What cannot be had, such as a generator that is away, is replaced by
what the dialogue names next; replies that may be shared are recalled and kept.
"""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from parley.caching.eligibility import is_shareable
from parley.caching.recall import CACHEABLE_SOURCES
from parley.conversation import Message, RecordedTurn, Reply, Session, Source, Turn, Understanding
from parley.dialogue import protocol
from parley.dialogue.actions import Answer, Call, FirstOf, Generate, HandOff, Need, Said, Say, Step
from parley.dialogue.responses import word
from parley.errors import ActionFailed, GenerationBusy, GenerationFailed
from parley.generation.guard import clean
from parley.generation.prompt import compose
from parley.handoff import announcement
from parley.loaded import LoadedBot
from parley.ports import ActionAnswer, Encoded, Patience
from parley.services import Services

ACTIONS_BUDGET_SECONDS = 12.0  # of a turn, however many custom actions it runs; API Gateway waits 30

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Actor:
    """Does for one turn what needs a network, a model or the clock."""

    turn: Turn
    session: Session
    understanding: Understanding
    heard: Encoded | None  # None for a message that was no sentence
    loaded: LoadedBot
    services: Services
    deadline: float  # of the generator, on the monotonic clock
    spent_seconds: float = field(default=0.0)  # on custom actions

    def perform(self, need: Need) -> Any:
        """What the dialogue needs.

        Raises:
            ActionFailed: the custom action gave no usable answer.
            Unavailable: nobody could be told that a person is wanted.
        """
        match need:
            case Call():
                return self._run(need)
            case FirstOf():
                return self._recalled(need)

    def _run(self, call: Call) -> ActionAnswer:
        request = protocol.request(
            self.loaded.bot,
            call.action,
            conversation_id=self.session.conversation_id,
            channel=self.turn.channel,
            at=self.turn.sent_at,
            dialogue=call.dialogue,
            events=call.events,
            understanding=self.understanding,
        )
        about = {"turn_id": self.turn.id, "action": call.action}
        begun = time.monotonic()
        try:
            budget = ACTIONS_BUDGET_SECONDS - self.spent_seconds
            if budget <= 0:
                raise ActionFailed("the turn's time for custom actions is used up")
            answer = self.services.actions.run(self.loaded.bot.custom, request, budget_seconds=budget)
        except ActionFailed as error:
            logger.warning("custom action failed", extra={**about, "reason": str(error)})
            raise
        finally:
            self.spent_seconds += time.monotonic() - begun
        ignored = {str(event.get("event")) for event in answer.events} & protocol.NOT_SUPPORTED
        if ignored:
            logger.warning("custom action sent what is not acted on", extra={**about, "kinds": sorted(ignored)})
        return answer

    def _recalled(self, need: FirstOf) -> list[Said]:
        """What the first way says that has something to say, from the reply cache where that may be shared."""
        cache, key = self.services.cache, self._key(need)
        if key is not None and (recalled := cache.recall(key)) is not None:
            return [Said(message, recalled.source) for message in recalled.messages]
        said = next(filter(None, (self._try(way, need) for way in need.ways)), [])
        if key is not None and said and said[0].source in CACHEABLE_SOURCES:
            cache.keep(key, Reply(tuple(each.message for each in said), said[0].source))
        return said

    def _key(self, need: FirstOf) -> str | None:
        """The key under which the reply may be shared; None if it may not."""
        bot, text = self.loaded.bot, self.turn.text
        begun = self.session.dialogue or self.loaded.policy.tracker.begin()
        if not is_shareable(
            bot, self.session, begun.now.slots, need.dialogue.now.slots, text, may_generate=need.may_generate
        ):
            return None
        return self.services.cache.key(bot, decided=repr(need.ways), model=self.services.generator.model, text=text)

    def _try(self, way: tuple[Step, ...], need: FirstOf) -> list[Said]:
        """What the steps of one way say; nothing if the first has nothing to say."""
        first = self._step(way[0], need)
        if first is None:
            return []
        return [first, *filter(None, (self._step(step, need) for step in way[1:]))]

    def _step(self, step: Step, need: FirstOf) -> Said | None:
        match step:
            case Say(response, as_fallback):
                return self._say(response, need, "fallback" if as_fallback else "scripted")
            case Answer():
                passage = self.loaded.knowledge.answer(self.heard.text, self.heard.vector) if self.heard else None
                return Said(Message(passage.text, citations=(passage,)), "knowledge") if passage else None
            case Generate():
                text = self._generate()
                return Said(Message(text), "generated") if text else None
            case HandOff():
                detail = announcement(self.session, self.turn, self._history(self.loaded.bot.handoff.turns))
                self.services.announcements.announce("conversation.handed_off", detail)
                calming = self.loaded.bot.handoff.say
                said = self._say(calming, need, "scripted") if calming else None
                return replace(said or Said(Message(""), "handoff"), hands_off=True)

    def _say(self, response: str, need: FirstOf, source: Source) -> Said | None:
        slots, seed = need.dialogue.now.slots, self.turn.id
        message = word(self.loaded.bot, response, slots, seed=seed, channel=self.turn.channel)
        return Said(message, source, response) if message else None

    def _generate(self) -> str | None:
        """What the generator says; None when it cannot be reached or says nothing fit to be said."""
        history = self._history(self.loaded.bot.generation.history_turns)
        prompt = compose(self.loaded.bot, history, self.turn.text)
        left = max(0.0, self.deadline - time.monotonic())
        patience = Patience(min(self.services.patience.first_seconds, left), left)
        try:
            pieces = self.services.generator.stream(prompt, patience=patience)
            return clean("".join(pieces))
        except (GenerationBusy, GenerationFailed) as error:
            logger.warning("the generator gave no reply", extra={"turn_id": self.turn.id, "reason": str(error)})
            return None

    def _history(self, limit: int) -> tuple[RecordedTurn, ...]:
        if not limit or not self.session.version:
            return ()
        return self.services.conversations.history(self.session.conversation_id, limit=limit)
