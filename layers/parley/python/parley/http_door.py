"""The HTTP door: what each route does. A turn itself is `turn.answer`'s.

Knows who may do what to a conversation; knows no paths (`http_api` has them) and
reads no environment.
"""

import logging
import uuid
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley import __version__, desk
from parley.callers import Caller, Callers, begun
from parley.channels import files, http, origins, rendering, slack, socket, webhook
from parley.conversation import Feedback, RecordedTurn, Session, Turn
from parley.errors import Busy, MalformedRequest, NotFound, NotYours, OverQuota, Unavailable
from parley.http_app import file_response, json_response
from parley.lines import Lines
from parley.live import tell
from parley.ports import Opened, TurnQueue
from parley.services import Services
from parley.turn import Answered, admit, answer, sent_with
from parley.uploading import keep
from parley.waiting import agree_to_wait

ERASED_AT_ONCE = 50  # conversations of a user; each takes some writes, and API Gateway waits 30 s

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """The routes of the HTTP API, one method each."""

    services: Services
    queue: TurnQueue
    lines: Lines
    callers: Callers
    default_bot: str
    stage: str
    explains: bool = False  # to everybody, not only to operators
    socket_address: str = ""  # of the WebSocket API

    def chat(
        self,
        request: http.ChatRequest,
        authorization: str | None,
        prefer: str | None,
        page: origins.Page | None = None,
    ) -> Response[Any]:
        """A reply to one message, or its acceptance."""
        caller = self.callers.who(authorization)
        secret, session, opened, turn = self._open(request, caller)
        self.callers.check_page(page, session.bot)
        given = {"conversation_id": turn.conversation_id, "conversation_token": secret}
        if request.explain:
            self._check_explains(caller)
        if http.prefers_async(prefer):
            return self._accept(turn, session, given, is_new=opened.is_new)
        answered = answer(turn, self.services, opened=opened)
        log_turn(turn, answered)
        body = {**given, **rendering.render_reply(answered.turn), "timings_ms": answered.timings_ms}
        if request.wait and answered.turn.reply.may_wait:
            self._agree_to_wait(answered.after, turn)
        if answered.is_handed_off:
            body["handed_off"] = True
        if request.explain:
            body["explanation"] = rendering.render_explanation(
                answered.turn, before=answered.before, after=answered.after, timings_ms=answered.timings_ms
            )
        return json_response(200, rendering.without_nothing(body))

    def begin(
        self, request: http.BeginRequest, authorization: str | None, page: origins.Page | None = None
    ) -> Response[Any]:
        """A conversation in which nobody has said anything yet, so that files can be sent into it."""
        caller = self.callers.who(authorization)
        bot = request.bot or self.default_bot
        self.callers.check_talks(caller, bot)
        self.callers.check_page(page, bot)
        secret, session = begun(bot, caller, caller.user_of(request.user_id), now=self.services.clock())
        self.services.metering.admit(session, begins=True)
        self.services.conversations.start(session)
        given = {"conversation_id": session.conversation_id, "conversation_token": secret}
        return json_response(201, rendering.without_nothing(given))

    def upload(
        self,
        conversation_id: str,
        name: str,
        claimed: str,
        content: bytes,
        authorization: str | None,
        page: origins.Page | None = None,
    ) -> Response[Any]:
        """Takes a file into a conversation."""
        caller = self.callers.who(authorization)
        session, _ = self._own(conversation_id, caller)
        self.callers.check_page(page, session.bot)
        kept = keep(session, name, claimed, content, self.services)
        try:
            self._own(conversation_id, caller)
        except NotFound:  # erased in this very moment, so that nobody else will take the file away
            self.services.uploads.erase(session.bot, conversation_id)
            raise
        about = {"conversation_id": conversation_id, "upload_id": kept.id, "type": kept.type, "bytes": kept.bytes}
        logger.info("file taken", extra=about)
        return json_response(201, files.render_taken(kept))

    def uploaded(self, conversation_id: str, upload_id: str, authorization: str | None) -> Response[Any]:
        """A file that was sent into a conversation."""
        session, _ = self._own(conversation_id, self.callers.who(authorization))
        upload, content = self.services.uploads.read(session.bot, conversation_id, upload_id)
        return file_response(upload.type, content, headers=files.headers_of(upload))

    def understand(self, request: http.UnderstandRequest, authorization: str | None) -> Response[Any]:
        """What a bot makes of an utterance."""
        bot = request.bot or self.default_bot
        self.callers.check_sees(self.callers.who(authorization), bot)
        loaded = self.services.bots(bot)
        understanding = loaded.command(request.message)
        if understanding is None:
            heard = loaded.hear(request.message, self.services.encoder)
            understanding = loaded.understand(request.message, heard)
        return json_response(200, rendering.render_full_understanding(understanding))

    def history(self, conversation_id: str, authorization: str | None, limit: int, before: int | None) -> Response[Any]:
        """The latest turns of a conversation."""
        session, _ = self._own(conversation_id, self.callers.who(authorization))
        turns = self.services.conversations.history(conversation_id, limit=limit, before=before)
        earlier = turns[0].number if turns and turns[0].number > 1 else None
        rendered = [rendering.render_turn(turn) for turn in turns]
        body = {"conversation_id": conversation_id, "turns": rendered, "next": earlier}
        if session.handed_off_at is not None:
            body["handed_off"] = True
        return json_response(200, rendering.without_nothing(body))

    def conversations(
        self, user_id: str | None, authorization: str | None, limit: int, before: float | None
    ) -> Response[Any]:
        """A user's conversations, the latest first."""
        user = self.callers.user_meant(self.callers.who(authorization), user_id)
        found = self.services.conversations.of_user(user, limit=limit, before=before)
        listed = [{"conversation_id": each.conversation_id, "updated_at": each.updated_at} for each in found]
        earlier = found[-1].updated_at if len(found) == limit else None
        return json_response(200, rendering.without_nothing({"conversations": listed, "next": earlier}))

    def erase_all(self, user_id: str | None, authorization: str | None) -> Response[Any]:
        """Forgets a user's conversations, some of them if there are many."""
        user = self.callers.user_meant(self.callers.who(authorization), user_id)
        found = self.services.conversations.of_user(user, limit=ERASED_AT_ONCE)
        for each in found:
            if session := self.services.conversations.open(each.conversation_id).session:
                self._erase(session)
        logger.info("conversations of a user erased", extra={"erased": len(found)})
        return json_response(200, {"erased": len(found), "more": len(found) == ERASED_AT_ONCE})

    def write(self, conversation_id: str, message: str, authorization: str | None) -> Response[Any]:
        """What a person says who has taken the conversation over."""
        self._check_operated(conversation_id, authorization)
        turn = desk.write(conversation_id, message, self.services)
        self._tell(conversation_id, turn)
        logger.info("a person wrote", extra={"turn_id": turn.turn_id, "conversation_id": conversation_id})
        return json_response(201, rendering.render_turn(turn))

    def hand_back(self, conversation_id: str, authorization: str | None) -> Response[Any]:
        """Gives a conversation back to the bot."""
        self._check_operated(conversation_id, authorization)
        turn = desk.hand_back(conversation_id, self.services)
        self._tell(conversation_id, turn)
        logger.info("handed back", extra={"turn_id": turn.turn_id, "conversation_id": conversation_id})
        return json_response(200, rendering.render_turn(turn))

    def progress(self, conversation_id: str, turn_id: str, authorization: str | None) -> Response[Any]:
        """How far an accepted turn has come."""
        self._own(conversation_id, self.callers.who(authorization))
        progress = self.services.conversations.progress(conversation_id, turn_id)
        if progress is None:
            raise NotFound(f"no turn {turn_id!r} was accepted in this conversation")
        return json_response(200, rendering.render_progress(conversation_id, progress))

    def wait(self, conversation_id: str, turn_id: str, authorization: str | None) -> Response[Any]:
        """Agrees to wait for what could not be generated."""
        session, _ = self._own(conversation_id, self.callers.who(authorization))
        now = self.services.clock()
        turn = agree_to_wait(session, turn_id, self.services.conversations, self.lines.late, now=now)
        return self._accepted(turn, {"conversation_id": conversation_id, "turn_id": turn.id, "status": "queued"})

    def rate(
        self, conversation_id: str, turn_id: str, request: http.FeedbackRequest, authorization: str | None
    ) -> Response[Any]:
        """Keeps what the person thinks of a reply."""
        self._own(conversation_id, self.callers.who(authorization))
        feedback = Feedback(request.rating, self.services.clock(), request.comment or "")
        self.services.conversations.rate(conversation_id, turn_id, feedback)
        about = {"turn_id": turn_id, "conversation_id": conversation_id, "rating": feedback.rating}
        logger.info("reply rated", extra=about)
        return Response(status_code=204, body="")

    def erase(self, conversation_id: str, authorization: str | None) -> Response[Any]:
        """Forgets a conversation."""
        session, _ = self._own(conversation_id, self.callers.who(authorization), also_half_erased=True)
        self._erase(session)
        return Response(status_code=204, body="")

    def health(self, bot_name: str | None, authorization: str | None) -> Response[Any]:
        """That the function, its models and a bot are loaded; and what bot it is, to those who may talk with it."""
        caller = self.callers.who(authorization)
        if bot_name is not None:
            self.callers.check_sees(caller, bot_name)
        bot = self.services.bots(bot_name or self.default_bot).bot
        body = {"status": "ok", "version": __version__, "stage": self.stage, "explain": self.explains}
        body |= {"websocket": self.socket_address or None}
        if self.callers.may_talk(caller, bot.name):
            about = {"name": bot.name, "title": bot.title, "description": bot.description, "version": bot.version}
            body |= {"bot": {**about, "suggestions": bot.suggestions, **files.render_taking(bot.uploads)}}
        return json_response(200, body)

    def _open(self, request: http.ChatRequest, caller: Caller) -> tuple[str | None, Session, Opened, Turn]:
        """The token if it is new, the conversation, how it was found, and the turn."""
        now = self.services.clock()
        turn_id = request.turn_id or uuid.uuid4().hex
        user_id = caller.user_of(request.user_id)
        if request.conversation_id is None and request.uploads:
            raise MalformedRequest("name the conversation into which the files were sent")
        if request.conversation_id is None:
            bot = request.bot or self.default_bot
            self.callers.check_talks(caller, bot)
            secret, session = begun(bot, caller, user_id, now=now)
            opened = Opened(session, is_new=True)
        else:
            secret = None
            session, opened = self._own(request.conversation_id, caller, turn_id=request.turn_id)
            if request.bot is not None and request.bot != session.bot:
                raise MalformedRequest(f"this conversation is with the bot {session.bot!r}; begin another to change")
            if request.user_id is not None and user_id != session.user_id:
                raise MalformedRequest("this conversation began with another `user_id`, or with none; leave it out")
        turn = Turn(
            turn_id,
            session.conversation_id,
            session.bot,
            "http",
            request.message,
            now,
            waits=request.wait,
            uploads=tuple(request.uploads),
        )
        return secret, session, opened, turn

    def _own(
        self,
        conversation_id: str,
        caller: Caller,
        *,
        turn_id: str | None = None,
        also_half_erased: bool = False,
    ) -> tuple[Session, Opened]:
        """The conversation and how it was found, for those whose it is, and operators.

        Raises:
            NotFound: there is none, or it is another tenant's.
            NotYours: it is somebody else's.
        """
        opened = self.services.conversations.open(conversation_id, turn_id)
        session = opened.session
        if session is None or (session.is_being_erased and not also_half_erased):
            raise NotFound(f"there is no conversation {conversation_id!r}, or it was erased")
        self.callers.check_owns(caller, session)
        return session, opened

    def _check_operated(self, conversation_id: str, authorization: str | None) -> None:
        """Raises: NotYours: they are no operator; NotFound: there is no such conversation of their tenant's."""
        caller = self.callers.who(authorization)
        self.callers.check_operates(caller)
        self._own(conversation_id, caller)

    def _check_explains(self, caller: Caller) -> None:
        if not self.explains and not caller.operates:
            raise NotYours("`explain` is for operators at this stage")

    def _erase(self, session: Session) -> None:
        bot, conversation_id = session.bot, session.conversation_id
        self.services.cache.erase(bot, conversation_id)
        # Before, so that an erasure that breaks off here can be repeated; after, for what came in between.
        self.services.uploads.erase(bot, conversation_id)
        self.services.conversations.erase(conversation_id)
        self.services.uploads.erase(bot, conversation_id)

    def _accept(self, turn: Turn, session: Session, given: dict[str, Any], *, is_new: bool) -> Response[Any]:
        """Hands the turn to the worker."""
        conversations = self.services.conversations
        sent_with(turn, self.services)  # the client is told now, not by the worker, of a file that is not there
        if is_new:
            conversations.start(session)
        known = conversations.accept(turn)
        if known is None:
            try:
                admit(session, turn, self.services, comes_again=True)  # who may not, is told now
                self.queue.send(turn)
            except (OverQuota, Unavailable) as error:
                conversations.mark_failed(turn, str(error))
                raise
            logger.info("turn queued", extra={"turn_id": turn.id, "conversation_id": turn.conversation_id})
        body = {**given, "turn_id": turn.id, "status": known.status if known else "queued"}
        return self._accepted(turn, body)

    def _agree_to_wait(self, session: Session, turn: Turn) -> None:
        """Agrees to wait, as the client did beforehand.

        The turn is recorded: where this fails, they get its reply all the same, and can still agree by its `may_wait`.
        """
        try:
            agree_to_wait(session, turn.id, self.services.conversations, self.lines.late, now=turn.sent_at)
        except Busy as error:
            about = {"turn_id": turn.id, "conversation_id": turn.conversation_id, "reason": str(error)}
            logger.warning("no later answer could be promised", extra=about)

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
