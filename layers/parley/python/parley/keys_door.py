"""The door for API keys: operators make them, look at them, give them new secrets, and revoke them.

A secret is in the answer that makes it and nowhere else. Knows no paths; `keys_api` has them.
"""

import logging
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response

from parley.callers import Callers
from parley.channels import api_key
from parley.channels.keys import NewKey, Rotation, render_key
from parley.errors import MalformedRequest, NotFound
from parley.http_app import json_response
from parley.ports import ApiKey, Clock, Keys

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeysDoor:
    """The routes of API keys, one method each."""

    keys: Keys
    callers: Callers
    clock: Clock

    def create(self, request: NewKey, authorization: str | None) -> Response[Any]:
        """Makes a key, and shows it this once."""
        caller, now = self.callers.operator(authorization), self.clock()
        tenant = self.callers.tenant_for(caller, request.tenant, request.bots)
        if request.expires_at is not None and request.expires_at <= now:
            raise MalformedRequest("`expires_at` is in the past; it counts seconds since 1970, UTC")
        key, shown = api_key.new_key(
            request.name, request.scopes, request.bots, tenant=tenant, now=now, expires_at=request.expires_at
        )
        self.keys.save(key)
        logger.info("API key made", extra={"key": key.id})
        return _showing(201, key, shown, now)

    def list(self, authorization: str | None) -> Response[Any]:
        """All keys of the operator's tenant, or of all tenants, without their secrets."""
        caller, now = self.callers.operator(authorization), self.clock()
        seen = [key for key in self.keys.list() if caller.tenant in (None, key.tenant)]
        return json_response(200, {"keys": [render_key(key, now=now) for key in seen]})

    def rotate(self, key_id: str, request: Rotation, authorization: str | None) -> Response[Any]:
        """Gives a key a new secret and shows it this once, or ends the one before the last rotation."""
        now, key = self.clock(), self._seen(key_id, authorization)
        if request.finish:
            key, shown = api_key.settled(key), None
        else:
            key, shown = api_key.rotated(key, now=now, old_valid_seconds=request.old_valid_seconds)
        self.keys.save(key)
        logger.info("API key settled" if request.finish else "API key rotated", extra={"key": key.id})
        return _showing(200, key, shown, now)

    def revoke(self, key_id: str, authorization: str | None) -> Response[Any]:
        """Takes a key away; it opens nothing from now on."""
        if not self.keys.delete(self._seen(key_id, authorization).id):
            raise _no_key(key_id)
        logger.info("API key revoked", extra={"key": key_id})
        return Response(status_code=204, body="")

    def _seen(self, key_id: str, authorization: str | None) -> ApiKey:
        """The key, for operators of its tenant. Raises: NotFound: there is none for them."""
        caller, key = self.callers.operator(authorization), self.keys.get(key_id)
        if key is None or caller.tenant not in (None, key.tenant):
            raise _no_key(key_id)
        return key


def _showing(status: int, key: ApiKey, shown: str | None, now: float) -> Response[Any]:
    body = render_key(key, now=now) | ({"key": shown} if shown else {})
    return json_response(status, body, headers={"Cache-Control": "no-store"})


def _no_key(key_id: str) -> NotFound:
    return NotFound(f"there is no API key {key_id!r}, or it was revoked")
