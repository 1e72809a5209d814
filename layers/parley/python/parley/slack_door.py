"""The Slack door: what each request of Slack's does.

Slack waits three seconds for an answer, so a turn goes to the queue and its reply comes
through the worker (`slack_delivery`). Knows whom to believe, and no model.
"""

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from parley.channels import problems, slack, slack_posts
from parley.conversation import Feedback, Session, Turn
from parley.errors import MalformedRequest, NotFound, ParleyError, Rejected, SessionConflict, Unavailable
from parley.ports import Clock, Conversations, Remark, SlackResponses, TurnQueue, Workspaces
from parley.slack_install import INSTALL, REDIRECT, SlackInstall

EVENTS, INTERACTIONS, COMMANDS = "/slack/events", "/slack/interactions", "/slack/commands"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlackDoor:
    """What the function `slack` does with one request of the HTTP API. One signing secret serves all workspaces."""

    conversations: Conversations
    queue: TurnQueue
    signing_secret: Callable[[], bytes]
    bot: str
    clock: Clock
    responses: SlackResponses
    workspaces: Workspaces | None = None  # None: one, with its token in Secrets Manager
    install: SlackInstall | None = None

    def __call__(self, event: dict[str, Any], _context: Any) -> dict[str, Any]:
        """The response. What is none of 2xx, Slack sends again, three times at most."""
        try:
            return self._respond(event)
        except ParleyError as error:
            if not isinstance(error, Rejected):
                logger.error("request of Slack's failed", exc_info=error)
            return _problem(problems.told(error))
        except Exception as error:
            logger.exception("request of Slack's failed")
            return _problem(problems.told(error))

    def _respond(self, event: Mapping[str, Any]) -> dict[str, Any]:
        if self.install and event["rawPath"].endswith((INSTALL, REDIRECT)):
            return self.install(event)
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        body = _body(event)
        if not slack.is_signed(body, headers, self.signing_secret(), now=self.clock()):
            logger.warning("a request that Slack did not sign, or long ago")
            return _problem(problems.problem(HTTPStatus.UNAUTHORIZED, "Slack has not signed this, or not lately"))
        match self._read(event["rawPath"], body):
            case slack.Challenge(challenge):
                return _json(HTTPStatus.OK, {"challenge": challenge})
            case slack.Said() as said:
                self._accept(said, retry=headers.get("x-slack-retry-num"))
                if event["rawPath"].endswith(COMMANDS):
                    return _told(slack_posts.render_question(said.text))
            case slack.Help() as wanted:
                bot = self._begun(wanted).bot
                self.queue.tell(Remark(wanted.id, wanted.conversation_id, bot, "bot", wanted.reply_to))
            case slack.Rated() as rated:
                self._rate(rated)
            case slack.Removed(team, at):
                gone = self.workspaces is not None and self.workspaces.delete(team, before=at)
                logger.info("workspace gone", extra={"team": team, "forgotten": gone})
            case slack.Ignored(why):
                logger.info("nothing to answer", extra={"why": why})
        return {"statusCode": int(HTTPStatus.OK), "body": ""}

    def _read(self, path: str, body: bytes) -> slack.Event:
        if path.endswith(COMMANDS):
            return slack.read_command(body, at=self.clock())
        return slack.read_interaction(body) if path.endswith(INTERACTIONS) else slack.read_event(body)

    def _rate(self, rated: slack.Rated) -> None:
        """Keeps what somebody thinks of a reply, in place of what anybody thought before, and thanks him alone."""
        about = {"turn_id": rated.turn_id, "conversation_id": rated.conversation_id, "rating": rated.rating}
        told = slack_posts.THANKS
        try:
            self.conversations.rate(rated.conversation_id, rated.turn_id, Feedback(rated.rating, rated.at))
            logger.info("reply rated", extra=about)
        except NotFound:
            told = slack_posts.TOO_OLD
        try:
            self.responses.respond(rated.reply_to, slack_posts.render_note(told), thread=rated.thread)
        except ParleyError as error:  # it is kept, and Slack waits
            logger.warning("nobody was thanked", extra={**about, "reason": str(error)})

    def _accept(self, said: slack.Said, *, retry: str | None) -> None:
        """Hands the turn over, unless it was worked on before.

        One that is only noted as queued is handed over again: the function may have ended between the note and the
        queue. If it did not, SQS drops the second, which is the same to the letter, for five minutes, and after them
        the worker finds it answered and posted.
        """
        bot = self._begun(said).bot
        if said.has_files:  # one word for as many as somebody sends at once
            self.queue.tell(Remark("files", said.conversation_id, bot, "files"))
        if not said.text:
            return
        turn = Turn(
            said.turn_id,
            said.conversation_id,
            bot,
            slack.CHANNEL,
            said.text,
            said.sent_at,
            waits=True,
            reply_to=said.reply_to,
        )
        about = {"turn_id": turn.id, "conversation_id": turn.conversation_id, "retry": retry}
        known = self.conversations.accept(turn)
        if known is not None and known.status != "queued":
            logger.info("turn known already", extra={**about, "status": known.status})
            return
        try:
            self.queue.send(turn)
        except Unavailable as error:
            self.conversations.mark_failed(turn, str(error))
            raise
        logger.info("turn queued", extra=about)

    def _begun(self, said: slack.Said | slack.Help) -> Session:
        """The conversation, which begins with the first that is said in its place. No token opens it."""
        session = self.conversations.open(said.conversation_id).session
        if session is None:
            bot = self._bot_of(said.conversation_id)
            session = Session(said.conversation_id, bot, "", self.clock(), user_id=said.user_id)
            try:
                self.conversations.start(session)
            except SessionConflict:  # somebody else said something there at the same moment
                return self.conversations.open(said.conversation_id).session or session
        if session.is_being_erased:
            raise Unavailable("this conversation is being erased; say it again in a moment")
        return session

    def _bot_of(self, conversation_id: str) -> str:
        """Whom a workspace talks to: the bot that was named when the app was installed there."""
        where = slack.thread_of(conversation_id)
        workspace = self.workspaces.get(where.team) if self.workspaces and where else None
        return workspace.bot if workspace else self.bot


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else str(body).encode()
    except ValueError as error:  # also half a character
        raise MalformedRequest("the body could not be read") from error


def _json(status: int, body: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    content = msgspec.json.encode(body).decode()
    return {"statusCode": int(status), "headers": {"Content-Type": media_type}, "body": content}


def _told(text: str) -> dict[str, Any]:
    """What only he sees who gave a command."""
    return _json(HTTPStatus.OK, {"response_type": "ephemeral", "text": text})


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    return _json(problem["status"], problem, "application/problem+json")
