"""Which web pages may talk to a bot: those of the origins that its author names, and the deployment's own.

Pure. A browser says in `Origin` from which page a request comes, and no script can make it say another. Whoever is no
browser says what he likes or nothing: this keeps a bot off other people's pages, and is no protection of the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from parley.access import Access

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the web that asks."""

    origin: str  # as the browser says it: `https://shop.example`, or `null` where it has none
    host: str | None = None  # that was asked, with its port if it has one


def page_of(headers: Mapping[str, str]) -> Page | None:
    """The page that a request comes from; None where it comes from none, or does not say."""
    told = {name.lower(): value for name, value in headers.items()}
    return Page(told["origin"], told.get("host")) if "origin" in told else None


def allows(access: Access, page: Page, own_address: str = "") -> bool:
    """Whether the bot talks on the page.

    The deployment's own pages are those of the host that was asked, whatever domain name leads to it, and those of its
    address: another host is asked where a proxy stands between, and for the WebSocket.
    """
    if not access.origins:
        return True
    asking = _read(page.origin)
    if asking is None:
        return False
    own_hosts = {page.host, urlsplit(own_address).netloc} - {None, ""}
    named = filter(None, map(_read, access.origins))
    return asking.netloc in own_hosts or _plain(asking) in map(_plain, named)


def _read(origin: str) -> SplitResult | None:
    """An origin in its parts; None where somebody made it up."""
    try:
        parts = urlsplit(origin)
        _ = parts.port  # read when it is asked for
    except ValueError:
        return None
    return parts


def _plain(origin: SplitResult) -> tuple[str, str | None, int | None]:
    """An origin as it is compared: without the port that its scheme means anyway."""
    return origin.scheme, origin.hostname, origin.port or _DEFAULT_PORTS.get(origin.scheme)
