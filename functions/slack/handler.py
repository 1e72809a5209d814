"""slack: the Slack door. Acknowledges within Slack's three seconds; the worker answers. Loads no model."""

import os
import time

from parley.adapters.lines import conversations_of, workspaces_of
from parley.adapters.secrets import secret_from
from parley.adapters.slack_app import WebApiSlackApp
from parley.adapters.slack_responses import WebhookResponses
from parley.adapters.sqs import SqsTurns
from parley.logs import log_as_json
from parley.settings import read_settings
from parley.slack_door import SlackDoor
from parley.slack_install import SlackInstall

log_as_json("slack")
settings = read_settings(os.environ)
workspaces = workspaces_of(settings)
client_secret = secret_from(settings.slack_client_secret)
install = (
    None
    if workspaces is None
    else SlackInstall(
        workspaces,
        WebApiSlackApp(settings.slack_client_id, client_secret, settings.slack_api_url),
        settings.slack_client_id,
        client_secret,
        settings.open_bots,
        settings.default_bot,
        settings.slack_api_url,
        time.time,
    )
)
handler = SlackDoor(
    conversations_of(settings),
    SqsTurns(settings.turns_queue_url),
    secret_from(settings.slack_signing_secret),
    settings.default_bot,
    time.time,
    WebhookResponses(settings.slack_api_url),
    workspaces,
    install,
)
