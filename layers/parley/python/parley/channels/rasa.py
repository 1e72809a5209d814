"""Rasa's own HTTP API: the JSON of its REST channel, `/model/parse`, tracker and status, in and out.

Pure conversions. Senders name themselves there, without any token, so a conversation of theirs is reached by a name
that this channel alone uses.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from parley.bots.bot import Bot
from parley.channels.http import ButtonBody, IntentBody, MessageText
from parley.conversation import Message, RecordedTurn, Session, Understanding
from parley.dialogue import protocol
from parley.generation.citing import without_marks

CHANNEL = "rest"
LONGEST_SENDER = 255


class RestMessage(BaseModel):
    """What a client of Rasa's REST channel sends."""

    model_config = ConfigDict(extra="ignore")

    sender: Annotated[str, Field(min_length=1, max_length=LONGEST_SENDER)] = "default"
    message: MessageText
    metadata: dict[str, Any] | None = Field(None, description="Accepted, and not used.")
    input_channel: str | None = None


class ParseRequest(BaseModel):
    """What `/model/parse` is asked."""

    model_config = ConfigDict(extra="ignore")

    text: MessageText
    message_id: str | None = None


class BubbleBody(BaseModel):
    """A message of the bot; it has one of these at least."""

    recipient_id: str
    text: str | None = None
    buttons: list[ButtonBody] | None = None
    image: str | None = None
    attachment: Any = None
    custom: Any = None


class ParseBody(BaseModel):
    """Rasa's parse data."""

    text: str
    intent: IntentBody
    entities: list[dict[str, Any]]
    intent_ranking: list[IntentBody]
    message_id: str | None


class TrackerBody(BaseModel):
    """Rasa's tracker."""

    model_config = ConfigDict(extra="allow")

    sender_id: str
    slots: dict[str, Any]
    events: list[dict[str, Any]]
    paused: bool


class StatusBody(BaseModel):
    """Which bot it is."""

    model_file: str
    model_id: str
    num_active_training_jobs: int


class VersionBody(BaseModel):
    """Whose protocol it is."""

    version: str
    minimum_compatible_version: str


def conversation_of(bot: str, sender: str) -> str:
    """The id of the conversation that a sender has with a bot over this channel."""
    return f"rest-{hashlib.sha256(f'{bot} {sender}'.encode()).hexdigest()[:48]}"


def render_messages(sender: str, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The bubbles of a reply as the REST channel gives them."""
    return [_bubble(sender, message) for message in messages]


def _bubble(sender: str, message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"recipient_id": sender}
    if message.text:  # the channel has no place for citations, to which marks would lead
        body["text"] = without_marks(message.text) if message.citations else message.text
    if message.buttons:
        body["buttons"] = [{"title": button.title, "payload": button.payload} for button in message.buttons]
    more = {"image": message.image, "attachment": message.attachment, "custom": message.custom}
    return {**body, **{name: value for name, value in more.items() if value}}


def render_parse(text: str, understanding: Understanding, message_id: str | None) -> dict[str, Any]:
    """An understanding as Rasa's parse data. What was not understood is `nlu_fallback` there."""
    ranking = [{"name": score.name, "confidence": score.confidence} for score in understanding.ranking]
    name = understanding.intent or "nlu_fallback"
    return {
        "text": text,
        "intent": {"name": name, "confidence": understanding.confidence},
        "entities": [protocol.entity_json(entity) for entity in understanding.entities],
        "intent_ranking": ranking,
        "message_id": message_id,
    }


def render_tracker(bot: Bot, sender: str, session: Session, turns: Sequence[RecordedTurn]) -> dict[str, Any]:
    """A conversation as Rasa's tracker, with the events of the turns given."""
    dialogue = session.dialogue
    assert dialogue is not None  # noqa: S101  a conversation of this channel begins with a turn
    events = [
        protocol.event_json(event, at=turn.sent_at, channel=turn.channel) for turn in turns for event in turn.events
    ]
    last = turns[-1] if turns else None
    return protocol.tracker_json(
        bot,
        conversation_id=sender,
        channel=CHANNEL,
        at=last.sent_at if last else session.started_at,
        dialogue=dialogue,
        events=events,
        understanding=last.understanding if last else None,
    )
