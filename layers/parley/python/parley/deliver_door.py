"""The door of the queue of deliveries: one message is posted to one address, or put back for later.

No address holds up another: few of its messages are posted at once, one that fails again and again is left alone for a
while, and what must wait goes back into the queue without a try. When, `delivering` says.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from parley import delivering
from parley.actions.http_call import header_value
from parley.actions.template import Placeholder, pieces
from parley.adapters.sqs import read_delivery
from parley.channels import signing
from parley.errors import ActionFailed, Unavailable
from parley.ports import (
    Clock,
    DeadDelivery,
    Deliveries,
    Delivery,
    DeliveryQueue,
    Health,
    Metrics,
    Posts,
    Sealing,
    Subscriptions,
    Taken,
)

LONGEST_DELAY_SECONDS = 900  # of SQS: what is due later is put back several times
PLACE_SECONDS = 60.0  # after which a place is free again whose function has ended: twice what one may take

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    url: str
    secrets: tuple[str, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeliverDoor:
    """What `deliver` does with one message of the queue."""

    subscriptions: Subscriptions
    deliveries: Deliveries
    queue: DeliveryQueue
    posts: Posts
    sealing: Sealing
    secrets: Callable[[str], str]  # of callbacks, by name
    metrics: Metrics
    clock: Clock
    chance: Callable[[], float]  # between 0 and 1

    def __call__(self, record: SQSRecord) -> None:
        """Posts what is in `record`, or puts it back; raises where the queue shall deliver it again."""
        delivery, now = read_delivery(record.body), self.clock()
        if delivery.due_at > now:
            self._put_back(delivery, due_at=delivery.due_at)
            return
        health = self.deliveries.health(delivery.to)
        if health.disabled_at is not None:
            self._bury(delivery, f"disabled: {health.disabled_because}")
        elif delivering.is_too_old(delivery, now=now):
            self._bury(delivery, f"not delivered within {delivering.GIVEN_UP_SECONDS / 3_600:.0f} hours")
        elif health.rests_until is not None and health.rests_until > now:
            self._put_back(delivery, due_at=health.rests_until + self._moment())
        else:
            self._post(delivery, health)

    def _post(self, delivery: Delivery, health: Health) -> None:
        now = self.clock()
        target = self._target(delivery, now)
        if target is None:
            logger.info("nobody wants this any more", extra=_about(delivery))
            return
        place = self.deliveries.take_place(delivery.to, health, now=now, until=now + PLACE_SECONDS)
        if place is None:
            pause = delivering.no_place_seconds(delivery.refusals, chance=self.chance())
            self._put_back(replace(delivery, refusals=delivery.refusals + 1), due_at=now + pause)
            return
        answer, because = self._posted(delivery, target, now)
        if answer is not None and delivering.is_taken(answer):
            self.deliveries.succeeded(delivery.to, place, now=self.clock())
            self.metrics.count("WebhookDelivered")
            logger.info("delivered", extra={**_about(delivery), "status": answer.status})
        else:
            self._failed(delivery, place, answer, because)

    def _posted(self, delivery: Delivery, target: _Target, now: float) -> tuple[Taken | None, str]:
        """What was answered, if anything, and in words."""
        try:
            headers = signing.signed(delivery.id, delivery.body, target.secrets, now=now)
            answer = self.posts.post(target.url, {**target.headers, **headers}, delivery.body.encode())
        except Unavailable as error:
            return None, str(error)
        except ValueError:
            return None, "its secret is not `whsec_` and base64"
        return answer, f"answered {answer.status}"

    def _failed(self, delivery: Delivery, place: int, answer: Taken | None, because: str) -> None:
        now = self.clock()
        row_since = now - delivering.ROW_SECONDS
        health = self.deliveries.failed(delivery.to, place, now=now, because=because, row_since=row_since)
        self.metrics.count("WebhookFailed")
        logger.warning("not delivered", extra={**_about(delivery), "because": because, "failures": health.failures})
        is_gone = answer is not None and answer.status == delivering.GONE
        if delivery.callback is None and (is_gone or delivering.failed_too_long(health, now=now)):
            self._disable(
                delivery, because if is_gone else f"no success in a day of failures; the last: {because}", now
            )
            return
        wish = delivering.wish_seconds(answer)
        if rest := delivering.rest_seconds(health.failures, wish=wish):
            self.deliveries.rest(delivery.to, until=now + rest)
        due_at = delivering.next_try_at(delivery, now=now, chance=self.chance(), wish=wish)
        tried = replace(delivery, tries=delivery.tries + 1, refusals=0)
        if due_at is None or is_gone:
            self._bury(tried, because)
        else:
            self._put_back(tried, due_at=due_at)

    def _disable(self, delivery: Delivery, because: str, now: float) -> None:
        self.deliveries.disable(delivery.to, now=now, because=because)
        self.metrics.count("WebhookDisabled")
        logger.error("subscription disabled", extra={**_about(delivery), "because": because})
        self._bury(replace(delivery, tries=delivery.tries + 1), because)

    def _put_back(self, delivery: Delivery, *, due_at: float) -> None:
        wait = math.ceil(due_at - self.clock())
        self.queue.send([replace(delivery, due_at=due_at)], delay_seconds=max(0, min(wait, LONGEST_DELAY_SECONDS)))

    def _bury(self, delivery: Delivery, because: str) -> None:
        self.deliveries.bury(DeadDelivery(delivery, self.clock(), because))
        self.metrics.count("WebhookDead")
        logger.error("delivery given up", extra={**_about(delivery), "because": because})

    def _moment(self) -> float:
        return delivering.within(*delivering.NO_PLACE_SECONDS, chance=self.chance())

    def _target(self, delivery: Delivery, now: float) -> _Target | None:
        """Where it goes; None if nobody wants it any more."""
        if (callback := delivery.callback) is not None:
            headers = {name: self._header(name, value) for name, value in callback.headers.items()}
            return _Target(callback.url, (self.secrets(callback.secret),), headers)
        subscription = self.subscriptions.get(delivery.to)
        if subscription is None:
            return None
        valid = subscription.valid_secrets(now)
        shared = tuple(self.sealing.unseal(each.sealed, of=subscription.id) for each in valid)
        return _Target(subscription.url, shared, {})

    def _header(self, name: str, template: str) -> str:
        filled = "".join(
            self.secrets(piece.name) if isinstance(piece, Placeholder) else piece for piece in pieces(template)
        )
        try:
            return header_value(name, filled)
        except ActionFailed as error:
            raise Unavailable(str(error)) from error


def _about(delivery: Delivery) -> dict[str, Any]:
    return {"to": delivery.to, "message_id": delivery.id, "kind": delivery.kind, "tries": delivery.tries + 1}
