"""OpenAI's API: the JSON of chat completions and models in and out, and its errors.

Pure conversions. What OpenAI's clients send beside what is documented here is passed over, as OpenAI's own API mostly
does; what has the wrong type is refused. A reply of ours is several bubbles with buttons and citations: their text is
one Markdown text there, and they stand as they are in the field `parley`.
Source: https://platform.openai.com/docs/api-reference/chat
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from parley.channels.http import MessageBody, UnderstandingBody
from parley.channels.limits import MAX_MESSAGE_CHARACTERS, MOST_UPLOADS, says_something
from parley.channels.rendering import render_reply, without_nothing
from parley.conversation import Citation, Message, RecordedTurn, Reply, Session, Source, Understanding

CHANNEL = "openai"
COMPLETIONS_PATH, MODELS_PATH = "/v1/chat/completions", "/v1/models"
EVENT_STREAM = "text/event-stream; charset=utf-8"
OF_STREAMS = {"Cache-Control": "no-cache"}  # the headers of a stream, beside its type
LONGEST_NAME = 512  # of conversations, as OpenAI has it of metadata
LONGEST_USER = 500  # with the key's id before it, 2,048 bytes at most: as much as DynamoDB keeps in an index
RETRY_AFTER_SECONDS = 2

_MARK = re.compile(r"\[(?P<numbers>\d{1,3}(?:, ?\d{1,3})*)\](?!\()")  # as `generation.citing` writes them
# An image in a body: a key that stands in no text, for there its quotes would be escaped. Nothing is tried twice
# (`++`, `*+`), since a body is measured before anybody knows who sent it.
_IMAGE = re.compile(rb'"url"\s*+:\s*+"data:(?:[^"\\]++|\\/)*+"')

_User = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_USER)]
_PositiveInt = Annotated[StrictInt, Field(ge=1)]


class Image(NamedTuple):
    """An image that came with a message."""

    claimed: str  # its media type, as the client says
    content: bytes


class ImageUrl(BaseModel):
    """An image, which must stand in the URL itself."""

    url: StrictStr = Field(description="`data:image/png;base64,…`: nothing is fetched from anywhere.")

    @model_validator(mode="after")
    def _holds_the_image(self) -> "ImageUrl":
        _ = self.image
        return self

    @property
    def image(self) -> Image:
        """The image.

        Raises:
            ValueError: the URL does not hold it.
        """
        scheme = self.url.partition(":")[0].lower()
        if scheme != "data":
            named = scheme if scheme in ("http", "https") else "such"
            raise ValueError(f"image_url takes no {named} URLs, since nothing is fetched: send data:image/png;base64,…")
        head, _, content = self.url.partition(",")
        if not head.endswith(";base64"):
            raise ValueError("image_url must be data:image/png;base64,…")
        try:
            return Image(head[len("data:") : -len(";base64")], base64.b64decode(content, validate=True))
        except ValueError as error:
            raise ValueError("the image in image_url is not base64") from error


class Part(BaseModel):
    """A part of a message's content."""

    type: StrictStr = Field(description="`text`, or `image_url` where the bot takes images.")
    text: StrictStr = ""
    image_url: ImageUrl | None = None

    @model_validator(mode="after")
    def _is_of_its_type(self) -> "Part":
        if self.type not in ("text", "image_url"):
            raise ValueError(f"the bots here take text parts and image_url parts only, no {self.type!r}")
        if self.type not in self.model_fields_set:
            raise ValueError(f"a part of type {self.type!r} needs {self.type}")
        return self


