"""What makes two questions one, and which replies may be shared."""

import pytest

from parley.adapters.memory import MemoryReplies
from parley.bots.bot import GenerationSettings
from parley.caching.eligibility import is_shareable
from parley.caching.key import cache_key, normalise
from parley.caching.recall import ReplyCache
from parley.conversation import Event
from parley.errors import Unavailable
from tests.builders import a_bot, a_dialogue, a_reply, a_session


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What does it cost?", "what  does it COST", True),
        ("ｗｈａｔ?", "what", True),
        ("is it C?", "is it C++?", False),
        ("do you ship?", "don't you ship?", False),
        ("?", "!", False),
    ],
)
def test_questions_that_mean_the_same_read_the_same(one: str, other: str, same: bool) -> None:
    assert (normalise(one) == normalise(other)) is same


def key_of(**changes: str) -> str:
    parts = {"decided": "answer", "library": "", "model": "m", "language": "en", "text": "hello", **changes}
    bot, secret = a_bot(version=parts.pop("version", "v1")), parts.pop("secret", "s")
    return cache_key(secret.encode(), bot, **parts)


@pytest.mark.parametrize("part", ["decided", "library", "model", "language", "text", "secret", "version"])
def test_everything_a_reply_depends_on_is_in_its_key(part: str) -> None:
    assert key_of(**{part: "another"}) != key_of()


def shareable(text: str = "what does it cost?", **session: object) -> bool:
    found = a_session(**session)
    return is_shareable(a_bot(), found, found.slots, found.slots, text, may_generate=True)


def test_a_plain_question_may_be_shared() -> None:
    knowing = a_dialogue(a_bot(), Event("slot", "order_number", "204518"))

    assert shareable()
    assert shareable(version=3, dialogue=knowing)


def test_a_question_inside_a_form_is_not_shared() -> None:
    assert not shareable(dialogue=a_dialogue(a_bot(), Event("active_loop", "order_form")))


@pytest.mark.parametrize("text", ["mail me at jo@example.com", "ring 020 915 0142", "my card is 4111-1111-1111"])
def test_a_question_that_holds_somebodys_own_data_is_not_shared(text: str) -> None:
    assert not shareable(text)


def test_a_question_that_told_the_bot_something_is_not_shared() -> None:
    told = {"order_number": "204518"}

    assert not is_shareable(a_bot(), a_session(), {}, told, "and this one?", may_generate=False)


def test_a_reply_that_depends_on_the_history_is_not_shared() -> None:
    bot = a_bot(generation=GenerationSettings("Be kind.", history_turns=4))
    later = a_session(version=1)

    assert is_shareable(bot, a_session(), {}, {}, "how are you?", may_generate=True)
    assert not is_shareable(bot, later, {}, {}, "how are you?", may_generate=True)
    assert is_shareable(bot, later, {}, {}, "what does it cost?", may_generate=False)


class Away:
    """A store, and a secret, that cannot be reached."""

    def get(self, key: str) -> None:
        raise Unavailable("away")

    def put(self, key: str, reply: object, *, expires_at: float) -> None:
        raise Unavailable("away")

    def __call__(self) -> bytes:
        raise Unavailable("away")


def test_a_store_that_is_away_is_a_miss_and_no_error() -> None:
    cache = ReplyCache(Away(), lambda: b"s", ttl_seconds=60, clock=lambda: 0.0)

    cache.keep("k", a_reply(source="knowledge"))

    assert cache.recall("k") is None


def test_without_the_secret_nothing_is_shared() -> None:
    cache = ReplyCache(MemoryReplies(lambda: 0.0), Away(), ttl_seconds=60, clock=lambda: 0.0)

    assert cache.key(a_bot(), decided="answer", library="", model="m", text="hello") is None
