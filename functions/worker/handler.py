"""worker: the queue door. Turns that were acknowledged at once, in order within a conversation."""

import os
from typing import Any

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response

from parley.adapters.aws import connect
from parley.adapters.lines import lines_of
from parley.logs import log_as_json
from parley.ports import Patience
from parley.queue_door import QueueDoor
from parley.settings import read_settings

log_as_json("worker")
PATIENCE = Patience(first_seconds=20, whole_seconds=45)  # nobody's connection is open; the function has 60 s

settings = read_settings(os.environ)
door = QueueDoor(connect(settings, PATIENCE), lines_of(settings))
processor = SqsFifoPartialProcessor(skip_group_on_error=True)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers a batch of turns; names those that the queue shall deliver again."""
    return dict(process_partial_response(event, record_handler=door, processor=processor, context=context))
