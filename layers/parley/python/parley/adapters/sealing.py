"""Secrets sealed by a key of KMS, each for what it belongs to: copied to another subscription, it opens nothing."""

import base64
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.errors import Unavailable

_MOST_REMEMBERED = 1_000  # unsealed ones, in this process's memory alone: KMS is asked once for each


class KmsSealing:
    """`ports.Sealing` by a symmetric key of KMS."""

    def __init__(self, key: str) -> None:
        self._key = key  # its ARN
        self._client: Any = boto3.client("kms", config=PATIENCE)
        self._unsealed: dict[tuple[str, str], str] = {}

    def seal(self, secret: str, *, of: str) -> str:
        """See `ports.Sealing.seal`."""
        try:
            answer = self._client.encrypt(KeyId=self._key, Plaintext=secret.encode(), EncryptionContext={"of": of})
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the secret could not be sealed") from error
        return base64.b64encode(answer["CiphertextBlob"]).decode()

    def unseal(self, sealed: str, *, of: str) -> str:
        """See `ports.Sealing.unseal`."""
        known = self._unsealed.get((sealed, of))
        if known is not None:
            return known
        try:
            answer = self._client.decrypt(
                KeyId=self._key, CiphertextBlob=base64.b64decode(sealed), EncryptionContext={"of": of}
            )
        except (BotoCoreError, ClientError, ValueError) as error:
            raise Unavailable("the secret could not be unsealed") from error
        if len(self._unsealed) >= _MOST_REMEMBERED:
            self._unsealed.clear()
        secret = self._unsealed[sealed, of] = str(answer["Plaintext"], "utf-8")
        return secret
