"""Saying in Slack what was decided: a turn's reply, once as far as that can be had.

A reply that was shown while it was made takes the place of that draft, however often it tries. Each post that Slack has
taken is noted beside the turn, so a turn that is delivered again goes on
behind it. What remains: a post whose taking could not be noted, or whose answer was lost, is
posted again. Slack knows no mark by which it would drop the second one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from parley.bots.bot import Bot
from parley.channels import slack, slack_posts
from parley.conversation import RecordedTurn, Turn
from parley.errors import NotFound, ParleyError, Throttled, Unavailable, Undeliverable
from parley.lines import Lines
from parley.ports import Conversations, Remark, Slack, SlackPost, SlackThread

# A turn may have taken 45 s of the worker's 60. What Slack wants to have waited longer, the queue waits (120 s).
PATIENCE_SECONDS = 5.0
# The last only where an author's own block is too long for an update: a new post has more room, and loses nothing.
_NO_DRAFT = ("message_not_found", "cant_update_message", "edit_window_closed", "msg_too_long")
_BAD_BLOCKS = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long")

Sleep = Callable[[float], None]

logger = logging.getLogger(__name__)


def deliver(
    recorded: RecordedTurn,
    turn: Turn,
    lines: Lines,
    conversations: Conversations,
    sleep: Sleep = time.sleep,
) -> None:
    """Posts what of the reply has not been posted; nothing, where the conversation is none of Slack's.

    Raises:
        Throttled, Unavailable: Slack takes nothing just now.
        Undeliverable: it never will.
    """
    way = _way(turn.conversation_id, turn.reply_to, lines, sleep)
    if way is None:
        return
    posts = slack_posts.render_reply(
        recorded.reply,
        turn.conversation_id,
        bot=turn.bot,
        documents_at=lines.documents_at,
        turn_id=recorded.turn_id,
    )
    progress = conversations.progress(turn.conversation_id, recorded.turn_id)
    if progress is None:  # erased, or expired: nobody is told any more
        raise NotFound(f"there is no turn {recorded.turn_id!r} in this conversation")
    if progress.draft and not posts:
        posts = (slack_posts.NOTHING,)
    for number, post in enumerate(posts[progress.delivered :], start=progress.delivered + 1):
        way.say(post, instead_of=progress.draft if number == 1 else None)
        _note(recorded, turn.conversation_id, number, conversations)


def deliver_failure(
    turn: Turn, detail: str, lines: Lines, conversations: Conversations, sleep: Sleep = time.sleep
) -> None:
    """Tells a person in Slack that there will be no reply, if that can be told."""
    way = _way(turn.conversation_id, turn.reply_to, lines, sleep)
    if way is None:
        return
    try:
        progress = conversations.progress(turn.conversation_id, turn.id)
        way.say(slack_posts.render_failure(detail), instead_of=progress.draft if progress else None)
    except ParleyError as error:
        about = {"conversation_id": turn.conversation_id, "reason": str(error)}
        logger.warning("a failure was not told", extra=about)


def deliver_remark(remark: Remark, bot: Bot, lines: Lines, sleep: Sleep = time.sleep) -> None:
    """Tells people in Slack something of the bot itself.

    Raises:
        Throttled, Unavailable: Slack takes nothing just now.
        Undeliverable: it never will.
    """
    way = _way(remark.conversation_id, remark.reply_to, lines, sleep)
    if way is None:
        return
    match remark.about:
        case "files":
            way.say(slack_posts.render_note(slack_posts.FILES))
        case "bot":
            about = bot.title, bot.description, bot.suggestions
            for post in slack_posts.render_introduction(*about, remark.conversation_id, bot=remark.bot):
                way.say(post)


@dataclass(frozen=True, slots=True)
class _Way:
    """How posts get to where a conversation takes place."""

    where: SlackThread
    reply_to: str
    client: Slack
    sleep: Sleep

    def say(self, post: SlackPost, *, instead_of: str | None = None) -> None:
        """Posts it, or has it take the place of a draft; to do the latter again changes nothing."""
        try:
            self._patiently(post, instead_of)
        except Undeliverable as error:
            if not post.blocks or error.reason not in _BAD_BLOCKS:
                raise
            logger.warning("Slack refused blocks", extra={"reason": error.reason})  # an author's own, most likely
            self._patiently(replace(post, blocks=()), instead_of)

    def _patiently(self, post: SlackPost, draft: str | None) -> None:
        try:
            self._post(post, draft)
        except Throttled as error:
            if error.retry_after_seconds > PATIENCE_SECONDS:
                raise
            self.sleep(error.retry_after_seconds)
            self._post(post, draft)

    def _post(self, post: SlackPost, draft: str | None) -> None:
        """Where only one person is to see it, to the address that came with his command, and else to him directly."""
        if draft is not None:
            try:
                self.client.update(self.where, draft, post)
            except Undeliverable as error:
                if error.reason not in _NO_DRAFT:
                    raise
            else:
                return
        if self.where.person is None:
            self.client.post(self.where, post)
            return
        if self.reply_to:
            try:
                self.client.respond(self.reply_to, post)
            except Undeliverable as error:
                if error.reason in _BAD_BLOCKS:
                    raise
                logger.info("address used up", extra={"reason": error.reason})
            else:
                return
        self.client.post(SlackThread(self.where.team, self.where.person), post)


def _way(conversation_id: str, reply_to: str, lines: Lines, sleep: Sleep) -> _Way | None:
    where = slack.thread_of(conversation_id)
    return None if where is None or lines.slack is None else _Way(where, reply_to, lines.slack, sleep)


def _note(recorded: RecordedTurn, conversation_id: str, number: int, conversations: Conversations) -> None:
    """Once more if it fails: what is not noted may be said again."""
    try:
        conversations.mark_delivered(conversation_id, recorded.turn_id, number)
    except Unavailable:
        conversations.mark_delivered(conversation_id, recorded.turn_id, number)
