"""Late answers: what the generator says to a turn whose person agreed to wait.

One try; when the next one is due is the queue door's to say.
"""

import time
from dataclasses import replace

from parley.act import NOBODY, Actor
from parley.conversation import RecordedTurn, Reply, Understanding
from parley.errors import MalformedRequest, NotFound, SessionConflict
from parley.ports import LateTurn
from parley.services import Services
from parley.turn import MAX_RACES


def answer_late(late: LateTurn, services: Services) -> RecordedTurn:
    """The turn in which the bot answers; the very same one if it was answered before.

    Raises:
        NotFound: the conversation is not there any more.
        MalformedRequest: a person has taken it over.
        GenerationBusy: the generator is still away.
        GenerationFailed: it is there, and has no reply.
        SessionConflict: other turns of the conversation kept being faster.
    """
    turn = late.turn
    loaded = services.bots(turn.bot)
    reply: Reply | None = None
    for _ in range(MAX_RACES):
        opened = services.conversations.open(turn.conversation_id, turn.id)
        session = opened.session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation {turn.conversation_id!r}, or it was erased")
        if opened.recorded is not None:
            return opened.recorded
        if session.handed_off_at is not None:
            raise MalformedRequest("a person has the conversation now")
        if reply is None:
            heard = loaded.hear(turn.text, services.encoder)
            nothing = Understanding(None, 0.0, (), (), loaded.bot.language)
            deadline = time.monotonic() + services.patience.whole_seconds
            actor = Actor(turn, session, nothing, heard, loaded, services, NOBODY, deadline)
            reply = actor.generated(session.slots, before=late.before).reply
            if actor.tokens is not None:
                services.metering.spend(session, sum(actor.tokens))
        after = replace(session, version=session.version + 1)
        recorded = RecordedTurn(turn.id, after.version, "", turn.channel, services.clock(), reply, nothing)
        try:
            services.conversations.record(after, recorded)
        except SessionConflict:
            continue
        return recorded
    raise SessionConflict("other messages of this conversation were being answered at the same time")
