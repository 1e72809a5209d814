"""Our values as the JSON that clients see, whichever channel carries it.

Pure.
"""

from collections.abc import Mapping
from typing import Any

from parley.conversation import (
    LISTEN,
    REQUESTED_SLOT,
    Citation,
    Feedback,
    Message,
    RecordedTurn,
    Session,
    TurnProgress,
    Understanding,
)

RANKED_INTENTS = 5


def render_message(message: Message) -> dict[str, Any]:
    """One bubble as JSON; what a message does not have is left out."""
    body: dict[str, Any] = {"text": message.text}
    if message.buttons:
        body["buttons"] = [{"title": button.title, "payload": button.payload} for button in message.buttons]
    if message.image:
        body["image"] = message.image
    if message.citations:
        body["citations"] = [render_citation(cited) for cited in message.citations]
    if message.attachment:
        body["attachment"] = message.attachment
    if message.custom:
        body["custom"] = message.custom
    return body


def render_citation(cited: Citation) -> dict[str, str]:
    """Where a statement comes from; a place that is the document's beginning is left out."""
    body = {"title": cited.title, "document": cited.document, "section": cited.section, "text": cited.text}
    return {**body, "place": cited.place} if cited.place else body


def render_understanding(understanding: Understanding) -> dict[str, Any]:
    """Intent, confidence and entities as JSON."""
    return {
        "intent": understanding.intent,
        "confidence": round(understanding.confidence, 4),
        "entities": [
            without_nothing(
                {
                    "name": found.name,
                    "value": found.value,
                    "start": found.start,
                    "end": found.end,
                    "text": found.text,
                    "role": found.role,
                    "group": found.group,
                }
            )
            for found in understanding.entities
        ],
        "language": understanding.language,
    }


def render_full_understanding(understanding: Understanding) -> dict[str, Any]:
    """An understanding with the first intents of its ranking."""
    ranking = [
        {"name": score.name, "confidence": round(score.confidence, 4)}
        for score in understanding.ranking[:RANKED_INTENTS]
    ]
    full = {
        **render_understanding(understanding),
        "ranking": ranking,
        "in_scope": round(understanding.in_scope, 4),
        "retrieval_intent": understanding.retrieval_intent,
    }
    return without_nothing(full) | {"intent": understanding.intent}


def render_reply(recorded: RecordedTurn) -> dict[str, Any]:
    """What every view of an answered turn shows."""
    body = {
        "turn_id": recorded.turn_id,
        "replies": [render_message(message) for message in recorded.reply.messages],
        "source": recorded.reply.source,
        "understanding": render_understanding(recorded.understanding),
    }
    return {**body, "may_wait": True} if recorded.reply.may_wait else body


def render_explanation(
    recorded: RecordedTurn, *, before: Session, after: Session, timings_ms: Mapping[str, float]
) -> dict[str, Any]:
    """Why the bot did what it did, out of what the turn left behind."""
    form = after.form
    names = sorted({*before.slots, *after.slots} - {REQUESTED_SLOT})
    return {
        "understanding": render_full_understanding(recorded.understanding),
        "steps": [
            {
                "action": event.name,
                "policy": event.policy or "built-in",
                "because": event.because or "",
                "rejected": event.kind == "action_execution_rejected",
            }
            for event in recorded.events
            if event.kind in ("action", "action_execution_rejected") and (event.policy or event.name != LISTEN)
        ],
        "slots": [
            {"name": name, "before": before.slots.get(name), "after": after.slots.get(name)}
            for name in names
            if before.slots.get(name) != after.slots.get(name)
        ],
        "form": {"name": form.name, "requested_slot": after.slots.get(REQUESTED_SLOT)} if form else None,
        "knowledge": [render_citation(cited) for message in recorded.reply.messages for cited in message.citations],
        "timings_ms": dict(timings_ms),
    }


def render_turn(recorded: RecordedTurn) -> dict[str, Any]:
    """One turn of the history."""
    said = {"number": recorded.number, "message": recorded.message, "channel": recorded.channel}
    turn = {**said, "sent_at": recorded.sent_at, **render_reply(recorded)}
    if recorded.uploads:
        turn["uploads"] = [each.as_json() for each in recorded.uploads]
    return {**turn, "feedback": render_feedback(recorded.feedback)} if recorded.feedback else turn


def render_feedback(feedback: Feedback) -> dict[str, Any]:
    """What a person thinks of a reply as JSON."""
    return without_nothing({"rating": feedback.rating, "comment": feedback.comment or None})


def render_progress(conversation_id: str, progress: TurnProgress) -> dict[str, Any]:
    """How far an accepted turn has come, with its reply once it is done."""
    body: dict[str, Any] = {
        "conversation_id": conversation_id,
        "turn_id": progress.turn_id,
        "status": progress.status,
    }
    if progress.reason:
        body["reason"] = progress.reason
    if progress.recorded:
        body.update(render_reply(progress.recorded))
    return body


def without_nothing(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without the fields that have no value."""
    return {name: value for name, value in body.items() if value is not None}
