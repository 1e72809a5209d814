"""stream: OpenAI's routes, whose replies leave while they are being made. So the turn runs in this process."""

import os

from parley.adapters.aws import connect
from parley.adapters.callers import servers_of
from parley.logs import log_as_json
from parley.openai_door import OpenAiDoor
from parley.ports import Patience
from parley.settings import read_settings
from parley.stream_api import StreamApi

PATIENCE = Patience(first_seconds=20, whole_seconds=45)  # a function URL waits as long as the function may run, 60 s

log_as_json("stream")
settings = read_settings(os.environ)
services = connect(settings, PATIENCE)
handler = StreamApi(OpenAiDoor(services, servers_of(settings)))
