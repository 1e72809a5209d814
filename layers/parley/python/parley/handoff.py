"""Human hand-off: what whoever takes over is told, and the turns in which the bot keeps silent.

Pure.
"""

from collections.abc import Sequence
from typing import Any

from parley.conversation import RecordedTurn, Session, Turn

MOST_BYTES = 100_000  # of a transcript's words; as JSON they may double, and an event of EventBridge holds 256 KB


def announcement(session: Session, turn: Turn, history: Sequence[RecordedTurn]) -> dict[str, Any]:
    """What whoever takes over is told: the conversation so far, oldest first, and what was said last."""
    told = [line for earlier in history for line in _lines(earlier)]
    told.append({"from": "user", "text": turn.text, "at": turn.sent_at})
    kept: list[dict[str, Any]] = []
    room = MOST_BYTES
    for line in reversed(told):
        room -= len(line["text"].encode())
        if room < 0:
            break
        kept.insert(0, line)
    return {
        "id": turn.id,
        "conversation_id": session.conversation_id,
        "bot": session.bot,
        "channel": turn.channel,
        "user_id": session.user_id,
        "at": turn.sent_at,
        "transcript": kept,
        "is_whole": len(kept) == len(told) and len(history) == session.version,
    }


def _lines(turn: RecordedTurn) -> list[dict[str, Any]]:
    speaker = "person" if turn.reply.source == "person" else "bot"
    said = [{"from": "user", "text": turn.message, "at": turn.sent_at}] if turn.message else []
    return [*said, *({"from": speaker, "text": each.text, "at": turn.sent_at} for each in turn.reply.messages)]
