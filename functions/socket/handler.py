"""socket: the WebSocket door. Acknowledges at once; the worker answers. Loads no model."""

import os
import time

from parley.adapters.callers import people_of
from parley.adapters.lines import conversations_of, lines_of
from parley.adapters.sqs import SqsTurns
from parley.logs import log_as_json
from parley.settings import read_settings
from parley.socket_door import SocketDoor

log_as_json("socket")
settings = read_settings(os.environ)
handler = SocketDoor(
    conversations_of(settings),
    lines_of(settings),
    SqsTurns(settings.turns_queue_url),
    people_of(settings),
    settings.default_bot,
    time.time,
    settings.explains,
)
