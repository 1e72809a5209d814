"""The lines back to people on AWS, wired from the settings. Loads no model."""

import time

from parley.adapters.connections import DynamoConnections
from parley.adapters.dynamodb import DynamoConversations
from parley.adapters.secrets import secret_if_any
from parley.adapters.slack_tokens import SlackTokens
from parley.adapters.sockets import ApiGatewaySockets
from parley.adapters.sqs import SqsDeliveries, SqsLateTurns
from parley.adapters.workspaces import DynamoWorkspaces
from parley.lines import Lines
from parley.ports import Slack, Workspaces
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

    tokens = SlackTokens(workspaces_of(settings), secret_if_any(settings.slack_token_secret), time.time)
    return WebApiSlack(tokens, settings.slack_api_url, tokens.forget)


def workspaces_of(settings: Settings) -> Workspaces | None:
    """The workspaces that have installed the app; None where it is in one by hand."""
    if not settings.workspaces_table:
        return None
    return DynamoWorkspaces(settings.workspaces_table, settings.slack_tokens_key)


def conversations_of(settings: Settings) -> DynamoConversations:
    """The stored state of conversations."""
    return DynamoConversations(settings.conversations_table, retention_days=settings.retention_days, clock=time.time)
