"""HTTP: the JSON of our own API in and out.

Pure conversions. The models are the contract: Powertools validates requests with
them and writes the OpenAPI document from them. Errors are RFC 9457 problems.
"""

import base64
import json
import unicodedata
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from parley.conversation import (
    LISTEN,
    REQUESTED_SLOT,
    Message,
    RecordedTurn,
    Session,
    Source,
    TurnProgress,
    Understanding,
)
from parley.errors import Busy, MalformedRequest, NotFound, NotYours, ParleyError, Rejected, TooLarge

MAX_MESSAGE_CHARACTERS = 4_000
MAX_BODY_BYTES = 128 * 1024
PROBLEM_JSON = "application/problem+json"
RANKED_INTENTS = 5

_TEXT_CONTROLS = "\n\r\t"


def _says_something(message: str) -> str:
    if not message.strip():
        raise ValueError("the message is empty")
    for character in message:
        if unicodedata.category(character) == "Cc" and character not in _TEXT_CONTROLS:
            raise ValueError(f"the message holds the control character U+{ord(character):04X}")
    return message


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
MessageText = Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS), AfterValidator(_says_something)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ChatRequest(_Request):
    """One message of a person."""

    message: MessageText
    conversation_id: Id | None = Field(None, description="Leave it out to begin a conversation.")
    bot: Id | None = Field(None, description="Leave it out for the default bot.")
    user_id: Id | None = None
    turn_id: Id | None = Field(None, description="Send the same id again to get the same reply again.")
    explain: bool = Field(False, description="Ask why; for operators, or for everybody where health says so.")


class UnderstandRequest(_Request):
    """One utterance to understand, outside any conversation."""

    message: MessageText
    bot: Id | None = None


class PersonMessage(_Request):
    """What a person writes who has taken a conversation over."""

    message: MessageText


class ButtonBody(BaseModel):
    """A suggested next message."""

    title: str
    payload: str


class CitationBody(BaseModel):
    """Where in the bot's documents a statement comes from."""

    title: str
    document: str
    section: str
    text: str


class MessageBody(BaseModel):
    """One bubble of a reply."""

    text: str
    buttons: list[ButtonBody] | None = None
    image: str | None = None
    citations: list[CitationBody] | None = None
    attachment: Any = None
    custom: Any = None


class EntityBody(BaseModel):
    """A span found in the message."""

    name: str
    value: Any = Field(description="A text, unless a client sent something else.")
    start: int
    end: int
    text: str
    role: str | None = None
    group: str | None = None


class UnderstandingBody(BaseModel):
    """What the bot made of the message; `intent` is null when it is nothing the bot was taught."""

    intent: str | None
    confidence: float
    entities: list[EntityBody]
    language: str = Field(description="ISO 639-1; where it is not the bot's, `intent` is null.")


class IntentBody(BaseModel):
    """An intent and how likely it is."""

    name: str
    confidence: float


class FullUnderstandingBody(UnderstandingBody):
    """An understanding with its ranking."""

    ranking: list[IntentBody]
    in_scope: float = Field(description="How likely it is that the bot was taught this, 0 to 1.")
    retrieval_intent: str | None = Field(None, description="`faq/hours`, where the intent is `faq` and has such parts.")


class StepBody(BaseModel):
    """One action, and what decided it."""

    action: str
    policy: str
    because: str
    rejected: bool = Field(description="The action could not use what was said, and something else was done.")


class SlotChangeBody(BaseModel):
    """A slot that the turn changed."""

    name: str
    before: Any
    after: Any


class FormBody(BaseModel):
    """The form that is under way."""

    name: str
    requested_slot: str | None


class ExplanationBody(BaseModel):
    """Why the bot did what it did."""

    understanding: FullUnderstandingBody
    steps: list[StepBody]
    slots: list[SlotChangeBody]
    form: FormBody | None
    knowledge: list[CitationBody]
    timings_ms: dict[str, float]


class ChatReply(BaseModel):
    """The reply to one message."""

    conversation_id: str
    conversation_token: str | None = Field(None, description="Given once, when the conversation begins.")
    turn_id: str
    replies: list[MessageBody]
    source: Source
    understanding: UnderstandingBody
    timings_ms: dict[str, float]
    handed_off: bool | None = Field(None, description="True while a person has the conversation.")
    explanation: ExplanationBody | None = None


class Accepted(BaseModel):
    """A message that will be answered in its own time."""

    conversation_id: str
    conversation_token: str | None = None
    turn_id: str
    status: Literal["queued", "running", "done", "failed"]


class TurnBody(BaseModel):
    """One turn of the history."""

    turn_id: str
    number: int
    message: str
    channel: str
    sent_at: float
    replies: list[MessageBody]
    source: Source
    understanding: UnderstandingBody


class HistoryBody(BaseModel):
    """The latest turns, oldest first."""

    conversation_id: str
    turns: list[TurnBody]
    next: int | None = Field(None, description="Give this as `before` to get the turns that came earlier.")
    handed_off: bool | None = Field(None, description="True while a person has the conversation.")


class TurnStatusBody(BaseModel):
    """How far an accepted message has come."""

    conversation_id: str
    turn_id: str
    status: Literal["queued", "running", "done", "failed"]
    reason: str | None = None
    replies: list[MessageBody] | None = None
    source: Source | None = None
    understanding: UnderstandingBody | None = None


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


