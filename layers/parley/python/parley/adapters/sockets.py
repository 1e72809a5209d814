"""Frames to open connections, by API Gateway's management API."""

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.errors import Unavailable

_GONE = frozenset({"GoneException", "410"})


class ApiGatewaySockets:
    """`ports.Sockets` over `PostToConnection` at the stage's management URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None  # made when first needed: many turns reach nobody by a socket

    def send(self, connection_id: str, frame: str) -> bool:
        """See `ports.Sockets.send`."""
        if self._client is None:
            self._client = boto3.client("apigatewaymanagementapi", endpoint_url=self._url, config=PATIENCE)
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=frame.encode())
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return False
            raise Unavailable("the frame could not be sent") from error
        except BotoCoreError as error:
            raise Unavailable("the frame could not be sent") from error
        return True
