"""WebSocket: JSON frames in and out.

Pure conversions. A frame of ours names its turn and bears a number; whoever reconnects
names the last one that he has. The deltas are a foretaste, `done` is the reply.
"""

import re
from typing import Annotated, Any

import msgspec

from parley.channels.limits import ID_PATTERN, MAX_MESSAGE_CHARACTERS, MOST_UPLOADS, TURN_PATTERN, says_something
from parley.channels.rendering import render_citation, render_reply, render_turn
from parley.conversation import Citation, RecordedTurn
from parley.errors import MalformedRequest

ACCEPTED = 0  # the number of the first frame of a turn; the worker's follow

# Python's `$` lets a line end follow, which neither a queue nor a header takes.
_WHOLE_ID, _WHOLE_TURN_ID = (pattern.removesuffix("$") + r"\Z" for pattern in (ID_PATTERN, TURN_PATTERN))
Id = Annotated[str, msgspec.Meta(pattern=_WHOLE_ID)]
TurnId = Annotated[str, msgspec.Meta(pattern=_WHOLE_TURN_ID)]


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="action", kw_only=True):
    conversation_id: Id | None = None
    conversation_token: str | None = None
    access_token: str | None = None  # of who is signed in


class Say(_Frame, frozen=True, tag="message"):
    """Somebody says something; without a conversation one begins."""

    message: Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE_CHARACTERS)]
    turn_id: Id | None = None
    bot: Id | None = None
    user_id: Id | None = None
    explain: bool = False
    wait: bool = False
    uploads: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MOST_UPLOADS)] = ()


class Resume(_Frame, frozen=True, tag="resume"):
    """Somebody is back and wants the frames of a turn after a number."""

    turn_id: TurnId
    after: Annotated[int, msgspec.Meta(ge=-1)]


class Cancel(_Frame, frozen=True, tag="cancel"):
    """Somebody wants no more of a turn."""

    turn_id: TurnId


class Wait(_Frame, frozen=True, tag="wait"):
    """Somebody agrees to wait for what could not be generated."""

    turn_id: TurnId


class Ping(_Frame, frozen=True, tag="ping"):
    """Somebody keeps the connection open."""


Frame = Say | Resume | Cancel | Wait | Ping
_decoder: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)
_PATH = re.compile(r" - at `\$\.?(\S*)`$")


def read_conversation(told: str) -> str:
    """The conversation that the query of a handshake names.

    Raises:
        MalformedRequest: it is no id.
    """
    if not re.match(_WHOLE_ID, told):
        raise MalformedRequest("`conversation_id` is not the id of a conversation")
    return told


def read_frame(body: str) -> Frame:
    """What a client sent.

    Raises:
        MalformedRequest: it is not a frame of the documented form; the message names the field.
    """
    try:
        frame = _decoder.decode(body)
        if isinstance(frame, Say):
            says_something(frame.message, with_files=bool(frame.uploads))
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"not a frame of this API: {_PATH.sub(_at, str(error))}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedRequest(f"a frame is one JSON object: {error}") from error
    except ValueError as error:
        raise MalformedRequest(f"message: {error}") from error
    return frame


def _at(place: re.Match[str]) -> str:
    return f", at {place.group(1)}" if place.group(1) else ""


def accepted(turn_id: str, conversation_id: str, token: str | None) -> str:
    """The first frame of a turn; the token is told once, when the conversation begins."""
    given = {"conversation_token": token} if token else {}
    return _numbered("accepted", turn_id, ACCEPTED, {"conversation_id": conversation_id, **given})


def delta(turn_id: str, number: int, *, at: int, text: str) -> str:
    """A piece of the reply: from character `at` on it reads `text`."""
    return _numbered("delta", turn_id, number, {"at": at, "text": text})


def citation(turn_id: str, number: int, cited: Citation) -> str:
    """What the reply stands on."""
    return _numbered("citation", turn_id, number, {"citation": render_citation(cited)})


def done(conversation_id: str, number: int, recorded: RecordedTurn, **more: Any) -> str:
    """The reply, whole."""
    body = {"conversation_id": conversation_id, **render_reply(recorded), **more}
    return _numbered("done", recorded.turn_id, number, body)


def failed(turn_id: str | None, number: int, problem: dict[str, Any]) -> str:
    """Why there will be no reply; without a turn, why a frame was refused."""
    return _numbered("failed", turn_id, number, {"problem": problem})


def turn(recorded: RecordedTurn) -> str:
    """A turn that nobody of this connection began: what a person wrote, or an answer that came late."""
    return _json({"type": "turn", **render_turn(recorded)})


def pong() -> str:
    """The answer to a ping."""
    return _json({"type": "pong"})


def _numbered(kind: str, turn_id: str | None, number: int, more: dict[str, Any]) -> str:
    return _json({"type": kind, "turn_id": turn_id, "number": number, **more})


def _json(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
