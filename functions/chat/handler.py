"""chat: the HTTP door. A person is waiting, so the turn runs in this process."""

import os
import time

from parley.adapters.aws import connect
from parley.adapters.callers import callers_of
from parley.adapters.documents import S3Documents, S3Libraries
from parley.adapters.keys import DynamoKeys
from parley.adapters.lines import lines_of
from parley.adapters.secrets import secrets_below
from parley.adapters.sqs import SqsTurns
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.keys_door import KeysDoor
from parley.knowledge_door import KnowledgeDoor
from parley.logs import log_as_json
from parley.openai_door import OpenAiDoor
from parley.ports import Patience
from parley.rasa_door import RasaDoor
from parley.settings import read_settings
from parley.webhook_door import WebhookDoor

PATIENCE = Patience(first_seconds=5, whole_seconds=20)  # API Gateway gives up after 30

log_as_json("chat")
settings = read_settings(os.environ)
services = connect(settings, PATIENCE)
callers = callers_of(settings)
turns = SqsTurns(settings.turns_queue_url)
door = HttpDoor(
    services,
    turns,
    lines_of(settings),
    callers,
    settings.default_bot,
    settings.parley_stage,
    settings.explains,
    settings.socket_address,
)
documents = KnowledgeDoor(
    services.bots, S3Documents(settings.documents_bucket), S3Libraries(settings.documents_bucket), callers
)
handler = HttpApi(
    door,
    RasaDoor(services, callers, settings.default_bot),
    documents,
    openai_door=OpenAiDoor(services, callers),
    keys_door=KeysDoor(DynamoKeys(settings.keys_table), callers, time.time),  # told of here, answered by `keys`
    webhook_door=WebhookDoor(services, turns, secrets_below(settings.action_secrets), settings.default_bot),
)