class ChatMessage(BaseModel):
    """One message. Those of users and assistants are the conversation; all others are taken and passed over."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: StrictStr | list[Part] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""

    @property
    def images(self) -> tuple[Image, ...]:
        """What is to be seen with it."""
        parts = self.content if isinstance(self.content, list) else ()
        return tuple(part.image_url.image for part in parts if part.type == "image_url" and part.image_url)


def _ends_with_the_user(messages: list[ChatMessage]) -> list[ChatMessage]:
    if messages[-1].role != "user":
        raise ValueError("the last message must be the user's; it is what the bot answers")
    if len(messages[-1].text) > MAX_MESSAGE_CHARACTERS:
        raise ValueError(f"the last message has more than {MAX_MESSAGE_CHARACTERS} characters")
    images = len(messages[-1].images)
    if images > MOST_UPLOADS:
        raise ValueError(f"the last message has more than {MOST_UPLOADS} images")
    says_something(messages[-1].text, with_files=images > 0)
    return messages


def _names_a_conversation_or_none(metadata: dict[str, str] | None) -> dict[str, str] | None:
    name = (metadata or {}).get("conversation_id")
    if name is not None and not 1 <= len(name) <= LONGEST_NAME:
        raise ValueError(f"conversation_id has 1 to {LONGEST_NAME} characters")
    return metadata


class StreamOptions(BaseModel):
    """What a stream tells beside the reply."""

    include_usage: StrictBool | None = None


class CompletionRequest(BaseModel):
    """What a client of OpenAI asks."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_NAME, description="A bot's name.")]
    messages: Annotated[list[ChatMessage], Field(min_length=1), AfterValidator(_ends_with_the_user)]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    user: _User | None = Field(None, description="Whom the key's bearer talks for.")
    metadata: Annotated[dict[StrictStr, StrictStr] | None, AfterValidator(_names_a_conversation_or_none)] = Field(
        None, description="`conversation_id`: a name of your own, under which the conversation is kept and goes on."
    )
    max_tokens: _PositiveInt | None = Field(None, description="Taken; how long a reply may be is the bot's to say.")
    max_completion_tokens: _PositiveInt | None = Field(None, description="As `max_tokens`.")
    temperature: Annotated[float | None, Field(strict=True, ge=0, le=2, description="Taken, and not used.")] = None
    n: Literal[1] | None = Field(None, description="A bot gives one reply.")

    @property
    def text(self) -> str:
        """What the bot answers."""
        return self.messages[-1].text

    @property
    def images(self) -> tuple[Image, ...]:
        """What the bot is shown."""
        return self.messages[-1].images

    @property
    def conversation_name(self) -> str | None:
        """How the client calls the conversation that it goes on with."""
        return (self.metadata or {}).get("conversation_id")

    @property
    def wants_usage(self) -> bool:
        """Whether a stream shall end with how many tokens there were."""
        return bool(self.stream_options and self.stream_options.include_usage)


class UsageBody(BaseModel):
    """How many tokens there were, by the generator's own counter."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(BaseModel):
    """The reply as one text."""

    role: Literal["assistant"]
    content: str


class Choice(BaseModel):
    """The one reply that there is."""

    index: int
    message: AssistantMessage
    finish_reason: Literal["stop"]


class ParleyBody(BaseModel):
    """The reply as Parley's own API gives it."""

    conversation_id: str = Field(description="Under which the key's bearer reads it back and erases it.")
    turn_id: str
    replies: list[MessageBody]
    source: Source
    understanding: UnderstandingBody
    handed_off: bool | None = Field(None, description="True while a person has the conversation.")


class Completion(BaseModel):
    """A reply as OpenAI gives it; streamed, it comes as `chat.completion.chunk` events."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: UsageBody
    parley: ParleyBody


class ModelBody(BaseModel):
    """A bot."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsBody(BaseModel):
    """The bots that the key opens."""

    object: Literal["list"]
    data: list[ModelBody]


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An error as OpenAI gives it."""

    error: ErrorDetail


REFUSALS: dict[int, Any] = {
    status: {"description": what, "content": {"application/json": {"model": ErrorBody}}}
    for status, what in (
        (400, "The request is not of the documented form."),
        (401, "The API key is missing, wrong, expired or revoked."),
        (403, "The API key is not for this."),
        (404, "There is no such bot."),
        (413, "The body is too large."),
        (429, "All that may be asked in a while has been asked."),
        (500, "Something broke on our side."),
        (503, "Try again a little later."),
    )
}


class Usage(NamedTuple):
    """How many tokens there were."""

    prompt: int
    completion: int

    @property
    def body(self) -> dict[str, int]:
        """As JSON."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }


def is_ours(path: str) -> bool:
    """Whether a path belongs to OpenAI's API, so that its errors look as OpenAI's."""
    return path in (COMPLETIONS_PATH, MODELS_PATH) or path.startswith(f"{MODELS_PATH}/")


def conversation_of(key_id: str, user: str | None, bot: str, name: str) -> str:
    """The id of the conversation that a key's bearer calls by a name: no other key, user or bot comes to the same."""
    return f"{CHANNEL}-{_digest('named', key_id, user, bot, name)}"


