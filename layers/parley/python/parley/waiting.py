"""Agreeing to wait: the generator was away, and the person wants its answer later.

The turn itself has ended with the bot's fallback reply. What comes later is a turn of
its own, in which nobody says anything and the bot answers (`late`).
"""

from parley.conversation import Session, Turn
from parley.errors import MalformedRequest, NotFound, Unavailable
from parley.ports import Conversations, LateQueue, LateTurn

FIRST_SECONDS = 20  # until the first try: a throttled endpoint is free again, a sleeping one still wakes


def agree_to_wait(
    session: Session, turn_id: str, conversations: Conversations, late: LateQueue, *, now: float, reply_to: str = ""
) -> Turn:
    """The turn in which the answer to `turn_id` will come; agreeing twice is agreeing once.

    Raises:
        NotFound: there is no such turn.
        MalformedRequest: it was answered, or not for want of the generator.
        Unavailable: it could not be noted.
    """
    progress = conversations.progress(session.conversation_id, turn_id)
    if progress is None:
        raise NotFound(f"there is no turn {turn_id!r} in this conversation")
    recorded = progress.recorded
    if recorded is None or not recorded.reply.may_wait:
        raise MalformedRequest(f"there is nothing to wait for in the turn {turn_id!r}: its reply has no `may_wait`")
    turn = Turn(
        f"{turn_id}.late",
        session.conversation_id,
        session.bot,
        recorded.channel,
        recorded.message,
        now,
        reply_to=reply_to,
    )
    if conversations.accept(turn) is None:
        try:
            late.send(LateTurn(turn, before=recorded.number), delay_seconds=FIRST_SECONDS)
        except Unavailable as error:
            conversations.mark_failed(turn, str(error))
            raise
    return turn
