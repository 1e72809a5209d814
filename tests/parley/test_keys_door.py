"""The routes of API keys: who may make them, what is shown and kept of them, and when they end."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from parley.access import Access
from parley.adapters.memory import MemoryKeys
from parley.callers import Callers
from parley.errors import NotKnown
from parley.keys_api import KeysApi
from parley.keys_door import KeysDoor
from parley.ports import ApiKey
from tests import gateway

OPERATOR = "the operator's key"
ACCESS = {"support": Access(), "tutor": Access(), "clinic": Access("weir-street")}


class Operator:
    """An operator who keeps API keys."""

    def __init__(self) -> None:
        self.keys = MemoryKeys()
        self.now = 1_000.0
        self.callers = Callers(ACCESS, lambda: self.now, OPERATOR.encode, self.keys)
        self._api = KeysApi(KeysDoor(self.keys, self.callers, lambda: self.now))

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = OPERATOR) -> SimpleNamespace:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        told = None if body is None else json.dumps(body).encode()
        response = self._api(gateway.event(method, path, headers, told), None)
        content = json.loads(response["body"]) if response.get("body") else None
        return SimpleNamespace(status=response["statusCode"], content=content, headers=response["headers"])

    def make(self, **fields: Any) -> Any:
        return self.call("POST", "/v1/keys", {"name": "a server", **fields}).content

    def admitted(self, shown: str) -> ApiKey:
        caller = self.callers.who(f"Bearer {shown}")
        if caller.key is None:
            raise NotKnown("no API key")
        return caller.key

    def opens(self, shown: str) -> bool:
        try:
            self.admitted(shown)
        except NotKnown:
            return False
        return True


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_a_key_is_shown_once_and_opens_chat(operator: Operator) -> None:
    made = operator.call("POST", "/v1/keys", {"name": "a server"})
    listed = operator.call("GET", "/v1/keys").content["keys"]

    assert (made.status, made.headers["Cache-Control"]) == (201, "no-store")
    assert operator.admitted(made.content["key"]).name == "a server"
    assert [{**listed[0], "key": made.content["key"]}] == [made.content]


def test_neither_the_store_nor_the_log_knows_a_secret(operator: Operator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "parley"):
        made = operator.make()
        rotated = operator.call("POST", f"/v1/keys/{made['id']}/rotate", {}).content

    for shown in (made["key"], rotated["key"]):
        secret = shown.removeprefix(f"parley_{made['id']}_")
        assert len(secret) == 43
        assert secret not in str(operator.keys.get(made["id"]))
        assert secret not in str([record.__dict__ for record in caplog.records])


@pytest.mark.parametrize("key", [None, "guessed", ""])
def test_keys_are_for_operators_only(operator: Operator, key: str | None) -> None:
    made = operator.make()

    statuses = [
        operator.call("POST", "/v1/keys", {"name": "mine"}, key=key).status,
        operator.call("GET", "/v1/keys", key=key).status,
        operator.call("POST", f"/v1/keys/{made['id']}/rotate", {}, key=key).status,
        operator.call("DELETE", f"/v1/keys/{made['id']}", key=key).status,
    ]

    assert statuses == [403] * 4
    assert len(operator.keys.list()) == 1


def test_an_api_key_is_no_operator_key(operator: Operator) -> None:
    assert operator.call("GET", "/v1/keys", key=operator.make()["key"]).status == 403


def test_a_revoked_key_opens_nothing_from_then_on(operator: Operator) -> None:
    made = operator.make()

    assert operator.call("DELETE", f"/v1/keys/{made['id']}").status == 204

    assert not operator.opens(made["key"])
    assert operator.call("DELETE", f"/v1/keys/{made['id']}").status == 404
    assert operator.call("POST", f"/v1/keys/{made['id']}/rotate", {}).status == 404


def test_a_key_expires(operator: Operator) -> None:
    made = operator.make(expires_at=2_000)

    operator.now = 1_999.0
    assert operator.opens(made["key"])
    operator.now = 2_000.0
    assert not operator.opens(made["key"])
    assert operator.call("GET", "/v1/keys").content["keys"][0]["secrets"] == []


def test_a_second_secret_is_valid_beside_the_first_until_told_otherwise(operator: Operator) -> None:
    made = operator.make()

    rotated = operator.call("POST", f"/v1/keys/{made['id']}/rotate", {}).content
    operator.now += 1e9
    both = [operator.opens(made["key"]), operator.opens(rotated["key"])]
    finished = operator.call("POST", f"/v1/keys/{made['id']}/rotate", {"finish": True}).content

    assert both == [True, True]
    assert len(rotated["secrets"]) == 2
    assert "key" not in finished
    assert [operator.opens(made["key"]), operator.opens(rotated["key"])] == [False, True]
    assert operator.call("POST", f"/v1/keys/{made['id']}/rotate", {"finish": True}).status == 400


def test_the_old_secret_may_end_by_itself_or_at_once(operator: Operator) -> None:
    first = operator.make()
    rotate = f"/v1/keys/{first['id']}/rotate"

    second = operator.call("POST", rotate, {"old_valid_seconds": 60}).content
    operator.now += 59
    assert operator.opens(first["key"])
    operator.now += 1
    assert not operator.opens(first["key"])
    third = operator.call("POST", rotate, {"old_valid_seconds": 0}).content

    assert [operator.opens(each["key"]) for each in (first, second, third)] == [False, False, True]


def test_a_second_rotation_ends_the_first_secret(operator: Operator) -> None:
    first = operator.make()
    second, third = (operator.call("POST", f"/v1/keys/{first['id']}/rotate", {}).content for _ in range(2))

    assert [operator.opens(each["key"]) for each in (first, second, third)] == [False, True, True]


def test_a_key_may_be_limited_to_some_bots(operator: Operator) -> None:
    limited, free = operator.make(bots=["tutor"]), operator.make()

    def talks_with(made: Any) -> list[str]:
        caller = operator.callers.who(f"Bearer {made['key']}")
        return [bot for bot in ACCESS if operator.callers.may_talk(caller, bot)]

    assert talks_with(limited) == ["tutor"]
    assert talks_with(free) == ["support", "tutor"]


def test_a_key_is_its_tenants_and_talks_with_that_tenants_bots_only(operator: Operator) -> None:
    made = operator.make(tenant="weir-street")

    caller = operator.callers.who(f"Bearer {made['key']}")

    assert made["tenant"] == caller.tenant == "weir-street"
    assert [bot for bot in ACCESS if operator.callers.may_talk(caller, bot)] == ["clinic"]


def test_a_tenant_without_a_bot_gets_no_key(operator: Operator) -> None:
    response = operator.call("POST", "/v1/keys", {"name": "a server", "tenant": "nobody"})

    assert response.status == 404
    assert operator.keys.list() == ()


def test_an_operator_of_one_tenant_keeps_that_tenants_keys_only(operator: Operator) -> None:
    clinics = operator.make(tenant="weir-street", scopes=["operate"])["key"]
    ours = operator.make()

    made = operator.call("POST", "/v1/keys", {"name": "a server"}, key=clinics)
    listed = operator.call("GET", "/v1/keys", key=clinics)
    foreign = [
        operator.call("POST", "/v1/keys", {"name": "a server", "tenant": "main"}, key=clinics),
        operator.call("POST", "/v1/keys", {"name": "a server", "bots": ["support"]}, key=clinics),
        operator.call("POST", f"/v1/keys/{ours['id']}/rotate", {}, key=clinics),
        operator.call("DELETE", f"/v1/keys/{ours['id']}", key=clinics),
    ]

    assert (made.status, made.content["tenant"]) == (201, "weir-street")
    assert {key["tenant"] for key in listed.content["keys"]} == {"weir-street"}
    assert [response.status for response in foreign] == [403, 404, 404, 404]
    assert operator.opens(ours["key"])


def test_a_key_that_talks_only_keeps_no_keys(operator: Operator) -> None:
    server = operator.make()["key"]

    assert operator.call("GET", "/v1/keys", key=server).status == 403


def test_a_key_that_is_not_quite_right_opens_nothing(operator: Operator) -> None:
    shown = operator.make()["key"]

    assert not operator.opens(shown[:-1])
    assert not operator.opens(shown[:-1] + ("A" if shown[-1] != "A" else "B"))
    assert not operator.opens(shown + "A")
    assert not operator.opens("")
    assert not operator.opens(shown.replace("parley_", "parley-"))
    assert operator.opens(shown)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"name": ""}, 422),
        ({"name": "x", "scopes": ["everything"]}, 422),
        ({"name": "x", "scopes": []}, 422),
        ({"name": "x", "bots": ["nobody"]}, 404),
        ({"name": "x", "expires_at": 999}, 400),
        ({"name": "x", "expires_at": "tomorrow"}, 422),
        ({"name": "x", "expires": 2_000}, 422),
    ],
)
def test_a_bad_request_makes_no_key(operator: Operator, body: dict[str, Any], status: int) -> None:
    assert operator.call("POST", "/v1/keys", body).status == status
    assert operator.keys.list() == ()
