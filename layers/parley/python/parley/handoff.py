"""Human hand-off: what whoever takes over is told, and the turns in which the bot keeps silent.

Pure.
"""

from collections.abc import Sequence
from typing import Any

from parley.conversation import RecordedTurn, Session, Turn, Upload

MOST_BYTES = 100_000  # of a transcript's words; as JSON they may double, and an event of EventBridge holds 256 KB
_BYTES_OF_AN_UPLOAD = 500  # at most: a name of 100 characters, of four bytes at most, and the rest


def announcement(
    session: Session, turn: Turn, history: Sequence[RecordedTurn], *, sent: Sequence[Upload] = ()
) -> dict[str, Any]:
    """What whoever takes over is told: the conversation so far, oldest first, and what was said and `sent` last."""
    told = [line for earlier in history for line in _lines(earlier)]
    told.append(_line_of_user(turn.text, turn.sent_at, sent))
    kept: list[dict[str, Any]] = []
    room = MOST_BYTES
    for line in reversed(told):
        room -= len(line["text"].encode()) + sum(_BYTES_OF_AN_UPLOAD for _ in line.get("uploads", ()))
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


def _line_of_user(text: str, at: float, sent: Sequence[Upload]) -> dict[str, Any]:
    line = {"from": "user", "text": text, "at": at}
    return {**line, "uploads": [each.as_json() for each in sent]} if sent else line


def _lines(turn: RecordedTurn) -> list[dict[str, Any]]:
    speaker = "person" if turn.reply.source == "person" else "bot"
    said = [_line_of_user(turn.message, turn.sent_at, turn.uploads)] if turn.message or turn.uploads else []
    return [*said, *({"from": speaker, "text": each.text, "at": turn.sent_at} for each in turn.reply.messages)]
