"""The door for clients of OpenAI: what each of its routes does, for bearers of an API key.

A conversation goes on in one of two ways. Under a name of the client's, it is kept as any other. Otherwise the messages
that come along are the conversation: the state that exactly this exchange left is looked up by a keyed hash, and what
was said is the turn's history. A turn itself is `turn.answer`'s. Knows no paths; `openai_api` has them.
"""

import logging
import uuid
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from aws_lambda_powertools.event_handler import Response

from parley.act import NOBODY
from parley.caching.key import keyed_hash
from parley.callers import Caller, Callers
from parley.channels import openai
from parley.conversation import RecordedTurn, Session, Turn
from parley.errors import Busy, MalformedRequest, NotKnown, SessionConflict
from parley.http_app import json_response
from parley.http_door import log_turn
from parley.live_completion import LiveCompletion
from parley.ports import ApiKey, Audience, Opened, ResponseStream
from parley.services import Services
from parley.turn import Answered, answer
from parley.uploading import keep

logger = logging.getLogger(__name__)


class _Found(NamedTuple):
    """Where a turn is said."""

    opened: Opened
    conversation_id: str
    earlier: tuple[RecordedTurn, ...] | None = None  # None: what the conversation itself remembers


@dataclass(frozen=True, slots=True)
class OpenAiDoor:
    """The routes of OpenAI's API, one method each."""

    services: Services
    callers: Callers

    def complete(
        self,
        request: openai.CompletionRequest,
        authorization: str | None,
        idempotency_key: str | None,
        response: ResponseStream | None = None,
    ) -> Response[Any]:
        """The bot's reply to the last message; a stream goes to `response` as it comes, where there is one."""
        caller, key = self._server(authorization)
        self.callers.check_talks(caller, request.model)
        if request.images and not self.services.bots(request.model).bot.uploads.types:
            raise MalformedRequest("this bot takes text parts only, no 'image_url'")
        turn_id = openai.turn_of_once(idempotency_key) if idempotency_key else uuid.uuid4().hex
        found = self._find(request, key, turn_id, idempotency_key)
        now, bot = self.services.clock(), request.model
        sent = self._sent(request, found.opened)
        turn = Turn(turn_id, found.conversation_id, bot, openai.CHANNEL, request.text, now, uploads=sent)
        if request.stream and response is not None:
            with LiveCompletion(request, turn, response) as live:
                live.done(*self._answer(request, key, turn, found, live))
            return Response(200, openai.EVENT_STREAM, "")  # which has left
        recorded, after, usage = self._answer(request, key, turn, found, NOBODY)
        if request.stream:
            stream = openai.render_stream(request, recorded, after, usage)
            return Response(200, openai.EVENT_STREAM, stream, headers=openai.OF_STREAMS)
        return json_response(200, openai.render_completion(request, recorded, after, usage))

    def _answer(
        self, request: openai.CompletionRequest, key: ApiKey, turn: Turn, found: _Found, audience: Audience
    ) -> tuple[RecordedTurn, Session, openai.Usage]:
        """The turn as it was recorded, what it has left, and how many tokens there were."""
        answered = answer(turn, self.services, opened=found.opened, audience=audience, earlier=found.earlier)
        log_turn(turn, answered, key=key.id)
        if answered.turn.message != request.text:
            raise MalformedRequest("this Idempotency-Key was used for another message")
        if found.earlier is not None:
            self._keep_state(request, key, answered)
        return answered.turn, answered.after, self._usage(request, answered)

    def models(self, authorization: str | None) -> Response[Any]:
        """The bots that the key opens."""
        caller, _ = self._server(authorization)
        talked_with = [bot for bot in self.callers.access if self.callers.may_talk(caller, bot)]
        return json_response(200, openai.render_models(talked_with))

    def model(self, name: str, authorization: str | None) -> Response[Any]:
        """One of them."""
        caller, _ = self._server(authorization)
        self.callers.check_talks(caller, name)
        return json_response(200, openai.render_model(name))

    def _server(self, authorization: str | None) -> tuple[Caller, ApiKey]:
        """Who bears an API key, and the key.

        Raises:
            NotKnown: it is none, or opens nothing.
            NotYours: it is not for talking.
        """
        caller = self.callers.who(authorization)
        if caller.key is None:
            raise NotKnown("send a valid API key as `Authorization: Bearer ...`")
        self.callers.check_scope(caller)
        return caller, caller.key

    def _find(
        self, request: openai.CompletionRequest, key: ApiKey, turn_id: str, idempotency_key: str | None
    ) -> _Found:
        """The conversation that the client names, or a new one that goes on where its messages end."""
        name, user, bot = request.conversation_name, request.user, request.model
        if name is not None:
            named = openai.conversation_of(key.id, user, bot, name)
            return _Found(self._opened(named, turn_id) or self._new(named, request, key), named)
        told = openai.said(request.messages[:-1])
        language, now = self.services.bots(bot).bot.language, self.services.clock()
        earlier = openai.earlier_turns(told, language=language, at=now)
        if idempotency_key is None:
            once, known = uuid.uuid4().hex, None
        else:
            once = openai.conversation_of_once(key.id, user, bot, idempotency_key)
            known = self._opened(once, turn_id)
        left = openai.exchanged(request.messages[:-1])
        return _Found(known or self._gone_on(once, left, len(earlier), request, key), once, earlier)

    def _sent(self, request: openai.CompletionRequest, opened: Opened) -> tuple[str, ...]:
        """The images of the last message, kept as files of the conversation; none if the turn was answered before."""
        session = opened.session
        if session is None or session.is_being_erased or opened.recorded is not None:
            return ()
        return tuple(keep(session, "image", *image, self.services).id for image in request.images)

    def _opened(self, conversation_id: str, turn_id: str) -> Opened | None:
        opened = self.services.conversations.open(conversation_id, turn_id)
        return opened if opened.session else None

    def _gone_on(
        self,
        conversation_id: str,
        told: tuple[tuple[str, str], ...],
        turns: int,
        request: openai.CompletionRequest,
        key: ApiKey,
    ) -> Opened:
        """A new conversation with the state that this exchange left, and so many turns behind it."""
        state = self._state_after(told, request, key) if told else None
        return self._new(conversation_id, request, key, version=turns, dialogue=state.dialogue if state else None)

    def _new(self, conversation_id: str, request: openai.CompletionRequest, key: ApiKey, **more: Any) -> Opened:
        # No token opens it: who has no API key comes to no conversation of this channel. Users are the key's own.
        user_id = f"{key.id}/{request.user}" if request.user is not None else None
        now = self.services.clock()
        session = Session(conversation_id, request.model, "", now, user_id=user_id, key_id=key.id, **more)
        return Opened(session, is_new=True)

    def _state_after(
        self, messages: tuple[tuple[str, str], ...], request: openai.CompletionRequest, key: ApiKey
    ) -> Session | None:
        state_id = self._state_id(messages, request, key)
        return self.services.conversations.open(state_id).session if state_id else None

    def _keep_state(self, request: openai.CompletionRequest, key: ApiKey, answered: Answered) -> None:
        """Keeps the state that this exchange has left, for who sends it along next time. It never changes.

        It goes with the conversation that left it first. Where others had the same exchange, it is gone for them too:
        who sends it along then has the messages only, until somebody leaves it again. Nobody is refused a reply
        because it cannot be kept.
        """
        reply = openai.text_of(answered.turn.reply.messages)
        exchange = (*openai.exchanged(request.messages), *([("assistant", reply)] if reply else []))
        state_id = self._state_id(exchange, request, key)
        dialogue = answered.after.dialogue
        if state_id is None or dialogue is None:
            return
        # Who sends an exchange along says that it goes on now, whenever somebody first had it; and a person who has
        # taken over could not be heard, since nobody looks into this conversation again.
        state = replace(
            answered.after,
            conversation_id=state_id,
            dialogue=replace(dialogue, heard_at=None),
            handed_off_at=None,
        )
        try:
            self.services.conversations.leave(answered.after.conversation_id, state)
        except SessionConflict:
            return  # the same was said before, and left the same; or the conversation is being erased
        except Busy as error:
            about = {"turn_id": answered.turn.turn_id, "reason": str(error)}
            logger.warning("the state of an exchange is not kept", extra=about)

    def _state_id(
        self, messages: tuple[tuple[str, str], ...], request: openai.CompletionRequest, key: ApiKey
    ) -> str | None:
        """Where the state after an exchange is kept: a keyed hash, so that the table tells nobody what was said."""
        if (secret := self.services.cache.key()) is None:
            return None
        parts = (key.id, request.user or "", request.model, openai.exchange(messages))
        return f"{openai.CHANNEL}-{keyed_hash(secret, 'exchange', *parts)}"

    def _usage(self, request: openai.CompletionRequest, answered: Answered) -> openai.Usage:
        """What the generator read and wrote, or else what went in and out, by the same counter."""
        if answered.tokens is not None:
            return openai.Usage(*answered.tokens)
        count = self.services.window.count
        prompt = sum(count(text) for _, text in openai.said(request.messages))
        return openai.Usage(prompt, count(openai.text_of(answered.turn.reply.messages)))
