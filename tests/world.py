"""Every way into Parley over one memory, with people who have begun something there.

The stores are `adapters.memory`'s, and refuse what AWS would refuse. What is in them can be taken down at any moment,
so that a test sees whether a request changed anything. Nothing here listens anywhere.
"""

import gzip
import hashlib
import hmac
import importlib.util
import pickle
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from parley.access import OWN_TENANT, Access
from parley.adapters.memory import (
    MemoryConversations,
    MemoryDeliveries,
    MemoryDeliveryQueue,
    MemoryDocuments,
    MemoryIdentities,
    MemoryKeys,
    MemoryLibraries,
    MemoryMetrics,
    MemoryPosts,
    MemoryQueue,
    MemoryReplies,
    MemorySealing,
    MemorySlack,
    MemorySlackApp,
    MemorySubscriptions,
    MemoryUploads,
    MemoryWorkspaces,
    memory_lines,
)
from parley.bots.webhook import Verify, Webhook
from parley.caching.cache import reply_cache
from parley.callers import Callers
from parley.channels import api_key, rasa, token
from parley.channels.signing import new_secret
from parley.conversation import RecordedTurn, Session, Turn
from parley.dialogue.policy import Policy
from parley.errors import NoBot
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.keys_api import KeysApi
from parley.keys_door import KeysDoor
from parley.knowledge_door import KnowledgeDoor
from parley.loaded import LoadedBot
from parley.openai_door import OpenAiDoor
from parley.ports import Opened, SealedSecret, Subscription
from parley.rasa_door import RasaDoor
from parley.services import Services
from parley.slack_door import SlackDoor
from parley.slack_install import SlackInstall
from parley.socket_door import SocketDoor
from parley.subscriptions_api import SubscriptionsApi
from parley.subscriptions_door import SubscriptionsDoor
from parley.webhook_door import WebhookDoor
from tests.builders import PNG, a_photo, a_recorded_turn, a_reply

BOT = "support"
OPERATOR_KEY = "the-operators-own-key"
WEBHOOK_SECRET = "the-token-of-the-ticket-desk"
CLIENT_SECRET = "the-secret-of-the-app"
SIGNING_SECRET = "slacks-own-signing-secret"
CACHE_SECRET = "secret of the reply cache"
WEB_FUNCTION = Path(__file__).parents[1] / "functions" / "web" / "handler.py"
PAGE = {"index.html": "<!doctype html><title>Page</title>", "assets/main-0123.js": "console.log('hello')"}

MINE, HANDED_OFF, THEIRS = "mine", "handed-off", "theirs"  # conversations
SENDER = "ada"  # who talks through Rasa's REST channel
UPLOAD = "photo"  # of mine
SUBSCRIPTION = "0123456789abcdef"
SAID_BEFORE, MAY_WAIT, LATELY = "t-said", "t-may-wait", "t-lately"  # turns of mine
THEIR_WORDS = "my neighbour keeps seventeen hedgehogs"

LONGEST_DYNAMODB_KEY, LONGEST_S3_KEY = 2_048, 1_024  # bytes
_IN_QUEUES = frozenset(map(chr, range(0x21, 0x7F)))  # what SQS takes as a group's name


