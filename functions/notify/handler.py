"""notify: what the stream of conversations shows becomes notices, one on its way to each subscriber. Loads no model."""

import os
import time

from parley.adapters.sqs import SqsDeliveries
from parley.adapters.subscriptions import DynamoSubscriptions
from parley.logs import log_as_json
from parley.notify_door import NotifyDoor
from parley.settings import read_webhook_settings

log_as_json("notify")
settings = read_webhook_settings(os.environ)
handler = NotifyDoor(
    DynamoSubscriptions(settings.subscriptions_table),
    SqsDeliveries(settings.deliveries_queue_url),
    settings.access,
    time.time,
)
