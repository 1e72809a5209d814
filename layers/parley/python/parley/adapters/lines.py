"""The lines back to people on AWS, wired from the settings. Loads no model."""

import time

from parley.adapters.connections import DynamoConnections
from parley.adapters.dynamodb import DynamoConversations
from parley.adapters.sockets import ApiGatewaySockets
from parley.adapters.sqs import SqsLateTurns
from parley.lines import Lines
from parley.settings import Settings


def lines_of(settings: Settings) -> Lines:
    """The ways to people who do not wait at the door."""
    return Lines(
        connections=DynamoConnections(settings.connections_table, clock=time.time),
        sockets=ApiGatewaySockets(settings.socket_url),
        late=SqsLateTurns(settings.waiting_queue_url),
    )


def conversations_of(settings: Settings) -> DynamoConversations:
    """The stored state of conversations."""
    return DynamoConversations(settings.conversations_table, retention_days=settings.retention_days, clock=time.time)
