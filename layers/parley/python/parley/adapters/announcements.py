"""Announcements on an EventBridge bus, where hand-off desks, webhooks and analytics listen."""

from collections.abc import Mapping
from typing import Any

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from parley.adapters.patience import PATIENCE
from parley.errors import Unavailable

SOURCE = "parley"


class EventBridgeAnnouncements:
    """`ports.Announcements` over `PutEvents`."""

    def __init__(self, bus: str) -> None:
        self._bus = bus
        self._client: Any = None  # made when first needed: most turns announce nothing

    def announce(self, kind: str, detail: Mapping[str, Any]) -> None:
        """See `ports.Announcements.announce`."""
        if self._client is None:
            self._client = boto3.client("events", config=PATIENCE)
        entry = {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": kind,
            "Detail": msgspec.json.encode(detail).decode(),
        }
        try:
            answer = self._client.put_events(Entries=[entry])
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("the event bus did not answer") from error
        if answer["FailedEntryCount"]:
            raise Unavailable(f"the event bus did not take it: {answer['Entries'][0].get('ErrorCode')}")
