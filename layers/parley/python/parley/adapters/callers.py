"""Who callers are, wired from the settings."""

import time

from parley.adapters.keys import DynamoKeys
from parley.adapters.secrets import secret_from
from parley.callers import Callers
from parley.ports import Identities
from parley.settings import Settings, WebhookSettings


def callers_of(settings: Settings) -> Callers:
    """Knows visitors, who is signed in, servers and operators."""
    operator_key, keys = secret_from(settings.operator_key_secret), DynamoKeys(settings.keys_table)
    return Callers(settings.access, time.time, operator_key, keys, _identities(settings), settings.http_address)


def operators_of(settings: WebhookSettings) -> Callers:
    """Knows visitors, who is signed in, servers and operators, and no pages."""
    operator_key, keys = secret_from(settings.operator_key_secret), DynamoKeys(settings.keys_table)
    return Callers(settings.access, time.time, operator_key, keys, _identities(settings))


def servers_of(settings: Settings) -> Callers:
    """Knows visitors and servers."""
    return Callers(settings.access, time.time, keys=DynamoKeys(settings.keys_table))


def people_of(settings: Settings) -> Callers:
    """Knows visitors and who is signed in."""
    return Callers(settings.access, time.time, identities=_identities(settings), own_address=settings.http_address)


def _identities(settings: Settings | WebhookSettings) -> Identities | None:
    if not settings.issuers:
        return None
    from parley.adapters.oidc import OidcIdentities  # whose cryptography costs CPU, and is in a layer of its own

    return OidcIdentities(settings.issuers, time.time)
