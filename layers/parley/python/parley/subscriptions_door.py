"""The door for subscriptions: operators make them, look after them, and send again what was not delivered.

A secret is in the answer that makes it; what is kept of it is sealed. Knows no paths; `subscriptions_api` has them.
"""

import logging
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley.callers import Callers
from parley.channels import signing, webhooks
from parley.channels.subscriptions import (
    MOST_SHOWN,
    NewSubscription,
    Replay,
    SecretRotation,
    SubscriptionChange,
    render_dead,
    render_state,
    render_subscription,
)
from parley.delivering import is_taken
from parley.errors import MalformedRequest, NotFound, Unavailable
from parley.http_app import json_response
from parley.ports import Clock, Deliveries, DeliveryQueue, Posts, SealedSecret, Sealing, Subscription, Subscriptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SubscriptionsDoor:
    """The routes of subscriptions, one method each."""

    subscriptions: Subscriptions
    deliveries: Deliveries
    queue: DeliveryQueue
    posts: Posts
    sealing: Sealing
    callers: Callers
    clock: Clock

    def create(self, request: NewSubscription, authorization: str | None) -> Response[Any]:
        """Makes a subscription, and shows its secret this once."""
        tenant = self.callers.tenant_for(self.callers.operator(authorization), request.tenant, request.bots)
        self.posts.check(request.url)
        now, subscription_id, secret = self.clock(), secrets.token_hex(8), signing.new_secret()
        subscription = Subscription(
            subscription_id,
            tenant,
            request.name,
            request.url,
            tuple(request.types),
            tuple(request.bots),
            request.content,
            (SealedSecret(self.sealing.seal(secret, of=subscription_id)),),
            now,
        )
        self.subscriptions.save(subscription)
        logger.info("subscription made", extra={"subscription": subscription_id, "tenant": tenant})
        return _showing(201, subscription, secret, now)

    def list(self, authorization: str | None) -> Response[Any]:
        """All subscriptions of the operator's tenant, or of all tenants, without their secrets."""
        caller, now = self.callers.operator(authorization), self.clock()
        tenants = [caller.tenant] if caller.tenant else self.callers.tenants()
        found = [each for tenant in tenants for each in self.subscriptions.list(tenant)]
        return json_response(200, {"subscriptions": [render_subscription(each, now=now) for each in found]})

    def show(self, subscription_id: str, authorization: str | None) -> Response[Any]:
        """One subscription, and how it goes."""
        return self._with_state(self._known(subscription_id, authorization))

    def change(self, subscription_id: str, request: SubscriptionChange, authorization: str | None) -> Response[Any]:
        """Changes what is told, or where."""
        known = self._known(subscription_id, authorization)
        if request.url is not None:
            self.posts.check(request.url)
        self.callers.check_bots(known.tenant, request.bots or ())
        changed = replace(
            known,
            name=known.name if request.name is None else request.name,
            url=known.url if request.url is None else request.url,
            kinds=known.kinds if request.types is None else tuple(request.types),
            bots=known.bots if request.bots is None else tuple(request.bots),
            content=known.content if request.content is None else request.content,
            version=known.version + 1,
        )
        self.subscriptions.save(changed)
        logger.info("subscription changed", extra={"subscription": subscription_id})
        return json_response(200, render_subscription(changed, now=self.clock()))

    def delete(self, subscription_id: str, authorization: str | None) -> Response[Any]:
        """Takes a subscription away, with all that could not be delivered."""
        if not self.subscriptions.delete(self._known(subscription_id, authorization).id):
            raise _no_subscription(subscription_id)
        self.deliveries.forget(subscription_id)
        logger.info("subscription deleted", extra={"subscription": subscription_id})
        return Response(status_code=204, body="")

    def enable(self, subscription_id: str, authorization: str | None) -> Response[Any]:
        """Lets one be tried again that was disabled, or that rests."""
        subscription = self._known(subscription_id, authorization)
        self.deliveries.enable(subscription_id)
        logger.info("subscription enabled", extra={"subscription": subscription_id})
        return self._with_state(subscription)

    def rotate(self, subscription_id: str, request: SecretRotation, authorization: str | None) -> Response[Any]:
        """Gives a subscription a new secret and shows it this once. For a while there are signatures by both."""
        now, known, secret = self.clock(), self._known(subscription_id, authorization), signing.new_secret()
        old = replace(known.secrets[0], ends_at=now + request.old_valid_seconds)
        kept = (SealedSecret(self.sealing.seal(secret, of=known.id)), *([old] if request.old_valid_seconds else []))
        changed = replace(known, secrets=kept, version=known.version + 1)
        self.subscriptions.save(changed)
        logger.info("subscription rotated", extra={"subscription": subscription_id})
        return _showing(200, changed, secret, now)

    def test(self, subscription_id: str, authorization: str | None) -> Response[Any]:
        """Sends a ping at once, and tells what came of it. It counts for nothing."""
        subscription, now = self._known(subscription_id, authorization), self.clock()
        ping = webhooks.ping(f"msg_{secrets.token_hex(16)}", now=now)
        body = ping.body(content=False)
        shared = [self.sealing.unseal(each.sealed, of=subscription.id) for each in subscription.valid_secrets(now)]
        begun, told = time.perf_counter(), dict[str, Any]()
        try:
            answer = self.posts.post(subscription.url, signing.signed(ping.id, body, shared, now=now), body.encode())
        except Unavailable as error:
            told = {"delivered": False, "failure": str(error)}
        else:
            told = {"delivered": is_taken(answer), "status": answer.status}
        return json_response(200, {**told, "took_ms": round((time.perf_counter() - begun) * 1000)})

    def dead(self, subscription_id: str, authorization: str | None) -> Response[Any]:
        """What was given up."""
        self._known(subscription_id, authorization)
        found = self.deliveries.dead(subscription_id, limit=MOST_SHOWN)
        count = self.deliveries.count_dead(subscription_id)
        return json_response(200, {"deliveries": [render_dead(each) for each in found], "count": count})

    def replay(self, subscription_id: str, request: Replay, authorization: str | None) -> Response[Any]:
        """Sends again what was given up, the oldest first, each as if for the first time."""
        self._known(subscription_id, authorization)
        if self.deliveries.health(subscription_id).disabled_at is not None:  # each would be given up again at once
            raise MalformedRequest("this subscription is disabled; enable it first")
        now, found = self.clock(), self.deliveries.dead(subscription_id, limit=MOST_SHOWN, since=request.since)
        for each in found:  # sent, then forgotten: rather twice than not at all
            self.queue.send([replace(each.delivery, begun_at=now, due_at=0.0, tries=0, refusals=0)])
            self.deliveries.unbury(each)
        left = len(self.deliveries.dead(subscription_id, limit=MOST_SHOWN, since=request.since))
        logger.info("dead deliveries sent again", extra={"subscription": subscription_id, "count": len(found)})
        return json_response(202, {"replayed": len(found), "left": left})

    def _known(self, subscription_id: str, authorization: str | None) -> Subscription:
        """The subscription, for operators of its tenant. Raises: NotFound: there is none for them."""
        caller, subscription = self.callers.operator(authorization), self.subscriptions.get(subscription_id)
        if subscription is None or caller.tenant not in (None, subscription.tenant):
            raise _no_subscription(subscription_id)
        return subscription

    def _with_state(self, subscription: Subscription) -> Response[Any]:
        now, health = self.clock(), self.deliveries.health(subscription.id)
        state = render_state(health, self.deliveries.count_dead(subscription.id), now=now)
        return json_response(200, {**render_subscription(subscription, now=now), "state": state})


def _showing(status: int, subscription: Subscription, secret: str, now: float) -> Response[Any]:
    body = {**render_subscription(subscription, now=now), "secret": secret}
    return json_response(status, body, headers={"Cache-Control": "no-store"})


def _no_subscription(subscription_id: str) -> NotFound:
    return NotFound(f"there is no subscription {subscription_id!r}")
