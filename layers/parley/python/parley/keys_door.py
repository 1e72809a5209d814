"""The door for API keys: operators make them, look at them, give them new secrets, and revoke them.

A secret is in the answer that makes it and nowhere else. Knows no paths; `keys_api` has them.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley.channels import api_key
from parley.channels.keys import NewKey, Rotation, render_key
from parley.channels.operator import check_operator
from parley.errors import MalformedRequest, NotFound
from parley.http_app import json_response
from parley.ports import ApiKey, Clock, Keys

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeysDoor:
    """The routes of API keys, one method each."""

    keys: Keys
    operator_key: Callable[[], bytes]
    bots: Collection[str]  # that are deployed
    clock: Clock

    def create(self, request: NewKey, authorization: str | None) -> Response[Any]:
        """Makes a key, and shows it this once."""
        check_operator(authorization, self.operator_key)
        now = self.clock()
        unknown = [bot for bot in request.bots if bot not in self.bots]
        if unknown:
            raise NotFound(f"there is no bot {unknown[0]!r} here")
        if request.expires_at is not None and request.expires_at <= now:
            raise MalformedRequest("`expires_at` is in the past; it counts seconds since 1970, UTC")
        key, shown = api_key.new_key(request.name, request.scopes, request.bots, now=now, expires_at=request.expires_at)
        self.keys.save(key)
        logger.info("API key made", extra={"key": key.id})
        return _showing(201, key, shown, now)

    def list(self, authorization: str | None) -> Response[Any]:
        """All keys, without their secrets."""
        check_operator(authorization, self.operator_key)
        now = self.clock()
        return json_response(200, {"keys": [render_key(key, now=now) for key in self.keys.list()]})

    def rotate(self, key_id: str, request: Rotation, authorization: str | None) -> Response[Any]:
        """Gives a key a new secret and shows it this once, or ends the one before the last rotation."""
        check_operator(authorization, self.operator_key)
        now, key = self.clock(), self.keys.get(key_id)
        if key is None:
            raise _no_key(key_id)
        if request.finish:
            key, shown = api_key.settled(key), None
        else:
            key, shown = api_key.rotated(key, now=now, old_valid_seconds=request.old_valid_seconds)
        self.keys.save(key)
        logger.info("API key settled" if request.finish else "API key rotated", extra={"key": key.id})
        return _showing(200, key, shown, now)

    def revoke(self, key_id: str, authorization: str | None) -> Response[Any]:
        """Takes a key away; it opens nothing from now on."""
        check_operator(authorization, self.operator_key)
        if not self.keys.delete(key_id):
            raise _no_key(key_id)
        logger.info("API key revoked", extra={"key": key_id})
        return Response(status_code=204, body="")


def _showing(status: int, key: ApiKey, shown: str | None, now: float) -> Response[Any]:
    body = render_key(key, now=now) | ({"key": shown} if shown else {})
    return json_response(status, body, headers={"Cache-Control": "no-store"})


def _no_key(key_id: str) -> NotFound:
    return NotFound(f"there is no API key {key_id!r}, or it was revoked")