def conversation_of_once(key_id: str, user: str | None, bot: str, idempotency_key: str) -> str:
    """The id of the conversation of a request that may be sent twice."""
    return f"{CHANNEL}-{_digest('once', key_id, user, bot, idempotency_key)}"


def turn_of_once(idempotency_key: str) -> str:
    """The id of the turn of a request that may be sent twice."""
    return f"once-{_digest(idempotency_key)}"


def size_without_images(body: bytes) -> int:
    """How many bytes of a body are no image, and so count against `MAX_BODY_BYTES`."""
    return len(body) - sum(len(found[0]) for found in _IMAGE.finditer(body))


def exchange(messages: Iterable[tuple[str, str]]) -> str:
    """What users and the assistant said to each other, as one text: the same if each said the same."""
    return json.dumps([(role, text.strip()) for role, text in messages])


def said(messages: Iterable[ChatMessage]) -> tuple[tuple[str, str], ...]:
    """Who said what, of users and the assistant. Instructions and tools are not part of a conversation with a bot."""
    return tuple(
        (each.role, each.text) for each in messages if each.role in ("user", "assistant") and (each.text or each.images)
    )


def exchanged(messages: Iterable[ChatMessage]) -> tuple[tuple[str, str], ...]:
    """The same, with a hash of each image: what tells one exchange from another."""
    return tuple(
        (each.role, "\n".join([each.text, *(hashlib.sha256(image.content).hexdigest() for image in each.images)]))
        for each in messages
        if each.role in ("user", "assistant") and (each.text or each.images)
    )


def earlier_turns(messages: Sequence[tuple[str, str]], *, language: str, at: float) -> tuple[RecordedTurn, ...]:
    """What was said, as turns: each begins with what a user said, unless the assistant spoke first."""
    turns: list[tuple[str, list[str]]] = []
    for role, text in messages:
        if role == "user":
            turns.append((text, []))
        elif turns:
            turns[-1][1].append(text)
        else:
            turns.append(("", [text]))
    nothing = Understanding(None, 0.0, (), (), language)
    return tuple(
        RecordedTurn(
            f"told-{number}",
            number,
            text,
            CHANNEL,
            at,
            Reply(tuple(map(Message, replies)), "scripted"),
            nothing,
        )
        for number, (text, replies) in enumerate(turns, 1)
    )


def text_of(messages: Sequence[Message]) -> str:
    """A reply as one Markdown text: bubbles in paragraphs, buttons as a list, what was cited at the end."""
    sources = list(dict.fromkeys(each for message in messages for each in message.citations))
    bubbles = [_bubble(message, sources) for message in messages]
    if sources:
        lines = [f"[{number}] {_source(each)}" for number, each in enumerate(sources, 1)]
        bubbles.append("\n".join(["Sources:", *lines]))
    return "\n\n".join(filter(None, bubbles))


def _bubble(message: Message, sources: Sequence[Citation]) -> str:
    """A bubble as Markdown. Its marks count what it cites, and are numbered as the sources of the whole reply."""

    def renumbered(mark: re.Match[str]) -> str:
        numbers = [int(number) for number in mark["numbers"].split(",")]
        if not all(1 <= number <= len(message.citations) for number in numbers):
            return mark[0]
        return _mark(sources.index(message.citations[number - 1]) + 1 for number in numbers)

    image = f"![]({message.image})" if message.image else ""
    buttons = "\n".join(f"- {button.title}" for button in message.buttons)
    return "\n\n".join(filter(None, (_MARK.sub(renumbered, message.text), image, buttons)))


def _source(citation: Citation) -> str:
    names = dict.fromkeys((citation.title, citation.section))
    return f"{' - '.join(filter(None, names))} ({citation.document})"


def beginning_of(before: Sequence[Message], begun: str, *, must_cite: bool = False) -> str:
    """What `text_of` a reply begins with that begins with the bubbles `before`, and the next one with `begun`.

    Ends before a mark whose number the rest of the reply decides. If the bubble `must_cite`, it is left out until
    there is a mark in it.
    """
    sources = list(dict.fromkeys(each for message in before for each in message.citations))
    marks = list(_MARK.finditer(begun))
    unsure = [mark.start() for mark in marks if sources or mark[0] != _mark(map(int, mark["numbers"].split(",")))]
    sure = "" if must_cite and not marks else begun[: min(unsure, default=len(begun))]
    return "\n\n".join(filter(None, (*(_bubble(message, sources) for message in before), sure)))


