"""API keys in the table `keys`: an item for each, by its id, and an index over all of them for the list.

A key that expires is forgotten by the table some time after; until then its own date says that it opens nothing.
"""

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from parley.adapters.tables import bind, translated
from parley.errors import SessionConflict
from parley.ports import ApiKey

_KEY = "key"


class _ByKind(GlobalSecondaryIndex["_Item"]):  # type: ignore[no-untyped-call]
    """All keys, in the order in which they were made."""

    class Meta:
        """What PynamoDB reads."""

        index_name = "by_kind"
        projection = AllProjection()

    kind = UnicodeAttribute(hash_key=True)
    created_at = NumberAttribute(range_key=True)


class _Item(Model):
    """An API key. The table is bound in `tables.bind`."""

    pk = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute()
    created_at = NumberAttribute()
    version = NumberAttribute()
    body = UnicodeAttribute()
    expires_at = NumberAttribute(null=True)
    by_kind = _ByKind()


class DynamoKeys:
    """`ports.Keys` in the table `keys`."""

    def __init__(self, table: str) -> None:
        self._item = bind(_Item, table)

    def get(self, key_id: str) -> ApiKey | None:
        """See `ports.Keys.get`."""
        with translated():
            try:
                return _key(self._item.get(_pk(key_id), consistent_read=True))
            except DoesNotExist:
                return None

    def list(self) -> tuple[ApiKey, ...]:
        """See `ports.Keys.list`."""
        with translated():
            return tuple(map(_key, self._item.by_kind.query(_KEY)))

    def save(self, key: ApiKey) -> None:
        """See `ports.Keys.save`."""
        follows = self._item.pk.does_not_exist() if key.version == 1 else self._item.version == key.version - 1
        item = self._item(
            _pk(key.id),
            kind=_KEY,
            created_at=key.created_at,
            version=key.version,
            body=msgspec.json.encode(key).decode(),
            expires_at=None if key.expires_at is None else int(key.expires_at),
        )
        with translated():
            item.save(condition=follows)

    def delete(self, key_id: str) -> bool:
        """See `ports.Keys.delete`."""
        try:
            with translated():
                self._item(_pk(key_id)).delete(condition=self._item.pk.exists())
        except SessionConflict:
            return False
        return True


def _key(item: _Item) -> ApiKey:
    return msgspec.json.decode(item.body, type=ApiKey)


def _pk(key_id: str) -> str:
    return f"key#{key_id}"