class StrictConversations(MemoryConversations):
    """Refuses what DynamoDB would: keys that are too long, values that are no JSON."""

    def open(self, conversation_id: str, turn_id: str | None = None) -> Opened:
        """See `ports.Conversations.open`."""
        _check_key(conversation_id, LONGEST_DYNAMODB_KEY)
        _check_key(turn_id or "", LONGEST_DYNAMODB_KEY // 2)
        return super().open(conversation_id, turn_id)

    def start(self, session: Session) -> None:
        """See `ports.Conversations.start`."""
        _check_key(session.conversation_id, LONGEST_DYNAMODB_KEY)
        super().start(_as_stored(session, Session))

    def leave(self, conversation_id: str, state: Session) -> None:
        """See `ports.Conversations.leave`."""
        super().leave(conversation_id, _as_stored(state, Session))

    def record(self, session: Session, turn: RecordedTurn, *, begins: bool = False) -> None:
        """See `ports.Conversations.record`."""
        _as_stored(turn, RecordedTurn)
        super().record(_as_stored(session, Session), turn, begins=begins)


class StrictDocuments(MemoryDocuments):
    """Refuses what S3 would: keys that are too long."""

    def write(self, bot: str, name: str, content: bytes) -> None:
        """See `ports.Documents.write`."""
        _check_key(f"documents/{bot}/{name}", LONGEST_S3_KEY)
        super().write(bot, name, content)

    def delete(self, bot: str, name: str) -> None:
        """See `ports.Documents.delete`."""
        _check_key(f"documents/{bot}/{name}", LONGEST_S3_KEY)
        super().delete(bot, name)


class StrictQueue(MemoryQueue):
    """Refuses what SQS would: groups with other characters, messages that are no JSON."""

    def send(self, turn: Turn) -> None:
        """See `ports.TurnQueue.send`."""
        assert 1 <= len(turn.conversation_id) <= 128, turn
        assert set(turn.conversation_id) <= _IN_QUEUES, turn
        super().send(_as_stored(turn, Turn))


class World:
    """All doors, what stands behind them, and secrets that no response may hold."""

    def __init__(self, services: Services, loaded: LoadedBot, page: Path) -> None:
        self.conversations, replies = StrictConversations(time.time), MemoryReplies(time.time)
        self.queue, self.lines, self.keys, self.documents = (
            StrictQueue(), memory_lines(), MemoryKeys(), StrictDocuments(),
        )  # fmt: skip
        cache = reply_cache(
            replies,
            CACHE_SECRET.encode,
            services.encoder,
            MemoryMetrics(),
            clock=time.time,
            ttl_seconds=3_600,
            share_compared=0.0,
            spawn=lambda work: work(),
        )
        self.uploads = MemoryUploads()
        self.uploads.put(BOT, MINE, a_photo(id=UPLOAD), PNG)
        self.services = replace(
            services, bots=_only(loaded), conversations=self.conversations, cache=cache, uploads=self.uploads
        )
        self.web = _web_function(page)
        access = {BOT: Access(origins=("https://shop.example",))}
        callers = Callers(access, time.time, OPERATOR_KEY.encode, self.keys, MemoryIdentities())
        workspaces, spoken = MemoryWorkspaces(), MemorySlack()
        install = SlackInstall(
            workspaces,
            MemorySlackApp({}),
            "1.2",
            CLIENT_SECRET.encode,
            (BOT,),
            BOT,
            "https://slack.com/api/",
            time.time,
        )
        self.slack = SlackDoor(
            self.conversations, self.queue, SIGNING_SECRET.encode, BOT, time.time, spoken, workspaces, install
        )
        self.socket = SocketDoor(self.conversations, self.lines, self.queue, callers, BOT, time.time)
        keys_door = KeysDoor(self.keys, callers, time.time)
        self.keys_api = KeysApi(keys_door)
        self.http_api = HttpApi(
            HttpDoor(self.services, self.queue, self.lines, callers, BOT, "local"),
            RasaDoor(self.services, callers, BOT),
            KnowledgeDoor(self.services.bots, self.documents, MemoryLibraries(), callers),
            openai_door=OpenAiDoor(self.services, callers),
            keys_door=keys_door,
            webhook_door=WebhookDoor(self.services, self.queue, lambda _: WEBHOOK_SECRET, BOT),
        )
        self.subscriptions = MemorySubscriptions()
        self.subscriptions.save(a_subscription())
        deliveries = MemoryDeliveries(), MemoryDeliveryQueue(), MemoryPosts()
        self.subscriptions_api = SubscriptionsApi(
            SubscriptionsDoor(self.subscriptions, *deliveries, MemorySealing(), callers, time.time)
        )
        self.token, self.their_token = token.new_token(), token.new_token()
        self.key = self._new_key("mine")
        self.their_key = self._new_key("theirs")
        self._begin(MINE, self.token, _said(SAID_BEFORE, 1), _said(MAY_WAIT, 2, may_wait=True))
        self._begin(HANDED_OFF, self.token, _said(SAID_BEFORE, 1), handed_off_at=time.time())
        self._begin(THEIRS, self.their_token, replace(_said(SAID_BEFORE, 1), message=THEIR_WORDS))
        self.conversations.accept(Turn(LATELY, MINE, BOT, "http", "hello", time.time()))
        self.documents.write(BOT, "note.md", b"# A note")
        conversation = rasa.conversation_of(BOT, SENDER)
        dialogue = loaded.policy.tracker.begin()
        self._begin(conversation, None, _said(SAID_BEFORE, 1), dialogue=dialogue)
        sharing = [self.conversations, self.queue, self.lines.late, self.lines.connections, self.keys, self.documents]
        sharing += [self.uploads, self.subscriptions, *deliveries]
        self._stores = [*sharing, self.services.announcements, self.services.actions, replies]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody is ever told here."""
        keys = self.keys.list()
        digests = [secret.digest for key in keys for secret in key.secrets]
        sessions = [self.conversations.open(name).session for name in (MINE, THEIRS)]
        digests += [session.token_digest for session in sessions if session]
        hidden = (self.token, self.their_token, self.key, self.their_key)
        return (OPERATOR_KEY, SIGNING_SECRET, CLIENT_SECRET, CACHE_SECRET, WEBHOOK_SECRET, *hidden, *digests)

    def stored(self) -> bytes:
        """Everything that is in the stores now, to be compared."""
        return pickle.dumps([_state(store) for store in self._stores])

    def _new_key(self, name: str) -> str:
        key, shown = api_key.new_key(name, ("chat",), (), tenant=OWN_TENANT, now=0.0, expires_at=None)
        self.keys.save(key)
        return shown

    def _begin(self, conversation_id: str, secret: str | None, *turns: RecordedTurn, **session: Any) -> None:
        digest = token.digest(secret) if secret else ""
        begun = Session(conversation_id, BOT, digest, time.time())
        self.conversations.start(begun)
        for turn in turns:
            self.conversations.record(replace(begun, version=turn.number, **session), turn)


def with_every_route(loaded: LoadedBot) -> LoadedBot:
    """The bot, as if it had `rasa_api: true` and a webhook."""
    verify = Verify("token", "tickets-webhook", "X-Token")
    webhook = Webhook(verify, id="{event.id}", conversation="{ticket.id}", message="{ticket.text}")
    bot = replace(loaded.bot, rasa_api=True, webhooks={"tickets": webhook})
    return replace(loaded, bot=bot, policy=Policy(bot))


def a_built_page(folder: Path) -> Path:
    """The function of the chat page in `folder`, with a small page of its own."""
    shutil.copy(WEB_FUNCTION, folder)
    for name, content in PAGE.items():
        file = folder / "static" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content.encode()))
    return folder


def signed(body: bytes, *, at: float | None = None) -> dict[str, str]:
    """The headers with which Slack sends a body."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(SIGNING_SECRET.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": timestamp, "x-slack-signature": f"v0={digest}"}


