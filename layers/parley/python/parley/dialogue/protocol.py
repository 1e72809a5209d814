"""Rasa's action-server protocol: a dialogue as its tracker JSON, and events and responses as an action sends them.

Pure conversions, strict about what comes in: an action that sends something else has failed, and changes nothing.

Source: `DialogueStateTracker.current_state`, the events' `as_dict` and `RemoteAction` of Rasa 3.6.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parley.actions.template import MESSAGE
from parley.bots.bot import RASAS_ACTIONS, Bot, Slot, SlotMapping, Variation
from parley.conversation import FALLBACK_INTENT, Button, Dialogue, Entity, Event, EventKind, Message, Understanding
from parley.errors import ActionFailed
from parley.ports import ActionRequest

RASA_VERSION = "3.6.21"  # whose protocol this is
MOST_SLOT_BYTES = 64 * 1024  # that one action may set; the state of a conversation is one item of 400 KB
_NAMED: Mapping[str, EventKind] = {
    "slot": "slot",
    "active_loop": "active_loop",
    "form": "active_loop",
    "followup": "followup",
    "action": "action",
    "action_execution_rejected": "action_execution_rejected",
}
_BARE: Mapping[str, EventKind] = {
    "pause": "pause",
    "resume": "resume",
    "restart": "restart",
    "session_started": "session_started",
    "reset_slots": "reset_slots",
    "rewind": "rewind",
    "undo": "undo",
}
NOT_SUPPORTED = frozenset({"reminder", "cancel_reminder", "export", "agent", "entities", "user_featurization"})


def request(
    bot: Bot,
    action: str,
    *,
    conversation_id: str,
    channel: str,
    at: float,
    dialogue: Dialogue,
    events: Sequence[Event],
    understanding: Understanding | None,
) -> ActionRequest:
    """What a custom action is told. `events` are the latest ones, oldest first; `at` is seconds since the epoch."""
    tracker = tracker_json(
        bot,
        conversation_id=conversation_id,
        channel=channel,
        at=at,
        dialogue=dialogue,
        events=[event_json(event, at=at, channel=channel) for event in events],
        understanding=understanding,
    )
    body = {
        "next_action": action,
        "sender_id": conversation_id,
        "tracker": tracker,
        "domain": domain_json(bot),
        "version": RASA_VERSION,
    }
    heard = dialogue.now.heard
    said = {MESSAGE: heard.text or ""} if heard is not None else {}
    return ActionRequest(action, body, {**said, **dialogue.now.slots})


def tracker_json(
    bot: Bot,
    *,
    conversation_id: str,
    channel: str,
    at: float,
    dialogue: Dialogue,
    events: list[dict[str, Any]],
    understanding: Understanding | None,
) -> dict[str, Any]:
    """A dialogue as Rasa's tracker."""
    now = dialogue.now
    loop = now.loop
    empty = {"requested_slot": None} if bot.forms else {}
    return {
        "sender_id": conversation_id,
        "slots": {**{slot.name: None for slot in bot.slots}, **empty, **now.slots},
        "latest_message": message_json(now.heard, understanding) if now.heard else None,
        "latest_event_time": at,
        "followup_action": now.followup,
        "paused": now.paused,
        "events": events,
        "latest_input_channel": channel,
        "active_loop": (
            {
                "name": loop.name,
                "is_interrupted": loop.interrupted,
                "rejected": loop.rejected,
                "trigger_message": None,
            }
            if loop
            else {}
        ),
        "latest_action": {"action_name": now.action} if now.action else {},
        "latest_action_name": now.action,
    }


def message_json(heard: Event, understanding: Understanding | None) -> dict[str, Any]:
    """What somebody said as Rasa's parse data."""
    confidence = understanding.confidence if understanding else 1.0
    ranking: list[dict[str, Any]] = [
        {"name": score.name, "confidence": score.confidence}
        for score in (understanding.ranking if understanding else ())
    ]
    intent: dict[str, Any] = {"name": heard.name, "confidence": confidence}
    if heard.name == FALLBACK_INTENT and ranking:  # actions take the second for the likeliest one
        ranking.insert(0, intent)
    return {
        "text": heard.text or "",
        "intent": intent,
        "entities": [entity_json(entity) for entity in heard.entities],
        "intent_ranking": ranking or [intent],
        "message_id": None,
        "metadata": _metadata(heard),
    }


def _metadata(heard: Event) -> dict[str, Any]:
    return {"uploads": [each.as_json() for each in heard.uploads]} if heard.uploads else {}


def entity_json(entity: Entity) -> dict[str, Any]:
    """An entity as Rasa writes it."""
    written = {
        "entity": entity.name,
        "value": entity.value,
        "start": entity.start,
        "end": entity.end,
        "confidence_entity": entity.confidence,
        "extractor": entity.found_by or "Parley",
    }
    labels = {"role": entity.role, "group": entity.group}
    return {**written, **{key: value for key, value in labels.items() if value is not None}}


def event_json(event: Event, *, at: float, channel: str) -> dict[str, Any]:
    """An event as Rasa writes it."""
    written: dict[str, Any] = {"event": event.kind, "timestamp": at, "metadata": {}}
    match event.kind:
        case "user":
            parsed = message_json(event, None)
            said = {"text": event.text, "parse_data": parsed, "input_channel": channel, "message_id": None}
            return {**written, **said, "metadata": _metadata(event)}
        case "bot":
            return {**written, "text": event.text, "data": event.value or {}}
        case "action":
            told = {"policy": event.policy, "confidence": 1.0, "action_text": None, "hide_rule_turn": event.hidden}
            return {**written, "name": event.name, **told}
        case "slot":
            return {**written, "name": event.name, "value": event.value}
        case "loop_interrupted":
            return {**written, "is_interrupted": event.value}
        case "active_loop" | "followup" | "action_execution_rejected":
            return {**written, "name": event.name}
        case _:
            return written


