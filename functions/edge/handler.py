"""edge: lets in what came through CloudFront, and nothing that went around it.

    a request ─▶ API Gateway ─▶ does it bear the secret that only CloudFront sends along?

API Gateway asks before anything else of ours runs: the HTTP API once an hour, for it remembers the answer, the
WebSocket API whenever somebody connects. The secret as it was before its last change is good too, so that CloudFront
may learn the new one later than we do; while the secret cannot be read, what is known of it. Standard library and boto3
only.
"""

import hmac
import json
import math
import os
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HEADER = "x-parley-edge"
# Who tries secrets out makes us ask Secrets Manager this often and not more; a new one is known as soon.
REMEMBERED_SECONDS = 60
PATIENCE = Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})

secrets = boto3.client("secretsmanager", config=PATIENCE)


class EdgeKeys:
    """The secret that CloudFront bears, and the one before it if there was one."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._keys: tuple[bytes, ...] = ()
        self._read_at = -math.inf

    def are_borne_by(self, headers: dict[str, str], now: float) -> bool:
        """Whether a request with these headers came through CloudFront."""
        if now - self._read_at >= REMEMBERED_SECONDS:
            self._keys, self._read_at = self._read_or_keep(), now
        shown = {name.lower(): value for name, value in headers.items()}.get(HEADER, "").encode()
        return any(hmac.compare_digest(shown, key) for key in self._keys)

    def _read_or_keep(self) -> tuple[bytes, ...]:
        """The keys there are; those known already where Secrets Manager fails, for CloudFront goes on to show them."""
        try:
            return self._read()
        except (BotoCoreError, ClientError) as error:
            if not self._keys:
                raise
            print(json.dumps({"message": "secret not read", "error": type(error).__name__}))
            return self._keys

    def _read(self) -> tuple[bytes, ...]:
        current = secrets.get_secret_value(SecretId=self._secret)["SecretString"]
        try:
            previous = secrets.get_secret_value(SecretId=self._secret, VersionStage="AWSPREVIOUS")["SecretString"]
        except secrets.exceptions.ResourceNotFoundException:
            return (current.encode(),)
        return current.encode(), previous.encode()


keys = EdgeKeys(os.environ["EDGE_KEY_SECRET"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Yes or no, as the API that asks wants to hear it."""
    is_let_in = keys.are_borne_by(event.get("headers") or {}, time.monotonic())
    is_socket = "methodArn" in event
    if not is_let_in:
        print(json.dumps({"message": "refused", "door": "socket" if is_socket else "http"}))
    return _policy(event["methodArn"], is_let_in) if is_socket else {"isAuthorized": is_let_in}


def _policy(connecting: str, is_let_in: bool) -> dict[str, Any]:
    effect = "Allow" if is_let_in else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": connecting}
    return {"principalId": "edge", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
