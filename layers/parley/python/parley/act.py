"""Giving the dialogue what it needs: answers from the documents, completions, custom actions, a person.

Knows no policy: what is needed has been decided. What cannot be had, such as a generator that is away, is replaced by
what the dialogue names next; what the generator said to somebody else who asked the same is said again.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from parley.caching.eligibility import Refusal
from parley.caching.key import passage_id
from parley.caching.recall import Asking, Made
from parley.conversation import Citation, Message, RecordedTurn, Reply, Session, Source, Turn, Understanding, Upload
from parley.dialogue import protocol
from parley.dialogue.actions import Answer, Call, FirstOf, Generate, HandOff, Need, Said, Say, Step
from parley.dialogue.responses import word
from parley.errors import ActionFailed, GenerationBusy, GenerationFailed
from parley.generation.persistence import is_substitute
from parley.generation.prompt import compose, notes_of
from parley.generation.telling import Telling, Told
from parley.handoff import announcement
from parley.knowledge.follow_up import is_follow_up, standalone
from parley.knowledge.snapshot import Snapshot
from parley.loaded import LoadedBot
from parley.ports import ActionAnswer, Audience, Encoded, Patience, Prompt
from parley.services import Services
from parley.sharing import asking_of

ACTIONS_BUDGET_SECONDS = 12.0  # of a turn, however many custom actions it runs; API Gateway waits 30

TO_COMPOSE = 3  # passages that an answer is composed of

logger = logging.getLogger(__name__)


class Nobody:
    """`ports.Audience` of a turn that is told when it is whole."""

    wants_no_more = False
    takes_back = True

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        """See `ports.Audience.begin`."""

    def write(self, text: str, *, at: int) -> None:
        """See `ports.Audience.write`."""

    def cite(self, citation: Citation) -> None:
        """See `ports.Audience.cite`."""


NOBODY = Nobody()


class Tokens(NamedTuple):
    """What the generator read and wrote."""

    prompt: int
    completion: int


@dataclass(slots=True)
class Actor:
    """Does for one turn what needs a network, a model or the clock."""

    turn: Turn
    session: Session
    understanding: Understanding
    heard: Encoded | None  # None for a message that was no sentence
    loaded: LoadedBot
    services: Services
    audience: Audience
    deadline: float  # of the generator, on the monotonic clock
    sent: tuple[Upload, ...] = ()  # the files that came with the turn
    spent_seconds: float = field(default=0.0)  # on custom actions
    found_generator_away: bool = field(default=False)  # later it may have something to say
    earlier: tuple[RecordedTurn, ...] | None = None  # what was said before; None: what the conversation remembers
    tokens: Tokens | None = None  # of the generator, if it spoke
    _before: tuple[Message, ...] = ()  # what the turn has said
    _broken_off: list[Said] = field(default_factory=list)  # what stays of completions that came to nothing
    _near: dict[str, Snapshot] = field(default_factory=dict)  # what of the knowledge comes into question, by question

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
                return self._first(need)

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

    def _first(self, need: FirstOf) -> list[Said]:
        """What the first way says that has something to say."""
        self._before, self._broken_off = need.said, []
        said = next(filter(None, (self._try(way, need) for way in need.ways)), [])
        return [*self._broken_off, *said]

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
                return self._answer(need.dialogue.now.slots)
            case Generate():
                return self._generate(need.dialogue.now.slots)
            case HandOff():
                earlier = self._history(self.loaded.bot.handoff.turns)
                detail = announcement(self.session, self.turn, earlier, sent=self.sent)
                self.services.announcements.announce("conversation.handed_off", detail)
                calming = self.loaded.bot.handoff.say
                said = self._say(calming, need, "scripted") if calming else None
                return replace(said or Said(Message(""), "handoff"), hands_off=True)

    def _answer(self, slots: Mapping[str, Any]) -> Said | None:
        """The passage that answers; None when the documents do not hold it."""
        asked = self._asked()
        if asked is None:
            return None
        bot = self.loaded.bot
        found = self._knowledge_near(asked).answer(
            asked.text, asked.vector, about=bot.knowledge.narrowed(slots), threshold=bot.knowledge.threshold
        )
        if found is None:
            return None
        if bot.knowledge.answers == "composed" or (bot.knowledge.answers is None and self.services.composes):
            composed = self._generate(slots, composing=True)
            if composed is not None and composed.message.citations:
                return composed
        return Said(Message(found.text, citations=(found.passage,)), "knowledge")

    def _asked(self, *, before: int | None = None) -> Encoded | None:
        """The question as it stands for itself: one that leans on the question before has that in front of it."""
        if self.heard is None or not self._is_follow_up():
            return self.heard
        last = self._history(1, before=before)
        if not last:
            return self.heard
        return self.loaded.hear(standalone(self.turn.text, last[0].message), self.services.encoder)

    def _is_follow_up(self) -> bool:
        return bool(self.session.version) and is_follow_up(self.turn.text, self.loaded.bot.language)

    def _say(self, response: str, need: FirstOf, source: Source) -> Said | None:
        slots, seed = need.dialogue.now.slots, self.turn.id
        message = word(self.loaded.bot, response, slots, seed=seed, channel=self.turn.channel)
        return Said(message, source, response) if message else None

    def _generate(self, slots: Mapping[str, Any], *, composing: bool = False) -> Said | None:
        """What the generator says, or said to somebody else who asked; None when it has nothing to say.

        It has the passages that the bot's author gives it; if it is `composing` an answer, the best ones at least.
        """
        if not self.turn.text.strip():  # but a file, which it cannot read
            return None
        self.audience.begin(self._before, must_cite=composing)
        asking = self._asking(slots, composing=composing)
        if asking is None:
            made = self._made(slots, composing=composing)
            return Said(made.reply.messages[0], "generated") if made else None
        reply = self.services.cache.reply(asking, lambda: self._made(slots, composing=composing))
        if reply is None:
            return None
        message = reply.messages[0]
        if reply.source == "cached":
            self.audience.write(message.text, at=0)
            for citation in message.citations:
                self.audience.cite(citation)
        return Said(message, reply.source)

    def _asking(self, slots: Mapping[str, Any], *, composing: bool) -> Asking | None:
        if self.heard is None:
            return None
        return asking_of(
            self.turn,
            self.session,
            self.understanding,
            self.heard,
            self.loaded,
            self.services,
            slots=slots,
            leans_on_the_last=self._is_follow_up(),
            passages=lambda: self._passages(slots, before=None, composing=composing),
        )

    def _made(self, slots: Mapping[str, Any], *, composing: bool) -> Made | None:
        """What the generator says; None when it cannot be reached or says nothing fit to be said."""
        try:
            return self.generated(slots, composing=composing)
        except (GenerationBusy, GenerationFailed) as error:
            self.found_generator_away = isinstance(error, GenerationBusy)
            reason = {"reason": str(error), "kind": type(error).__name__}
            logger.warning("the generator gave no reply", extra={"turn_id": self.turn.id, **reason})
            return None

    def generated(self, slots: Mapping[str, Any], *, before: int | None = None, composing: bool = False) -> Made:
        """What the generator says, with the turns up to number `before`, or all, as history.

        Raises:
            GenerationBusy: it is away, or too slow.
            GenerationFailed: it broke, or said nothing fit to be said.
        """
        bot = self.loaded.bot
        prompt, passages = compose(
            bot,
            passages=self._passages(slots, before=before, composing=composing),
            notes=notes_of(bot, slots),
            history=self._history(bot.generation.history_turns, before=before),
            text=self.turn.text,
            window=self.services.window,
        )
        telling = Telling(self.audience, passages, allowed=prompt.messages[0][1], must_cite=composing)
        try:
            told = self._completion(prompt, telling)
        except (GenerationBusy, GenerationFailed):
            if (begun := telling.broken_off) is not None:
                self._broken_off.append(Said(begun, "fallback"))
                self._before += (begun,)
            raise
        for citation in told.citations:
            self.audience.cite(citation)
        grounded = None if told.citations or not passages else Refusal.UNGROUNDED
        count = self.services.window.count
        self.tokens = Tokens(sum(count(content) for _, content in prompt.messages), count(told.completion))
        return Made(
            Reply((Message(told.text, citations=told.citations),), "generated"),
            cited=tuple(map(passage_id, told.citations)),
            tokens=sum(self.tokens),
            refusal=grounded if told.is_whole else Refusal.SUBSTITUTE,
        )

    def _completion(self, prompt: Prompt, telling: Telling, *, again: bool = True) -> Told:
        """The completion, told to the audience as it comes. What was stopped, or is a substitute, is not whole.

        A stream that breaks off in the middle is begun once more; where nothing had come yet, the generator itself has
        tried what it could.
        """
        generator, has_begun = self.services.generator, False
        try:
            with closing(generator.stream(prompt, patience=self._patience())) as pieces:
                for piece in pieces:
                    has_begun = True
                    if telling.wants_no_more:
                        break
                    telling.push(piece)
        except GenerationFailed:
            if has_begun and again:
                telling.begin()
                return self._completion(prompt, telling, again=False)
            raise
        told = telling.end()
        is_cut = self.audience.wants_no_more or is_substitute(pieces, generator)
        return replace(told, is_whole=False) if is_cut else told

    def _patience(self) -> Patience:
        left = max(0.0, self.deadline - time.monotonic())
        return Patience(min(self.services.patience.first_seconds, left), left)

    def _passages(self, slots: Mapping[str, Any], *, before: int | None, composing: bool) -> tuple[Citation, ...]:
        """What of the bot's documents goes into the prompt."""
        bot = self.loaded.bot
        limit = max(bot.generation.passages, TO_COMPOSE) if composing else bot.generation.passages
        if not limit or (asked := self._asked(before=before)) is None:
            return ()
        near = self._knowledge_near(asked)
        return near.related(asked.text, asked.vector, limit=limit, about=bot.knowledge.narrowed(slots))

    def _knowledge_near(self, asked: Encoded) -> Snapshot:
        """The knowledge that comes into question; asked for once, since some of it may lie beyond memory."""
        if asked.text not in self._near:
            self._near[asked.text] = self.loaded.knowledge_near(asked.vector)
        return self._near[asked.text]

    def _history(self, limit: int, *, before: int | None = None) -> tuple[RecordedTurn, ...]:
        if not limit or not self.session.version:
            return ()
        if self.earlier is not None:
            return self.earlier[-limit:]
        return self.services.conversations.history(self.session.conversation_id, limit=limit, before=before)
