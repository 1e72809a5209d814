"""Slot filling: what a turn tells the session, by the mappings of the domain."""

from parley.bots.bot import Bot, SlotMapping
from parley.conversation import ActiveForm, Understanding


def extract(bot: Bot, form: ActiveForm | None, understanding: Understanding, text: str) -> dict[str, str]:
    """The slots that this turn fills, in domain order; for each, its first mapping that holds gives the value."""
    found = {}
    for slot in bot.slots:
        for mapping in slot.mappings:
            value = _value(mapping, form, understanding, text)
            if value is not None:
                found[slot.name] = value
                break
    return found


def _value(mapping: SlotMapping, form: ActiveForm | None, understanding: Understanding, text: str) -> str | None:
    if mapping.form is not None and (form is None or form.name != mapping.form):
        return None
    if mapping.requested_slot is not None and (form is None or form.requested_slot != mapping.requested_slot):
        return None
    if mapping.intents and understanding.intent not in mapping.intents:
        return None
    if understanding.intent in mapping.not_intents:
        return None
    match mapping.type:
        case "from_entity":
            return next((entity.value for entity in understanding.entities if entity.name == mapping.entity), None)
        case "from_text":
            return text
        case "from_intent":
            return mapping.value
