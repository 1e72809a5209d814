"""The door for other people's servers: what each sends becomes a turn, answered at once or called back.

Where a bot's author wants a callback, the turn goes to the queue and its reply comes through the worker
(`callback_delivery`); else the reply is the answer. Knows whom to believe; what is where in a request, the bot says.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley.bots.webhook import Webhook
from parley.channels import webhook as channel
from parley.conversation import Session, Turn
from parley.errors import NotFound, Unavailable
from parley.http_app import json_response
from parley.http_door import log_turn
from parley.ports import Opened, TurnQueue
from parley.services import Services
from parley.turn import answer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookDoor:
    """What comes of a request to `/v1/webhooks/{name}`."""

    services: Services
    queue: TurnQueue
    secrets: Callable[[str], str]  # by name
    default_bot: str

    def receive(self, bot: str | None, name: str, body: str, headers: Mapping[str, str]) -> Response[Any]:
        """The reply, or that there will be one, or that nobody wants one."""
        bot = bot or self.default_bot
        webhook = self.services.bots(bot).bot.webhooks.get(name)
        if webhook is None:
            raise NotFound(f"the bot {bot!r} has no webhook {name!r}")
        lower = {key.lower(): value for key, value in headers.items()}
        try:
            channel.check_caller(webhook.verify, body, lower, self.secrets(webhook.verify.secret))
        except ValueError as error:
            raise Unavailable("the secret of this webhook is not `whsec_` and base64") from error
        payload = json.loads(body or "null")
        if not channel.is_wanted(webhook, payload):
            logger.info("a webhook was passed over", extra={"bot": bot, "webhook": name})
            return json_response(200, {"status": "ignored"})
        said = channel.read(bot, name, webhook, payload)
        session, opened = self._opened(bot, said)
        turn = Turn(
            said.turn_id,
            said.conversation_id,
            bot,
            channel.CHANNEL,
            said.text,
            self.services.clock(),
            waits=webhook.callback is not None,
            origin=said.origin,
        )
        if webhook.callback is not None:
            return self._accept(turn, session, webhook, name, said.origin, is_new=opened.is_new)
        answered = answer(turn, self.services, opened=opened)
        log_turn(turn, answered, webhook=name)
        return json_response(200, channel.render_reply(webhook, turn.conversation_id, answered.turn, said.origin))

    def _opened(self, bot: str, said: channel.Said) -> tuple[Session, Opened]:
        """The conversation, which begins with the first that is said in it. No token opens it."""
        opened = self.services.conversations.open(said.conversation_id, said.turn_id)
        if opened.session is not None:
            if opened.session.is_being_erased:
                raise Unavailable("this conversation is being erased; send it again in a moment")
            return opened.session, opened
        now = self.services.clock()
        session = Session(said.conversation_id, bot, "", now, user_id=said.user_id, origin=said.origin)
        return session, Opened(session, is_new=True)

    def _accept(
        self, turn: Turn, session: Session, webhook: Webhook, name: str, origin: Mapping[str, Any], *, is_new: bool
    ) -> Response[Any]:
        """Hands the turn to the worker, also one that is only noted as queued: see `slack_door`."""
        conversations = self.services.conversations
        # What makes no URL, or leaves no room for a reply, must be told now, while somebody hears it.
        least = channel.render_failure(webhook, turn.conversation_id, turn.id, "", origin)
        about = turn.id, turn.conversation_id
        channel.call_back(webhook, turn.bot, name, *about, least, origin, source=channel.FAILED, now=0.0)
        if is_new:
            conversations.start(session)
        known = conversations.accept(turn)
        if known is None or known.status == "queued":
            try:
                self.queue.send(turn)
            except Unavailable as error:
                conversations.mark_failed(turn, str(error))
                raise
            logger.info("turn queued", extra={"turn_id": turn.id, "conversation_id": turn.conversation_id})
        status = known.status if known else "queued"
        return json_response(202, {"status": status, "turn": turn.id, "conversation": turn.conversation_id})
