"""Which web pages may talk to a bot: those of the origins that its author names, and the deployment's own.

Pure. A browser says in `Origin` from which page a request comes, and no script can make it say another. Whoever is no
browser says what he likes or nothing: this keeps a bot off other people's pages, and is no protection of the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from parley.access import Access
from parley.errors import NotYours

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the web that asks."""

    origin: str  # as the browser says it: `https://shop.example`, or `null` where it has none
    own_host: str | None = None  # of the API that was asked, with its port if it has one


def page_of(event: Mapping[str, Any], own_address: str | None = None) -> Page | None:
    """The page that an event of API Gateway comes from; None if a page is not where it comes from.

    The API's own pages are those of the host that was asked, whatever domain name leads to it; or of `own_address`,
    where the pages are another API's.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    origin = headers.get("origin")
    if origin is None:
        return None
    return Page(origin, urlsplit(own_address).netloc if own_address else headers.get("host"))


def may_talk(page: Page | None, access: Access) -> bool:
    """Whether the bot talks on that page."""
    if page is None or not access.origins:
        return True
    is_own = bool(page.own_host) and urlsplit(page.origin).netloc == page.own_host
    return is_own or _plain(page.origin) in map(_plain, access.origins)


def check_page(page: Page | None, bot: str, access: Access) -> None:
    """Raises: NotYours: the bot does not talk there."""
    if page is not None and not may_talk(page, access):
        where = "`access: origins:` in its bot.yml says where it does"
        raise NotYours(f"the bot {bot!r} does not talk on pages of {page.origin}; {where}")


def _plain(origin: str) -> tuple[str, str | None, int | None]:
    """An origin as it is compared: without the port that its scheme means anyway."""
    parts = urlsplit(origin)
    try:
        port = parts.port
    except ValueError:  # somebody made it up
        return origin, None, None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS.get(parts.scheme)
