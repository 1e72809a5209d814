"""The main path: open -> understand -> converse -> save -> reply.

Both doors call `answer`, and nothing here knows through which one a turn came. What is
decided is decided purely (`dialogue.course`); everything with a network in it hangs on a port.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from parley.act import NOBODY, Actor, Tokens
from parley.conversation import Event, Message, RecordedTurn, Reply, Session, Source, Turn, Understanding, Upload
from parley.dialogue.course import Outcome, converse, drive
from parley.errors import NotFound, SessionConflict, Unavailable
from parley.handoff import announcement
from parley.loaded import LoadedBot
from parley.ports import Audience, Encoded, Opened
from parley.services import Services

MAX_RACES = 5  # a turn that loses this often meets a conversation that nobody types by hand
AT_A_LOSS = "I am sorry, I have no answer to that."  # of a bot whose author gave it no words for this


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn with its reply, as it is kept."""

    turn: RecordedTurn
    because: str  # what decided, for people
    timings_ms: Mapping[str, float]
    before: Session  # as it was found
    after: Session
    tokens: Tokens | None = None  # of the generator, if it spoke

    @property
    def is_handed_off(self) -> bool:
        """Whether a person has the conversation."""
        return self.after.handed_off_at is not None


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


def answer(
    turn: Turn,
    services: Services,
    *,
    opened: Opened | None = None,
    audience: Audience = NOBODY,
    earlier: tuple[RecordedTurn, ...] | None = None,
) -> Answered:
    """The reply to a turn; the very same one if the turn was answered before.

    `opened` is the conversation as the door found it, if the door had to look. `audience` follows what is generated
    as it comes; only the reply that is returned has been kept. `earlier` is what was said before, where the client and
    not the conversation remembers it.

    Raises:
        NotFound: there is no such bot or conversation, or it has no such upload; nothing was done.
        OverQuota: all that may be asked in a while has been asked; nothing was done.
        SessionConflict: other turns of the conversation kept being faster.
        Unavailable: a person was wanted, and nobody could be told.
    """
    watch = _Stopwatch()
    deadline = time.monotonic() + services.patience.whole_seconds
    loaded = services.bots(turn.bot)
    found = opened or services.conversations.open(turn.conversation_id, turn.id)
    watch.lap("open")
    if found.recorded is not None and found.session is not None:
        return Answered(found.recorded, "answered before", watch.timings_ms(), found.session, found.session)
    sent = sent_with(turn, services)
    if found.session is not None and not found.is_admitted:
        admit(found.session, turn, services, comes_again=found.is_accepted)
    heard, understanding = _understood(turn, loaded, services)
    watch.lap("understand")
    for _ in range(MAX_RACES):
        session = found.session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation {turn.conversation_id!r}, or it was erased")
        if session.handed_off_at is not None:
            after, reply, because = _passed_on(session, turn, sent, services)
            events: tuple[Event, ...] = ()
            tokens = None
        else:
            actor = Actor(
                turn, session, understanding, heard, loaded, services, audience, deadline, sent=sent, earlier=earlier
            )
            outcome = drive(converse(loaded.policy, session, turn, understanding, sent=sent), actor.perform)
            after, because = _led_to(session, turn, outcome), outcome.because
            reply = _reply(outcome, may_wait=actor.found_generator_away)
            events, tokens = outcome.events, actor.tokens
            if tokens is not None:
                services.metering.spend(session, sum(tokens))
        if turn.origin is not None:  # a late answer and a person who takes over will want what came last
            after = replace(after, origin=turn.origin)
        watch.lap("converse")
        recorded = RecordedTurn(
            turn.id,
            after.version,
            turn.text,
            turn.channel,
            turn.sent_at,
            reply,
            understanding,
            events,
            uploads=sent,
        )
        try:
            services.conversations.record(after, recorded, begins=found.is_new)
        except SessionConflict:  # somebody else's turn was saved first: run again on the newer state
            found = services.conversations.open(turn.conversation_id, turn.id)
            if found.recorded is not None and found.session is not None:
                return Answered(found.recorded, "answered before", watch.timings_ms(), found.session, found.session)
            continue
        watch.lap("save")
        return Answered(recorded, because, watch.timings_ms(), session, after, tokens)
    raise SessionConflict("other messages of this conversation were being answered at the same time; send it again")


def sent_with(turn: Turn, services: Services) -> tuple[Upload, ...]:
    """The files that came with a turn.

    Raises:
        NotFound: the conversation has no such file.
    """
    found = {each: services.uploads.find(turn.bot, turn.conversation_id, each) for each in turn.uploads}
    for upload_id, upload in found.items():
        if upload is None:
            raise NotFound(f"there is no upload {upload_id!r} in this conversation")
    return tuple(filter(None, found.values()))


def admit(session: Session, turn: Turn, services: Services, *, comes_again: bool) -> None:
    """Counts the turn against the quotas, once however often the queue delivers it.

    Raises:
        OverQuota: all that may be asked in a while has been asked.
        Unavailable: it could not be counted.
    """
    if services.metering.admit(session) and comes_again:
        with suppress(Unavailable):  # then it is rather counted twice than not answered
            services.conversations.mark_admitted(turn)


def _understood(turn: Turn, loaded: LoadedBot, services: Services) -> tuple[Encoded | None, Understanding]:
    if turn.uploads and not turn.text.strip():  # a file without a word has no intent
        return None, Understanding(None, 0.0, (), (), loaded.bot.language)
    command = loaded.command(turn.text)
    if command is not None:
        return None, command
    heard = loaded.hear(turn.text, services.encoder)
    return heard, loaded.understand(turn.text, heard, now=turn.sent_at)


def _led_to(session: Session, turn: Turn, outcome: Outcome) -> Session:
    handed_off_at = turn.sent_at if outcome.handed_off else None
    return replace(session, version=session.version + 1, dialogue=outcome.dialogue, handed_off_at=handed_off_at)


def _passed_on(
    session: Session, turn: Turn, sent: tuple[Upload, ...], services: Services
) -> tuple[Session, Reply, str]:
    """The turn of somebody who talks to a person: the bot is silent, and the person is told."""
    services.announcements.announce("conversation.message", announcement(session, turn, (), sent=sent))
    return replace(session, version=session.version + 1), Reply((), "handoff"), "a person has the conversation"


def _reply(outcome: Outcome, *, may_wait: bool) -> Reply:
    """All that was said. Where nothing was, and nobody else speaks, the person is not left without a word."""
    said = [each for each in outcome.said if each.message != Message("")]
    if not said and not outcome.handed_off and not outcome.dialogue.now.paused:
        return Reply((Message(AT_A_LOSS),), "fallback", may_wait)
    telling: Source = next((each.source for each in said if each.source != "scripted"), "scripted")
    source = "handoff" if outcome.handed_off and not said else telling
    return Reply(tuple(each.message for each in said), source, may_wait and source == "fallback")
