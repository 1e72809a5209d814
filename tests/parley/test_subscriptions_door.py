"""The routes of subscriptions: who may keep them, what is shown of them, and how what was given up is sent again."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from parley.access import Access
from parley.adapters.memory import (
    MemoryDeliveries,
    MemoryDeliveryQueue,
    MemoryKeys,
    MemoryPosts,
    MemorySealing,
    MemorySubscriptions,
)
from parley.callers import Callers
from parley.channels.webhooks import KINDS
from parley.errors import Unavailable
from parley.ports import DeadDelivery, Delivery, Taken
from parley.subscriptions_api import SubscriptionsApi
from parley.subscriptions_door import SubscriptionsDoor
from tests import gateway

OPERATOR = "the operator's key"
URL = "https://shop.example/hook"
ROOT = "/v1/subscriptions"


class Operator:
    """An operator who keeps subscriptions."""

    def __init__(self) -> None:
        self.subscriptions, self.deliveries = MemorySubscriptions(), MemoryDeliveries()
        self.queue, self.posts = MemoryDeliveryQueue(), MemoryPosts(refused=("https://10.0.0.7/",))
        self.now = time.time()
        access, self.keys = {"support": Access(), "clinic": Access(tenant="acme")}, MemoryKeys()
        self.callers = Callers(access, lambda: self.now, OPERATOR.encode, self.keys)
        self._api = SubscriptionsApi(
            SubscriptionsDoor(
                self.subscriptions,
                self.deliveries,
                self.queue,
                self.posts,
                MemorySealing(),
                self.callers,
                lambda: self.now,
            )
        )

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = OPERATOR) -> SimpleNamespace:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        told = None if body is None else json.dumps(body).encode()
        response = self._api(gateway.event(method, path, headers, told), None)
        content = json.loads(response["body"]) if response.get("body") else None
        return SimpleNamespace(status=response["statusCode"], content=content, headers=response["headers"])

    def make(self, **fields: Any) -> Any:
        return self.call("POST", ROOT, {"name": "a shop", "url": URL, **fields}).content

    def bury(self, to: str, count: int = 1, died_at: float = 2_000.0) -> None:
        for number in range(count):
            delivery = Delivery(to, f"msg_{number}", "turn.answered", '{"said": "Grüße"}', 1_000.0, 1_500.0, 12)
            self.deliveries.bury(DeadDelivery(delivery, died_at + number, "answered 500"))

    def disable(self, to: str) -> None:
        place = self.deliveries.take_place(to, self.deliveries.health(to), now=1.0, until=2.0)
        assert place is not None
        self.deliveries.failed(to, place, now=1_000.0, because="answered 410", row_since=0.0)
        self.deliveries.disable(to, now=1_000.0, because="answered 410")


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_a_subscription_is_made_and_its_secret_shown_once(operator: Operator) -> None:
    answer = operator.call("POST", ROOT, {"name": "a shop", "url": URL})
    made = answer.content
    shown = operator.call("GET", f"{ROOT}/{made['id']}").content
    (listed,) = operator.call("GET", ROOT).content["subscriptions"]

    assert answer.status == 201
    assert made["secret"].startswith("whsec_")
    assert (made["types"], made["bots"], made["content"], made["tenant"]) == ([*KINDS], [], True, "main")
    assert made["secret"] not in json.dumps([shown, listed])
    assert shown["state"] == {"status": "active", "dead": 0}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ROOT),
        ("POST", ROOT),
        *((method, f"{ROOT}/{'0' * 16}") for method in ("GET", "PATCH", "DELETE")),
        *(("POST", f"{ROOT}/{'0' * 16}/{what}") for what in ("rotate", "enable", "test", "replay")),
        ("GET", f"{ROOT}/{'0' * 16}/deliveries"),
    ],
)
def test_only_operators_get_in_and_what_is_not_there_is_not_found(operator: Operator, method: str, path: str) -> None:
    body = {"name": "a shop", "url": URL} if path == ROOT else {}
    bodied = body if method in ("POST", "PATCH") else None

    assert operator.call(method, path, bodied, key=None).status == 403
    assert operator.call(method, path, bodied, key="guessed").status == 403
    if path != ROOT:
        assert operator.call(method, path, bodied).status == 404


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"url": "ftp://shop.example/"}, 422),
        ({"url": "https://user:password@shop.example/"}, 422),
        ({"url": "https://shop.example/#place"}, 422),
        ({"url": "https://shop.example:none/"}, 422),
        ({"url": "https:///hook"}, 422),
        ({"types": ["turn.dreamt"]}, 422),
        ({"types": []}, 422),
        ({"url": "https://10.0.0.7/"}, 400),
        ({"bots": ["nobody"]}, 404),
        ({"bots": ["clinic"]}, 404),
        ({"tenant": "nobody"}, 404),
    ],
)
def test_what_cannot_be_told_or_is_not_theirs_to_hear_is_refused(
    operator: Operator, fields: dict[str, Any], status: int
) -> None:
    assert operator.call("POST", ROOT, {"name": "a shop", "url": URL, **fields}).status == status
    assert operator.call("GET", ROOT).content["subscriptions"] == []


def test_a_tenant_hears_of_its_own_bots(operator: Operator) -> None:
    made = operator.make(tenant="acme", bots=["clinic"], types=["feedback.given"], content=False)

    assert (made["tenant"], made["bots"], made["types"], made["content"]) == (
        "acme",
        ["clinic"],
        ["feedback.given"],
        False,
    )
    assert operator.call("PATCH", f"{ROOT}/{made['id']}", {"bots": ["support"]}).status == 404


def test_what_is_changed_is_otherwise_and_the_rest_stays(operator: Operator) -> None:
    made = operator.make(bots=["support"])

    changed = operator.call("PATCH", f"{ROOT}/{made['id']}", {"url": f"{URL}/2", "bots": []}).content

    assert (changed["url"], changed["bots"], changed["name"]) == (f"{URL}/2", [], "a shop")
    assert operator.call("PATCH", f"{ROOT}/{made['id']}", {"url": "https://10.0.0.7/"}).status == 400


def test_after_a_rotation_both_secrets_sign_for_a_while(operator: Operator) -> None:
    made = operator.make()
    one = f"{ROOT}/{made['id']}"

    rotated = operator.call("POST", f"{one}/rotate", {"old_valid_seconds": 60}).content
    operator.call("POST", f"{one}/test", {})
    operator.now += 61
    operator.call("POST", f"{one}/test", {})

    assert rotated["secret"] != made["secret"]
    assert rotated["secrets"] == 2
    assert operator.call("GET", one).content["secrets"] == 1
    (_, first, body), (_, second, _) = operator.posts.posted
    assert [len(headers["webhook-signature"].split()) for headers in (first, second)] == [2, 1]
    for secret in (made["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, dict(first))["type"] == "ping"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Taken(204), {"delivered": True, "status": 204}),
        (Taken(302), {"delivered": False, "status": 302}),
        (Unavailable("took longer than 10 s"), {"delivered": False, "failure": "took longer than 10 s"}),
    ],
)
def test_a_ping_tells_what_the_server_answered_and_counts_for_nothing(
    operator: Operator, answer: Taken | Unavailable, told: dict[str, Any]
) -> None:
    made = operator.make()
    operator.posts.answers[URL] = answer

    result = operator.call("POST", f"{ROOT}/{made['id']}/test", {}).content

    assert result.pop("took_ms") >= 0
    assert result == told
    assert operator.call("GET", f"{ROOT}/{made['id']}").content["state"] == {"status": "active", "dead": 0}


def test_a_disabled_one_says_why_and_is_enabled_again(operator: Operator) -> None:
    made = operator.make()
    operator.disable(made["id"])

    before = operator.call("GET", f"{ROOT}/{made['id']}").content["state"]
    after = operator.call("POST", f"{ROOT}/{made['id']}/enable", {}).content["state"]

    assert before == {
        "status": "disabled",
        "dead": 0,
        "last_failure_at": 1_000.0,
        "last_failure": "answered 410",
        "failures_in_a_row": 1,
        "failing_since": 1_000.0,
        "disabled_at": 1_000.0,
        "disabled_because": "answered 410",
    }
    assert after["status"] == "active"


def test_the_dead_are_listed_without_what_they_say(operator: Operator) -> None:
    made = operator.make()
    operator.bury(made["id"])

    told = operator.call("GET", f"{ROOT}/{made['id']}/deliveries").content

    assert told["count"] == 1
    assert told["deliveries"] == [
        {
            "id": "msg_0",
            "type": "turn.answered",
            "tries": 12,
            "first_due_at": 1_000.0,
            "died_at": 2_000.0,
            "because": "answered 500",
        }
    ]


def test_the_dead_are_sent_again_as_if_for_the_first_time(operator: Operator) -> None:
    made = operator.make()
    operator.bury(made["id"], 3)

    some = operator.call("POST", f"{ROOT}/{made['id']}/replay", {"since": 2_001.0})
    rest = operator.call("POST", f"{ROOT}/{made['id']}/replay", {})

    assert (some.status, some.content) == (202, {"replayed": 2, "left": 0})
    assert rest.content == {"replayed": 1, "left": 0}
    assert [delivery.id for delivery, _ in operator.queue.sent] == ["msg_1", "msg_2", "msg_0"]
    assert {(each.tries, each.due_at, each.begun_at) for each, _ in operator.queue.sent} == {(0, 0.0, operator.now)}
    assert operator.deliveries.count_dead(made["id"]) == 0


def test_nothing_is_sent_again_to_one_that_is_disabled_until_it_is_enabled(operator: Operator) -> None:
    made = operator.make()
    operator.bury(made["id"])
    operator.disable(made["id"])

    refused = operator.call("POST", f"{ROOT}/{made['id']}/replay", {})
    kept = operator.deliveries.count_dead(made["id"])
    operator.call("POST", f"{ROOT}/{made['id']}/enable", {})
    taken = operator.call("POST", f"{ROOT}/{made['id']}/replay", {})

    assert (refused.status, kept) == (400, 1)
    assert "enable it first" in refused.content["detail"]
    assert (taken.status, taken.content) == (202, {"replayed": 1, "left": 0})


def test_many_dead_ones_are_sent_again_in_several_requests(operator: Operator) -> None:
    made = operator.make()
    operator.bury(made["id"], 130)

    first, second = (operator.call("POST", f"{ROOT}/{made['id']}/replay", {}).content for _ in range(2))

    assert (first, second) == ({"replayed": 100, "left": 30}, {"replayed": 30, "left": 0})


def test_who_unsubscribes_leaves_nothing_behind(operator: Operator) -> None:
    made = operator.make()
    operator.bury(made["id"])

    assert operator.call("DELETE", f"{ROOT}/{made['id']}").status == 204
    assert operator.call("GET", f"{ROOT}/{made['id']}").status == 404
    assert operator.deliveries.count_dead(made["id"]) == 0
