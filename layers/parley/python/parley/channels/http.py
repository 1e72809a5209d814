"""HTTP: the JSON of our own API in and out.

Pure conversions. The models are the contract: Powertools validates requests with
them and writes the OpenAPI document from them. Errors are RFC 9457 problems.
"""

import base64
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from parley.channels.limits import ID_PATTERN, MAX_MESSAGE_CHARACTERS, MOST_UPLOADS, TURN_PATTERN, says_something
from parley.conversation import Rating, Source
from parley.errors import MalformedRequest, TooLarge

MAX_BODY_BYTES = 128 * 1024
_DOCUMENT = re.compile(r"/v1/knowledge/.*")
_UPLOADS = re.compile(r"/v1/conversations/[^/]+/uploads")
MAY_WAIT = "True where the language model was away: `.../turns/{turn_id}/wait` asks for its answer later."
PROBLEM_JSON = "application/problem+json"
# For the OpenAPI document, since no model validates it: a document is bytes of whatever format.
DOCUMENT_AS_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
}

Id = Annotated[str, Field(pattern=ID_PATTERN)]
TurnId = Annotated[str, Field(pattern=TURN_PATTERN)]
MessageText = Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS), AfterValidator(says_something)]


def _says_something_or_sends(message: str, info: ValidationInfo) -> str:
    return says_something(message, with_files=bool(info.data.get("uploads")))


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ChatRequest(_Request):
    """One message of a person."""

    uploads: Annotated[list[Id], Field(max_length=MOST_UPLOADS)] = Field(  # before `message`, which asks for it
        [], description="Files that were sent into the conversation before; with them `message` may be empty."
    )
    message: Annotated[str, Field(max_length=MAX_MESSAGE_CHARACTERS), AfterValidator(_says_something_or_sends)]
    conversation_id: Id | None = Field(None, description="Leave it out to begin a conversation.")
    bot: Id | None = Field(None, description="Leave it out for the default bot.")
    user_id: Id | None = None
    turn_id: Id | None = Field(None, description="Send the same id again to get the same reply again.")
    explain: bool = Field(False, description="Ask why; for operators, or for everybody where health says so.")
    wait: bool = Field(False, description="If the language model is away, its answer may come later, as a turn more.")


class BeginRequest(_Request):
    """Somebody wants a conversation before they say anything, to send files into it."""

    bot: Id | None = Field(None, description="Leave it out for the default bot.")
    user_id: Id | None = None


class UnderstandRequest(_Request):
    """One utterance to understand, outside any conversation."""

    message: MessageText
    bot: Id | None = None


class PersonMessage(_Request):
    """What a person writes who has taken a conversation over."""

    message: MessageText


class FeedbackRequest(_Request):
    """What a person thinks of a reply."""

    rating: Rating
    comment: MessageText | None = None


class FeedbackBody(BaseModel):
    """What the person thought of the reply."""

    rating: Rating
    comment: str | None = None


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
    place: str | None = Field(None, description="Where the section begins: `#hours`, `page=3` or `row=12`.")


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
    may_wait: bool | None = Field(None, description=MAY_WAIT)
    timings_ms: dict[str, float]
    handed_off: bool | None = Field(None, description="True while a person has the conversation.")
    explanation: ExplanationBody | None = None


class Accepted(BaseModel):
    """A message that will be answered in its own time."""

    conversation_id: str
    conversation_token: str | None = None
    turn_id: str
    status: Literal["queued", "running", "done", "failed"]


class BegunBody(BaseModel):
    """A conversation in which nobody has said anything yet."""

    conversation_id: str
    conversation_token: str | None = Field(None, description="Given once; who is signed in gets none.")


class UploadedBody(BaseModel):
    """A file that was taken; messages name it by its id."""

    upload_id: str
    name: str
    type: str = Field(description="Its media type, as its content says.")
    bytes: int


class UploadBody(BaseModel):
    """A file that was sent with a message."""

    id: str
    name: str
    type: str
    bytes: int


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
    may_wait: bool | None = Field(None, description=MAY_WAIT)
    feedback: FeedbackBody | None = None
    uploads: list[UploadBody] | None = None


class HistoryBody(BaseModel):
    """The latest turns, oldest first."""

    conversation_id: str
    turns: list[TurnBody]
    next: int | None = Field(None, description="Give this as `before` to get the turns that came earlier.")
    handed_off: bool | None = Field(None, description="True while a person has the conversation.")


class ListedBody(BaseModel):
    """A conversation in a list."""

    conversation_id: str
    updated_at: float = Field(description="Seconds since the Unix epoch, UTC.")