def a_subscription() -> Subscription:
    """Somebody who is told what happens."""
    sealed = (SealedSecret(MemorySealing().seal(new_secret(), of=SUBSCRIPTION)),)
    url = "https://desk.example/hook"
    return Subscription(SUBSCRIPTION, OWN_TENANT, "A desk", url, ("turn.answered",), (BOT,), True, sealed, time.time())


def a_click(value: str) -> bytes:
    """What Slack sends when somebody presses a button."""
    action = {"type": "button", "block_id": "slack:T1:C1/1", "value": value, "action_ts": "1700000009.5"}
    told = {"type": "block_actions", "user": {"id": "U1"}, "actions": [action]}
    return f"payload={quote(msgspec.json.encode(told))}".encode()


def _said(turn_id: str, number: int, *, may_wait: bool = False) -> RecordedTurn:
    source = "fallback" if may_wait else "scripted"
    reply = replace(a_reply("Hello!", source), may_wait=may_wait)
    return replace(a_recorded_turn(), turn_id=turn_id, number=number, reply=reply, sent_at=time.time())


def _only(loaded: LoadedBot) -> Callable[[str], LoadedBot]:
    def bots(name: str) -> LoadedBot:
        if name != BOT:
            raise NoBot(f"there is no bot {name!r} here")
        return loaded

    return bots


def _state(store: Any) -> Mapping[str, Any]:
    names = getattr(store, "__dict__", None) or {name: getattr(store, name) for name in type(store).__slots__}
    return {name: value for name, value in names.items() if not callable(value)}


def _check_key(key: str, longest: int) -> None:
    assert len(key.encode()) <= longest, f"a key of {len(key)} characters: {key[:40]}..."


def _as_stored(value: Any, kind: type[Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def _web_function(page: Path) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    spec = importlib.util.spec_from_file_location("web_handler", page / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Callable[[dict[str, Any], Any], dict[str, Any]] = module.handler
    return handler
