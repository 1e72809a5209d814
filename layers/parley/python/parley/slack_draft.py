"""A reply in Slack while it is made: one post, which says more each second.

The generator is never held up by Slack: a thread of its own posts what has come. Slack grants a method some 50 calls a
minute in a workspace; where that is too much for all who talk at once, it says so, and each of them slows down.
What the draft says is a foretaste. The reply takes its place (`slack_delivery`), also after the worker has died.
"""

import logging
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from parley.channels import slack, slack_posts
from parley.conversation import Citation, Message, Turn
from parley.errors import ParleyError, Throttled, Unavailable
from parley.lines import Lines
from parley.ports import Conversations, Slack, SlackThread

FIRST_SECONDS = 1.0  # from the first text on: what is whole by then is posted whole
LAST_TRIES = 3  # to note the draft, before the reply looks for it
EVERY_SECONDS = 1.2  # docs.slack.dev/apis/web-api/rate-limits: 50 a minute are granted to chat.update

logger = logging.getLogger(__name__)


class SlackDraft:
    """`ports.Audience` of one turn, as far as it is Slack's: `with SlackDraft(...) as draft:`."""

    wants_no_more = False
    takes_back = True

    def __init__(
        self,
        turn: Turn,
        lines: Lines,
        conversations: Conversations,
        *,
        delivery: int = 1,
        first_seconds: float = FIRST_SECONDS,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._turn = turn
        self._conversations = conversations
        self._delivery = delivery
        self._pause, self._every = first_seconds, every_seconds
        where = slack.thread_of(turn.conversation_id)
        # To what only one person sees, five posts are granted in all: there the reply comes whole.
        self._to: tuple[SlackThread, Slack] | None = (
            (where, lines.slack) if where and lines.slack and not where.person else None
        )
        self._name: str | None = None  # of the post
        self._is_noted = False  # what is not would stay beside the reply
        self._text = self._shown = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._poster: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._poster is not None:
            self._poster.join()

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        """See `ports.Audience.begin`. The draft is of what is generated; the reply brings the rest."""

    def write(self, text: str, *, at: int) -> None:
        """See `ports.Audience.write`."""
        if self._to is None:
            return
        with self._lock:
            self._text = self._text[:at] + text
        if self._poster is None:
            self._poster = threading.Thread(target=self._post_until_ended, args=self._to, name="draft", daemon=True)
            self._poster.start()

    def cite(self, citation: Citation) -> None:
        """See `ports.Audience.cite`."""

    def _post_until_ended(self, where: SlackThread, client: Slack) -> None:
        try:
            self._show_until_ended(where, client)
        except ParleyError as error:
            self._warn("draft given up", error)
        for _ in range(LAST_TRIES):
            try:
                self._note()
            except Unavailable as error:
                self._warn("draft not noted", error)
            else:
                break

    def _show_until_ended(self, where: SlackThread, client: Slack) -> None:
        if self._delivery > 1:  # a worker before us may have begun
            progress = self._conversations.progress(self._turn.conversation_id, self._turn.id)
            self._name = progress.draft if progress else None
            self._is_noted = self._name is not None
        while not self._ended.wait(self._pause):
            self._pause = self._every
            try:
                self._note()
                self._show(where, client)
            except Throttled as error:
                self._every *= 2
                self._pause = max(error.retry_after_seconds, self._every)
            except Unavailable:
                if self._name is None:
                    raise  # it may be there all the same, and a second one would stay

    def _show(self, where: SlackThread, client: Slack) -> None:
        with self._lock:
            text = self._text
        if text == self._shown or not text.strip():
            return
        post = slack_posts.render_draft(text)
        if self._name is None:
            self._name = client.post(where, post)
            self._shown = text
            self._note()
        else:
            client.update(where, self._name, post)
            self._shown = text

    def _note(self) -> None:
        if self._name is not None and not self._is_noted:
            self._conversations.mark_drafted(self._turn.conversation_id, self._turn.id, self._name)
            self._is_noted = True

    def _warn(self, message: str, error: ParleyError) -> None:
        about = {"turn_id": self._turn.id, "conversation_id": self._turn.conversation_id}
        logger.warning(message, extra={**about, "reason": str(error)})
