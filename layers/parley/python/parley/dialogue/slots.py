"""Slot filling: what a turn tells the session, by the mappings of the domain.

Pure. Mappings are tried in the order of the domain; of each slot the first that holds gives the value. Files that were
sent fill the bot's slot for them whatever its mappings say.

Source: `ActionExtractSlots` and `SlotMapping` of Rasa 3.6.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from parley.bots.bot import Bot, Slot, SlotMapping
from parley.conversation import Event, Situation


@dataclass(frozen=True, slots=True)
class ByAction:
    """A custom action has to say what the slot's value is."""

    action: str


def extract(bot: Bot, now: Situation) -> Iterator[Event | ByAction]:
    """The slots that the last utterance fills, and the actions that fill others."""
    asked: set[str] = set()
    for slot in bot.slots:
        if slot.name == bot.uploads.slot and now.heard is not None and now.heard.uploads:
            yield Event("slot", slot.name, [each.as_json() for each in now.heard.uploads])
            continue
        for mapping in slot.mappings:
            if not _holds(bot, slot, mapping, now):
                continue
            if mapping.type == "custom":
                if mapping.action is not None and mapping.action not in asked:
                    asked.add(mapping.action)
                    yield ByAction(mapping.action)
                continue
            values = _values(mapping, now)
            if values:
                value = values if slot.type == "list" else values[-1]
                if value is not None or now.slots.get(slot.name) is not None:
                    yield Event("slot", slot.name, value)
                    break


def _holds(bot: Bot, slot: Slot, mapping: SlotMapping, now: Situation) -> bool:
    if mapping.type == "from_entity" and mapping.entity not in bot.entity_names:
        return False
    return (
        _intent_fits(bot, mapping, now)
        and (mapping.type == "from_trigger_intent" or _conditions_hold(slot, mapping, now))
        and not _is_for_another(bot, slot, mapping, now)
    )


def _intent_fits(bot: Bot, mapping: SlotMapping, now: Situation) -> bool:
    intent = now.heard.name if now.heard else None
    if mapping.intents:
        return intent in mapping.intents
    unwanted = set(mapping.not_intents)
    form = bot.forms.get(now.loop.name) if now.loop else None
    if form is not None:
        loops = [condition.loop for condition in mapping.conditions]
        if not loops or form.name in loops:
            unwanted.update(form.ignored_intents)
    return intent not in unwanted


def _conditions_hold(slot: Slot, mapping: SlotMapping, now: Situation) -> bool:
    if not mapping.conditions:
        return True
    if now.loop is not None and now.loop.rejected and now.requested_slot == slot.name:
        return False
    for condition in mapping.conditions:
        if condition.loop is None and now.loop is None:
            return True
        here = now.loop is not None and condition.loop == now.loop.name
        if condition.loop and here and condition.requested_slot in (None, now.requested_slot):
            return True
    return False


def _is_for_another(bot: Bot, slot: Slot, mapping: SlotMapping, now: Situation) -> bool:
    """Whether the form under way has several slots that such an entity could fill, and asked for another."""
    form = bot.forms.get(now.loop.name) if now.loop else None
    if mapping.type != "from_entity" or form is None or slot.name not in form.slots or now.requested_slot == slot.name:
        return False
    required = (each for each in bot.slots if each.name in form.slots)
    return sum(each.mappings.count(mapping) for each in required) > 1


def _values(mapping: SlotMapping, now: Situation) -> list[Any]:
    match mapping.type:
        case "from_entity":
            wanted = (mapping.entity, mapping.role, mapping.group)
            entities = now.heard.entities if now.heard else ()
            return [each.value for each in entities if (each.name, each.role, each.group) == wanted]
        case "from_text":
            return [now.heard.text] if now.heard and (now.heard.text or not now.heard.uploads) else []
        case "from_intent":
            return [mapping.value]
        case "from_trigger_intent":
            loops = [condition.loop for condition in mapping.conditions]
            starts = now.loop is not None and (not loops or now.loop.name in loops)
            return [mapping.value] if starts else []
        case _:
            return []