def _mark(numbers: Iterable[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def render_completion(
    request: CompletionRequest, recorded: RecordedTurn, after: Session, usage: Usage
) -> dict[str, Any]:
    """A reply as a chat completion."""
    message = {"role": "assistant", "content": text_of(recorded.reply.messages)}
    return {
        **_head(recorded.turn_id, recorded.sent_at, request.model, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage.body,
        "parley": _parley(recorded, after),
    }


def render_stream(request: CompletionRequest, recorded: RecordedTurn, after: Session, usage: Usage) -> str:
    """A reply as the event stream of a chat completion, whole."""
    events = Events(recorded.turn_id, recorded.sent_at, request.model, request.wants_usage)
    text = text_of(recorded.reply.messages)
    return events.begin() + events.lines(text) + events.end(recorded, after, usage)


class Events(NamedTuple):
    """The event stream of a chat completion, event by event."""

    turn_id: str
    sent_at: float
    model: str
    wants_usage: bool

    def begin(self) -> str:
        """Whose words they are."""
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, piece: str) -> str:
        """What the reply goes on with."""
        return self._chunk({"content": piece})

    def lines(self, text: str) -> str:
        """The same, line by line."""
        return "".join(map(self.text, text.splitlines(keepends=True)))

    def end(self, recorded: RecordedTurn, after: Session, usage: Usage) -> str:
        """That it was all, and what there is to know beside the text."""
        counted = _event({**self._head, "choices": [], "usage": usage.body}) if self.wants_usage else ""
        return f"{self._chunk({}, 'stop', parley=_parley(recorded, after))}{counted}data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> str:
        pending: dict[str, Any] = {"usage": None} if self.wants_usage else {}
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _event({**self._head, "choices": [choice], **pending, **more})

    @property
    def _head(self) -> dict[str, Any]:
        return _head(self.turn_id, self.sent_at, self.model, "chat.completion.chunk")


def render_failure(problem: Mapping[str, Any]) -> str:
    """A problem as the last event of a stream that has begun."""
    return _event(render_error(problem)[1])


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n"


def render_model(bot: str) -> dict[str, Any]:
    """A bot as a model. A bundle does not say when it was made."""
    return {"id": bot, "object": "model", "created": 0, "owned_by": "parley"}


def render_models(bots: Iterable[str]) -> dict[str, Any]:
    """Bots as models."""
    return {"object": "list", "data": list(map(render_model, bots))}


_KINDS: Mapping[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "insufficient_permissions"),
    404: ("invalid_request_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "service_unavailable"),
}


def render_error(problem: Mapping[str, Any], *, param: str | None = None) -> tuple[int, dict[str, Any], dict[str, str]]:
    """A problem (RFC 9457) as OpenAI has it: the status, the body, and headers. 415 and 422 are 400 there."""
    status = 400 if problem["status"] in (415, 422) else int(problem["status"])
    kind, code = _KINDS.get(status, ("invalid_request_error", None))
    code = "model_not_found" if (status, param) == (404, "model") else code
    body = {"error": {"message": problem["detail"], "type": kind, "param": param, "code": code}}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status in (429, 503):
        headers["Retry-After"] = str(problem.get("retry_after_seconds", RETRY_AFTER_SECONDS))
    return status, body, headers


def param_of(errors: Sequence[Any]) -> str | None:
    """The field of the request in which a validator found something first."""
    place = [str(part) for part in errors[0].get("loc", ()) if part != "body"] if errors else []
    return place[0] if place else None


def _head(turn_id: str, sent_at: float, model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{turn_id}", "object": kind, "created": int(sent_at), "model": model}


def _parley(recorded: RecordedTurn, after: Session) -> dict[str, Any]:
    """The reply without what its reader cannot act on: an answer that comes later would reach nobody here."""
    handed_off = True if after.handed_off_at is not None else None
    body = {"conversation_id": after.conversation_id, **render_reply(recorded)}
    return without_nothing({**body, "may_wait": None, "handed_off": handed_off})


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:48]
