"""The reply cache: what may be shared, with whom, for how long, and what happens when a tier is away."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from parley.adapters.memory import MemoryHotReplies, MemoryMetrics, MemoryReplies
from parley.bots.bot import GenerationSettings
from parley.caching.cache import reply_cache
from parley.caching.eligibility import Refusal, refusal
from parley.caching.key import key_of, keyed_hash, normalise, passage_id, scope_of, support_of
from parley.caching.packing import pack, unpack
from parley.caching.recall import CLAIM_SECONDS, Asking, Made, ReplyCache
from parley.caching.sameness import Question
from parley.caching.trial import least_wrong
from parley.conversation import Citation, Event, Reply
from parley.errors import Unavailable
from parley.nlu.encoder import OnnxEncoder
from tests.builders import a_bot, a_dialogue, a_reply, a_session, a_shared_reply

ASKED = "How do I change my delivery address?"
PUT_OTHERWISE = "How can I change the delivery address?"
ANOTHER = "How do I change my email address?"


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


def key(**changes: str) -> str:
    parts = {"model": "m", "language": "en", "text": "hello", "version": "v1", "secret": "s", **changes}
    secret, text = parts.pop("secret").encode(), parts.pop("text")
    return key_of(secret, scope_of(secret, a_bot(version=parts.pop("version")), **parts), text)


@pytest.mark.parametrize("part", ["language", "model", "text", "secret", "version"])
def test_everything_a_reply_depends_on_is_in_its_key(part: str) -> None:
    assert key(**{part: "another"}) != key()


def test_a_passage_that_says_something_else_is_another_support() -> None:
    passage = Citation("Returns", "returns.md", "How long", "You have 30 days.")

    assert support_of([passage]) != support_of([replace(passage, text="You have 60 days.")])
    assert support_of([]) != support_of([passage])


def why(text: str = "what does it cost?", bot: Any = None, told: dict[str, Any] | None = None, **session: Any) -> Any:
    found = a_session(**session)
    return refusal(bot or a_bot(), found, {}, told or {}, text)


def test_a_plain_question_may_be_shared() -> None:
    assert why() is None
    assert why(version=3, dialogue=a_dialogue(a_bot(), Event("slot", "order_number", "204518"))) is None


def test_a_question_inside_a_form_is_not_shared() -> None:
    assert why(dialogue=a_dialogue(a_bot(), Event("active_loop", "order_form"))) is Refusal.FORM


@pytest.mark.parametrize(
    "text", ["mail me at jo@example.com", "ring 020 915 0142", "my card is 4111-1111-1111", "hi, my name is Ada"]
)
def test_a_question_that_holds_somebodys_own_data_is_not_shared(text: str) -> None:
    assert why(text) is Refusal.PERSONAL


def test_a_question_that_came_with_files_is_not_shared() -> None:
    assert refusal(a_bot(), a_session(), {}, {}, "what is it?", has_uploads=True) is Refusal.UPLOADS


def test_a_question_that_told_the_bot_something_is_not_shared() -> None:
    assert why(told={"order_number": "204518"}) is Refusal.SLOTS


def test_a_reply_that_depends_on_the_history_is_not_shared() -> None:
    bot = a_bot(generation=GenerationSettings("Be kind.", history_turns=4))

    assert why(bot=bot) is None
    assert why(bot=bot, version=1) is Refusal.MEMORY


def test_a_packed_question_is_the_same_question(encoder: OnnxEncoder) -> None:
    question = Question.of(encoder.encode(ASKED), encoder.knows)

    again = unpack(pack(question))

    assert again is not None
    assert (again.text, again.facts, list(again.pieces)) == (question.text, question.facts, list(question.pieces))
    assert abs(again.states - question.states).max() < 0.05
    assert unpack(b"of another version") is None


@dataclass
class Counted:
    """Somebody who makes replies, and how often that was."""

    text: str = "In your account."
    refusal: Refusal | None = None
    cited: tuple[str, ...] = ()
    times: int = 0

    def __call__(self) -> Made | None:
        self.times += 1
        return Made(a_reply(self.text, "generated"), self.cited, 120, self.refusal)


@dataclass
class Cached:
    """A reply cache, and people who ask it."""

    encoder: OnnxEncoder
    store: Any
    hot: Any = None
    now: float = 1_000.0
    share_compared: float = 0.0
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    passages: tuple[Citation, ...] = ()
    library: str = ""

    def __post_init__(self) -> None:
        self.cache = self.function()

    def function(self) -> ReplyCache:
        """Another function with a memory of its own, over the same store."""
        cache = reply_cache(
            self.store,
            lambda: b"secret",
            self.encoder,
            self.metrics,
            clock=lambda: self.now,
            ttl_seconds=3600,
            hot=self.hot,
            dollars_per_million_tokens=2.0,
            share_compared=self.share_compared,
            spawn=lambda work: work(),
        )
        return replace(cache, sleep=self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def asking(self, text: str, bot: str = "support", conversation: str = "c") -> Asking:
        heard, passages = self.encoder.encode(text), self.passages
        return Asking(
            bot,
            key_of(b"secret", "scope", text),
            "scope",
            conversation,
            self.library,
            lambda: support_of(passages),
            lambda: frozenset(map(passage_id, passages)),
            lambda: Question.of(heard, self.encoder.knows),
        )

    def ask(
        self, text: str, make: Callable[[], Made | None], cache: ReplyCache | None = None, **more: str
    ) -> Reply | None:
        """The reply, and ten seconds later than the one before."""
        self.now += 10
        return (cache or self.cache).reply(self.asking(text, **more), make)


@pytest.fixture
def cached(encoder: OnnxEncoder) -> Callable[..., Cached]:
    """Builds a reply cache."""

    def build(**parts: Any) -> Cached:
        held: dict[str, Cached] = {}
        store = parts.pop("store", None) or MemoryReplies(lambda: held["it"].now if held else 1_000.0)
        held["it"] = Cached(encoder, store, **parts)
        return held["it"]

    return build


def source(reply: Reply | None) -> str | None:
    return reply and reply.source


def test_a_question_is_answered_from_the_cache_once_it_was_asked_twice(cached: Callable[..., Cached]) -> None:
    made, people = Counted(), cached()

    replies = [people.ask(ASKED, made) for _ in range(4)]

    assert [source(reply) for reply in replies] == ["generated", "generated", "cached", "cached"]
    assert made.times == 2
    assert people.metrics.total("CacheRefused", why=Refusal.ONCE) == 1
    assert people.metrics.total("CacheHit", how="exact") == 2
    assert people.metrics.total("CacheMiss") == 2
    assert people.metrics.total("CacheSavedTokens") == 240
    assert people.metrics.total("CacheSavedDollars") == pytest.approx(240 * 2 / 1e6)


@pytest.mark.parametrize("why", [Refusal.SUBSTITUTE, Refusal.UNGROUNDED])
def test_what_may_not_be_shared_is_never_kept(cached: Callable[..., Cached], why: Refusal) -> None:
    made, people = Counted(refusal=why), cached()

    assert [source(people.ask(ASKED, made)) for _ in range(3)] == ["generated"] * 3
    assert people.metrics.total("CacheRefused", why=why) == 3


def test_where_nothing_was_made_nothing_is_kept_and_the_next_one_tries(cached: Callable[..., Cached]) -> None:
    people = cached()

    assert [people.ask(ASKED, lambda: None) for _ in range(2)] == [None, None]
    assert source(people.ask(ASKED, Counted())) == "generated"


def test_a_failure_gives_the_question_back(cached: Callable[..., Cached]) -> None:
    def fails() -> Made:
        raise ValueError("a fault of ours")

    people, made = cached(), Counted()

    with pytest.raises(ValueError, match="ours"):
        people.ask(ASKED, fails)
    before = people.now
    people.ask(ASKED, made)

    assert people.now - before == 10
    assert made.times == 1


def test_the_same_question_in_other_words_gets_the_same_reply(cached: Callable[..., Cached]) -> None:
    made, people = Counted(), cached()
    people.ask(ASKED, made)
    people.ask(ASKED, made)

    otherwise, another = people.ask(PUT_OTHERWISE, made), people.ask(ANOTHER, made)

    assert (source(otherwise), source(another)) == ("cached", "generated")
    assert people.metrics.total("CacheHit", how="semantic") == 1


def test_another_bots_replies_are_not_given(cached: Callable[..., Cached]) -> None:
    made, people = Counted(), cached()
    people.ask(ASKED, made)
    people.ask(ASKED, made)

    assert source(people.ask(PUT_OTHERWISE, made, bot="another")) == "generated"


def test_a_question_whose_passages_do_not_support_the_reply_is_another(cached: Callable[..., Cached]) -> None:
    passage = Citation("Orders", "orders.md", "Address", "Change the address in your account.")
    people, made = cached(passages=(passage,)), Counted(cited=(passage_id(passage),))
    people.ask(ASKED, made)
    people.ask(ASKED, made)

    assert source(people.ask(PUT_OTHERWISE, made)) == "cached"

    people.passages = (replace(passage, text="Write to us to change the address."),)

    assert source(people.ask(PUT_OTHERWISE, made)) == "generated"


def test_a_changed_passage_drops_only_what_was_made_from_it(cached: Callable[..., Cached]) -> None:
    passage = Citation("Orders", "orders.md", "Address", "Change the address in your account.")
    people, made = cached(passages=(passage,), library="one"), Counted(cited=(passage_id(passage),))
    people.ask(ASKED, made)
    people.ask(ASKED, made)
    people.library = "two"

    as_before = people.ask(ASKED, made)
    people.passages = (replace(passage, text="Write to us."),)
    changed = people.ask(ASKED, made)

    assert (source(as_before), source(changed)) == ("cached", "generated")
    assert people.metrics.total("CacheStale") == 1


def test_a_dropped_reply_is_gone_in_every_function_within_seconds(cached: Callable[..., Cached]) -> None:
    people, made = cached(hot=MemoryHotReplies(lambda: 0.0)), Counted()
    elsewhere = people.function()
    for cache in (None, None, elsewhere):
        people.ask(ASKED, made, cache)
    people.store.drop(people.asking(ASKED).key, "support", expires_at=people.now + 3600)

    assert source(people.ask(ASKED, made, elsewhere)) == "generated"
    assert source(people.ask(PUT_OTHERWISE, made)) == "generated"


def test_many_who_ask_at_once_cost_one_generation(cached: Callable[..., Cached]) -> None:
    people, made = cached(), Counted()
    elsewhere, seen = people.function(), []

    def while_it_is_made() -> Made | None:
        def meanwhile(seconds: float) -> None:
            people.now += seconds
            if not seen:
                seen.append("waited")
                first = made()
                assert first is not None
                key = people.asking(ASKED).key
                people.store.put(key, "support", shared_of(first, people), expires_at=people.now + 60, asked=2)

        other = replace(elsewhere, sleep=meanwhile)
        seen.append(source(other.reply(people.asking(ASKED), made)) or "nothing")
        return made()

    people.ask(ASKED, while_it_is_made)

    assert seen == ["waited", "cached"]
    assert people.metrics.total("CacheHit", how="awaited") == 1


def shared_of(made: Made, people: Cached) -> Any:
    return a_shared_reply(made.reply.messages[0].text, scope="scope", made_at=people.now)


def test_who_waits_for_somebody_that_died_answers_in_the_end(cached: Callable[..., Cached]) -> None:
    people, made = cached(), Counted()
    people.store.claim(people.asking(ASKED).key, until=people.now + CLAIM_SECONDS, expires_at=people.now + 3600)

    begun = people.now
    reply = people.ask(ASKED, made)

    assert source(reply) == "generated"
    assert people.now - begun <= CLAIM_SECONDS + 1


class Away:
    """A tier that cannot be reached, whatever is asked of it."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def away(*_: object, **__: object) -> None:
            raise Unavailable("away")

        return away


