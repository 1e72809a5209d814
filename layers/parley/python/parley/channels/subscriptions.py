"""Subscriptions as operators see them: the JSON of their routes in and out.

Pure conversions. A secret appears in none of these but where the door adds it.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from parley.channels.http import Id
from parley.channels.rendering import without_nothing
from parley.channels.webhooks import KINDS, Kind
from parley.ports import DeadDelivery, Health, Subscription

_WEEK = 7 * 86_400.0
_URL = re.compile(r"[!-~]{1,2000}")
MOST_SHOWN = 100  # of dead deliveries; as many are sent again at once


def _url(said: str) -> str:
    """Raises: ValueError: nothing can be posted there, wherever it is."""
    split = urlsplit(said)
    if not _URL.fullmatch(said) or split.scheme not in ("https", "http") or not split.hostname:
        raise ValueError("must be https://..., in ASCII")
    if "@" in split.netloc or split.fragment:
        raise ValueError("holds a name, a password or a fragment; what is sent is signed instead")
    _ = split.port  # raises where it is none
    return said


Url = Annotated[str, AfterValidator(_url)]
Name = Annotated[str, Field(min_length=1, max_length=100, description="For people: who listens there.")]
Kinds = Annotated[list[Kind], Field(min_length=1, max_length=len(KINDS))]
Bots = Annotated[list[Id], Field(max_length=100, description="The only bots; none named: all of the tenant.")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewSubscription(_Request):
    """Somebody who wants to be told."""

    name: Name
    url: Url
    types: Kinds = Field([*KINDS], description="What is told; left out: everything.")
    bots: Bots = []
    content: bool = Field(True, description="Whether what people and bots said is told, too.")
    tenant: Id | None = Field(None, description="Whose bots these are; left out, the operator's own, or `main`.")


class SubscriptionChange(_Request):
    """What is to be otherwise; what is left out stays."""

    name: Name | None = None
    url: Url | None = None
    types: Kinds | None = None
    bots: Bots | None = None
    content: bool | None = None


class SecretRotation(_Request):
    """A new secret for a subscription."""

    old_valid_seconds: Annotated[float, Field(ge=0, le=_WEEK)] = Field(
        86_400.0, description="How long there is a signature by the secret before, too."
    )


class Replay(_Request):
    """Which dead deliveries are sent again."""

    since: float = Field(0.0, description="Only what died from then on; seconds since the Unix epoch, UTC.")


class SubscriptionBody(BaseModel):
    """Somebody who is told."""

    id: str
    tenant: str
    name: str
    url: str
    types: list[Kind]
    bots: list[str] = Field(description="The only bots; empty for all of the tenant.")
    content: bool
    created_at: float
    secrets: int = Field(description="How many sign what is sent: two while one is exchanged.")
    secret: str | None = Field(None, description="What verifies signatures. Given once.")


class StateBody(BaseModel):
    """How it goes with what is sent."""

    status: Literal["active", "failing", "disabled"]
    dead: int = Field(description="Deliveries that were given up and lie here for two weeks.")
    last_success_at: float | None = None
    last_failure_at: float | None = None
    last_failure: str | None = None
    failures_in_a_row: int | None = None
    failing_since: float | None = None
    rests_until: float | None = Field(None, description="Nothing is tried before.")
    disabled_at: float | None = None
    disabled_because: str | None = None


class SubscriptionWithStateBody(SubscriptionBody):
    """Somebody who is told, and how that goes."""

    state: StateBody


class SubscriptionsBody(BaseModel):
    """All subscriptions, the oldest of each tenant first."""

    subscriptions: list[SubscriptionBody]


class TestBody(BaseModel):
    """What became of a ping."""

    delivered: bool
    status: int | None = Field(None, description="What the server answered.")
    failure: str | None = Field(None, description="Why it did not.")
    took_ms: int


class DeadBody(BaseModel):
    """A delivery that was given up."""

    id: str
    type: str
    tries: int
    first_due_at: float
    died_at: float
    because: str


class DeadOnesBody(BaseModel):
    """The oldest deliveries that were given up."""

    deliveries: list[DeadBody]
    count: int = Field(description="Of all there are.")


class ReplayedBody(BaseModel):
    """How many were sent again."""

    replayed: int
    left: int = Field(description="Ask again until there is none.")


def render_subscription(subscription: Subscription, *, now: float) -> dict[str, Any]:
    """A subscription without its secrets."""
    return {
        "id": subscription.id,
        "tenant": subscription.tenant,
        "name": subscription.name,
        "url": subscription.url,
        "types": list(subscription.kinds),
        "bots": list(subscription.bots),
        "content": subscription.content,
        "created_at": subscription.created_at,
        "secrets": len(subscription.valid_secrets(now)),
    }


def render_state(health: Health, dead: int, *, now: float) -> dict[str, Any]:
    """How it goes; what is not so is left out."""
    is_resting = health.rests_until is not None and health.rests_until > now
    status = "disabled" if health.disabled_at is not None else "failing" if health.failures else "active"
    body = {
        "status": status,
        "dead": dead,
        "last_success_at": health.succeeded_at,
        "last_failure_at": health.failed_at,
        "last_failure": health.failure,
        "failures_in_a_row": health.failures or None,
        "failing_since": health.failing_since,
        "rests_until": health.rests_until if is_resting else None,
        "disabled_at": health.disabled_at,
        "disabled_because": health.disabled_because,
    }
    return without_nothing(body)


def render_dead(dead: DeadDelivery) -> dict[str, Any]:
    """A delivery that was given up, without what it says."""
    delivery = dead.delivery
    return {
        "id": delivery.id,
        "type": delivery.kind,
        "tries": delivery.tries,
        "first_due_at": delivery.begun_at,
        "died_at": dead.died_at,
        "because": dead.because,
    }
