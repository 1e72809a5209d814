"""The contracts of `ports.Subscriptions` and `ports.Sealing`, kept by the fakes and by DynamoDB and KMS alike."""

import uuid
from dataclasses import replace
from typing import Any

import boto3
import pytest

from parley.adapters.memory import MemorySealing, MemorySubscriptions
from parley.adapters.sealing import KmsSealing
from parley.adapters.subscriptions import DynamoSubscriptions
from parley.errors import SessionConflict, Unavailable
from parley.ports import SealedSecret, Sealing, Subscription, Subscriptions
from tests.contracts.conftest import Tables


@pytest.fixture(params=["memory", "aws"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "aws":
        for name, value in request.getfixturevalue("aws").items():
            monkeypatch.setenv(name, value)
    return str(request.param)


@pytest.fixture
def subscriptions(kind: str, request: pytest.FixtureRequest) -> Subscriptions:
    if kind == "memory":
        return MemorySubscriptions()
    tables: Tables = request.getfixturevalue("tables")
    return DynamoSubscriptions(tables.subscriptions)


@pytest.fixture
def sealing(kind: str) -> Sealing:
    if kind == "memory":
        return MemorySealing()
    kms: Any = boto3.client("kms")
    return KmsSealing(kms.create_key()["KeyMetadata"]["Arn"])


def a_subscription(**changes: object) -> Subscription:
    subscription = Subscription(
        uuid.uuid4().hex[:16],
        f"tenant-{uuid.uuid4().hex[:8]}",
        "The shop",
        "https://shop.example/hook?from=parley",
        ("turn.answered", "feedback.given"),
        ("support",),
        True,
        (SealedSecret("sealed", ends_at=1_000.5), SealedSecret("older")),
        1_000.25,
    )
    return replace(subscription, **changes)  # type: ignore[arg-type]


def test_a_subscription_that_was_saved_is_found_as_it_is(subscriptions: Subscriptions) -> None:
    subscription = a_subscription()

    subscriptions.save(subscription)

    assert subscriptions.get(subscription.id) == subscription
    assert list(subscriptions.list(subscription.tenant)) == [subscription]


def test_one_that_nobody_made_is_not_found(subscriptions: Subscriptions) -> None:
    assert subscriptions.get("0" * 16) is None
    assert list(subscriptions.list("nobody")) == []
    assert subscriptions.delete("0" * 16) is False


def test_those_of_a_tenant_are_listed_the_oldest_first_and_nobody_elses(subscriptions: Subscriptions) -> None:
    older, newer = a_subscription(tenant="acme", created_at=1.0), a_subscription(tenant="acme", created_at=2.0)
    for each in (newer, older, a_subscription()):
        subscriptions.save(each)

    assert list(subscriptions.list("acme")) == [older, newer]
    assert subscriptions.delete(older.id) is True
    assert list(subscriptions.list("acme")) == [newer]


def test_who_changes_what_somebody_else_changed_first_is_told(subscriptions: Subscriptions) -> None:
    subscription = a_subscription()
    subscriptions.save(subscription)
    subscriptions.save(replace(subscription, version=2, name="first"))

    for late in (replace(subscription, version=2, name="second"), subscription):
        with pytest.raises(SessionConflict):
            subscriptions.save(late)

    assert subscriptions.get(subscription.id) == replace(subscription, version=2, name="first")


def test_a_change_does_not_bring_a_deleted_one_back(subscriptions: Subscriptions) -> None:
    subscription = a_subscription()
    subscriptions.save(subscription)

    subscriptions.delete(subscription.id)

    with pytest.raises(SessionConflict):
        subscriptions.save(replace(subscription, version=2))


def test_a_sealed_secret_is_opened_again_for_what_it_is_of(sealing: Sealing) -> None:
    sealed = sealing.seal("whsec_c2VjcmV0", of="a")

    assert sealed != "whsec_c2VjcmV0"
    assert sealing.unseal(sealed, of="a") == "whsec_c2VjcmV0"
    assert sealing.unseal(sealed, of="a") == "whsec_c2VjcmV0"  # and again


def test_a_sealed_secret_is_opened_for_nothing_else(sealing: Sealing) -> None:
    sealed = sealing.seal("whsec_c2VjcmV0", of="a")

    with pytest.raises(Unavailable):
        sealing.unseal(sealed, of="b")