def test_a_store_that_is_away_is_a_miss_and_no_error(cached: Callable[..., Cached]) -> None:
    people, made = cached(store=Away()), Counted()

    assert [source(people.ask(ASKED, made)) for _ in range(3)] == ["generated"] * 3


def test_a_cache_server_that_is_away_costs_no_reply(cached: Callable[..., Cached]) -> None:
    people, made = cached(hot=Away()), Counted()

    assert [source(people.ask(ASKED, made)) for _ in range(3)] == ["generated", "generated", "cached"]


def test_the_cache_server_answers_before_the_table(cached: Callable[..., Cached]) -> None:
    people, made = cached(hot=MemoryHotReplies(lambda: 0.0)), Counted()
    people.ask(ASKED, made)
    people.ask(ASKED, made)
    elsewhere = replace(people, store=Away())

    assert source(elsewhere.ask(ASKED, made)) == "cached"


def test_without_the_secret_nothing_is_shared(cached: Callable[..., Cached]) -> None:
    assert replace(cached().cache, secret=Away().anything).key() is None


def test_what_was_made_in_an_erased_conversation_is_dropped(cached: Callable[..., Cached]) -> None:
    people, made = cached(), Counted()
    origin = keyed_hash(b"secret", "of Ada")
    people.ask(ASKED, made, conversation=origin)
    people.ask(ASKED, made, conversation=origin)

    people.cache.erase("support", "of Ada")

    assert source(people.ask(ASKED, made)) == "generated"


