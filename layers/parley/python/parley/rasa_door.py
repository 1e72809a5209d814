"""The door for clients of Rasa: what each of its routes does, for the bots that have them switched on.

A turn is `turn.answer`'s. Knows no paths; `http_api` has them.
"""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley.callers import Caller, Callers
from parley.channels import origins, rasa
from parley.conversation import Session, Turn
from parley.dialogue import protocol
from parley.errors import NotFound
from parley.http_app import json_response
from parley.http_door import log_turn
from parley.loaded import LoadedBot
from parley.ports import Opened
from parley.services import Services
from parley.turn import answer

MOST_TURNS = 1_000  # whose events a tracker shows


@dataclass(frozen=True, slots=True)
class RasaDoor:
    """The routes of Rasa's HTTP API, one method each."""

    services: Services
    callers: Callers
    default_bot: str

    def webhook(self, message: rasa.RestMessage, turn_id: str, page: origins.Page | None = None) -> Response[Any]:
        """The bot's replies to one message of the REST channel, whose callers are visitors."""
        bot = self._bot()
        self.callers.check_talks(Caller(), bot.bot.name)
        self.callers.check_page(page, bot.bot.name)
        conversation_id = rasa.conversation_of(bot.bot.name, message.sender)
        opened = self.services.conversations.open(conversation_id, turn_id)
        if opened.session is None:
            begun = Session(conversation_id, bot.bot.name, "", self.services.clock(), user_id=None)
            opened = Opened(begun, is_new=True)
        now = self.services.clock()
        turn = Turn(turn_id, conversation_id, bot.bot.name, rasa.CHANNEL, message.message, now)
        answered = answer(turn, self.services, opened=opened)
        log_turn(turn, answered)
        return json_response(200, rasa.render_messages(message.sender, answered.turn.reply.messages))

    def parse(self, request: rasa.ParseRequest) -> Response[Any]:
        """What the bot makes of an utterance."""
        loaded = self._bot()
        understanding = loaded.command(request.text)
        if understanding is None:
            heard = loaded.hear(request.text, self.services.encoder)
            understanding = loaded.understand(request.text, heard)
        return json_response(200, rasa.render_parse(request.text, understanding, request.message_id))

    def tracker(self, sender: str, authorization: str | None, token: str | None) -> Response[Any]:
        """Everything about a sender's conversation, for operators; Rasa's clients give the key as `token` too."""
        loaded = self._bot()
        caller = self.callers.who(f"Bearer {token}" if token else authorization)
        self.callers.check_operates(caller, loaded.bot.name)
        conversation_id = rasa.conversation_of(loaded.bot.name, sender)
        session = self.services.conversations.open(conversation_id).session
        if session is None or session.is_being_erased:
            raise NotFound(f"there is no conversation with {sender!r}")
        turns = self.services.conversations.history(conversation_id, limit=MOST_TURNS)
        return json_response(200, rasa.render_tracker(loaded.bot, sender, session, turns))

    def status(self) -> Response[Any]:
        """Which bot it is."""
        bot = self._bot().bot
        body = {"model_file": f"{bot.name}-{bot.version}", "model_id": bot.version, "num_active_training_jobs": 0}
        return json_response(200, body)

    def version(self) -> Response[Any]:
        """Whose protocol this is."""
        self._bot()
        return json_response(200, {"version": protocol.RASA_VERSION, "minimum_compatible_version": "3.5.0"})

    def _bot(self) -> LoadedBot:
        loaded = self.services.bots(self.default_bot)
        if not loaded.bot.rasa_api:
            raise NotFound("there is no such route; /openapi.json lists them")
        return loaded
