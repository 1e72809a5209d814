"""Slack: replies as chat.postMessage payloads.

Pure conversions. Whatever a reply holds is escaped, so that it calls nobody together.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from parley.channels.documents import anchor_of
from parley.channels.mrkdwn import escaped, link, sections
from parley.conversation import Button, Citation, Message, Reply
from parley.ports import SlackPost

# What Slack takes at most, by docs.slack.dev/reference/block-kit.
MOST_BLOCKS = 50
MOST_BUTTONS = 25  # of one block
MOST_TITLE = 75
MOST_PAYLOAD = 2_000
MOST_ECHO = 1_000
# All sections of one post, which stand in its `text` too: chat.update refuses more than 4,000 there as msg_too_long.
MOST_POST_CHARACTERS = 3_900

RATED = frozenset({"generated", "cached", "knowledge"})  # what nobody wrote for just this

FILES = "I cannot read files. Write to me what it is about."
THANKS = "Thank you for telling us."
NOTHING = SlackPost("…")  # in place of a draft whose reply was none
TOO_OLD = "That reply is too old; what you think of it could not be kept."


def render_reply(
    reply: Reply, conversation_id: str, *, bot: str, documents_at: str = "", turn_id: str | None = None
) -> tuple[SlackPost, ...]:
    """A reply as Slack shows it: mostly one post, more if it is very long.

    `documents_at` is where our HTTP API is, for links to what was cited; without it citations have none. With a
    `turn_id`, people are asked below it what they think of it, unless its author wrote it.
    """
    blocks = [
        block for message in reply.messages for block in _blocks(message, conversation_id, bot, documents_at) if block
    ]
    if blocks and turn_id is not None and reply.source in RATED:
        blocks.append(_thumbs(conversation_id, turn_id))
    return tuple(_posts(blocks))


def render_draft(text: str) -> SlackPost:
    """A reply while it is made, as far as it fits into one post."""
    shown: list[dict[str, Any]] = []
    room = MOST_POST_CHARACTERS
    for each in sections(f"{text} …"):
        room -= len(each)
        if room < 0 or len(shown) == MOST_BLOCKS:
            break
        shown.append(_section(each))
    return _post(shown)


def render_introduction(
    title: str, description: str, suggestions: tuple[str, ...], conversation_id: str, *, bot: str
) -> tuple[SlackPost, ...]:
    """What a bot is for, and what one could ask it first."""
    about = f"**{title}**\n{description}".strip()
    buttons = tuple(Button(each, each) for each in suggestions)
    return render_reply(Reply((Message(about, buttons),), "scripted"), conversation_id, bot=bot)


def render_note(text: str) -> SlackPost:
    """A word of our own."""
    return SlackPost(escaped(text), (_section(escaped(text)),))


def render_question(text: str) -> str:
    """What somebody has asked by a command, which Slack shows to nobody, to stand above its answer."""
    return "\n".join(f"> {escaped(line)}" for line in text[:MOST_ECHO].splitlines())


def render_failure(detail: str) -> SlackPost:
    """What a person is told who gets no reply."""
    text = f":warning: {escaped('Sorry, that did not work: ' + detail)}"
    return SlackPost(text, (_section(text),))


def _blocks(message: Message, conversation_id: str, bot: str, documents_at: str) -> Iterator[dict[str, Any]]:
    yield from map(_section, sections(message.text))
    if message.image:
        # A block of Slack's for images makes it refuse the whole post if it cannot have the picture just then.
        yield _section(link(message.image))
    if isinstance(message.attachment, str):
        yield _section(link(message.attachment))
    match message.custom:
        case {"blocks": [*theirs]}:
            yield from theirs
    fitting = [each for each in message.buttons if each.title.strip() and len(each.payload) <= MOST_PAYLOAD]
    for first in range(0, len(fitting), MOST_BUTTONS):
        yield {
            "type": "actions",
            "block_id": conversation_id,
            "elements": [_button(button, n) for n, button in enumerate(fitting[first : first + MOST_BUTTONS])],
        }
    if message.citations:
        yield _sources(message.citations, bot, documents_at)


def _posts(blocks: list[dict[str, Any]]) -> Iterator[SlackPost]:
    post: list[dict[str, Any]] = []
    for block in blocks:
        if post and (len(post) == MOST_BLOCKS or _length([*post, block]) > MOST_POST_CHARACTERS):
            yield _post(post)
            post = []
        if block.get("block_id") is not None and block["type"] == "actions":
            block = {**block, "block_id": f"{block['block_id']}/{len(post)}"}  # each must have its own
        post.append(block)
    if post:
        yield _post(post)


def _post(blocks: list[dict[str, Any]]) -> SlackPost:
    """The words stand beside the blocks, for notifications, screen readers, and where blocks are refused."""
    words = [block["text"]["text"] for block in blocks if block.get("type") == "section" and "text" in block]
    return SlackPost("\n".join(words) or "…", tuple(blocks))


def _length(blocks: list[dict[str, Any]]) -> int:
    return sum(len(block["text"]["text"]) for block in blocks if block.get("type") == "section" and "text" in block)


def _section(text: str) -> dict[str, Any]:
    # `verbatim`: Slack is not to look for names and addresses in it; links are made already.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _button(button: Button, number: int) -> dict[str, Any]:
    title = button.title if len(button.title) <= MOST_TITLE else f"{button.title[: MOST_TITLE - 1]}…"
    return {
        "type": "button",
        "action_id": f"say.{number}",
        "text": {"type": "plain_text", "text": title, "emoji": True},
        "value": button.payload or button.title,
    }


def _thumbs(conversation_id: str, turn_id: str) -> dict[str, Any]:
    buttons = [
        {
            "type": "button",
            "action_id": f"rate.{rating}",
            "text": {"type": "plain_text", "text": thumb, "emoji": True},
            "value": rating,
            "accessibility_label": label,
        }
        for rating, thumb, label in (("up", "👍", "A good reply"), ("down", "👎", "A bad reply"))
    ]
    return {"type": "actions", "block_id": f"{conversation_id}/rate/{turn_id}", "elements": buttons}


def _sources(citations: tuple[Citation, ...], bot: str, documents_at: str) -> dict[str, Any]:
    shown = [f"{n}. {_source(cited, bot, documents_at)}" for n, cited in enumerate(citations, start=1)]
    room = 2_000  # of a context's text, to be safe of what its links add
    kept = [each for n, each in enumerate(shown) if sum(map(len, shown[: n + 1])) <= room]
    text = "  ·  ".join(kept) or "…"
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def _source(cited: Citation, bot: str, documents_at: str) -> str:
    label = cited.title if cited.section in ("", cited.title) else f"{cited.title}, {cited.section}"
    if cited.document.startswith(("https://", "http://")):
        return link(cited.document, label)
    if not documents_at:
        return escaped(label)
    path = f"/v1/knowledge/{quote(bot, safe='')}/{quote(cited.document, safe='')}"
    return link(f"{documents_at.rstrip('/')}{path}#{anchor_of(cited.place)}", label)
