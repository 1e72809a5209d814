"""Every need of the outside world, on one page.

Knows what is needed, not who gives it: `adapters/` has the real ones and, in
`memory.py`, one of each for tests and the terminal. One contract suite
(tests/contracts) holds both to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from parley.access import OWN_TENANT
from parley.actions.custom_actions import CustomActions
from parley.conversation import Citation, Feedback, Message, RecordedTurn, Reply, Session, Turn, TurnProgress, Upload

if TYPE_CHECKING:  # not every function that needs a port needs vectors
    import numpy as np
    from numpy.typing import NDArray

Clock = Callable[[], float]  # seconds since the Unix epoch, UTC


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as an encoder sees it.

    Shapes:
        vector: (D,) float32, unit length
        tokens: (T, D) float32, the hidden state of each word piece two thirds of the way through the encoder
    """

    text: str  # as the encoder read it, which may be better spelt than what somebody typed
    vector: NDArray[np.float32]
    tokens: NDArray[np.float32]
    offsets: tuple[tuple[int, int], ...]  # where each word piece was typed: first character, and the one after the last


class Encoder(Protocol):
    """Turns sentences into vectors."""

    version: str  # a bot's vectors mean something to the encoder that made them only

    def encode(self, text: str) -> Encoded:
        """One text as a vector, and as a vector for each of its word pieces."""

    def knows(self, word: str) -> bool:
        """Whether a word was frequent in what the encoder learned from; of others it knows the pieces only."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The meaning of each text as a vector.

        Shapes:
            returns: (N, D) float32, rows of unit length
        """

    def read(self, text: str, parts: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """The meaning of a text and of parts of it, spans of its characters, for little more than `embed` of the text.

        A part is read in its place, so that it is near to what `embed` makes of it, and not the same.

        Shapes:
            returns: (1 + P, D) float32, rows of unit length: the text, then its parts
        """


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation as found: its session, and the turn in question if it was recorded before."""

    session: Session | None
    recorded: RecordedTurn | None = None
    is_new: bool = False  # nothing of it is kept yet
    is_accepted: bool = False  # the turn is noted as queued or running: it may come again by itself
    is_admitted: bool = False  # and it was counted against the quotas when it came before


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation in a list."""

    conversation_id: str
    updated_at: float  # seconds since the Unix epoch, UTC


class Conversations(Protocol):
    """The stored state of conversations."""

    def open(self, conversation_id: str, turn_id: str | None = None) -> Opened:
        """The latest session, and what was recorded under `turn_id`, read consistently."""

    def start(self, session: Session) -> None:
        """Keeps a session by itself, whose first turn may wait in the queue.

        Raises:
            SessionConflict: the conversation exists.
        """

    def leave(self, conversation_id: str, state: Session) -> None:
        """Keeps the state that a conversation leaves to others, who go on from it, under the id in it.

        It is listed as nobody's, and goes with the conversation that left it.

        Raises:
            SessionConflict: something is kept under that id, or the conversation is not there, or is being erased.
        """

    def record(self, session: Session, turn: RecordedTurn, *, begins: bool = False) -> None:
        """Keeps the session as it stands after `turn`, the turn, and its status `done`: all of it or nothing.

        `begins` says that nothing of the conversation was kept before.

        Raises:
            SessionConflict: `session.version` does not follow the stored version by one, or the turn was recorded.
        """

    def history(self, conversation_id: str, *, limit: int, before: int | None = None) -> tuple[RecordedTurn, ...]:
        """The last `limit` turns, those with a number below `before` if given, oldest first."""

    def of_user(self, user_id: str, *, limit: int, before: float | None = None) -> tuple[Listed, ...]:
        """A user's conversations, the latest first: those that went on before a time if given, `limit` at most.

        What happened in the last moments may be missing.
        """

    def erase(self, conversation_id: str) -> None:
        """Forgets the conversation. A turn under way cannot bring it back, and a broken-off erasure can be repeated."""

    def accept(self, turn: Turn) -> TurnProgress | None:
        """Notes the turn as `queued`; if it was accepted before and has not failed, gives how far it has come.

        Raises:
            NotFound: the conversation is not there, or is being erased.
            SessionConflict: another turn was being saved at that moment; nothing was noted.
        """

    def progress(self, conversation_id: str, turn_id: str) -> TurnProgress | None:
        """How far an accepted turn has come by now; None for one that nobody accepted."""

    def mark_running(self, turn: Turn) -> None:
        """Notes that an accepted turn is being worked on. A turn that is done stays done."""

    def mark_admitted(self, turn: Turn) -> None:
        """Notes that an accepted turn is counted against the quotas; of one that nobody accepted, nothing."""

    def mark_failed(self, turn: Turn, reason: str) -> None:
        """Notes that an accepted turn will get no reply. A turn that is done stays done."""

    def rate(self, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        """Keeps what the person thinks of a turn's reply, in place of what they thought before.

        Raises:
            NotFound: no such turn was answered.
        """

    def mark_delivered(self, conversation_id: str, turn_id: str, posts: int) -> None:
        """Notes that the channel has taken so many posts of a turn's reply; of one that nobody knows, nothing."""

    def mark_drafted(self, conversation_id: str, turn_id: str, draft: str) -> None:
        """Notes in which post the channel shows a reply while it is made; of a turn that nobody knows, nothing."""


@dataclass(frozen=True, slots=True)
class SharedReply:
    """A reply that others may get, and what it was made from."""

    reply: Reply
    scope: str  # a keyed hash of all but the words of the question: bot, model, what was decided
    question: bytes  # as `caching.packing` writes it
    support: str  # a hash of the passages that stood in the prompt
    cited: tuple[str, ...]  # a hash of each passage that is cited
    library: str  # which of the documents that were put in
    origin: str  # a keyed hash of the conversation in which it was made, for the erasure
    tokens: int  # of prompt and completion
    made_at: float  # seconds since the Unix epoch, UTC


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a question."""

    shared: SharedReply | None = None
    times: int = 0  # that it was asked while nothing was shared
    claimed_until: float = 0.0  # somebody is answering it until then, at most


@dataclass(frozen=True, slots=True)
class Change:
    """A shared reply that came, or went."""

    key: str
    changed_at: float
    shared: SharedReply | None  # None: it was dropped


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a reply shared for another wording was made afresh to compare, and how often it was wrong."""

    checked: int = 0
    wrong: int = 0


class Replies(Protocol):
    """The shared store behind the reply cache. Every method raises Unavailable when it does not answer."""

    def get(self, key: str) -> Asked:
        """What is known under `key`; nothing once its time is over."""

    def claim(self, key: str, *, until: float, expires_at: float) -> bool:
        """Counts the question as asked. Whether it is now the caller's to answer: until `until`, nobody else's."""

    def settle(self, key: str) -> None:
        """Gives a claim back."""

    def put(self, key: str, bot: str, shared: SharedReply, *, expires_at: float, asked: int = 0) -> bool:
        """Keeps a reply of a bot until `expires_at` (seconds since the Unix epoch, UTC), absolutely.

        Not, and False, if its question was asked less than `asked` times. Either way a claim is given back.
        """

    def drop(self, key: str, bot: str, *, expires_at: float) -> None:
        """Forgets a reply; that it went is told by `changes` until `expires_at`."""

    def made_in(self, origin: str) -> Collection[str]:
        """The keys of what was made in a conversation, by its keyed hash."""

    def changes(self, bot: str, *, since: float, limit: int) -> Sequence[Change]:
        """What came and went after `since`, the newest first, `limit` at most."""

    def tally(self, bot: str, day: str, *, wrong: bool | None = None) -> Tally:
        """The tally of a day, with one more comparison if `wrong` says how it went."""


class HotReplies(Protocol):
    """A cache server in front of the shared store. What it has lost is asked of the store again."""

    def get(self, key: str) -> bytes | None:
        """What was put under `key`, unless its time is over or the server needed the room.

        Raises:
            Unavailable: the server did not answer in time.
        """

    def put(self, key: str, content: bytes, *, seconds: int) -> None:
        """Keeps `content` for `seconds`.

        Raises:
            Unavailable: the server did not answer in time.
        """

    def drop(self, key: str) -> None:
        """Forgets what is under `key`.

        Raises:
            Unavailable: the server did not answer in time.
        """


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it lies in the store."""

    name: str
    version: str  # another one when the content is


class Documents(Protocol):
    """The documents that were put in, by bot."""

    def list(self, bot: str) -> Sequence[StoredDocument]:
        """All documents of a bot.

        Raises:
            Unavailable: the store did not answer.
        """

    def read(self, bot: str, name: str) -> bytes:
        """What a document holds.

        Raises:
            NotFound: there is no such document.
            TooLarge: it has more bytes than we read.
            Unavailable: the store did not answer.
        """

    def write(self, bot: str, name: str, content: bytes) -> None:
        """Puts a document in, in place of an older one of its name.

        Raises:
            Unavailable: the store did not take it.
        """

    def delete(self, bot: str, name: str) -> None:
        """Takes a document away; one that is not there is no error.

        Raises:
            Unavailable: the store did not answer.
        """


class Uploads(Protocol):
    """The files that people sent, by bot and conversation. Every method raises Unavailable when the store is away."""

    def put(self, bot: str, conversation_id: str, upload: Upload, content: bytes) -> None:
        """Keeps a file, as long as conversations are kept."""

    def find(self, bot: str, conversation_id: str, upload_id: str) -> Upload | None:
        """What is known of a file of this conversation; None if it has none of this id."""

    def read(self, bot: str, conversation_id: str, upload_id: str) -> tuple[Upload, bytes]:
        """A file of this conversation, and what is in it.

        Raises:
            NotFound: it has none of this id.
        """

    def erase(self, bot: str, conversation_id: str) -> None:
        """Forgets all files of a conversation; one that has none is no error."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the web as its server gave it."""

    url: str  # where it was in the end
    content: bytes
    media_type: str  # "text/html"
    charset: str = ""  # "" where the server says nothing of it


class Pages(Protocol):
    """The pages of the public web."""

    def fetch(self, url: str) -> Page:
        """The page at this URL, or where it has moved.

        Raises:
            Unreadable: there is none that we may read; the message names the URL.
            Unavailable: its server does not give it now.
        """


@dataclass(frozen=True, slots=True)
class Shelved:
    """What became of a document that was put in."""

    version: str  # of its content, as the store gives it
    passages: int = 0
    fault: str | None = None  # why it could not be read; what it said before, if anything, is still found
    notes: tuple[str, ...] = ()  # what of it was left out, each with its place
    pages: tuple[str, ...] = ()  # of a list of links: the documents that its pages became, by URL
    links: tuple[str, ...] = ()  # of one whose pages are still being fetched: all that it names, directly or not
    followed: int = 0  # how many of `links`, from the first


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Which file holds what was made of a bot's documents, and what became of each."""

    file: str = ""  # "" while there is none
    encoder: str = ""  # the version that made the vectors
    documents: Mapping[str, Shelved] = field(default_factory=dict)  # by name
    is_beyond_memory: bool = False  # its passages are searched in a `PassageStore`; the file has them all the same


class Libraries(Protocol):
    """What was made of the documents, by bot: files that never change, and a catalogue that names the one that counts.

    Whoever reads while another is published sees the one or the other, whole.
    """

    def catalogue(self, bot: str) -> Catalogue:
        """The catalogue; an empty one while nothing was put in.

        Raises:
            Unavailable: the store did not answer.
        """

    def read(self, bot: str, file: str) -> bytes:
        """The file of that name.

        Raises:
            NotFound: it is not there any more.
            Unavailable: the store did not answer.
        """

    def publish(self, bot: str, catalogue: Catalogue, content: bytes) -> None:
        """Keeps `content` as the file that the catalogue names, then the catalogue.

        Raises:
            Unavailable: the store did not take it; what was there before still counts.
        """


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A passage as it is kept outside of a function's memory.

    Shapes:
        vector: (D,) float32, unit length: of the whole passage
    """

    id: str  # passages of one document begin alike; another one when anything of the passage is
    vector: NDArray[np.float32]
    content: bytes


MOST_NEAREST = 100  # as many as DynamoDB gives of a search


class PassageStore(Protocol):
    """The passages of bots that have more of them than a function's memory holds, by meaning.

    A shelf is a bot's, for one encoder. What is put or deleted shows in searches within seconds, not at once.
    """

    def put(self, shelf: str, passages: Iterable[StoredPassage]) -> None:
        """Keeps passages, each in place of one with its id.

        Raises:
            Unavailable: the store did not take them all.
        """

    def delete(self, shelf: str, ids: Iterable[str]) -> None:
        """Takes passages away; one that is not there is no error.

        Raises:
            Unavailable: the store did not take them all away.
        """

    def nearest(self, shelf: str, vector: NDArray[np.float32], *, limit: int) -> tuple[bytes, ...]:
        """What the passages hold that are nearest to a vector, the nearest first, MOST_NEAREST at most.

        Raises:
            Unavailable: the store did not answer.
        """

    def beginning(self, shelf: str, prefix: str) -> tuple[bytes, ...]:
        """What the passages hold whose ids begin so, in the order of their ids.

        Raises:
            Unavailable: the store did not answer.
        """


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the generator is asked."""

    messages: tuple[tuple[str, str], ...]  # (role, content), OpenAI's roles
    max_tokens: int
    temperature: float


@dataclass(frozen=True, slots=True)
class Window:
    """How much the generator reads at once: prompt and completion together."""

    tokens: int
    count: Callable[[str], int]  # the tokens of a text, never too few


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the turn may wait for the generator, in seconds from the call on."""

    first_seconds: float  # for the first piece
    whole_seconds: float  # for the last


class Completion(Iterator[str], Protocol):
    """A completion, piece by piece as it comes; whoever closes it ends the generation."""

    def close(self) -> None:
        """Ends the generation."""


class Generator(Protocol):
    """The language model."""

    @property
    def model(self) -> str:
        """The name under which replies of this model may be shared."""

    def stream(self, prompt: Prompt, *, patience: Patience) -> Completion:
        """The completion, piece by piece as it comes.

        Raises:
            GenerationBusy: it takes no request now.
            GenerationAsleep: it has no instance up.
            GenerationSlow: the first piece or the whole took longer than `patience`.
            GenerationFailed: the endpoint failed, also in the middle of the stream.
        """


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to tell people in Slack of the bot itself, outside of any turn."""

    id: str  # told again with the same within five minutes, it is told once
    conversation_id: str
    bot: str
    about: Literal["bot", "files"]  # what it is for; that it reads none
    reply_to: str = ""  # see `Turn`


class TurnQueue(Protocol):
    """The way from a door that acknowledges at once to the worker; keeps the order within a conversation."""

    def tell(self, remark: Remark) -> None:
        """Has something told.

        Raises:
            Unavailable: the queue did not take it.
        """

    def send(self, turn: Turn) -> None:
        """Hands the turn over.

        Raises:
            Unavailable: the queue did not take it.
        """


@dataclass(frozen=True, slots=True)
class LateTurn:
    """A turn whose answer was asked for again, since the generator was away and the person agreed to wait."""

    turn: Turn  # with an id of its own: the answer is a turn more
    before: int  # the number of the turn that was not answered; what came before it is the history
    tries: int = 0  # that have failed so far


class LateQueue(Protocol):
    """The way to the worker for what has time; keeps no order."""

    def send(self, late: LateTurn, *, delay_seconds: int) -> None:
        """Hands it over in `delay_seconds`, 900 at most.

        Raises:
            Unavailable: the queue did not take it.
        """


class Audience(Protocol):
    """Whoever follows a reply while it is being made. What is written is a foretaste: the reply itself comes whole."""

    @property
    def wants_no_more(self) -> bool:
        """Whether the person has stopped the reply."""

    @property
    def takes_back(self) -> bool:
        """Whether what was written can be taken back. If not, the reply keeps it, come what may."""

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        """A message comes behind those `before`; one that `must_cite` and does not is dropped."""

    def write(self, text: str, *, at: int) -> None:
        """From the character `at` on the reply reads `text`; a smaller `at` than before takes back what stood there."""

    def cite(self, citation: Citation) -> None:
        """The reply stands on this."""


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A secret of an API key, as it is stored."""

    digest: str  # its SHA-256, hexadecimal; the secret itself is shown once and never stored
    ends_at: float | None = None  # seconds since the Unix epoch, UTC; None: with its key


@dataclass(frozen=True, slots=True)
class ApiKey:
    """By what a server is known that talks for others."""

    id: str  # no secret: it stands in lists and logs
    name: str  # for people
    scopes: tuple[str, ...]  # what it opens
    bots: tuple[str, ...]  # the only ones that it opens; none named: all of them
    secrets: tuple[KeySecret, ...]  # the newest first, and the one before it while that is valid
    created_at: float  # seconds since the Unix epoch, UTC
    expires_at: float | None = None
    version: int = 1  # of this record; it grows by one with each change
    tenant: str = OWN_TENANT  # whose it is

    def valid_secrets(self, now: float) -> tuple[KeySecret, ...]:
        """Those that open it now, the newest first."""
        is_over = self.expires_at is not None and self.expires_at <= now
        return () if is_over else tuple(each for each in self.secrets if each.ends_at is None or each.ends_at > now)


class Keys(Protocol):
    """API keys. Every method raises Unavailable when the store does not answer."""

    def get(self, key_id: str) -> ApiKey | None:
        """The key as it is at this moment, read consistently, so that what is revoked opens nothing from then on."""

    def list(self) -> Sequence[ApiKey]:
        """All keys, the oldest first; what was changed in the last moments may be told as it was."""

    def save(self, key: ApiKey) -> None:
        """Keeps a new key, or one that has changed.

        Raises:
            SessionConflict: `key.version` does not follow the stored version by one. A new one has version 1.
        """

    def delete(self, key_id: str) -> bool:
        """Forgets a key; False if there is none."""


@dataclass(frozen=True, slots=True)
class Meter:
    """What is counted of somebody in a stretch of time."""

    id: str
    expires_at: int  # nobody asks for it any more; seconds since the Unix epoch, UTC


class Usage(Protocol):
    """Turns and tokens, counted. Every method raises Unavailable when the store does not answer."""

    def take(self, meter: Meter, *, most_turns: int | None, most_tokens: int | None) -> bool:
        """Counts a turn, unless so many turns or tokens are counted already; whether it was. Never one too many."""

    def spend(self, meter: Meter, tokens: int) -> None:
        """Counts tokens."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is signed in."""

    user_id: str  # begins with @, as nobody's does who only says who he is
    tenant: str
    is_operator: bool = False  # of the tenant


class Identities(Protocol):
    """Who people are, by the tokens of those who sign them in."""

    def identify(self, token: str) -> Identity:
        """Whose token (a JWT) it is.

        Raises:
            NotKnown: it is not signed by an issuer that we trust, not for us, or not valid now.
            Unavailable: its issuer's keys could not be had.
        """


LIFETIME_SECONDS = 2 * 3600  # of a connection: API Gateway closes it then


@dataclass(frozen=True, slots=True)
class Listener:
    """An open connection, and how much it has of the turn that it follows."""

    connection_id: str
    turn_id: str | None = None
    after: int = 0  # the number of the last frame that it has


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who listens to a conversation, and which of its turns were stopped."""

    listeners: tuple[Listener, ...] = ()
    cancelled: frozenset[str] = frozenset()


class Connections(Protocol):
    """Which open connection listens to which conversation. Forgets by itself what is older than a connection can be."""

    def open(self, connection_id: str, origin: str) -> None:
        """A page of that origin has connected."""

    def origin_of(self, connection_id: str) -> str | None:
        """Whose page has connected; None where that was not noted."""

    def listen(self, connection_id: str, conversation_id: str, *, turn_id: str | None = None, after: int = 0) -> None:
        """From now on the connection listens to this conversation and to no other."""

    def conversation_of(self, connection_id: str) -> str | None:
        """What the connection listens to."""

    def listeners(self, conversation_id: str) -> Listeners:
        """Who listens at this moment, read consistently."""

    def cancel(self, conversation_id: str, turn_id: str) -> None:
        """Notes that the person wants no more of a turn."""

    def close(self, connection_id: str) -> None:
        """The connection is gone."""


class Sockets(Protocol):
    """The way back through an open connection."""

    def send(self, connection_id: str, frame: str) -> bool:
        """Sends a frame; False if the connection is gone.

        Raises:
            Unavailable: it could not be sent now.
        """


@dataclass(frozen=True, slots=True)
class SlackThread:
    """A place in Slack."""

    team: str  # the workspace
    channel: str
    thread: str | None = None  # the time of its first message; None: the channel itself
    person: str | None = None  # the only one who sees what is said; None: everybody there


@dataclass(frozen=True, slots=True)
class SlackPost:
    """One message as Slack takes it."""

    text: str  # mrkdwn: what notifications and screen readers say
    blocks: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace of Slack into which somebody has installed the app."""

    team: str
    bot: str  # whom people there talk to
    installed_at: float  # seconds since the Unix epoch, UTC


class Workspaces(Protocol):
    """The workspaces that have the app, and the token that speaks in each, which is kept encrypted.

    Every method raises Unavailable when the store, or what encrypts, does not answer.
    """

    def get(self, team: str) -> Workspace | None:
        """The workspace, without its token."""

    def token(self, team: str) -> str | None:
        """What the bot speaks with there; None where it is not installed."""

    def save(self, workspace: Workspace, token: str) -> None:
        """Keeps an installation in place of an earlier one."""

    def delete(self, team: str, *, before: float) -> bool:
        """Forgets what was installed before a moment; False where there is no such installation."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What Slack gives for the code that an installation ends with."""

    team: str
    team_name: str  # for people
    token: str = field(repr=False)


class SlackApp(Protocol):
    """What Slack does for the app itself, in no workspace's name."""

    def grant(self, code: str) -> Grant:
        """What a code stands for, once.

        Raises:
            MalformedRequest: nothing that we can use; the message says why.
            Unavailable: Slack did not answer.
        """


class SlackResponses(Protocol):
    """The way to the addresses that Slack gives with what somebody did: good for five posts within half an hour."""

    def respond(self, url: str, post: SlackPost, *, thread: str | None = None) -> None:
        """Says something that only he sees who did it.

        Raises:
            Throttled: too much was said there just now.
            Unavailable: Slack did not answer, or not in time.
            Undeliverable: it refuses the post, or the address is not good any more.
        """


class Slack(SlackResponses, Protocol):
    """The way into Slack."""

    def post(self, where: SlackThread, post: SlackPost) -> str:
        """Says something there, and gives the post's name in its channel. What is posted twice is there twice.

        Raises:
            Throttled: too much was said there just now.
            Unavailable: Slack did not answer, or not in time; whether it has taken the post is not known.
            Undeliverable: it refuses the post.
        """

    def update(self, where: SlackThread, name: str, post: SlackPost) -> None:
        """Has a post of ours say something else.

        Raises:
            Throttled: too much was said there just now.
            Unavailable: Slack did not answer, or not in time.
            Undeliverable: it refuses the post, or there is none of that name any more.
        """


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """What a custom action is told."""

    action: str
    body: Mapping[str, Any]  # of Rasa's action-server protocol: next_action, sender_id, tracker, domain, version
    slots: Mapping[str, Any]  # as they stand


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """What a custom action answers: events and responses of Rasa's action-server protocol, not yet looked at."""

    events: tuple[Mapping[str, Any], ...] = ()
    responses: tuple[Mapping[str, Any], ...] = ()
    rejected: bool = False  # the action does not want to be done now


class Actions(Protocol):
    """Custom actions, wherever a bot has them run."""

    def run(self, where: CustomActions, request: ActionRequest, *, budget_seconds: float) -> ActionAnswer:
        """What the action answers.

        Raises:
            ActionFailed: it gave no usable answer within the budget.
        """


class Metrics(Protocol):
    """Where what happens is counted."""

    def count(self, name: str, value: float = 1, **dimensions: str) -> None:
        """Counts `value` of `name`."""


class Announcements(Protocol):
    """The way to whoever wants to know what happens in conversations: people who take over, webhooks, analytics."""

    def announce(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Tells that something happened; `detail` is JSON. Told twice, it carries the same `id`.

        Raises:
            Unavailable: it was not taken.
        """


class ResponseStream(Protocol):
    """The response to one HTTP request, which leaves while it is being made.

    A client that has gone away is no error here: what is written then is lost.
    """

    @property
    def has_begun(self) -> bool:
        """Whether its status has left."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Sends the status and the headers."""

    def write(self, content: bytes) -> None:
        """Sends a piece of the body."""


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret that signs what is sent, as it is stored: nobody reads it without the key."""

    sealed: str
    ends_at: float | None = None  # seconds since the Unix epoch, UTC; None: with its subscription


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody who wants to be told what happens, and of what."""

    id: str  # no secret: it stands in lists and logs
    tenant: str
    name: str  # for people
    url: str
    kinds: tuple[str, ...]  # of notices
    bots: tuple[str, ...]  # the only ones; none named: all of the tenant
    content: bool  # whether what people and bots said is told, too
    secrets: tuple[SealedSecret, ...]  # the newest first, and the one before it while that is valid
    created_at: float  # seconds since the Unix epoch, UTC
    version: int = 1  # of this record; it grows by one with each change

    def valid_secrets(self, now: float) -> tuple[SealedSecret, ...]:
        """Those that sign now, the newest first."""
        return tuple(each for each in self.secrets if each.ends_at is None or each.ends_at > now)


class Subscriptions(Protocol):
    """Who wants to be told. Every method raises Unavailable when the store does not answer."""

    def get(self, subscription_id: str) -> Subscription | None:
        """The subscription as it is at this moment, read consistently."""

    def list(self, tenant: str) -> Sequence[Subscription]:
        """A tenant's, the oldest first; what was changed in the last moments may be told as it was."""

    def save(self, subscription: Subscription) -> None:
        """Keeps a new subscription, or one that has changed.

        Raises:
            SessionConflict: `version` does not follow the stored version by one. A new one has version 1.
        """

    def delete(self, subscription_id: str) -> bool:
        """Forgets a subscription; False if there is none."""


class Sealing(Protocol):
    """Keeps secrets unreadable where they are stored. Each belongs to something, and is opened for it alone."""

    def seal(self, secret: str, *, of: str) -> str:
        """The secret as it may be stored.

        Raises:
            Unavailable: the key's keeper did not answer.
        """

    def unseal(self, sealed: str, *, of: str) -> str:
        """The secret.

        Raises:
            Unavailable: the key's keeper did not answer, or it is not of this.
        """


@dataclass(frozen=True, slots=True)
class Callback:
    """Where the answer to a caller's webhook goes. Names of secrets, never secrets."""

    url: str
    secret: str  # the name of what signs it
    headers: Mapping[str, str] = field(default_factory=dict)  # `{secret:NAME}` in their values


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one address."""

    to: str  # whose it is: a subscription's id, or what names a callback
    id: str  # of what it tells, and the same however often it is sent
    kind: str
    body: str  # JSON, to the letter as it is signed
    begun_at: float  # seconds since the Unix epoch, UTC
    due_at: float = 0.0  # not before
    tries: int = 0  # that have failed so far
    refusals: int = 0  # of a place, since the last try
    callback: Callback | None = None  # None: the subscription says where


class DeliveryQueue(Protocol):
    """The way to who posts; keeps no order, and lets no addressee's many messages hold up another's few."""

    def send(self, deliveries: Sequence[Delivery], *, delay_seconds: int = 0) -> None:
        """Hands them over in `delay_seconds`, 900 at most.

        Raises:
            Unavailable: the queue did not take all of them.
        """


PLACES = 4  # that are posted to one address at once: one that hangs holds no more of those who deliver


@dataclass(frozen=True, slots=True)
class Health:
    """How it goes with what is sent to one address."""

    succeeded_at: float | None = None  # the last time; seconds since the Unix epoch, UTC, like all here
    failed_at: float | None = None
    failure: str | None = None  # why, the last time
    failures: int = 0  # in a row
    failing_since: float | None = None  # when the first of these was
    rests_until: float | None = None  # nothing is tried before
    disabled_at: float | None = None
    disabled_because: str | None = None
    taken_until: tuple[float, ...] = (0.0,) * PLACES  # each place

    def free_places(self, *, now: float) -> tuple[int, ...]:
        """The places that nobody has."""
        return tuple(place for place, until in enumerate(self.taken_until) if until < now)


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """A message that was given up."""

    delivery: Delivery
    died_at: float  # seconds since the Unix epoch, UTC
    because: str


class Deliveries(Protocol):
    """What becomes of messages, by whom they are for. All methods raise Unavailable when the store does not answer.

    An address is known from its first place on until it is forgotten; of others nothing is noted.
    """

    def health(self, to: str) -> Health:
        """How it goes."""

    def take_place(self, to: str, seen: Health, *, now: float, until: float) -> int | None:
        """One of the places that were free when `seen` was read; None if all are taken.

        Who does not give it back has it until `until`.
        """

    def succeeded(self, to: str, place: int, *, now: float) -> None:
        """Notes that a message was taken, and gives the place back. What failed before counts no more."""

    def failed(self, to: str, place: int, *, now: float, because: str, row_since: float) -> Health:
        """Notes that one was not, gives the place back, and tells how it goes.

        If the last one before it failed before `row_since`, a new row of failures begins.
        """

    def rest(self, to: str, *, until: float) -> None:
        """Lets nothing be tried before `until`."""

    def disable(self, to: str, *, now: float, because: str) -> None:
        """Lets nothing be tried any more."""

    def enable(self, to: str) -> None:
        """Begins anew, as if nothing had failed."""

    def bury(self, dead: DeadDelivery) -> None:
        """Keeps a message that was given up, for two weeks."""

    def dead(self, to: str, *, limit: int, since: float = 0.0) -> Sequence[DeadDelivery]:
        """Those that were given up from `since` on, the oldest first, `limit` at most."""

    def count_dead(self, to: str) -> int:
        """How many there are."""

    def unbury(self, dead: DeadDelivery) -> None:
        """Forgets one that was given up; one that is not there is no error."""

    def forget(self, to: str) -> None:
        """Forgets everything of this address."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a server answered to a message."""

    status: int
    retry_after_seconds: float | None = None  # it asks to be left alone so long


class Posts(Protocol):
    """The way to servers of other people."""

    def check(self, url: str) -> None:
        """Nothing, if the host is one that may be posted to, as far as can be told now.

        Raises:
            MalformedRequest: it may not; the message says why.
        """

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """What the server answers, whatever it is; no redirect is followed.

        Raises:
            Unavailable: it did not answer in time, or may not be posted to. The message does not tell the URL.
        """
