"""Webhooks in: what a server sent becomes a turn, and a reply what that server wants to have.

Pure conversions. Secrets arrive as arguments; comparisons take the same time whatever is presented.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from parley.actions.custom_actions import HttpCall
from parley.actions.http_call import filled, render
from parley.actions.paths import at
from parley.actions.template import Placeholder, pieces
from parley.bots.webhook import REPLY, Verify, Webhook
from parley.channels import signing
from parley.channels.limits import ID_PATTERN, MAX_MESSAGE_CHARACTERS, says_something
from parley.channels.rendering import render_message
from parley.channels.webhooks import fits
from parley.conversation import RecordedTurn
from parley.errors import ActionFailed, MalformedRequest, NotKnown, TooLarge, Unavailable
from parley.ports import Callback, Delivery

CHANNEL: Final = "webhook"
FAILED: Final = "failed"  # the `source` of what tells that there will be no reply
MOST_OF_A_NAME = 500  # characters of an id, a conversation or a user

_CONVERSATION = re.compile(r"webhook:(?P<name>[a-z0-9_-]+):[0-9a-f]{32}")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Said:
    """What a server says for somebody."""

    turn_id: str
    conversation_id: str
    text: str
    user_id: str | None
    origin: Mapping[str, Any]  # what of its JSON the reply will want, by path


def check_caller(verify: Verify, body: str, headers: Mapping[str, str], secret: str) -> None:
    """Nothing, if the caller is the one who is expected. `headers` have names in lower case.

    Raises:
        NotKnown: he is not, or he signed too long ago.
        Unavailable: the secret is empty, with which everybody could sign.
    """
    if secret.strip() in ("", signing.PREFIX):
        raise Unavailable("the secret of this webhook is empty")
    if not _is_known(verify, body, headers, secret):
        raise NotKnown("this is not signed as it must be, or not lately")


def is_wanted(webhook: Webhook, payload: Any) -> bool:
    """Whether this is what the bot's author wants to hear of."""
    for path, wanted in webhook.only_if.items():
        try:
            found = at(path, payload)
        except KeyError:
            return False
        if found not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def read(bot: str, name: str, webhook: Webhook, payload: Any) -> Said:
    """The turn in a request.

    Raises:
        MalformedRequest: something is not where the bot's author expects it; the message names the path.
    """
    fields = _fields(webhook.paths() | webhook.paths_of_reply(), payload)
    turn_id, conversation, user = (
        _named(where, _text(template, fields))
        for where, template in (("id", webhook.id), ("conversation", webhook.conversation), ("user", webhook.user))
    )
    if not turn_id or not conversation:
        raise MalformedRequest(f"`{'conversation' if turn_id else 'id'}` is empty")
    return Said(
        turn_id if re.fullmatch(ID_PATTERN, turn_id) else _digest(turn_id),
        f"webhook:{name}:{_digest(bot, name, conversation)}",
        _message(_text(webhook.message, fields)),
        f"{CHANNEL}/{user}" if user else None,  # so that nobody has the name of who is signed in: see `callers`
        {path: fields[path] for path in webhook.paths_of_reply()},
    )


def name_of(conversation_id: str) -> str | None:
    """The webhook through which a conversation came; None for one of another channel of ours."""
    found = _CONVERSATION.fullmatch(conversation_id)
    return found["name"] if found else None


def render_reply(webhook: Webhook, conversation_id: str, recorded: RecordedTurn, origin: Mapping[str, Any]) -> Any:
    """The reply as the caller wants it, JSON."""
    reply = recorded.reply
    told = {
        "text": "\n\n".join(message.text for message in reply.messages if message.text),
        "source": reply.source,
        "turn": recorded.turn_id,
        "conversation": conversation_id,
        "messages": [render_message(message) for message in reply.messages],
    }
    return _rendered(webhook, told, origin)


def render_failure(webhook: Webhook, conversation_id: str, turn_id: str, detail: str, origin: Mapping[str, Any]) -> Any:
    """That there will be no reply, in the same form."""
    told = {"text": detail, "source": FAILED, "turn": turn_id, "conversation": conversation_id, "messages": []}
    return _rendered(webhook, told, origin)


def call_back(
    webhook: Webhook,
    bot: str,
    name: str,
    turn_id: str,
    conversation_id: str,
    body: Any,
    origin: Mapping[str, Any],
    *,
    source: str,
    now: float,
) -> Delivery | None:
    """The way of a reply to the caller's server; None if he has none.

    `source` is the reply's, or FAILED: a caller who was told of a failure must not take the later reply for the same.

    Raises:
        MalformedRequest: what the caller sent makes no URL.
        TooLarge: the queue would not take it.
    """
    if webhook.callback is None:
        return None
    try:
        url = render(HttpCall("POST", webhook.callback.url), origin, _no_secret).url
    except ActionFailed as error:
        raise MalformedRequest(f"`callback.url`: {error}") from error
    message_id = f"msg_{_digest(conversation_id, turn_id, source)}"
    where = Callback(url, webhook.callback.secret, webhook.callback.headers)
    delivery = Delivery(f"callback.{bot}.{name}", message_id, REPLY, json.dumps(body), now, callback=where)
    if not fits(delivery):
        raise TooLarge("what would be posted to the callback is too large")
    return delivery


def _is_known(verify: Verify, body: str, headers: Mapping[str, str], secret: str) -> bool:
    if verify.scheme == "standard":
        return signing.is_signed(body, headers, secret)
    presented = headers.get(verify.header.lower(), "")
    if not presented.startswith(verify.prefix):
        return False
    presented = presented.removeprefix(verify.prefix).strip()
    if verify.scheme == "token":
        return hmac.compare_digest(presented.encode(), secret.strip().encode())
    signature = hmac.digest(secret.strip().encode(), body.encode(), verify.algorithm)
    expected = signature.hex() if verify.encoding == "hex" else base64.b64encode(signature).decode()
    said = presented.lower() if verify.encoding == "hex" else presented
    return hmac.compare_digest(said.encode(), expected.encode())


def _fields(paths: Iterable[str], payload: Any) -> dict[str, Any]:
    missing, found = [], {}
    for path in sorted(paths):
        try:
            value = at(path, payload)
        except KeyError:
            value = None
        if value is None:
            missing.append(path)
        found[path] = value
    if missing:
        named = ", ".join(f"`{path}`" for path in missing)
        raise MalformedRequest(f"the JSON has nothing at {named}")
    return found


def _text(template: str, fields: Mapping[str, Any]) -> str:
    """What a template says of the caller's JSON."""
    return "".join(_said(fields[piece.name]) if isinstance(piece, Placeholder) else piece for piece in pieces(template))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(where: str, text: str) -> str:
    if len(text) > MOST_OF_A_NAME:
        raise MalformedRequest(f"`{where}` is longer than {MOST_OF_A_NAME} characters")
    return text.strip()


def _message(text: str) -> str:
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise MalformedRequest(f"`message` is longer than {MAX_MESSAGE_CHARACTERS:,} characters")
    try:
        return says_something(text)
    except ValueError as error:
        raise MalformedRequest(f"`message`: {error}") from error


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _rendered(webhook: Webhook, told: Mapping[str, Any], origin: Mapping[str, Any]) -> Any:
    return filled(webhook.reply, {**origin, **{f"{REPLY}.{name}": value for name, value in told.items()}})


def _no_secret(name: str) -> str:
    raise ActionFailed(f"the secret {name} may stand in a header only")
