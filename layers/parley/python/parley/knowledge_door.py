"""The door for documents: operators put them in and take them away, and everybody reads what answers were taken from.

What is put in is found once `ingest` has read it; the list says what became of each. Knows no paths; `http_api` has
them.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley.callers import Callers
from parley.channels import documents as pages
from parley.documents.document import ENDINGS
from parley.errors import MalformedRequest, NotFound
from parley.http_app import json_response
from parley.loaded import LoadedBot
from parley.ports import Documents, Libraries

LONGEST_NAME = 200
_NAME = re.compile(r"[\w(][\w ().,+-]*(/[\w(][\w ().,+-]*)*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnowledgeDoor:
    """The routes of documents, one method each."""

    bots: Callable[[str], LoadedBot]  # by name; raises NotFound
    documents: Documents
    libraries: Libraries
    callers: Callers

    def put(self, bot: str, name: str, content: bytes, authorization: str | None) -> Response[Any]:
        """Takes a document; ingest reads it."""
        self._check_operates(authorization, bot)
        _check(name)
        if not content:
            raise MalformedRequest(f"{name} is empty; send the document as the body")
        self.documents.write(bot, name, content)
        logger.info("document put in", extra={"bot": bot, "document": name, "bytes": len(content)})
        return json_response(202, {"document": name, "status": "queued"})

    def delete(self, bot: str, name: str, authorization: str | None) -> Response[Any]:
        """Takes a document away; its answers go with it."""
        self._check_operates(authorization, bot)
        self.documents.delete(bot, name)
        logger.info("document taken away", extra={"bot": bot, "document": name})
        return json_response(202, {"document": name, "status": "queued"})

    def list(self, bot: str, authorization: str | None) -> Response[Any]:
        """What was put in, and what became of it."""
        self._check_operates(authorization, bot)
        loaded = self.bots(bot)
        shelved = self.libraries.catalogue(bot).documents
        stored = {each.name: each.version for each in self.documents.list(bot)}
        told = pages.render_list(stored, shelved, loaded.passages_by_document())
        return json_response(200, {"bot": bot, "documents": told})

    def read(self, bot: str, name: str, authorization: str | None) -> Response[Any]:
        """A document as the bot knows it, for whoever may talk to the bot and follows a citation."""
        self.callers.check_sees(self.callers.who(authorization), bot)
        passages = self.bots(bot).of_document(name)
        if not passages:
            raise NotFound(f"the bot {bot!r} knows no document {name!r}")
        headers = {"Content-Security-Policy": pages.POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(200, "text/html; charset=utf-8", pages.render_page(passages), headers=headers)

    def _check_operates(self, authorization: str | None, bot: str) -> None:
        self.callers.check_operates(self.callers.who(authorization), bot)


def _check(name: str) -> None:
    """Raises: MalformedRequest: it cannot be a document's name, or names nothing that is read."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise MalformedRequest(
            f"a document's name has letters, digits, spaces and any of `().,+-_`, folders before it, {LONGEST_NAME} "
            "characters at most"
        )
    if not name.lower().endswith(ENDINGS):
        raise MalformedRequest(
            f"{name} is no document that is read; its name must end with one of {', '.join(ENDINGS)}"
        )
