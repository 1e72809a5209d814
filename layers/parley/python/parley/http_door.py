"""The HTTP door: what each route does. A turn itself is `turn.answer`'s.

Knows who may do what to a conversation; knows no paths (`http_api` has them) and
reads no environment.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley import __version__, desk
from parley.channels import http, rendering, slack, socket, token, webhook
from parley.channels.operator import check_operator, is_operator
from parley.conversation import Feedback, RecordedTurn, Session, Turn
from parley.errors import MalformedRequest, NotFound, NotYours, Unavailable
from parley.http_app import json_response
from parley.lines import Lines
from parley.live import tell
from parley.ports import Opened, TurnQueue
from parley.services import Services
from parley.turn import Answered, answer
from parley.waiting import agree_to_wait

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """The routes of the HTTP API, one method each."""

    services: Services
    queue: TurnQueue
    lines: Lines
    operator_key: Callable[[], bytes]
    default_bot: str
    stage: str
    explains: bool = False  # to everybody, not only to operators
    socket_address: str = ""  # of the WebSocket API

    def chat(self, request: http.ChatRequest, authorization: str | None, prefer: str | None) -> Response[Any]:
        """A reply to one message, or its acceptance."""
        secret, session, opened, turn = self._open(request, authorization)
        given = {"conversation_id": turn.conversation_id, "conversation_token": secret}
        if request.explain:
            self._may_explain(authorization)
        if http.prefers_async(prefer):
            return self._accept(turn, session, given, is_new=opened.is_new)
        answered = answer(turn, self.services, opened=opened)
        log_turn(turn, answered)
        body = {**given, **rendering.render_reply(answered.turn), "timings_ms": answered.timings_ms}
        if request.wait and answered.turn.reply.may_wait:
            agree_to_wait(answered.after, turn.id, self.services.conversations, self.lines.late, now=turn.sent_at)
        if answered.is_handed_off:
            body["handed_off"] = True
        if request.explain:
            body["explanation"] = rendering.render_explanation(
                answered.turn, before=answered.before, after=answered.after, timings_ms=answered.timings_ms
            )
        return json_response(200, rendering.without_nothing(body))

    def understand(self, request: http.UnderstandRequest) -> Response[Any]:
        """What a bot makes of an utterance."""
        loaded = self.services.bots(request.bot or self.default_bot)
        understanding = loaded.command(request.message)
        if understanding is None:
            heard = loaded.hear(request.message, self.services.encoder)
            understanding = loaded.understand(request.message, heard)
        return json_response(200, rendering.render_full_understanding(understanding))

    def history(self, conversation_id: str, authorization: str | None, limit: int, before: int | None) -> Response[Any]:
        """The latest turns of a conversation."""
        session, _ = self._own(conversation_id, authorization)
        turns = self.services.conversations.history(conversation_id, limit=limit, before=before)
        earlier = turns[0].number if turns and turns[0].number > 1 else None
        rendered = [rendering.render_turn(turn) for turn in turns]
        body = {"conversation_id": conversation_id, "turns": rendered, "next": earlier}
        if session.handed_off_at is not None:
            body["handed_off"] = True
        return json_response(200, rendering.without_nothing(body))

    def write(self, conversation_id: str, message: str, authorization: str | None) -> Response[Any]:
        """What a person says who has taken the conversation over."""
        check_operator(authorization, self.operator_key)
        turn = desk.write(conversation_id, message, self.services)
        self._tell(conversation_id, turn)
        logger.info("a person wrote", extra={"turn_id": turn.turn_id, "conversation_id": conversation_id})
        return json_response(201, rendering.render_turn(turn))

    def hand_back(self, conversation_id: str, authorization: str | None) -> Response[Any]:
        """Gives a conversation back to the bot."""
        check_operator(authorization, self.operator_key)
        turn = desk.hand_back(conversation_id, self.services)
        self._tell(conversation_id, turn)
        logger.info("handed back", extra={"turn_id": turn.turn_id, "conversation_id": conversation_id})
        return json_response(200, rendering.render_turn(turn))

    def progress(self, conversation_id: str, turn_id: str, authorization: str | None) -> Response[Any]:
        """How far an accepted turn has come."""
        self._own(conversation_id, authorization)
        progress = self.services.conversations.progress(conversation_id, turn_id)
        if progress is None:
            raise NotFound(f"no turn {turn_id!r} was accepted in this conversation")
        return json_response(200, rendering.render_progress(conversation_id, progress))

    def wait(self, conversation_id: str, turn_id: str, authorization: str | None) -> Response[Any]:
        """Agrees to wait for what could not be generated."""
        session, _ = self._own(conversation_id, authorization)
        now = self.services.clock()
        turn = agree_to_wait(session, turn_id, self.services.conversations, self.lines.late, now=now)
        return self._accepted(turn, {"conversation_id": conversation_id, "turn_id": turn.id, "status": "queued"})

    def rate(
        self, conversation_id: str, turn_id: str, request: http.FeedbackRequest, authorization: str | None
    ) -> Response[Any]:
        """Keeps what the person thinks of a reply."""
        self._own(conversation_id, authorization)
        feedback = Feedback(request.rating, self.services.clock(), request.comment)
        self.services.conversations.rate(conversation_id, turn_id, feedback)
        about = {"turn_id": turn_id, "conversation_id": conversation_id, "rating": feedback.rating}
        logger.info("reply rated", extra=about)
        return Response(status_code=204, body="")

    def erase(self, conversation_id: str, authorization: str | None) -> Response[Any]:
        """Forgets a conversation."""
        session, _ = self._own(conversation_id, authorization, also_half_erased=True)
        self.services.cache.erase(session.bot, conversation_id)
        self.services.conversations.erase(conversation_id)
        return Response(status_code=204, body="")

    def health(self, bot_name: str | None) -> Response[Any]:
        """That the function, its models and the bot, or the default one, are loaded."""
        bot = self.services.bots(bot_name or self.default_bot).bot
        about = {"name": bot.name, "title": bot.title, "description": bot.description, "version": bot.version}
        body = {"status": "ok", "version": __version__, "stage": self.stage, "explain": self.explains}
        websocket = self.socket_address or None
        return json_response(200, {**body, "websocket": websocket, "bot": {**about, "suggestions": bot.suggestions}})

    def _open(self, request: http.ChatRequest, authorization: str | None) -> tuple[str | None, Session, Opened, Turn]:
        """The token if it is new, the conversation, how it was found, and the turn."""
        now = self.services.clock()
        turn_id = request.turn_id or uuid.uuid4().hex
        if request.conversation_id is None:
            secret, bot = token.new_token(), self.services.bots(request.bot or self.default_bot).bot
            session = Session(
                conversation_id=uuid.uuid4().hex,
                bot=bot.name,
                token_digest=token.digest(secret),
                started_at=now,
                user_id=request.user_id,
            )
            opened = Opened(session, is_new=True)
        else:
            secret = None
            session, opened = self._own(request.conversation_id, authorization, turn_id=request.turn_id)
            if request.bot is not None and request.bot != session.bot:
                raise MalformedRequest(f"this conversation is with the bot {session.bot!r}; begin another to change")
            if request.user_id is not None and request.user_id != session.user_id:
                raise MalformedRequest("this conversation began with another `user_id`, or with none; leave it out")
        turn = Turn(turn_id, session.conversation_id, session.bot, "http", request.message, now, waits=request.wait)
        return secret, session, opened, turn

    def _own(
        self,
        conversation_id: str,
        authorization: str | None,
        *,
        turn_id: str | None = None,
        also_half_erased: bool = False,
    ) -> tuple[Session, Opened]:
        """The conversation and how it was found, for who holds its token.

        Raises:
            NotFound: there is none.
            NotYours: the token is missing or wrong.
        """
        opened = self.services.conversations.open(conversation_id, turn_id)
        session = opened.session
        if session is None or (session.is_being_erased and not also_half_erased):
            raise NotFound(f"there is no conversation {conversation_id!r}, or it was erased")
        holds_token = token.matches(token.bearer(authorization), session.token_digest)
        if not holds_token and not self._is_operator(authorization):
            raise NotYours("send the conversation's token as `Authorization: Bearer ...`")
        return session, opened

    def _is_operator(self, authorization: str | None) -> bool:
        return token.bearer(authorization) is not None and is_operator(authorization, self.operator_key())

    def _may_explain(self, authorization: str | None) -> None:
        if not self.explains and not self._is_operator(authorization):
            raise NotYours("`explain` is for the bearer of the operator key at this stage")

    def _accept(self, turn: Turn, session: Session, given: dict[str, Any], *, is_new: bool) -> Response[Any]:
        """Hands the turn to the worker."""
        conversations = self.services.conversations
        if is_new:
            conversations.start(session)
        known = conversations.accept(turn)
        if known is None:
            try:
                self.queue.send(turn)
            except Unavailable as error:
                conversations.mark_failed(turn, str(error))
                raise
            logger.info("turn queued", extra={"turn_id": turn.id, "conversation_id": turn.conversation_id})
        body = {**given, "turn_id": turn.id, "status": known.status if known else "queued"}
        return self._accepted(turn, body)

    def _accepted(self, turn: Turn, body: dict[str, Any]) -> Response[Any]:
        location = f"/v1/conversations/{turn.conversation_id}/turns/{turn.id}"
        return json_response(202, rendering.without_nothing(body), headers={"Location": location})

    def _tell(self, conversation_id: str, turn: RecordedTurn) -> None:
        tell(conversation_id, socket.turn(turn), self.lines.connections, self.lines.sockets)
        if slack.thread_of(conversation_id) is not None:
            where = slack.CHANNEL
        elif webhook.name_of(conversation_id) is not None:
            where = webhook.CHANNEL
        else:
            return
        session = self.services.conversations.open(conversation_id).session
        if session is not None:  # the worker finds the turn answered, and posts it
            self.queue.send(Turn(turn.turn_id, conversation_id, session.bot, where, "", turn.sent_at))


def log_turn(turn: Turn, answered: Answered, **more: str) -> None:
    """One line about an answered turn, without a word of what was said."""
    logger.info(
        "turn answered",
        extra={
            "turn_id": turn.id,
            "conversation_id": turn.conversation_id,
            "bot": turn.bot,
            "source": answered.turn.reply.source,
            "because": answered.because,
            "timings_ms": answered.timings_ms,
            **more,
        },
    )