def test_a_share_of_semantic_hits_is_made_afresh_and_counted(cached: Callable[..., Cached]) -> None:
    people, made = cached(share_compared=1.0), Counted()
    people.ask(ASKED, made)
    people.ask(ASKED, made)

    agreeing = people.ask(PUT_OTHERWISE, made)
    people.ask(PUT_OTHERWISE, Counted("Elephants never forget."))

    assert source(agreeing) == "generated"
    assert people.metrics.total("CacheChecked") == 2
    assert people.metrics.total("CacheWrong") == 1


def test_too_many_wrong_replies_turn_the_semantic_tier_off(cached: Callable[..., Cached]) -> None:
    people, made = cached(), Counted()
    people.ask(ASKED, made)
    people.ask(ASKED, made)
    for wrong in (True, True, True, False, False, False):
        people.cache.trial.note("support", wrong=wrong)

    assert source(people.ask(PUT_OTHERWISE, made)) == "generated"
    assert source(people.ask(ASKED, made)) == "cached"
    assert people.metrics.total("CacheSemanticOff") > 0


def test_what_did_not_change_is_not_taken_in_again(
    cached: Callable[..., Cached], monkeypatch: pytest.MonkeyPatch
) -> None:
    people, made = cached(), Counted()
    people.ask(ASKED, made)
    people.ask(ASKED, made)
    people.ask(PUT_OTHERWISE, made)
    monkeypatch.setattr("parley.caching.frequent._built", None)

    people.cache.frequent.refresh("support")

    assert source(people.ask(PUT_OTHERWISE, made)) == "cached"


def test_one_wrong_reply_among_many_proves_nothing() -> None:
    assert least_wrong(0, 0) == 0.0
    assert least_wrong(1, 100) < 0.01 < least_wrong(3, 40) < 3 / 40


@pytest.mark.parametrize("seconds", [3600.0, 4000.0])
def test_a_reply_is_shared_for_its_time_and_no_longer(cached: Callable[..., Cached], seconds: float) -> None:
    people, made = cached(), Counted()
    people.ask(ASKED, made)
    people.ask(ASKED, made)
    people.now += seconds

    assert source(people.ask(ASKED, made)) == "generated"
