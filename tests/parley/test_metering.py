"""Quotas: how much is let through, and what is said when it is not."""

import calendar
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from parley.access import Access, Limits, Quotas
from parley.adapters.memory import MemoryConversations, MemoryGenerator, MemoryUsage
from parley.conversation import RecordedTurn, Session
from parley.errors import OverQuota, Unavailable
from parley.metering import Metering
from parley.ports import Meter, Opened
from parley.services import Services
from parley.turn import answer
from tests.builders import a_session, a_turn

NOON = float(calendar.timegm((2026, 11, 26, 12, 0, 10)))


class Meters:
    """Metering, and a clock that a test moves."""

    def __init__(self, **quotas: object) -> None:
        self.now, self.usage = NOON, MemoryUsage()
        access = {"shop": Access("acme"), "clinic": Access("weir-street")}
        self.metering = Metering(self.usage, Quotas(**quotas), access, lambda: self.now)  # type: ignore[arg-type]

    def lets(self, turns: int, **session: str | None) -> int:
        """How many of so many turns are let through."""
        conversation = a_session(**{"bot": "shop", **session})
        let = 0
        for _ in range(turns):
            try:
                self.metering.admit(conversation)
                let += 1
            except OverQuota:
                pass
        return let


@pytest.mark.parametrize(
    ("window", "later_seconds"),
    [("minute", 50), ("day", 12 * 3600), ("month", 5 * 86_400)],
    ids=str,
)
def test_a_window_lets_so_many_turns_through_and_the_next_one_again(window: str, later_seconds: int) -> None:
    meters = Meters(tenant=Limits(**{f"turns_per_{window}": 3}))

    let = meters.lets(5)
    meters.now += later_seconds

    assert (let, meters.lets(5)) == (3, 3)


def test_who_is_refused_is_told_when_to_come_again() -> None:
    meters = Meters(user=Limits(turns_per_minute=1))
    meters.lets(1, user_id="@anna")

    with pytest.raises(OverQuota, match="come again in 50 s") as refused:
        meters.metering.admit(a_session(bot="shop", user_id="@anna"))

    assert refused.value.retry_after_seconds == 50


def test_users_keys_and_tenants_are_counted_apart() -> None:
    meters = Meters(user=Limits(turns_per_minute=2), key=Limits(turns_per_minute=3), tenant=Limits(turns_per_minute=5))

    assert meters.lets(9, user_id="k1/anna", key_id="k1") == 2
    assert meters.lets(9, user_id="k1/ben", key_id="k1") == 1  # the key's third
    assert meters.lets(9, user_id="@carla") == 2  # the tenant's fifth
    assert meters.lets(9, user_id="@dora") == 0
    assert meters.lets(9, bot="clinic", user_id="@eve") == 2  # of another tenant


def test_a_conversation_that_begins_counts_for_the_tenant_and_for_who_is_known() -> None:
    meters = Meters(user=Limits(turns_per_minute=1), tenant=Limits(turns_per_minute=3))
    anna, visitor = a_session(bot="shop", user_id="@anna"), a_session(bot="shop", conversation_id="one")

    meters.metering.admit(visitor, begins=True)
    meters.metering.admit(anna, begins=True)

    assert meters.lets(9, user_id="@anna") == 0
    assert meters.lets(9, conversation_id="one") == 1, "the visitor's first, and the tenant's third"
    with pytest.raises(OverQuota, match="this tenant"):
        meters.metering.admit(a_session(bot="shop", conversation_id="two"), begins=True)


def test_visitors_are_counted_by_conversation() -> None:
    meters = Meters(user=Limits(turns_per_minute=2))

    assert [meters.lets(3, conversation_id=name) for name in ("one", "two")] == [2, 2]


def test_a_flood_of_one_user_is_not_charged_to_the_tenant() -> None:
    meters = Meters(user=Limits(turns_per_minute=1), tenant=Limits(turns_per_minute=3))

    meters.lets(100, user_id="@flood")

    assert [meters.lets(1, user_id=f"@{name}") for name in ("a", "b", "c")] == [1, 1, 0]


def test_a_tenant_may_have_limits_of_its_own() -> None:
    meters = Meters(tenant=Limits(turns_per_day=1), tenants={"acme": Limits(turns_per_day=4)})

    assert (meters.lets(9), meters.lets(9, bot="clinic")) == (4, 1)


