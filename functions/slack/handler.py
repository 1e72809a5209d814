"""slack: the Slack door. Acknowledges within Slack's three seconds; the worker answers. Loads no model."""

import os
import time

from parley.adapters.lines import conversations_of
from parley.adapters.secrets import secret_from
from parley.adapters.sqs import SqsTurns
from parley.logs import log_as_json
from parley.settings import read_settings
from parley.slack_door import SlackDoor

log_as_json("slack")
settings = read_settings(os.environ)
handler = SlackDoor(
    conversations_of(settings),
    SqsTurns(settings.turns_queue_url),
    secret_from(settings.slack_signing_secret),
    settings.default_bot,
    time.time,
)
