"""subscriptions: who is told what happens, for operators. The only function that may change that. Loads no model."""

import os
import time

from parley.adapters.callers import operators_of
from parley.adapters.deliveries import DynamoDeliveries
from parley.adapters.posts import posts_of
from parley.adapters.sealing import KmsSealing
from parley.adapters.sqs import SqsDeliveries
from parley.adapters.subscriptions import DynamoSubscriptions
from parley.logs import log_as_json
from parley.settings import read_webhook_settings
from parley.subscriptions_api import SubscriptionsApi
from parley.subscriptions_door import SubscriptionsDoor

log_as_json("subscriptions")
settings = read_webhook_settings(os.environ)
handler = SubscriptionsApi(
    SubscriptionsDoor(
        DynamoSubscriptions(settings.subscriptions_table),
        DynamoDeliveries(settings.deliveries_table, clock=time.time),
        SqsDeliveries(settings.deliveries_queue_url),
        posts_of(settings),
        KmsSealing(settings.signing_key),
        operators_of(settings),
        time.time,
    )
)
