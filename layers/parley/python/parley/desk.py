"""The desk: what the person does who has taken a conversation over. Writes in it, and gives it back to the bot.

Knows no HTTP. What is written is a turn like any other, so that it reaches the user by the same channel.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace

from parley.conversation import Message, RecordedTurn, Reply, Session, Understanding
from parley.dialogue.responses import word
from parley.errors import MalformedRequest, NotFound, SessionConflict
from parley.services import Services
from parley.turn import MAX_RACES

CHANNEL = "person"


def write(conversation_id: str, text: str, services: Services) -> RecordedTurn:
    """The turn in which a person says something to the user.

    Raises:
        NotFound: there is no such conversation.
        MalformedRequest: the bot has the conversation.
        SessionConflict: other turns of the conversation kept being faster.
    """
    reply = Reply((Message(text),), "person")
    return _recorded(conversation_id, services, lambda session: (session, reply))


def hand_back(conversation_id: str, services: Services) -> RecordedTurn:
    """The turn with which the bot takes over again. The dialogue goes on where the bot left it.

    Raises:
        NotFound: there is no such conversation.
        MalformedRequest: the bot has the conversation already.
        SessionConflict: other turns of the conversation kept being faster.
    """

    def given_back(session: Session) -> tuple[Session, Reply]:
        bot = services.bots(session.bot).bot
        back, said = bot.handoff.back, None
        if back is not None:
            said = word(bot, back, session.slots, seed=f"{conversation_id} {session.version}", channel=CHANNEL)
        return replace(session, handed_off_at=None), Reply((said,) if said else (), "scripted")

    return _recorded(conversation_id, services, given_back)


def _recorded(
    conversation_id: str, services: Services, change: Callable[[Session], tuple[Session, Reply]]
) -> RecordedTurn:
    turn_id = uuid.uuid4().hex
    for _ in range(MAX_RACES):
        session = services.conversations.open(conversation_id).session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation {conversation_id!r}, or it was erased")
        if session.handed_off_at is None:
            raise MalformedRequest("the bot has this conversation; nobody handed it to a person")
        changed, reply = change(session)
        after = replace(changed, version=session.version + 1)
        nothing = Understanding(None, 0.0, (), (), services.bots(session.bot).bot.language)
        turn = RecordedTurn(turn_id, after.version, "", CHANNEL, services.clock(), reply, nothing)
        try:
            services.conversations.record(after, turn)
        except SessionConflict:  # the user wrote at the same moment
            continue
        return turn
    raise SessionConflict("other messages of this conversation were being saved at the same time; send it again")
