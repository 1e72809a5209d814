"""Posting to servers of other people: https, to public addresses, and of the answer nothing but how it begins.

Where a request may go is `public_web`'s to know. What the server says in its answer's body is never read.
"""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from urllib.parse import urlsplit

from parley.adapters.http_connection import target_of
from parley.adapters.public_web import USER_AGENT, Address, Reach, addresses_of, is_public, talk_to
from parley.errors import MalformedRequest, Unavailable, Unreadable
from parley.ports import Taken
from parley.settings import WebhookSettings

SECONDS = 10.0  # for all of it: Standard Webhooks asks for 15 to 30, and a slow one is tried again
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def is_public_or_loopback(address: Address, port: int) -> bool:
    """Whether an address belongs to the public internet or is this machine, for stacks that run on one."""
    return address.is_loopback or is_public(address, port)


class HttpPosts:
    """`ports.Posts` over HTTPS; over HTTP to this machine alone, where `may_reach` has it."""

    def __init__(
        self,
        *,
        may_reach: Callable[[Address, int], bool] = is_public,
        resolve: Callable[[str, int], Sequence[Address]] = addresses_of,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._reach = Reach(may_reach, resolve, tls or ssl.create_default_context())
        self._seconds = seconds

    def check(self, url: str) -> None:
        """See `ports.Posts.check`."""
        try:
            _check_scheme(url)
            self._reach.addresses(url)
        except Unreadable as error:
            raise MalformedRequest(f"the url is {error.problem}") from error
        except (OSError, UnicodeError) as error:  # the latter for names that cannot be one of a host
            raise MalformedRequest("nobody knows the host of the url") from error

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """See `ports.Posts.post`."""

        def talk(connection: HTTPConnection) -> Taken:
            ours = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"}
            connection.request("POST", target_of(url), body, {"Content-Type": "application/json", **headers, **ours})
            with connection.getresponse() as response:
                return Taken(response.status, _seconds(response.headers.get("Retry-After", "")))

        try:
            _check_scheme(url)
            return talk_to(url, self._reach, self._seconds, talk)
        except Unreadable as error:
            raise Unavailable(error.problem) from error
        except Unavailable as error:
            raise Unavailable(str(error).removeprefix(f"{url}: ")) from error


def posts_of(settings: WebhookSettings) -> HttpPosts:
    """The way to servers of other people, as far as the stage lets anybody go."""
    return HttpPosts(may_reach=is_public_or_loopback if settings.subscribers_on_loopback else is_public)


def _check_scheme(url: str) -> None:
    split = urlsplit(url)
    if split.scheme != "https" and not (split.scheme == "http" and split.hostname in _LOOPBACK):
        raise Unreadable(url, "not https")


def _seconds(retry_after: str) -> float | None:
    """The seconds of a Retry-After, which may be a date."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
