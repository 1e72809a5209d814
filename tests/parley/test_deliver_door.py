"""What `deliver` does with a message, before subscribers on loopback that take it, fail, hang or are gone."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from parley.adapters.memory import (
    MemoryDeliveries,
    MemoryDeliveryQueue,
    MemoryMetrics,
    MemorySealing,
    MemorySubscriptions,
)
from parley.adapters.posts import HttpPosts, is_public_or_loopback
from parley.channels import signing
from parley.channels.webhooks import KINDS
from parley.deliver_door import DeliverDoor
from parley.delivering import DISABLED_AFTER_SECONDS, GIVEN_UP_SECONDS, MAX_TRIES
from parley.errors import Unavailable
from parley.ports import PLACES, Callback, Delivery, Health, SealedSecret, Subscription
from tests.contracts.subscriber import SubscriberServer

PATIENCE_SECONDS = 0.5
BODY = '{"id":"msg_1","type":"turn.answered","data":{"message":"Grüße"}}'


@pytest.fixture
def server() -> Iterator[SubscriberServer]:
    with SubscriberServer() as server:
        yield server


class Desk:
    """The door with its stores in memory and its clock in hand, posting for real."""

    def __init__(self) -> None:
        self.now = time.time()  # the library that verifies looks at the real clock
        self.subscriptions, self.deliveries = MemorySubscriptions(), MemoryDeliveries()
        self.queue, self.metrics = MemoryDeliveryQueue(), MemoryMetrics()
        self.secrets: dict[str, str] = {}
        self.door = DeliverDoor(
            self.subscriptions,
            self.deliveries,
            self.queue,
            HttpPosts(may_reach=is_public_or_loopback, seconds=PATIENCE_SECONDS),
            MemorySealing(),
            self._secret,
            self.metrics,
            lambda: self.now,
            lambda: 0.5,
        )

    def _secret(self, name: str) -> str:
        if name not in self.secrets:
            raise Unavailable("the secret could not be read")
        return self.secrets[name]

    def subscribe(self, url: str, name: str = "s", *, more: tuple[SealedSecret, ...] = ()) -> str:
        """The secret of a new subscription."""
        secret = signing.new_secret()
        sealed = SealedSecret(MemorySealing().seal(secret, of=name))
        self.subscriptions.save(Subscription(name, "main", name, url, KINDS, (), True, (sealed, *more), 1.0))
        return secret

    def delivery(self, to: str = "s", **changes: Any) -> Delivery:
        return replace(Delivery(to, "msg_1", "turn.answered", BODY, self.now), **changes)

    def deliver(self, delivery: Delivery | None = None) -> None:
        body = msgspec.json.encode(delivery or self.delivery()).decode()
        self.door(type("Record", (), {"body": body})())  # type: ignore[arg-type]

    def put_back(self) -> tuple[Delivery, int]:
        """What lies in the queue, and with which delay."""
        (sent,) = self.queue.sent
        self.queue.sent.clear()
        return sent

    def fail(self, delivery: Delivery, times: int) -> Delivery:
        """The message after some failures, each when it was due."""
        for _ in range(times):
            self.deliver(delivery)
            delivery, _ = self.put_back()
            self.now = max(delivery.due_at, self.deliveries.health(delivery.to).rests_until or 0.0)
        return delivery


@pytest.fixture
def desk() -> Desk:
    return Desk()


def verified(post: tuple[str, Mapping[str, str], bytes], secret: str) -> Any:
    """What was posted, if the official library finds it signed."""
    return Webhook(secret).verify(post[2], dict(post[1]))


def test_a_message_arrives_signed_and_to_the_letter(desk: Desk, server: SubscriberServer) -> None:
    secret = desk.subscribe(server.url)

    desk.deliver()

    (post,) = server.posts
    assert verified(post, secret) == json.loads(BODY)
    assert (post[1]["webhook-id"], post[2].decode()) == ("msg_1", BODY)
    assert desk.queue.sent == []
    assert desk.deliveries.health("s").succeeded_at == desk.now


def test_a_changed_body_or_another_secret_does_not_verify(desk: Desk, server: SubscriberServer) -> None:
    secret = desk.subscribe(server.url)
    desk.deliver()
    ((path, headers, body),) = server.posts

    for forged, by in (((path, headers, body + b" "), secret), ((path, headers, body), signing.new_secret())):
        with pytest.raises(WebhookVerificationError):
            verified(forged, by)


def test_while_a_secret_is_exchanged_both_verify_and_then_only_the_new_one(
    desk: Desk, server: SubscriberServer
) -> None:
    old = signing.new_secret()
    sealed = SealedSecret(MemorySealing().seal(old, of="s"), ends_at=desk.now + 60)
    new = desk.subscribe(server.url, more=(sealed,))

    desk.deliver()
    desk.now += 61
    desk.deliver()

    both, one = server.posts
    assert verified(both, old) == verified(both, new) == verified(one, new)
    with pytest.raises(WebhookVerificationError):
        verified(one, old)


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_what_is_not_taken_is_put_back_for_later(desk: Desk, server: SubscriberServer, status: int) -> None:
    desk.subscribe(server.url)
    server.answers.append((status, {"Location": "/elsewhere"}))

    desk.deliver()

    delivery, delay = desk.put_back()
    assert (delivery.tries, delay) == (1, 5)
    assert delivery.id == "msg_1"
    assert desk.deliveries.health("s").failure == f"answered {status}"
    assert [path for path, _, _ in server.posts] == ["/"]


def test_what_is_tried_again_has_the_same_id_and_a_signature_of_its_own_time(
    desk: Desk, server: SubscriberServer
) -> None:
    secret = desk.subscribe(server.url)
    server.answers.append((500, {}))

    desk.deliver()
    again, _ = desk.put_back()
    desk.now = again.due_at
    desk.deliver(again)

    first, second = server.posts
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert int(second[1]["webhook-timestamp"]) >= int(first[1]["webhook-timestamp"]) + 5
    assert verified(second, secret) == verified(first, secret)


def test_what_is_not_due_goes_back_untried_in_steps_of_a_quarter_of_an_hour(
    desk: Desk, server: SubscriberServer
) -> None:
    desk.subscribe(server.url)
    waiting = desk.delivery(due_at=desk.now + 7_200, tries=8)

    desk.deliver(waiting)

    assert desk.put_back() == (waiting, 900)
    assert server.posts == []


def test_after_the_last_try_it_is_dead_and_counted(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    server.answers += [(500, {})] * 2

    desk.deliver(desk.delivery(tries=MAX_TRIES - 2))
    again, _ = desk.put_back()
    desk.now = again.due_at
    desk.deliver(again)

    (dead,) = desk.deliveries.dead("s", limit=10)
    assert (dead.delivery.tries, dead.because) == (MAX_TRIES, "answered 500")
    assert desk.queue.sent == []
    assert ("WebhookDead", 1) in [(name, value) for name, value, *_ in desk.metrics.counted]


def test_one_that_is_gone_is_disabled_at_once_and_what_comes_then_is_kept_untried(
    desk: Desk, server: SubscriberServer
) -> None:
    desk.subscribe(server.url)
    server.answers.append((410, {}))

    desk.deliver()
    desk.deliver(desk.delivery(id="msg_2"))

    assert desk.deliveries.health("s").disabled_because == "answered 410"
    assert [dead.delivery.id for dead in desk.deliveries.dead("s", limit=10)] == ["msg_1", "msg_2"]
    assert len(server.posts) == 1


def test_one_that_fails_for_a_day_is_disabled(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    server.answers += [(500, {})] * 3
    desk.deliver()
    again, _ = desk.put_back()
    desk.now += DISABLED_AFTER_SECONDS / 2
    desk.deliver(again)
    again, _ = desk.put_back()
    before = desk.deliveries.health("s").disabled_at

    desk.now += DISABLED_AFTER_SECONDS / 2
    desk.deliver(again)

    health = desk.deliveries.health("s")
    assert (before, health.disabled_at) == (None, desk.now)
    assert "answered 500" in (health.disabled_because or "")
    assert desk.deliveries.count_dead("s") == 1


def test_one_failure_long_after_a_message_died_disables_nobody(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    server.answers += [(500, {})] * (MAX_TRIES + 1)
    desk.deliver(desk.fail(desk.delivery(), MAX_TRIES - 1))

    desk.now += 30 * 86_400
    desk.deliver(desk.delivery(id="msg_2"))

    health = desk.deliveries.health("s")
    assert (health.failures, health.disabled_at) == (1, None)
    assert desk.put_back()[0].tries == 1


def test_a_success_ends_a_row_of_failures(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    server.answers += [(500, {})] * 6

    delivery = desk.fail(desk.delivery(), 6)
    desk.deliver(delivery)

    health = desk.deliveries.health("s")
    assert (health.failures, health.failing_since, health.rests_until) == (0, None, None)


def test_one_that_fails_again_and_again_is_left_alone_for_a_while(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    server.answers += [(500, {})] * 5
    for number in range(5):
        desk.deliver(desk.delivery(id=f"msg_{number}"))
    desk.queue.sent.clear()

    desk.deliver(desk.delivery(id="msg_5"))

    delivery, delay = desk.put_back()
    assert (delivery.tries, len(server.posts)) == (0, 5)
    assert 10 <= delay <= 20


@pytest.mark.parametrize("status", [429, 503])
def test_one_that_asks_to_wait_is_left_alone_so_long(desk: Desk, server: SubscriberServer, status: int) -> None:
    desk.subscribe(server.url)
    server.answers.append((status, {"Retry-After": "600"}))

    desk.deliver()
    _, first = desk.put_back()
    desk.deliver(desk.delivery(id="msg_2"))
    _, second = desk.put_back()

    assert 600 <= first <= second <= 610
    assert len(server.posts) == 1


def test_what_waited_too_long_for_one_that_rests_is_dead(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    late = desk.delivery(begun_at=desk.now - GIVEN_UP_SECONDS - 1)

    desk.deliver(late)

    (dead,) = desk.deliveries.dead("s", limit=2)
    assert dead.because == "not delivered within 30 hours"
    assert server.posts == []


def test_a_message_that_finds_no_place_waits_longer_each_time_and_is_in_nobodys_way(
    desk: Desk, server: SubscriberServer
) -> None:
    class Counted(MemoryDeliveries):
        written = 0

        def take_place(self, to: str, seen: Health, *, now: float, until: float) -> int | None:
            self.written += len(seen.free_places(now=now))  # as often, at most, a table is written to
            return super().take_place(to, seen, now=now, until=until)

    desk.door = replace(desk.door, deliveries=(deliveries := Counted()))
    desk.subscribe(server.url)
    for _ in range(PLACES):
        deliveries.take_place("s", deliveries.health("s"), now=desk.now, until=desk.now + 999)
    deliveries.written, delivery, delays = 0, desk.delivery(), list[int]()

    for _ in range(5):
        desk.deliver(delivery)
        delivery, delay = desk.put_back()
        delays.append(delay)
        desk.now = delivery.due_at

    assert delays == [5, 10, 20, 40, 40]
    assert (deliveries.written, delivery.tries, server.posts) == (0, 0, [])


def test_a_subscriber_that_hangs_does_not_delay_its_neighbour(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(f"{server.url}/hang", "slow")
    desk.subscribe(f"{server.url}/quick", "quick")
    at_once = PLACES + 1  # functions; one of them is all that the neighbour needs
    waiting = [desk.delivery("slow", id=f"msg_{number}") for number in range(40)]
    waiting.insert(20, desk.delivery("quick", id="msg_quick"))
    arrived: list[float] = []

    def work() -> None:
        while waiting and not arrived:
            desk.deliver(waiting.pop(0))
            if any(path == "/quick" for path, _, _ in server.posts):
                arrived.append(time.monotonic())

    begun = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert arrived[0] - begun < PATIENCE_SECONDS  # less than one message to the slow one takes
    assert len([path for path, _, _ in server.posts if path == "/hang"]) == PLACES


def test_what_nobody_wants_any_more_is_dropped(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(server.url)
    desk.subscriptions.delete("s")

    desk.deliver()

    assert (server.posts, desk.queue.sent, desk.deliveries.count_dead("s")) == ([], [], 0)


def test_a_body_that_never_ends_is_not_read(desk: Desk, server: SubscriberServer) -> None:
    desk.subscribe(f"{server.url}/huge")

    desk.deliver()

    assert desk.deliveries.health("s").succeeded_at is not None


def test_a_private_address_is_a_failure_that_says_so(desk: Desk, server: SubscriberServer) -> None:
    desk.door = replace(desk.door, posts=HttpPosts())
    desk.subscribe(server.url)

    desk.deliver()

    assert server.posts == []
    assert "not on the public internet" in (desk.deliveries.health("s").failure or "")


def test_nothing_personal_is_logged(desk: Desk, server: SubscriberServer, caplog: pytest.LogCaptureFixture) -> None:
    secret = desk.subscribe(f"{server.url}/hook?token=abc")
    server.answers.append((500, {}))
    with caplog.at_level("DEBUG"):
        desk.deliver()
        desk.deliver()

    told = str([record.__dict__ for record in caplog.records])
    assert not [word for word in ("Grüße", "token=abc", secret) if word in told]


def test_a_callback_is_signed_by_its_secret_and_has_its_headers(desk: Desk, server: SubscriberServer) -> None:
    desk.secrets = {"desk": signing.new_secret(), "desk-key": "k-1"}
    callback = Callback(f"{server.url}/tickets/7", "desk", {"Authorization": "Bearer {secret:desk-key}"})

    desk.deliver(desk.delivery("callback.support.tickets", callback=callback))

    (post,) = server.posts
    assert post[0] == "/tickets/7"
    assert verified(post, desk.secrets["desk"])
    assert post[1]["authorization"] == "Bearer k-1"


def test_a_callback_is_never_disabled_for_nobody_could_enable_it(desk: Desk, server: SubscriberServer) -> None:
    desk.secrets = {"desk": signing.new_secret()}
    callback = Callback(server.url, "desk")
    server.answers.append((410, {}))

    desk.deliver(desk.delivery("callback.support.tickets", callback=callback))
    desk.deliver(desk.delivery("callback.support.tickets", id="msg_2", callback=callback))

    assert desk.deliveries.count_dead("callback.support.tickets") == 1
    assert len(server.posts) == 2


@pytest.mark.parametrize("secret", [None, "no base64 at all!", "whsec_é"])
def test_a_callback_whose_secret_is_none_is_tried_again(
    desk: Desk, server: SubscriberServer, secret: str | None
) -> None:
    desk.secrets = {"desk": secret} if secret else {}
    delivery = desk.delivery("callback.support.tickets", callback=Callback(server.url, "desk"))

    if secret is None:
        with pytest.raises(Unavailable):  # the queue delivers it again
            desk.deliver(delivery)
    else:
        desk.deliver(delivery)
        assert desk.put_back()[0].tries == 1
    assert server.posts == []
