"""Response templates: which wording, with which slots.

Pure. A variation for the channel or for the slots as they are goes before one for everybody; among equals it is drawn
by a seed from the turn's id, so that a turn that is run again says the same.

Source: `ResponseVariationFilter` and the interpolation of Rasa 3.6.
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from parley.bots.bot import Bot, Variation
from parley.conversation import Message

_BRACES = re.compile(r"\{\{|\}\}|\{([^\n{}]+)\}")
_NAME = re.compile(r"\w+")


def word(
    bot: Bot,
    response: str,
    slots: Mapping[str, Any],
    *,
    seed: str,
    channel: str,
    extra: Mapping[str, Any] | None = None,
) -> Message | None:
    """The message for a response, with slots filled in; None if no variation is meant for this case.

    An empty slot reads as nothing. `extra` are values beside the slots, which a custom action gave.
    """
    fitting = _fitting(bot.responses.get(response, ()), slots, channel)
    if not fitting:
        return None
    chosen = fitting[zlib.crc32(f"{seed} {response}".encode()) % len(fitting)]
    values = {**slots, **(extra or {})}
    buttons = tuple(
        replace(button, title=fill(button.title, values), payload=_fill_payload(button.payload, values))
        for button in chosen.buttons
    )
    return Message(
        fill(chosen.text, values),
        buttons,
        fill(chosen.image, values) if chosen.image else None,
        attachment=_fill_all(chosen.attachment, values),
        custom=_fill_all(chosen.custom, values),
    )


def _fitting(variations: tuple[Variation, ...], slots: Mapping[str, Any], channel: str) -> list[Variation]:
    holding = [each for each in variations if _conditions_hold(each, slots)]
    for for_channel, conditional in ((True, True), (True, False), (False, True), (False, False)):
        wanted = channel if for_channel else None
        found = [each for each in holding if bool(each.conditions) == conditional and each.channel == wanted]
        if found:
            return found
    return []


def _conditions_hold(variation: Variation, slots: Mapping[str, Any]) -> bool:
    return all(_equal(slots.get(name), value) for name, value in variation.conditions.items())


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return found.casefold() == wanted.casefold()
    return bool(found == wanted)


def fill(template: str, values: Mapping[str, Any], *, as_written: Callable[[Any], str] | None = None) -> str:
    """The template with values in the place of `{name}`; a brace that is meant is written twice.

    A name without a value reads as nothing; what is no name stays as it is.
    """
    write = as_written or _text
    doubled = "{{" in template

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0] if doubled else match[0]
        if name in values:
            return write(values[name])
        return "" if _NAME.fullmatch(name) else match[0]

    return _BRACES.sub(put, template)


def _fill_payload(template: str, values: Mapping[str, Any]) -> str:
    """The same for a payload: inside the JSON of `/intent{{"entity": "{slot}"}}` a value stays one text."""
    if not template.startswith("/"):
        return fill(template, values)
    return fill(template, values, as_written=lambda value: json.dumps(_text(value), ensure_ascii=False)[1:-1])


def _fill_all(value: Any, values: Mapping[str, Any]) -> Any:
    match value:
        case str():
            return fill(value, values)
        case dict():
            return {key: _fill_all(each, values) for key, each in value.items()}
        case list():
            return [_fill_all(each, values) for each in value]
        case _:
            return value


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return ", ".join(map(_text, value))
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
