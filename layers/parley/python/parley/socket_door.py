"""The socket door: what each frame of a WebSocket client does.

A message is acknowledged at once and goes to the queue; its reply comes back through
the worker (`live`). Knows who may do what, and no model: a connection costs no encoder.
"""

import logging
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from parley.callers import Caller, Callers, begun
from parley.channels import origins, problems, socket
from parley.conversation import Session, Turn
from parley.errors import MalformedRequest, NotFound, NotYours, ParleyError, Rejected, Unavailable
from parley.lines import Lines
from parley.ports import Clock, Conversations, TurnQueue
from parley.waiting import agree_to_wait

CHANNEL = "websocket"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SocketDoor:
    """What the function `socket` does with one event of the WebSocket API."""

    conversations: Conversations
    lines: Lines
    queue: TurnQueue
    callers: Callers
    default_bot: str
    clock: Clock
    explains: bool = False

    def __call__(self, event: dict[str, Any], _context: Any) -> dict[str, Any]:
        """Answers API Gateway; what the client is told goes through its connection."""
        about = event["requestContext"]
        connection_id = about["connectionId"]
        match about["eventType"]:
            case "CONNECT":
                return {"statusCode": self._connect(connection_id, event)}
            case "DISCONNECT":
                self.lines.connections.close(connection_id)
            case _:
                self._receive(connection_id, event.get("body") or "")
        return {"statusCode": 200}

    def _connect(self, connection_id: str, event: dict[str, Any]) -> int:
        """The HTTP status of the handshake: any but 200 refuses it.

        Who can set headers may name the conversation in the query and show its token, or theirs, as `Authorization:
        Bearer`. A page cannot, and shows it in its first frame. Before that nobody knows with which bot, so it is noted
        whose page it is.
        """
        named = (event.get("queryStringParameters") or {}).get("conversation_id")
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        try:
            self._note(connection_id, origins.page_of(headers))
            if named is not None:
                conversation_id = socket.read_conversation(named)
                self._owned(conversation_id, self.callers.who(headers.get("authorization")))
                self.lines.connections.listen(connection_id, conversation_id)
        except ParleyError as error:
            logger.warning("connection refused", extra={"reason": type(error).__name__})
            return problems.status_of(error)
        return HTTPStatus.OK

    def _note(self, connection_id: str, page: origins.Page | None) -> None:
        """Whose page has connected, if any bot asks. Raises: NotYours: they all do, and none talks there."""
        bots = self.callers.access
        refusing = [bot for bot in bots if not self.callers.talks_on(page, bot)]
        if page is None or not refusing:
            return
        if len(refusing) == len(bots):
            self.callers.check_page(page, refusing[0])
        self.lines.connections.open(connection_id, page.origin)  # no script on a page can change it

    def _check_page(self, connection_id: str, bot: str) -> None:
        """Raises: NotYours: the bot does not talk on the page that has connected."""
        if self.callers.asks_for_origins(bot):
            origin = self.lines.connections.origin_of(connection_id)
            self.callers.check_page(None if origin is None else origins.Page(origin), bot)

    def _receive(self, connection_id: str, body: str) -> None:
        frame: socket.Frame | None = None
        try:
            frame = socket.read_frame(body)
            self._act(connection_id, frame)
        except ParleyError as error:
            if not isinstance(error, Rejected):
                logger.error("frame failed", exc_info=error)
            self._refuse(connection_id, frame, error)
        except Exception as error:
            logger.exception("frame failed")
            self._refuse(connection_id, frame, error)

    def _refuse(self, connection_id: str, frame: socket.Frame | None, error: Exception) -> None:
        turn_id = getattr(frame, "turn_id", None)
        self.lines.sockets.send(connection_id, socket.failed(turn_id, socket.ACCEPTED, problems.told(error)))

    def _act(self, connection_id: str, frame: socket.Frame) -> None:
        match frame:
            case socket.Ping():
                self.lines.sockets.send(connection_id, socket.pong())
            case socket.Say():
                self._say(connection_id, frame)
            case socket.Resume():
                self._resume(connection_id, frame)
            case socket.Cancel():
                self.lines.connections.cancel(self._own(connection_id, frame).conversation_id, frame.turn_id)
            case socket.Wait():
                session = self._own(connection_id, frame)
                late = agree_to_wait(session, frame.turn_id, self.conversations, self.lines.late, now=self.clock())
                self.lines.sockets.send(connection_id, socket.accepted(late.id, session.conversation_id, None))

    def _say(self, connection_id: str, frame: socket.Say) -> None:
        if frame.explain and not self.explains:
            raise NotYours("`explain` is for the bearer of the operator key at this stage, and not for sockets")
        secret, session = self._opened(connection_id, frame)
        turn = Turn(
            frame.turn_id or uuid.uuid4().hex,
            session.conversation_id,
            session.bot,
            CHANNEL,
            frame.message,
            self.clock(),
            explain=frame.explain,
            waits=frame.wait,
            uploads=frame.uploads,
        )
        known = self.conversations.accept(turn)
        self.lines.connections.listen(connection_id, session.conversation_id, turn_id=turn.id)
        self.lines.sockets.send(connection_id, socket.accepted(turn.id, session.conversation_id, secret))
        if known is not None:
            self._tell_the_end(connection_id, session, turn.id, after=socket.ACCEPTED)
            return
        try:
            self.queue.send(turn)
        except Unavailable as error:
            self.conversations.mark_failed(turn, str(error))
            raise
        logger.info("turn queued", extra={"turn_id": turn.id, "conversation_id": turn.conversation_id})

    def _resume(self, connection_id: str, frame: socket.Resume) -> None:
        """The worker goes on with this connection from the number; what is over already is told from here."""
        session = self._own(connection_id, frame)
        if self.conversations.progress(session.conversation_id, frame.turn_id) is None:
            raise _no_turn(frame.turn_id)
        # Listen, then look again: a turn that ends in between is told by one of the two.
        self.lines.connections.listen(
            connection_id, session.conversation_id, turn_id=frame.turn_id, after=max(frame.after, socket.ACCEPTED)
        )
        self._tell_the_end(connection_id, session, frame.turn_id, after=frame.after)

    def _tell_the_end(self, connection_id: str, session: Session, turn_id: str, *, after: int) -> None:
        progress = self.conversations.progress(session.conversation_id, turn_id)
        if progress is None:
            raise _no_turn(turn_id)
        if progress.recorded is not None:
            more = {"handed_off": True} if session.handed_off_at is not None else {}
            end = socket.done(session.conversation_id, after + 1, progress.recorded, **more)
            self.lines.sockets.send(connection_id, end)
        elif progress.status == "failed":
            reason = problems.problem(503, progress.reason or problems.BROKEN)
            self.lines.sockets.send(connection_id, socket.failed(turn_id, after + 1, reason))

    def _opened(self, connection_id: str, frame: socket.Say) -> tuple[str | None, Session]:
        """The conversation that is meant, or a new one with its token."""
        caller = self._caller(frame)
        user_id = caller.user_of(frame.user_id)
        if frame.conversation_id is not None or self.lines.connections.conversation_of(connection_id) is not None:
            session = self._own(connection_id, frame)
            if frame.bot is not None and frame.bot != session.bot:
                raise MalformedRequest(f"this conversation is with the bot {session.bot!r}; begin another to change")
            if frame.user_id is not None and user_id != session.user_id:
                raise MalformedRequest("this conversation began with another `user_id`, or with none; leave it out")
            return None, session
        if frame.uploads:
            raise MalformedRequest("name the conversation into which the files were sent")
        bot = frame.bot or self.default_bot
        self.callers.check_talks(caller, bot)
        self._check_page(connection_id, bot)
        secret, session = begun(bot, caller, user_id, now=self.clock())
        self.conversations.start(session)
        return secret, session

    def _own(self, connection_id: str, frame: socket.Frame) -> Session:
        """The conversation that a frame speaks of, for those whose it is, or who have shown that on this connection.

        Raises:
            MalformedRequest: none was named.
            NotFound: there is none.
            NotYours: it is somebody else's, or the bot does not talk on this page.
        """
        shown = self.lines.connections.conversation_of(connection_id)
        conversation_id = frame.conversation_id or shown
        if conversation_id is None:
            raise MalformedRequest("name the conversation: `conversation_id` and `conversation_token`")
        if conversation_id == shown:
            session = self._session(conversation_id)
        else:
            session = self._owned(conversation_id, self._caller(frame))
        self._check_page(connection_id, session.bot)
        return session

    def _caller(self, frame: socket.Frame) -> Caller:
        shown = frame.access_token or frame.conversation_token
        return self.callers.who(f"Bearer {shown}" if shown else None)

    def _owned(self, conversation_id: str, caller: Caller) -> Session:
        """The conversation, for those whose it is. Raises: NotFound; NotYours."""
        session = self._session(conversation_id)
        self.callers.check_owns(caller, session)
        return session

    def _session(self, conversation_id: str) -> Session:
        """The conversation. Raises: NotFound."""
        session = self.conversations.open(conversation_id).session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation {conversation_id!r}, or it was erased")
        return session


def _no_turn(turn_id: str) -> NotFound:
    return NotFound(f"no turn {turn_id!r} was accepted in this conversation")
