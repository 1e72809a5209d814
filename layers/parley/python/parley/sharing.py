"""What of a turn decides whether the generator's reply to it may be shared, and under which key."""

from collections.abc import Callable, Mapping
from functools import cache as once
from typing import Any

from parley.caching.eligibility import Refusal, refusal
from parley.caching.key import key_of, keyed_hash, passage_id, scope_of, support_of
from parley.caching.recall import Asking
from parley.caching.sameness import Question
from parley.conversation import Citation, Session, Turn, Understanding
from parley.generation.prompt import notes_of
from parley.loaded import LoadedBot
from parley.ports import Encoded
from parley.services import Services


def asking_of(
    turn: Turn,
    session: Session,
    understanding: Understanding,
    heard: Encoded,
    loaded: LoadedBot,
    services: Services,
    *,
    slots: Mapping[str, Any],
    leans_on_the_last: bool,
    passages: Callable[[], tuple[Citation, ...]],
) -> Asking | None:
    """The question as the reply cache asks it; None if its reply is for this person only, or the cache is away."""
    bot, cache = loaded.bot, services.cache
    begun = session.dialogue or loaded.policy.tracker.begin()
    why = refusal(bot, session, begun.now.slots, slots, turn.text, has_uploads=bool(turn.uploads))
    if leans_on_the_last:
        why = Refusal.FOLLOW_UP
    if why is None and (notes_of(bot, slots) or bot.knowledge.narrowed(slots)):
        why = Refusal.SLOTS_IN_PROMPT
    if why is not None:
        cache.refuse(why)
        return None
    if (secret := cache.key()) is None:
        return None
    scope = scope_of(secret, bot, model=services.generator.model, language=understanding.language)
    found = once(passages)
    return Asking(
        bot=bot.name,
        key=key_of(secret, scope, turn.text),
        scope=scope,
        origin=keyed_hash(secret, session.conversation_id),
        library=loaded.library,
        support=lambda: support_of(found()),
        found=lambda: frozenset(map(passage_id, found())),
        question=once(lambda: Question.of(heard, services.encoder.knows, understanding)),
        in_other_words=understanding.language == "en",
    )
