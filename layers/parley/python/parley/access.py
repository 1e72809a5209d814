"""Who may talk to a bot, and how much: what authors and operations decide, as values.

Functions are told of it by name, without loading a bot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

OWN_TENANT = "main"  # of bots whose author names none


@dataclass(frozen=True, slots=True)
class Access:
    """Whose bot it is, and who may talk to it."""

    tenant: str = OWN_TENANT  # who else is in the deployment sees nothing of it
    visitors: bool = True  # anybody may begin a conversation; else only who is signed in or has an API key
    origins: tuple[str, ...] = ()  # of web pages that may talk to it, such as https://shop.example; none: any


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens (OpenID Connect) sign people in."""

    issuer: str  # as the tokens have it in `iss`; its keys are found from there
    audience: str  # for whom they must be: `aud`, or Cognito's `client_id`
    tenant: str = OWN_TENANT  # of all who are signed in by it
    operators: str = ""  # the group whose members are operators of the tenant; "": nobody is


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is allowed in a minute, a day and a month (UTC); None: as much as anybody likes."""

    turns_per_minute: int | None = None
    turns_per_day: int | None = None
    turns_per_month: int | None = None
    tokens_per_minute: int | None = None  # that the generator reads and writes
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of everybody."""

    user: Limits = Limits()
    key: Limits = Limits()
    tenant: Limits = Limits()
    tenants: Mapping[str, Limits] = field(default_factory=dict)  # of one tenant, in place of `tenant`, by its name
