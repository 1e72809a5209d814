"""Which secrets of a key, and of a subscription, are valid at a moment."""

import pytest

from parley.ports import ApiKey, KeySecret, SealedSecret, Subscription

NEWEST, BEFORE = KeySecret("new"), KeySecret("old", ends_at=100.0)


def a_key(*secrets: KeySecret, expires_at: float | None = None) -> ApiKey:
    return ApiKey("k", "a server", ("chat",), (), secrets, 0.0, expires_at)


@pytest.mark.parametrize(("now", "valid"), [(99.0, (NEWEST, BEFORE)), (100.0, (NEWEST,))])
def test_a_secret_of_a_key_is_valid_until_it_ends(now: float, valid: tuple[KeySecret, ...]) -> None:
    assert a_key(NEWEST, BEFORE).valid_secrets(now) == valid


def test_no_secret_of_a_key_outlives_it() -> None:
    key = a_key(NEWEST, BEFORE, expires_at=50.0)

    assert [len(key.valid_secrets(now)) for now in (49.0, 50.0)] == [2, 0]


def test_a_secret_of_a_subscription_is_valid_until_it_ends() -> None:
    newest, before = SealedSecret("new"), SealedSecret("old", ends_at=100.0)
    kinds = ("turn.answered",)
    subscription = Subscription("s", "main", "A desk", "https://a.example", kinds, (), False, (newest, before), 0.0)

    assert subscription.valid_secrets(99.0) == (newest, before)
    assert subscription.valid_secrets(100.0) == (newest,)
