"""chat: the HTTP door. A person is waiting, so the turn runs in this process."""

import os

from parley.adapters.aws import connect
from parley.adapters.sqs import SqsTurns
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.logs import log_as_json
from parley.settings import read_settings

log_as_json("chat")
settings = read_settings(os.environ)
door = HttpDoor(connect(settings), SqsTurns(settings.turns_queue_url), settings.default_bot, settings.parley_stage)
handler = HttpApi(door)