def problem(status: int, detail: str) -> dict[str, Any]:
    """The problem document of RFC 9457 for a status."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def status_of(error: ParleyError) -> int:
    """The HTTP status for an error of ours. This is the only place where errors become statuses."""
    match error:
        case MalformedRequest():
            return HTTPStatus.BAD_REQUEST
        case NotYours():
            return HTTPStatus.FORBIDDEN
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case TooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case Rejected():
            return HTTPStatus.BAD_REQUEST
        case Busy():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


def explain_validation(errors: list[Any]) -> str:
    """A sentence for what a validator found."""
    details = []
    for error in errors:
        place = ".".join(str(part) for part in error.get("loc", ()) if part != "body") or "body"
        message = str(error.get("msg", "not of the documented form")).removeprefix("Value error, ")
        details.append(f"{place}: {message}")
    return "; ".join(details)


def read_body(event: dict[str, Any]) -> str | None:
    """The body of API Gateway's event as JSON text; None if there is none.

    Raises:
        TooLarge: it has more bytes than we read.
        MalformedRequest: it is not JSON.
    """
    raw = event.get("body") or ""
    try:
        content = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode("utf-8", "surrogatepass")
        if len(content) > MAX_BODY_BYTES:
            raise TooLarge(f"the body is larger than {MAX_BODY_BYTES // 1024} KB")
        text = content.decode()
        if text:
            json.loads(text)
    except (ValueError, RecursionError) as error:  # also not UTF-8, not base64, or a number of thousands of digits
        raise MalformedRequest("the body is not JSON, or nested too deeply") from error
    return text or None


def prefers_async(prefer: str | None) -> bool:
    """Whether a `Prefer` header (RFC 7240) asks for an answer later."""
    return "respond-async" in {part.strip().lower() for part in (prefer or "").split(",")}


def render_message(message: Message) -> dict[str, Any]:
    """One bubble as JSON; what a message does not have is left out."""
    body: dict[str, Any] = {"text": message.text}
    if message.buttons:
        body["buttons"] = [{"title": button.title, "payload": button.payload} for button in message.buttons]
    if message.image:
        body["image"] = message.image
    if message.citations:
        body["citations"] = [
            {"title": cited.title, "document": cited.document, "section": cited.section, "text": cited.text}
            for cited in message.citations
        ]
    if message.attachment:
        body["attachment"] = message.attachment
    if message.custom:
        body["custom"] = message.custom
    return body


def render_understanding(understanding: Understanding) -> dict[str, Any]:
    """Intent, confidence and entities as JSON."""
    return {
        "intent": understanding.intent,
        "confidence": round(understanding.confidence, 4),
        "entities": [
            without_nothing(
                {
                    "name": found.name,
                    "value": found.value,
                    "start": found.start,
                    "end": found.end,
                    "text": found.text,
                    "role": found.role,
                    "group": found.group,
                }
            )
            for found in understanding.entities
        ],
        "language": understanding.language,
    }


def render_full_understanding(understanding: Understanding) -> dict[str, Any]:
    """An understanding with the first intents of its ranking."""
    ranking = [
        {"name": score.name, "confidence": round(score.confidence, 4)}
        for score in understanding.ranking[:RANKED_INTENTS]
    ]
    full = {
        **render_understanding(understanding),
        "ranking": ranking,
        "in_scope": round(understanding.in_scope, 4),
        "retrieval_intent": understanding.retrieval_intent,
    }
    return without_nothing(full) | {"intent": understanding.intent}


def render_reply(recorded: RecordedTurn) -> dict[str, Any]:
    """What every view of an answered turn shows."""
    return {
        "turn_id": recorded.turn_id,
        "replies": [render_message(message) for message in recorded.reply.messages],
        "source": recorded.reply.source,
        "understanding": render_understanding(recorded.understanding),
    }


def render_explanation(
    recorded: RecordedTurn, *, before: Session, after: Session, timings_ms: Mapping[str, float]
) -> dict[str, Any]:
    """Why the bot did what it did, out of what the turn left behind."""
    form = after.form
    names = sorted({*before.slots, *after.slots} - {REQUESTED_SLOT})
    return {
        "understanding": render_full_understanding(recorded.understanding),
        "steps": [
            {
                "action": event.name,
                "policy": event.policy or "built-in",
                "because": event.because or "",
                "rejected": event.kind == "action_execution_rejected",
            }
            for event in recorded.events
            if event.kind in ("action", "action_execution_rejected") and (event.policy or event.name != LISTEN)
        ],
        "slots": [
            {"name": name, "before": before.slots.get(name), "after": after.slots.get(name)}
            for name in names
            if before.slots.get(name) != after.slots.get(name)
        ],
        "form": {"name": form.name, "requested_slot": after.slots.get(REQUESTED_SLOT)} if form else None,
        "knowledge": [
            {"title": cited.title, "document": cited.document, "section": cited.section, "text": cited.text}
            for message in recorded.reply.messages
            for cited in message.citations
        ],
        "timings_ms": dict(timings_ms),
    }


def render_turn(recorded: RecordedTurn) -> dict[str, Any]:
    """One turn of the history."""
    said = {"number": recorded.number, "message": recorded.message, "channel": recorded.channel}
    return {**said, "sent_at": recorded.sent_at, **render_reply(recorded)}


def render_progress(conversation_id: str, progress: TurnProgress) -> dict[str, Any]:
    """How far an accepted turn has come, with its reply once it is done."""
    body: dict[str, Any] = {
        "conversation_id": conversation_id,
        "turn_id": progress.turn_id,
        "status": progress.status,
    }
    if progress.reason:
        body["reason"] = progress.reason
    if progress.recorded:
        body.update(render_reply(progress.recorded))
    return body


def without_nothing(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without the fields that have no value."""
    return {name: value for name, value in body.items() if value is not None}
