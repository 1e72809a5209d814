"""May this reply be shared? Decided from the turn alone, before anything is read."""

import re
from collections.abc import Mapping
from typing import Any

from parley.bots.bot import Bot
from parley.conversation import Session

_PERSONAL = re.compile(r"@|\d(?:[\s./-]?\d){4,}")  # an address, or a number long enough to be somebody's


def is_shareable(
    bot: Bot,
    session: Session,
    slots_before: Mapping[str, Any],
    slots: Mapping[str, Any],
    text: str,
    *,
    may_generate: bool,
) -> bool:
    """Whether the reply to an open-ended question would be the same for anybody.

    It is when no form is under way, the turn told the bot nothing that it remembers (the slots are
    what they were before), and no earlier turn goes into the prompt.
    """
    if session.form is not None or slots != slots_before or _PERSONAL.search(text):
        return False
    return not (may_generate and bot.generation.history_turns > 0 and session.version > 0)
