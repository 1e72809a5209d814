"""Saying in Slack what was decided: a turn's reply, once as far as that can be had.

Each post that Slack has taken is noted beside the turn, so a turn that is delivered again goes on
behind it. What remains: a post whose taking could not be noted, or whose answer was lost, is
posted again. Slack knows no mark by which it would drop the second one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from parley.channels import slack, slack_posts
from parley.conversation import RecordedTurn
from parley.errors import NotFound, ParleyError, Throttled, Unavailable, Undeliverable
from parley.lines import Lines
from parley.ports import Conversations, Slack, SlackPost, SlackThread

# A turn may have taken 45 s of the worker's 60. What Slack wants to have waited longer, the queue waits (120 s).
PATIENCE_SECONDS = 5.0
_BAD_BLOCKS = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long")

Sleep = Callable[[float], None]

logger = logging.getLogger(__name__)


def deliver(
    recorded: RecordedTurn,
    conversation_id: str,
    bot: str,
    lines: Lines,
    conversations: Conversations,
    sleep: Sleep = time.sleep,
) -> None:
    """Posts what of the reply has not been posted; nothing, where the conversation is none of Slack's.

    Raises:
        Throttled, Unavailable: Slack takes nothing just now.
        Undeliverable: it never will.
    """
    where = slack.thread_of(conversation_id)
    if where is None or lines.slack is None:
        return
    posts = slack_posts.render_reply(recorded.reply, conversation_id, bot=bot, documents_at=lines.documents_at)
    progress = conversations.progress(conversation_id, recorded.turn_id)
    if progress is None:  # erased, or expired: nobody is told any more
        raise NotFound(f"there is no turn {recorded.turn_id!r} in this conversation")
    for number, post in enumerate(posts[progress.delivered :], start=progress.delivered + 1):
        _post(where, post, lines.slack, sleep)
        _note(recorded, conversation_id, number, conversations)


def deliver_failure(conversation_id: str, detail: str, lines: Lines, sleep: Sleep = time.sleep) -> None:
    """Tells a person in Slack that there will be no reply, if that can be told."""
    where = slack.thread_of(conversation_id)
    if where is None or lines.slack is None:
        return
    try:
        _post(where, slack_posts.render_failure(detail), lines.slack, sleep)
    except ParleyError as error:
        logger.warning("a failure was not told", extra={"conversation_id": conversation_id, "reason": str(error)})


def _post(where: SlackThread, post: SlackPost, client: Slack, sleep: Sleep) -> None:
    try:
        _patiently(where, post, client, sleep)
    except Undeliverable as error:
        if not post.blocks or error.reason not in _BAD_BLOCKS:
            raise
        logger.warning("Slack refused blocks", extra={"reason": error.reason})  # an author's own, most likely
        _patiently(where, replace(post, blocks=()), client, sleep)


def _patiently(where: SlackThread, post: SlackPost, client: Slack, sleep: Sleep) -> None:
    try:
        client.post(where, post)
    except Throttled as error:
        if error.retry_after_seconds > PATIENCE_SECONDS:
            raise
        sleep(error.retry_after_seconds)
        client.post(where, post)


def _note(recorded: RecordedTurn, conversation_id: str, number: int, conversations: Conversations) -> None:
    """Once more if it fails: what is not noted may be said again."""
    try:
        conversations.mark_delivered(conversation_id, recorded.turn_id, number)
    except Unavailable:
        conversations.mark_delivered(conversation_id, recorded.turn_id, number)
