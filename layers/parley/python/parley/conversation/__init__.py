"""The values everybody speaks of: turn, understanding, session, reply. Frozen; standard library only."""

from parley.conversation.command import Command, read_command
from parley.conversation.dialogue import (
    FALLBACK_INTENT,
    LISTEN,
    REQUESTED_SLOT,
    Dialogue,
    Event,
    EventKind,
    Loop,
    Situation,
)
from parley.conversation.feedback import Feedback, Rating
from parley.conversation.reply import Button, Citation, Message, Reply, Source
from parley.conversation.session import RecordedTurn, Session, TurnProgress, TurnStatus
from parley.conversation.turn import Turn
from parley.conversation.understanding import Entity, IntentScore, Understanding
from parley.conversation.upload import Upload

__all__ = [
    "FALLBACK_INTENT",
    "LISTEN",
    "REQUESTED_SLOT",
    "Button",
    "Citation",
    "Command",
    "Dialogue",
    "Entity",
    "Event",
    "EventKind",
    "Feedback",
    "IntentScore",
    "Loop",
    "Message",
    "Rating",
    "RecordedTurn",
    "Reply",
    "Session",
    "Situation",
    "Source",
    "Turn",
    "TurnProgress",
    "TurnStatus",
    "Understanding",
    "Upload",
    "read_command",
]
