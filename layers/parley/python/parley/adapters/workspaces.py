"""Workspaces of Slack in the table `workspaces`, each with its bot's token as KMS has encrypted it.

The team's id is the encryption context: a token that somebody copies into another workspace's item opens nothing. Of
the two functions that know the key, `slack` may encrypt, and `worker` decrypt.
"""

import base64
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.models import Model

from parley.adapters.patience import PATIENCE
from parley.adapters.tables import bind, translated
from parley.errors import SessionConflict, Unavailable
from parley.ports import Workspace


class _Item(Model):
    """An installation. The table is bound in `tables.bind`."""

    pk = UnicodeAttribute(hash_key=True)
    bot = UnicodeAttribute()
    installed_at = NumberAttribute()
    token = UnicodeAttribute()  # encrypted, base64


class DynamoWorkspaces:
    """`ports.Workspaces` in the table `workspaces`, under a key of KMS."""

    def __init__(self, table: str, key: str) -> None:
        self._item = bind(_Item, table)
        self._key = key
        self._kms: Any = None  # made when first needed: most requests of Slack's need no token

    def get(self, team: str) -> Workspace | None:
        """See `ports.Workspaces.get`."""
        item = self._found(team)
        return None if item is None else Workspace(team, item.bot, float(item.installed_at))

    def token(self, team: str) -> str | None:
        """See `ports.Workspaces.token`."""
        item = self._found(team)
        if item is None:
            return None
        decrypted: bytes = self._with_key("decrypt", team, CiphertextBlob=base64.b64decode(item.token))["Plaintext"]
        return decrypted.decode()

    def save(self, workspace: Workspace, token: str) -> None:
        """See `ports.Workspaces.save`."""
        encrypted = self._with_key("encrypt", workspace.team, Plaintext=token.encode())["CiphertextBlob"]
        item = self._item(
            _pk(workspace.team),
            bot=workspace.bot,
            installed_at=workspace.installed_at,
            token=base64.b64encode(encrypted).decode(),
        )
        with translated():
            item.save()

    def delete(self, team: str, *, before: float) -> bool:
        """See `ports.Workspaces.delete`."""
        try:
            with translated():
                self._item(_pk(team)).delete(condition=self._item.installed_at < before)
        except SessionConflict:
            return False
        return True

    def _found(self, team: str) -> _Item | None:
        with translated():
            try:
                return self._item.get(_pk(team), consistent_read=True)
            except DoesNotExist:
                return None

    def _with_key(self, what: str, team: str, **asked: Any) -> Any:
        if self._kms is None:
            self._kms = boto3.client("kms", config=PATIENCE)
        try:
            return getattr(self._kms, what)(KeyId=self._key, EncryptionContext={"team": team}, **asked)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the key of Slack's tokens could not be used") from error


def _pk(team: str) -> str:
    return f"workspace#{team}"
