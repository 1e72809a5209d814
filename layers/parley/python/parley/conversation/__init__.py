"""The values everybody speaks of: turn, understanding, session, reply. Frozen; standard library only."""

from parley.conversation.reply import Button, Citation, Message, Reply, Source
from parley.conversation.session import ActiveForm, RecordedTurn, Session, TurnProgress, TurnStatus
from parley.conversation.turn import Turn
from parley.conversation.understanding import Entity, IntentScore, Understanding

__all__ = [
    "ActiveForm",
    "Button",
    "Citation",
    "Entity",
    "IntentScore",
    "Message",
    "RecordedTurn",
    "Reply",
    "Session",
    "Source",
    "Turn",
    "TurnProgress",
    "TurnStatus",
    "Understanding",
]
