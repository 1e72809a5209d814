"""Who signs people in, and how much everybody may ask: what the functions are told as JSON.

The fields are those of `parley/access.py`, which this folder does not import; tests/infra/test_access.py holds them
together.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens (OpenID Connect) sign people in."""

    issuer: str
    audience: str
    tenant: str = "main"
    operators: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is allowed in a minute, a day and a month (UTC); None: as much as anybody likes."""

    turns_per_minute: int | None = None
    turns_per_day: int | None = None
    turns_per_month: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of each user, each API key and each tenant, and those of one tenant by its name."""

    user: Limits = field(default_factory=Limits)
    key: Limits = field(default_factory=Limits)
    tenant: Limits = field(default_factory=Limits)
    tenants: Mapping[str, Limits] = field(default_factory=dict)


def read_issuers(text: str) -> tuple[Issuer, ...]:
    """Issuers in JSON. Raises: ValueError: it is not of this form."""
    return tuple(_made(Issuer, each, "issuers") for each in json.loads(text))


def read_quotas(text: str) -> Quotas:
    """Quotas in JSON. Raises: ValueError: it is not of this form."""
    said = dict(json.loads(text))
    tenants = {name: _made(Limits, limits, "quotas") for name, limits in said.pop("tenants", {}).items()}
    kinds = {name: _made(Limits, limits, "quotas") for name, limits in said.items()}
    quotas: Quotas = _made(Quotas, {**kinds, "tenants": tenants}, "quotas")
    return quotas


def as_json(value: Any) -> str:
    """What a function reads; limits that are none are left out."""
    return json.dumps(_without_none([asdict(each) for each in value] if isinstance(value, tuple) else asdict(value)))


def _made(kind: Any, fields: Mapping[str, Any], what: str) -> Any:
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"{what}: {error}; {kind.__name__} has {', '.join(kind.__dataclass_fields__)}") from error


def _without_none(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_none(each) for name, each in value.items() if each is not None}
        case list():
            return [_without_none(each) for each in value]
    return value
