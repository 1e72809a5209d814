"""May the reply to this question be shared? Decided from the turn alone, before anything is read."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from parley.bots.bot import Bot
from parley.conversation import Session

# An address, a number long enough to be somebody's, a name that somebody gives.
_PERSONAL = re.compile(r"@|\d(?:[\s./-]?\d){4,}|\b(?:my name is|i am called|call me)\b", re.IGNORECASE)


class Refusal(StrEnum):
    """Why a reply is not shared."""

    FORM = "a form is under way"
    SLOTS = "the turn told the bot something"
    UPLOADS = "files were sent with the question"
    PERSONAL = "the question holds personal data"
    FOLLOW_UP = "the question leans on the one before"
    MEMORY = "what was said before goes into the prompt"
    SLOTS_IN_PROMPT = "slots go into the prompt"
    SUBSTITUTE = "another model stood in, or the reply was cut short"
    UNGROUNDED = "passages were given and none is cited"
    ONCE = "the question was asked once"


def refusal(
    bot: Bot,
    session: Session,
    slots_before: Mapping[str, Any],
    slots: Mapping[str, Any],
    text: str,
    *,
    has_uploads: bool = False,
) -> Refusal | None:
    """Why what the generator says to `text` would not be the same for anybody; None if it would."""
    if session.form is not None:
        return Refusal.FORM
    if has_uploads:
        return Refusal.UPLOADS
    if slots != slots_before:
        return Refusal.SLOTS
    if _PERSONAL.search(text):
        return Refusal.PERSONAL
    if bot.generation.history_turns > 0 and session.version > 0:
        return Refusal.MEMORY
    return None
