"""deliver: messages for other people's servers, posted or put back for later. Loads no model."""

import os
import random
import time
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from parley.adapters.deliveries import DynamoDeliveries
from parley.adapters.metrics import EmbeddedMetrics
from parley.adapters.posts import posts_of
from parley.adapters.sealing import KmsSealing
from parley.adapters.secrets import secrets_below
from parley.adapters.sqs import SqsDeliveries
from parley.adapters.subscriptions import DynamoSubscriptions
from parley.deliver_door import DeliverDoor
from parley.logs import log_as_json
from parley.settings import read_webhook_settings

log_as_json("deliver")
settings = read_webhook_settings(os.environ)
door = DeliverDoor(
    DynamoSubscriptions(settings.subscriptions_table),
    DynamoDeliveries(settings.deliveries_table, clock=time.time),
    SqsDeliveries(settings.deliveries_queue_url),
    posts_of(settings),
    KmsSealing(settings.signing_key),
    secrets_below(settings.action_secrets),
    EmbeddedMetrics(settings.parley_stage),
    time.time,
    random.random,
)
processor = BatchProcessor(event_type=EventType.SQS)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delivers a batch; names those that the queue shall deliver again."""
    return dict(process_partial_response(event, record_handler=door, processor=processor, context=context))