def test_tokens_that_were_spent_are_counted_before_the_next_turn() -> None:
    meters = Meters(tenant=Limits(tokens_per_day=100))
    session = a_session(bot="shop")

    meters.metering.spend(session, 99)
    assert meters.lets(1) == 1
    meters.metering.spend(session, 50)

    assert meters.lets(1) == 0


def test_what_has_no_limit_is_not_counted() -> None:
    meters = Meters()

    meters.lets(3)
    meters.metering.spend(a_session(bot="shop"), 10)

    assert not meters.usage.turns
    assert not meters.usage.tokens


def test_tokens_that_cannot_be_counted_do_not_end_the_turn(caplog: pytest.LogCaptureFixture) -> None:
    class Down(MemoryUsage):
        def spend(self, meter: Meter, tokens: int) -> None:
            raise Unavailable("the database did not answer")

    meters = Meters(tenant=Limits(tokens_per_day=100))

    replace(meters.metering, usage=Down()).spend(a_session(bot="shop"), 10)

    assert "tokens were not counted" in caplog.text


def test_the_model_is_not_asked_over_quota_and_nothing_is_kept(make_services: Callable[..., Services]) -> None:
    generator = MemoryGenerator("Very well, ", "thank you.")
    quotas = Quotas(tenant=Limits(tokens_per_day=1))
    services = make_services(generator)
    services = replace(services, metering=Metering(MemoryUsage(), quotas, {}, services.clock))
    first = a_session(bot="support", conversation_id="first")
    again = a_session(bot="support", conversation_id="again")

    said = "how are you today?"
    answer(a_turn(conversation_id="first", bot="support", text=said), services, opened=Opened(first, is_new=True))
    with pytest.raises(OverQuota):
        answer(a_turn(conversation_id="again", bot="support", text=said), services, opened=Opened(again, is_new=True))

    assert len(generator.prompts) == 1
    assert services.conversations.open("again").session is None


def test_a_turn_that_comes_again_is_not_counted_again(make_services: Callable[..., Services]) -> None:
    usage = MemoryUsage()
    quotas = Quotas(tenant=Limits(turns_per_day=1))
    services = replace(make_services(), metering=Metering(usage, quotas, {}, lambda: NOON))
    session, turn = a_session(bot="support"), a_turn(bot="support", text="hello")
    first = answer(turn, services, opened=Opened(replace(session, conversation_id=turn.conversation_id), is_new=True))

    again = answer(turn, services)

    assert again.turn == first.turn
    assert [*usage.turns.values()] == [1]


def test_a_turn_that_was_counted_and_not_kept_is_answered_when_the_queue_delivers_it_again(
    make_services: Callable[..., Services],
) -> None:
    class Once(MemoryConversations):
        left = 1

        def record(self, session: Session, turn: RecordedTurn, *, begins: bool = False) -> None:
            if self.left:
                self.left -= 1
                raise Unavailable("the conversation could not be saved")
            super().record(session, turn, begins=begins)

    usage, conversations = MemoryUsage(), Once(lambda: NOON)
    metering = Metering(usage, Quotas(tenant=Limits(turns_per_day=1)), {}, lambda: NOON)
    services = replace(make_services(conversations=conversations), metering=metering)
    turn = a_turn(bot="support", text="hello")
    conversations.start(a_session(bot="support", conversation_id=turn.conversation_id))
    conversations.accept(turn)
    with pytest.raises(Unavailable):
        answer(turn, services)

    answer(turn, services)

    assert conversations.open(turn.conversation_id, turn.id).recorded is not None
    assert [*usage.turns.values()] == [1]


def test_a_turn_whose_meter_did_not_answer_is_counted_when_it_comes_again(
    make_services: Callable[..., Services],
) -> None:
    class Down(MemoryUsage):
        def take(self, meter: Meter, *, most_turns: int | None, most_tokens: int | None) -> bool:
            raise Unavailable("the database did not answer")

    usage, quotas, conversations = MemoryUsage(), Quotas(tenant=Limits(turns_per_day=1)), MemoryConversations(time.time)
    services = make_services(conversations=conversations)
    turn = a_turn(bot="support", text="hello")
    conversations.start(a_session(bot="support", conversation_id=turn.conversation_id))
    conversations.accept(turn)
    with pytest.raises(Unavailable):
        answer(turn, replace(services, metering=Metering(Down(), quotas, {}, lambda: NOON)))

    answer(turn, replace(services, metering=Metering(usage, quotas, {}, lambda: NOON)))

    assert [*usage.turns.values()] == [1]
