"""Slack: signed HTTP requests as what people said and did.

Pure conversions. Nothing here opens a socket or reads the environment; the signing
secret arrives as an argument. A conversation's id says where it takes place, so whatever
is said in it later, by whomever, finds its way back.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

import msgspec

from parley.channels.limits import ID_PATTERN, MAX_MESSAGE_CHARACTERS
from parley.conversation import Rating
from parley.errors import MalformedRequest
from parley.ports import SlackThread

CHANNEL = "slack"
REPLAY_SECONDS = 300  # Slack's own advice: what was signed longer ago is somebody else's recording
HELP = ("", "help", "?")  # a command with nothing else asks what the bot is for
CALLED = "hello"  # what somebody says who only calls the bot by its name

_CONVERSATION = re.compile(r"slack:(?P<team>\w+):(?P<channel>\w+)(?::(?:(?P<thread>\d+\.\d+)|(?P<person>[UW]\w+)))?")
_TIME = re.compile(r"\d{1,12}\.\d{1,9}")
_SAID = frozenset({None, "file_share", "thread_broadcast"})  # subtypes that are words of a person
_SLACKBOT = "USLACKBOT"  # Slack's own, which writes to everybody and says nowhere that it is a bot
_REFERENCE = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Slack asks whether we are there; the answer is what it sent."""

    challenge: str


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody has said something to the bot, or pressed a button."""

    conversation_id: str
    turn_id: str
    user_id: str
    text: str
    sent_at: float  # seconds since the Unix epoch, UTC; the same when Slack tells it again
    has_files: bool = False  # and perhaps no text
    reply_to: str = ""  # where the reply goes that only this person sees


@dataclass(frozen=True, slots=True)
class Rated:
    """Somebody has said what he thinks of a reply."""

    conversation_id: str
    turn_id: str
    rating: Rating
    at: float  # seconds since the Unix epoch, UTC
    reply_to: str
    thread: str | None = None  # in which the reply stands


@dataclass(frozen=True, slots=True)
class Help:
    """Somebody asks what the bot is for."""

    conversation_id: str
    id: str
    user_id: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing that the bot is to answer."""

    why: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A workspace does not want the app any more, or has taken its token back."""

    team: str
    at: float  # seconds since the Unix epoch, UTC


Event = Challenge | Said | Rated | Help | Removed | Ignored


def is_signed(body: bytes, headers: Mapping[str, str], secret: bytes, *, now: float) -> bool:
    """Whether Slack sent this, and lately. Comparison takes the same time whatever is presented.

    Source: docs.slack.dev/authentication/verifying-requests-from-slack
    """
    timestamp, presented = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not (secret.strip() and timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    if abs(now - int(timestamp)) > REPLAY_SECONDS:
        return False
    signed = hmac.new(secret.strip(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={signed}".encode(), presented.encode("utf-8", "surrogatepass"))


def conversation_of(team: str, channel: str, thread: str | None) -> str:
    """The conversation of a thread, of somebody who gives commands in a channel, or of direct messages in it."""
    return ":".join(("slack", team, channel, *((thread,) if thread else ())))


def thread_of(conversation_id: str) -> SlackThread | None:
    """Where in Slack a conversation takes place; None for one of another channel of ours."""
    found = _CONVERSATION.fullmatch(conversation_id)
    return SlackThread(**found.groupdict()) if found else None


def read_event(body: bytes) -> Event:
    """What the Events API tells.

    Raises:
        MalformedRequest: it is nothing that Slack sends.
    """
    told = _object(body)
    match told:
        case {"type": "url_verification", "challenge": str(challenge)}:
            return Challenge(challenge)
        case {
            "type": "event_callback",
            "team_id": str(team),
            "event_time": int(at),
            "event": {"type": "app_uninstalled"},
        }:
            return Removed(team, float(at))
        case {
            "type": "event_callback",
            "team_id": str(team),
            "event_time": int(at),
            "event": {"type": "tokens_revoked", "tokens": {"bot": [_, *_]}},
        }:
            return Removed(team, float(at))
        case {"type": "event_callback", "team_id": str(team), "event": {"type": str(kind)} as event}:
            return _said(team, kind, event, _own_id(told))
        case {"type": str(kind)}:
            return Ignored(kind)
    raise MalformedRequest("this is no event of Slack's")


def read_interaction(body: bytes) -> Event:
    """What somebody did with a message of ours.

    Raises:
        MalformedRequest: it is nothing that Slack sends.
    """
    try:
        payload = parse_qs(body.decode(), max_num_fields=10)["payload"][0]
    except (KeyError, ValueError) as error:
        raise MalformedRequest("this is no interaction of Slack's") from error
    match _object(payload.encode()):
        case {
            "type": "block_actions",
            "user": {"id": str(user)},
            "actions": [{"type": "button", "block_id": str(block), "value": str(value), "action_ts": str(at)}, *_],
            **more,
        }:
            conversation_id, _, rest = block.partition("/")
            where = thread_of(conversation_id)
            if where is None or not _TIME.fullmatch(at) or not value.strip():
                return Ignored("an action of somebody else's making")
            reply_to = str(more.get("response_url") or "")
            match rest.split("/"):
                case ["rate", turn_id, *_] if value in ("up", "down"):
                    return Rated(conversation_id, turn_id, _rating(value), float(at), reply_to, _thread_in(more))
            said = Said(conversation_id, f"c{at}", f"slack:{where.team}:{user}", value, float(at))
            return replace(said, reply_to=reply_to) if where.person else said
        case {"type": str(kind)}:
            return Ignored(kind)
    raise MalformedRequest("this is no interaction of Slack's")


def read_command(body: bytes, *, at: float) -> Event:
    """What somebody asked by a command, to be answered where only he sees it.

    Raises:
        MalformedRequest: it is nothing that Slack sends.
    """
    try:
        fields = {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=30).items()}
        team, channel, user = fields["team_id"], fields["channel_id"], fields["user_id"]
        trigger, reply_to = fields["trigger_id"], fields["response_url"]
    except (KeyError, ValueError) as error:
        raise MalformedRequest("this is no command of Slack's") from error
    conversation_id, turn_id, user_id = conversation_of(team, channel, user), f"s{trigger}", f"slack:{team}:{user}"
    where = thread_of(conversation_id)
    if where is None or where.person is None or not re.match(ID_PATTERN, turn_id):
        return Ignored("from a place that is none")
    text = _plain(fields.get("text", ""), "")
    if text.lower() in HELP:
        return Help(conversation_id, turn_id, user_id, reply_to)
    return Said(conversation_id, turn_id, user_id, text, at, reply_to=reply_to)


def _rating(value: str) -> Rating:
    return "up" if value == "up" else "down"


def _thread_in(payload: Mapping[str, Any]) -> str | None:
    match payload:
        case {"message": {"thread_ts": str(thread)}}:
            return thread
    return None


def _said(team: str, kind: str, event: Mapping[str, Any], own_id: str | None) -> Event:
    match event:
        case {"channel": str(channel), "ts": str(at), "user": str(user)} if _TIME.fullmatch(at):
            pass
        case _:
            return Ignored(kind)
    is_direct = event.get("channel_type") == "im" or channel.startswith("D")
    if kind not in ("app_mention", "message") or is_direct != (kind == "message"):
        return Ignored(f"{kind} that is not for the bot")
    if event.get("bot_id") or event.get("subtype") not in _SAID or user in (own_id, _SLACKBOT):
        return Ignored("said by a bot, or nothing that was said")
    thread = event.get("thread_ts") or (None if is_direct else at)
    conversation_id = conversation_of(team, channel, thread)
    if thread_of(conversation_id) is None or not re.match(ID_PATTERN, conversation_id):
        return Ignored("from a place that is none")
    text = _plain(str(event.get("text") or ""), own_id)
    has_files = bool(event.get("files"))
    if not text and is_direct and not has_files:
        return Ignored("a message without words")
    if not has_files:
        text = text or CALLED
    # The message's own time, not `event_id`: it is the same when Slack tells it again, and when the message is edited.
    return Said(conversation_id, f"m{at}", f"slack:{team}:{user}", text, float(at), has_files)


def _own_id(told: Mapping[str, Any]) -> str | None:
    match told.get("authorizations"):
        case [{"user_id": str(own)}, *_]:
            return own
    return None


def _plain(text: str, own_id: str | None) -> str:
    """What a person wrote, as he saw it; without the name by which he called the bot."""
    if own_id is not None:
        text = re.sub(rf"<@{re.escape(own_id)}(?:\|[^<>]*)?>", " ", text)
    else:
        text = re.sub(r"^\s*<@\w+(?:\|[^<>]*)?>", "", text)
    text = _REFERENCE.sub(_shown, text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    text = "".join(each for each in text if each in "\n\t" or unicodedata.category(each) != "Cc")
    return re.sub(r"[ \t]{2,}", " ", text).strip()[:MAX_MESSAGE_CHARACTERS].strip()


def _shown(found: re.Match[str]) -> str:
    mark, what, label = found.groups()
    match mark:
        case "@" | "#":
            return f"{mark}{(label or what).lstrip(mark)}"
        case "!":
            return f"@{(label or what.partition('^')[0]).lstrip('@')}"
    return label or what.removeprefix("mailto:").removeprefix("tel:")


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedRequest("this is not JSON as Slack sends it") from error
