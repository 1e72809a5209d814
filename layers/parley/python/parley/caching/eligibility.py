"""May this reply be shared? Decided from the turn alone, before anything is read."""

import re

from parley.bots.bot import Bot
from parley.conversation import Session, Understanding

_PERSONAL = re.compile(r"@|\d(?:[\s./-]?\d){4,}")  # an address, or a number long enough to be somebody's


def is_shareable(bot: Bot, session: Session, understanding: Understanding, text: str, *, may_generate: bool) -> bool:
    """Whether the reply to an open-ended question would be the same for anybody.

    It is when no form is under way, the question names nothing of the person's own, and no
    earlier turn goes into the prompt.
    """
    history_counts = may_generate and bot.generation.history_turns > 0 and session.version > 0
    return not (session.form or understanding.entities or history_counts or _PERSONAL.search(text))
