"""The lines back to people on AWS, wired from the settings. Loads no model."""

import time

from parley.adapters.connections import DynamoConnections
from parley.adapters.dynamodb import DynamoConversations
from parley.adapters.secrets import secret_from
from parley.adapters.sockets import ApiGatewaySockets
from parley.adapters.sqs import SqsDeliveries, SqsLateTurns
from parley.lines import Lines
from parley.ports import Slack
from parley.settings import Settings


def lines_of(settings: Settings) -> Lines:
    """The ways to people who do not wait at the door."""
    return Lines(
        connections=DynamoConnections(settings.connections_table, clock=time.time),
        sockets=ApiGatewaySockets(settings.socket_url),
        late=SqsLateTurns(settings.waiting_queue_url),
        slack=_slack(settings),
        documents_at=settings.documents_at,
        callbacks=SqsDeliveries(settings.deliveries_queue_url) if settings.deliveries_queue_url else None,
    )


def _slack(settings: Settings) -> Slack | None:
    if not settings.slack_token_secret:
        return None
    from parley.adapters.slack import WebApiSlack  # which only the worker needs, and costs CPU to import

    token = secret_from(settings.slack_token_secret)
    # One workspace for now. Several have a token each, which is looked up here by the team's id.
    return WebApiSlack(lambda _team: token().decode().strip(), settings.slack_api_url)


def conversations_of(settings: Settings) -> DynamoConversations:
    """The stored state of conversations."""
    return DynamoConversations(settings.conversations_table, retention_days=settings.retention_days, clock=time.time)
