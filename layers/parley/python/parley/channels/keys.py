"""API keys as operators see them: the JSON of their routes in and out.

Pure conversions. A secret appears in none of these but where the door adds it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parley.channels.api_key import CHAT
from parley.channels.http import Id
from parley.channels.rendering import without_nothing
from parley.ports import ApiKey

_YEAR = 366 * 86_400.0


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewKey(_Request):
    """A key that is wanted."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="For people: who bears it.")]
    scopes: list[Literal["chat", "operate"]] = Field(
        [CHAT],
        min_length=1,
        max_length=10,
        description="`chat`: it talks with bots. `operate`: its bearer is an operator of the tenant.",
    )
    bots: list[Id] = Field([], max_length=100, description="The only bots that it talks with; leave it out for all.")
    tenant: Id | None = Field(None, description="Whose it is; left out, the operator's own, or `main`.")
    expires_at: Annotated[float | None, Field(description="Seconds since the Unix epoch, UTC.")] = None


class Rotation(_Request):
    """A new secret for a key, or the end of the one before it."""

    old_valid_seconds: Annotated[float | None, Field(ge=0, le=_YEAR)] = Field(
        None, description="How long the secret before stays valid. Left out: until the next rotation, or `finish`."
    )
    finish: bool = Field(False, description="Makes no new secret; the newest is the only one from now on.")


class SecretBody(BaseModel):
    """A secret, of which only a digest is kept."""

    digest_begins: str = Field(description="To tell secrets apart: how the SHA-256 of the part behind the id begins.")
    ends_at: float | None = None


class KeyBody(BaseModel):
    """An API key."""

    id: str
    name: str
    tenant: str
    scopes: list[str]
    bots: list[str] = Field(description="The only bots of the tenant that it talks with; empty for all.")
    created_at: float
    expires_at: float | None = None
    secrets: list[SecretBody] = Field(description="That are valid now; the newest first.")
    key: str | None = Field(None, description="What its bearer shows. Given once.")


class KeysBody(BaseModel):
    """All API keys, the oldest first."""

    keys: list[KeyBody]


def render_key(key: ApiKey, *, now: float) -> dict[str, Any]:
    """A key without its secrets."""
    valid = key.valid_secrets(now)
    body = {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "bots": list(key.bots),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "secrets": [without_nothing({"digest_begins": each.digest[:8], "ends_at": each.ends_at}) for each in valid],
    }
    return without_nothing(body)
