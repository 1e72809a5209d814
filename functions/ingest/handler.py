"""ingest: documents that were put into the bucket become what the bots find."""

import os
from pathlib import Path

from parley.adapters.documents import S3Documents, S3Libraries
from parley.adapters.pages import HttpPages
from parley.adapters.passages import DynamoPassages
from parley.adapters.sqs import SqsChanges
from parley.documents_door import DocumentsDoor
from parley.ingest import Memory
from parley.logs import log_as_json
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.remembering import RememberingEncoder
from parley.settings import read_ingest_settings

log_as_json("ingest")
settings = read_ingest_settings(os.environ)
beyond = DynamoPassages(settings.passages_table) if settings.passages_table else None
handler = DocumentsDoor(
    S3Documents(settings.documents_bucket),
    S3Libraries(settings.documents_bucket),
    HttpPages(),
    RememberingEncoder(OnnxEncoder(Path(settings.encoder_dir))),  # pages of a site have headings in common
    frozenset(settings.bots),
    SqsChanges(settings.changes_queue_url).send,
    Memory(settings.passages_in_memory, beyond) if beyond else None,
)