class ConversationsBody(BaseModel):
    """A user's conversations, the latest first."""

    conversations: list[ListedBody]
    next: float | None = Field(None, description="Give this as `before` to get those that ended earlier.")


class ErasedBody(BaseModel):
    """What of a user's conversations was erased."""

    erased: int
    more: bool = Field(description="There are more; send the same again.")


class TurnStatusBody(BaseModel):
    """How far an accepted message has come."""

    conversation_id: str
    turn_id: str
    status: Literal["queued", "running", "done", "failed"]
    reason: str | None = None
    replies: list[MessageBody] | None = None
    source: Source | None = None
    understanding: UnderstandingBody | None = None
    may_wait: bool | None = Field(None, description=MAY_WAIT)


class DocumentAccepted(BaseModel):
    """A document that was taken, or is to go."""

    document: str
    status: Literal["queued"]


class DocumentBody(BaseModel):
    """A document and what became of it."""

    name: str
    origin: Literal["uploaded", "bundled"]
    status: Literal["queued", "ready", "failed"]
    passages: int = Field(description="That the bot finds now.")
    fault: str | None = Field(None, description="Why it could not be read; what it said before is still found.")
    left_out: list[str] | None = Field(None, description="What of it could not be read, each with its place.")


class DocumentsBody(BaseModel):
    """A bot's documents."""

    bot: str
    documents: list[DocumentBody]


class BotBody(BaseModel):
    """A bot as its author introduces it."""

    name: str
    title: str
    description: str
    version: str
    suggestions: list[str]


class HealthBody(BaseModel):
    """That it is up."""

    status: Literal["ok"]
    version: str
    stage: str
    explain: bool = Field(description="Whether everybody may ask why.")
    websocket: str | None = Field(description="The address of the WebSocket API.")
    bot: BotBody | None = Field(None, description="Which bot it is; to those who may talk with it.")


class WebhookTaken(BaseModel):
    """What is called back."""

    status: Literal["queued", "running", "done", "failed"]
    turn: str
    conversation: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    retry_after_seconds: int | None = Field(None, description="With 429; as the header `Retry-After`.")


def explain_validation(errors: list[Any]) -> str:
    """A sentence for what a validator found."""
    details = []
    for error in errors:
        place = ".".join(str(part) for part in error.get("loc", ()) if part != "body") or "body"
        message = str(error.get("msg", "not of the documented form")).removeprefix("Value error, ")
        details.append(f"{place}: {message}")
    return "; ".join(details)


def read_body(event: dict[str, Any], *, size: Callable[[bytes], int] = len) -> str | None:
    """The body of API Gateway's event as JSON text; None if there is none. `size` says how much of it counts.

    Raises:
        TooLarge: it has more bytes than we read.
        MalformedRequest: it is not JSON.
    """
    raw = event.get("body") or ""
    try:
        content = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode("utf-8", "surrogatepass")
        if size(content) > MAX_BODY_BYTES:
            raise TooLarge(f"the body is larger than {MAX_BODY_BYTES // 1024} KB")
        text = content.decode()
        if text:
            json.loads(text)
    except (ValueError, RecursionError) as error:  # also not UTF-8, not base64, or a number of thousands of digits
        raise MalformedRequest("the body is not JSON, or nested too deeply") from error
    return text or None


def check_query(event: dict[str, Any]) -> None:
    """Raises: MalformedRequest: a parameter is given twice, of which one would be passed over."""
    names = [pair.partition("=")[0] for pair in str(event.get("rawQueryString") or "").split("&") if pair]
    if len(names) != len({*names}):
        raise MalformedRequest("a parameter of the query is given twice")


def is_file(event: dict[str, Any]) -> bool:
    """Whether the body of API Gateway's event is a document or an upload, of whatever format, and not JSON."""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    path = {"PUT": _DOCUMENT, "POST": _UPLOADS}.get(method)
    return path is not None and path.fullmatch(str(event.get("rawPath", ""))) is not None


def read_file(event: dict[str, Any]) -> bytes:
    """The bytes of a document or an upload.

    Raises:
        MalformedRequest: it is not base64, although the event says so.
    """
    raw = event.get("body") or ""
    try:
        return base64.b64decode(raw, validate=True) if event.get("isBase64Encoded") else raw.encode()
    except ValueError as error:
        raise MalformedRequest("the body could not be read") from error


def prefers_async(prefer: str | None) -> bool:
    """Whether a `Prefer` header (RFC 7240) asks for an answer later."""
    return "respond-async" in {part.strip().lower() for part in (prefer or "").split(",")}