def message_of(response: Mapping[str, Any]) -> Message:
    """A response of an action, or the rest of one that names a template, as a message.

    Raises:
        ActionFailed: it is not of Rasa's form.
    """
    buttons = response.get("buttons") or response.get("quick_replies") or []
    if not isinstance(buttons, list) or not all(isinstance(button, dict) for button in buttons):
        raise ActionFailed("it sent buttons that are none")
    image, text = response.get("image"), response.get("text")
    return Message(
        "" if text is None else str(text),
        tuple(Button(str(each.get("title", "")), str(each.get("payload", ""))) for each in buttons),
        str(image) if image else None,
        attachment=response.get("attachment"),
        custom=response.get("custom") or None,
    )


def events_of(sent: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The events that an action sent; those of kinds that mean nothing here are left out.

    Raises:
        ActionFailed: one of them is not of Rasa's form, or they hold more than a conversation can keep.
    """
    events = [event for each in sent if (event := _event(each)) is not None]
    values = [event.value for event in events if event.kind == "slot"]
    try:
        size = len(json.dumps(values))
    except (TypeError, ValueError, RecursionError) as error:
        raise ActionFailed("it set slots to what cannot be kept") from error
    if size > MOST_SLOT_BYTES:
        raise ActionFailed(f"it set slots to more than {MOST_SLOT_BYTES // 1024} KB")
    return events


def _event(sent: Mapping[str, Any]) -> Event | None:
    kind = sent.get("event")
    name = sent.get("name")
    if not isinstance(kind, str):
        raise ActionFailed("it sent an event without its kind")
    if kind in _BARE:
        return Event(_BARE[kind])
    if kind in _NAMED:
        may_be_empty = kind in ("active_loop", "form", "followup")
        if not (isinstance(name, str) or (name is None and may_be_empty)):
            raise ActionFailed(f"it sent a `{kind}` event without a name")
        return Event(_NAMED[kind], name, sent.get("value") if kind == "slot" else None)
    match kind:
        case "bot":
            return Event("bot", value=sent.get("data"), text=str(sent.get("text") or ""))
        case "user":
            return _said(sent)
        case "loop_interrupted":
            return Event("loop_interrupted", value=sent.get("is_interrupted") is True)
        case _ if kind in NOT_SUPPORTED:
            return None
        case _:
            raise ActionFailed("it sent an event of a kind that there is not")


def _said(sent: Mapping[str, Any]) -> Event:
    parsed = sent.get("parse_data")
    if not isinstance(parsed, dict) or not isinstance(parsed.get("intent"), dict):
        raise ActionFailed("it sent a `user` event without an intent")
    entities = parsed.get("entities") or []
    if not isinstance(entities, list) or not all(isinstance(each, dict) and "entity" in each for each in entities):
        raise ActionFailed("it sent a `user` event with entities that are none")
    intent = parsed["intent"].get("name")
    return Event(
        "user",
        intent if isinstance(intent, str) else None,
        text=str(sent.get("text") or ""),
        entities=tuple(
            Entity(str(each["entity"]), each.get("value"), 0, 0, "", each.get("role"), each.get("group"), "client")
            for each in entities
        ),
    )


def domain_json(bot: Bot) -> dict[str, Any]:
    """The bot's domain as Rasa writes it, for actions that look at forms and slots."""
    return {
        "version": "3.1",
        "intents": list(bot.intents),
        "entities": list(bot.entity_names),
        "slots": {slot.name: _slot_json(slot) for slot in bot.slots},
        "responses": {name: [_variation_json(each) for each in each_way] for name, each_way in bot.responses.items()},
        "actions": [action for action in bot.actions if action not in RASAS_ACTIONS],
        "forms": {
            form.name: {"required_slots": list(form.slots), "ignored_intents": list(form.ignored_intents)}
            for form in bot.forms.values()
        },
        "session_config": {
            "session_expiration_time": bot.session.minutes,
            "carry_over_slots_to_new_session": bot.session.carries_slots_over,
        },
        "e2e_actions": [],
    }


def _slot_json(slot: Slot) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": slot.type,
        "initial_value": slot.initial_value,
        "influence_conversation": slot.influences,
        "mappings": [_mapping_json(mapping) for mapping in slot.mappings],
    }
    if slot.type == "categorical":
        written["values"] = list(slot.values[:-1])
    return written


def _mapping_json(mapping: SlotMapping) -> dict[str, Any]:
    written = {
        "type": mapping.type,
        "entity": mapping.entity,
        "role": mapping.role,
        "group": mapping.group,
        "value": mapping.value,
        "intent": list(mapping.intents),
        "not_intent": list(mapping.not_intents),
        "conditions": [
            {"active_loop": each.loop, **({"requested_slot": each.requested_slot} if each.requested_slot else {})}
            for each in mapping.conditions
        ],
        "action": mapping.action,
    }
    return {key: value for key, value in written.items() if value not in (None, [])}


def _variation_json(variation: Variation) -> dict[str, Any]:
    written: dict[str, Any] = {
        "text": variation.text,
        "image": variation.image,
        "custom": variation.custom,
        "channel": variation.channel,
        "id": variation.id,
        "buttons": [{"title": each.title, "payload": each.payload} for each in variation.buttons],
        "condition": [{"type": "slot", "name": name, "value": value} for name, value in variation.conditions.items()],
    }
    return {key: value for key, value in written.items() if value not in (None, [], "")}
