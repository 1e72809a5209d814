"""Forms: which slot is missing, which value is acceptable, which response asks."""

import re
from collections.abc import Mapping

from parley.bots.bot import Bot, Form, FormSlot
from parley.conversation import ActiveForm


def next_slot(form: Form, slots: Mapping[str, str]) -> FormSlot | None:
    """The first required slot without a value; None when the form is filled."""
    return next((slot for slot in form.slots if slot.slot not in slots), None)


def without_invalid(bot: Bot, slots: Mapping[str, str]) -> dict[str, str]:
    """The slots less those whose value a form would not accept."""
    patterns = {slot.slot: slot.pattern for form in bot.forms.values() for slot in form.slots if slot.pattern}
    return {name: value for name, value in slots.items() if name not in patterns or _fits(patterns[name], value)}


def ask(bot: Bot, form: ActiveForm) -> str:
    """The response that asks for what the form is waiting for."""
    return _requested(bot, form).ask


def invalid(bot: Bot, form: ActiveForm) -> str | None:
    """The response to an attempt that the form could not use."""
    return _requested(bot, form).invalid


def _fits(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value, re.IGNORECASE) is not None


def _requested(bot: Bot, form: ActiveForm) -> FormSlot:
    return next(slot for slot in bot.forms[form.name].slots if slot.slot == form.requested_slot)
