"""Subscriptions in the table `subscriptions`: an item for each, by its id, and an index over a tenant's."""

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from parley.adapters.tables import bind, translated
from parley.errors import SessionConflict
from parley.ports import Subscription


class _ByTenant(GlobalSecondaryIndex["_Item"]):  # type: ignore[no-untyped-call]
    """All of a tenant, in the order in which they were made."""

    class Meta:
        """What PynamoDB reads."""

        index_name = "by_tenant"
        projection = AllProjection()

    tenant = UnicodeAttribute(hash_key=True)
    created_at = NumberAttribute(range_key=True)


class _Item(Model):
    """A subscription. The table is bound in `tables.bind`."""

    pk = UnicodeAttribute(hash_key=True)
    tenant = UnicodeAttribute()
    created_at = NumberAttribute()
    version = NumberAttribute()
    body = UnicodeAttribute()
    by_tenant = _ByTenant()


class DynamoSubscriptions:
    """`ports.Subscriptions` in the table `subscriptions`."""

    def __init__(self, table: str) -> None:
        self._item = bind(_Item, table)

    def get(self, subscription_id: str) -> Subscription | None:
        """See `ports.Subscriptions.get`."""
        with translated():
            try:
                return _subscription(self._item.get(_pk(subscription_id), consistent_read=True))
            except DoesNotExist:
                return None

    def list(self, tenant: str) -> tuple[Subscription, ...]:
        """See `ports.Subscriptions.list`."""
        with translated():
            return tuple(map(_subscription, self._item.by_tenant.query(tenant)))

    def save(self, subscription: Subscription) -> None:
        """See `ports.Subscriptions.save`."""
        follows = self._item.version == subscription.version - 1
        item = self._item(
            _pk(subscription.id),
            tenant=subscription.tenant,
            created_at=subscription.created_at,
            version=subscription.version,
            body=msgspec.json.encode(subscription).decode(),
        )
        with translated():
            item.save(condition=self._item.pk.does_not_exist() if subscription.version == 1 else follows)

    def delete(self, subscription_id: str) -> bool:
        """See `ports.Subscriptions.delete`."""
        try:
            with translated():
                self._item(_pk(subscription_id)).delete(condition=self._item.pk.exists())
        except SessionConflict:
            return False
        return True


def _subscription(item: _Item) -> Subscription:
    return msgspec.json.decode(item.body, type=Subscription)


def _pk(subscription_id: str) -> str:
    return f"subscription#{subscription_id}"
