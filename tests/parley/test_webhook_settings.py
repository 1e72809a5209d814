"""The environment of the functions of webhooks."""

import pytest

from parley.access import Access
from parley.errors import BadSettings
from parley.settings import read_webhook_settings

COMPLETE = {
    "PARLEY_STAGE": "dev",
    "ACCESS": '{"support": {"tenant": "acme"}}',
    "SUBSCRIPTIONS_TABLE": "subscriptions",
    "DELIVERIES_TABLE": "deliveries",
    "DELIVERIES_QUEUE_URL": "https://sqs.example/deliveries",
    "SIGNING_KEY": "arn:key",
    "ACTION_SECRETS": "parley/dev/",
    "OPERATOR_KEY_SECRET": "arn:operator",
    "KEYS_TABLE": "keys",
}


def test_whose_a_bot_is_is_read() -> None:
    settings = read_webhook_settings(COMPLETE)

    assert settings.access == {"support": Access(tenant="acme")}
    assert settings.subscribers_on_loopback is False


def test_this_machine_is_posted_to_on_a_laptop_alone() -> None:
    on = {**COMPLETE, "SUBSCRIBERS_ON_LOOPBACK": "true"}

    assert read_webhook_settings({**on, "PARLEY_STAGE": "local"}).subscribers_on_loopback is True
    with pytest.raises(BadSettings, match="for the stage `local` only"):
        read_webhook_settings(on)


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(BadSettings, match=name):
        read_webhook_settings({key: value for key, value in COMPLETE.items() if key != name})
