"""Bringing to a caller's server what was decided: a reply, a late one, a person's words, or that there will be none.

It goes the way of all that is posted to other people's servers (`deliver_door`), with the same patience. Sent twice, it
has the same id.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from parley.bots.webhook import Webhook
from parley.channels import webhook as channel
from parley.conversation import RecordedTurn, Session, Turn
from parley.errors import ParleyError, TooLarge
from parley.ports import DeliveryQueue
from parley.services import Services

logger = logging.getLogger(__name__)


def deliver(recorded: RecordedTurn, turn: Turn, services: Services, queue: DeliveryQueue | None) -> None:
    """Sends a reply on its way; nothing, where nobody waits for it at a callback, or nothing is said.

    Of one that is too large for the queue the caller is told that it is.

    Raises:
        Unavailable: the queue did not take it.
    """
    if not recorded.reply.messages:
        return

    def reply(webhook: Webhook, origin: Mapping[str, Any]) -> Any:
        return channel.render_reply(webhook, turn.conversation_id, recorded, origin)

    try:
        _send(turn, services, queue, reply, recorded.reply.source)
    except TooLarge as error:
        _send_failure(turn, str(error), services, queue)


def deliver_failure(turn: Turn, detail: str, services: Services, queue: DeliveryQueue | None) -> None:
    """Tells a caller that there will be no reply, if that can be told."""
    try:
        _send_failure(turn, detail, services, queue)
    except ParleyError as error:
        about = {"conversation_id": turn.conversation_id, "reason": str(error)}
        logger.warning("a failure was not told", extra=about)


def _send_failure(turn: Turn, detail: str, services: Services, queue: DeliveryQueue | None) -> None:
    def failure(webhook: Webhook, origin: Mapping[str, Any]) -> Any:
        return channel.render_failure(webhook, turn.conversation_id, turn.id, detail, origin)

    _send(turn, services, queue, failure, channel.FAILED)


def _send(
    turn: Turn,
    services: Services,
    queue: DeliveryQueue | None,
    body_of: Callable[[Webhook, Mapping[str, Any]], Any],
    source: str,
) -> None:
    name = channel.name_of(turn.conversation_id)
    if name is None or queue is None:
        return
    webhook = services.bots(turn.bot).bot.webhooks.get(name)
    session: Session | None = services.conversations.open(turn.conversation_id).session
    if webhook is None or session is None:  # of a bot that has changed; erased
        return
    # A late answer, and what a person says, come with no message of the caller's: they want what its last one held.
    origin, now = turn.origin if turn.origin is not None else session.origin or {}, services.clock()
    about = turn.id, turn.conversation_id
    delivery = channel.call_back(
        webhook, turn.bot, name, *about, body_of(webhook, origin), origin, source=source, now=now
    )
    if delivery is not None:
        queue.send([delivery])
        logger.info("reply sent to the callback", extra={"turn_id": turn.id, "conversation_id": turn.conversation_id})
