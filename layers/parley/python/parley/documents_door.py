"""The documents door: what came, changed or went in the bucket is brought into the libraries of the bots concerned.

Whatever an event says, the bucket is asked for what is there: so events may come late, twice or in any order. Two runs
at once may undo each other's work, but whoever publishes looks again afterwards, so the last one leaves it right.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from parley.ingest import Ingested, Memory, ingest
from parley.ports import Documents, Encoder, Libraries, Pages

KEPT_FREE_SECONDS = 60  # of the function's time, to publish in and for the documents that are being read
DOCUMENTS = "documents"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DocumentsDoor:
    """What ingest does with a batch of the queue's messages."""

    documents: Documents
    libraries: Libraries
    pages: Pages
    encoder: Encoder
    bots: frozenset[str]
    again: Callable[[str], None]  # asks for another run for a bot
    memory: Memory | None = None  # None: whatever there is, is searched in memory

    def __call__(self, event: Mapping[str, Any], context: Any) -> None:
        """Brings every library concerned up to date; raises where the queue shall deliver the batch again."""
        deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - KEPT_FREE_SECONDS
        for bot in sorted(set(bots_of(event))):
            if bot not in self.bots:
                logger.warning("documents of a bot that is not here", extra={"bot": bot})
                continue
            self._ingest(bot, deadline)

    def _ingest(self, bot: str, deadline: float) -> None:
        while True:
            done = ingest(
                bot,
                self.documents,
                self.libraries,
                self.pages,
                self.encoder,
                deadline=deadline,
                memory=self.memory,
            )
            if not (done.read or done.removed):
                return
            _log(bot, done)
            if not done.is_complete:
                self.again(bot)
                return


def bots_of(event: Mapping[str, Any]) -> Iterator[str]:
    """The bots whose documents a batch is about: told by S3, or by a run that had no time left."""
    for record in event["Records"]:
        told = json.loads(record["body"])
        if "bot" in told:
            yield told["bot"]
        for change in told.get("Records", ()):
            folder, _, rest = unquote_plus(change["s3"]["object"]["key"]).partition("/")
            if folder == DOCUMENTS and "/" in rest:
                yield rest.partition("/")[0]


def _log(bot: str, done: Ingested) -> None:
    told = {"bot": bot, "read": len(done.read), "removed": len(done.removed), "passages": done.passages}
    logger.info("documents taken in", extra={**told, "embedded": done.embedded, "complete": done.is_complete})
    for name, fault in done.faults.items():
        logger.warning("a document could not be read", extra={"bot": bot, "document": name, "reason": fault})
