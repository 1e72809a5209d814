"""The contract of `ports.Keys`, kept by the fake and by DynamoDB alike."""

import uuid
from dataclasses import replace

import pytest

from parley.adapters.keys import DynamoKeys
from parley.adapters.memory import MemoryKeys
from parley.errors import SessionConflict
from parley.ports import ApiKey, Keys, KeySecret
from tests.contracts.conftest import Tables


@pytest.fixture(params=["memory", "dynamodb"])
def keys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Keys:
    if request.param == "memory":
        return MemoryKeys()
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    tables: Tables = request.getfixturevalue("tables")
    return DynamoKeys(tables.keys)


def a_key(**changes: object) -> ApiKey:
    secrets = (KeySecret("ab" * 32, ends_at=1_000.5), KeySecret("cd" * 32))
    key = ApiKey(uuid.uuid4().hex[:16], "A server", ("chat",), ("support",), secrets, 1_000.25, expires_at=4e9)
    return replace(key, **changes)  # type: ignore[arg-type]


def test_a_key_that_was_saved_is_found_as_it_is(keys: Keys) -> None:
    key = a_key()

    keys.save(key)

    assert keys.get(key.id) == key


def test_a_key_that_nobody_made_is_not_found(keys: Keys) -> None:
    assert keys.get("0" * 16) is None
    assert keys.delete("0" * 16) is False


def test_a_key_may_live_for_ever_and_open_all_bots(keys: Keys) -> None:
    key = a_key(expires_at=None, bots=())

    keys.save(key)

    assert keys.get(key.id) == key


def test_a_key_is_changed_one_version_after_the_other(keys: Keys) -> None:
    key = a_key()
    keys.save(key)

    keys.save(replace(key, version=2, secrets=key.secrets[:1]))

    assert keys.get(key.id) == replace(key, version=2, secrets=key.secrets[:1])


def test_who_changes_a_key_that_somebody_else_changed_first_is_told(keys: Keys) -> None:
    key = a_key()
    keys.save(key)
    keys.save(replace(key, version=2, name="first"))

    with pytest.raises(SessionConflict):
        keys.save(replace(key, version=2, name="second"))

    found = keys.get(key.id)
    assert found is not None
    assert found.name == "first"


def test_an_id_is_given_once(keys: Keys) -> None:
    key = a_key()
    keys.save(key)

    with pytest.raises(SessionConflict):
        keys.save(replace(key, name="another"))


def test_a_change_does_not_bring_a_revoked_key_back(keys: Keys) -> None:
    key = a_key()
    keys.save(key)

    assert keys.delete(key.id) is True
    with pytest.raises(SessionConflict):
        keys.save(replace(key, version=2))

    assert keys.get(key.id) is None


def test_all_keys_are_listed_the_oldest_first(keys: Keys) -> None:
    older, newer = a_key(created_at=1.0), a_key(created_at=2.0)
    keys.save(newer)
    keys.save(older)

    listed = [key for key in keys.list() if key.id in (older.id, newer.id)]
    keys.delete(older.id)

    assert listed == [older, newer]
    assert older.id not in [key.id for key in keys.list()]
    keys.delete(newer.id)
