"""Response templates: which wording, with which slots.

Pure. The variation is drawn by a seed from the turn's id, so that a turn that is
run again says the same.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import replace

from parley.bots.bot import Bot
from parley.conversation import Message

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def word(bot: Bot, response: str, slots: Mapping[str, str], *, seed: str) -> Message:
    """The message for a response, one of its variations, with slots filled in. An empty slot reads as nothing."""
    variations = bot.responses[response]
    chosen = variations[zlib.crc32(f"{seed} {response}".encode()) % len(variations)]
    buttons = tuple(
        replace(button, title=_fill(button.title, slots), payload=_fill(button.payload, slots))
        for button in chosen.buttons
    )
    return Message(_fill(chosen.text, slots), buttons, chosen.image)


def _fill(template: str, slots: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: slots.get(match[1], ""), template)
