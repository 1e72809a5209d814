"""Pages of the public web, fetched as a polite stranger does: one by one, with pauses, and where robots.txt lets us.

Knows redirects and robots.txt; where a request may go is `public_web`'s to know,
and how much of an answer is taken `page_request`'s.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from threading import Lock
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from parley.adapters.page_request import Answer, Wanted, get
from parley.adapters.public_web import USER_AGENT, Address, Reach, addresses_of, is_public
from parley.documents.links import MAX_BYTES, SITEMAP_TYPES, page_url
from parley.documents.reading import PAGE_TYPES
from parley.errors import Unavailable, Unreadable
from parley.ports import Page

MAX_REDIRECTS = 5
PAGE_SECONDS = 20.0  # for all that a page takes: robots.txt, pauses and redirects
PAUSE_SECONDS = 1.0  # from one request's end to the next one to the same host
ROBOTS_SECONDS = 600.0  # for which we go by what a robots.txt said, or by its silence
MAX_ROBOTS_BYTES = 512_000  # Source: RFC 9309 asks for 500 KiB
MAX_HOSTS = 100  # whose robots.txt is remembered
MEDIA_TYPES = SITEMAP_TYPES | frozenset(PAGE_TYPES)

_NOTHING = ("User-agent: *", "Disallow: /")


class HttpPages:
    """`ports.Pages` over HTTP."""

    def __init__(
        self,
        *,
        may_reach: Callable[[Address, int], bool] = is_public,
        resolve: Callable[[str, int], Sequence[Address]] = addresses_of,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        tls: ssl.SSLContext | None = None,
        page_seconds: float = PAGE_SECONDS,
    ) -> None:
        self._reach = Reach(may_reach, resolve, tls or ssl.create_default_context())
        self._clock = clock
        self._sleep = sleep
        self._page_seconds = page_seconds
        self._one = Lock()
        self._asked: dict[str, float] = {}  # when each host was done with its last request
        self._robots: dict[str, tuple[float, RobotFileParser | None]] = {}  # until when; None: it could not be had

    def fetch(self, url: str) -> Page:
        """See `ports.Pages.fetch`."""
        with self._one:
            try:
                return self._fetch(url, time.monotonic() + self._page_seconds)
            except Unreadable as error:  # perhaps of where it led
                raise Unreadable(url, str(error).removeprefix(f"{url}: ")) from error
            except Unavailable as error:
                raise Unavailable(f"{url}: {str(error).removeprefix(f'{url}: ')}") from error

    def _fetch(self, url: str, deadline: float) -> Page:
        at = _checked(url, url)
        for _ in range(MAX_REDIRECTS + 1):
            self._ask_robots(at, deadline)
            answer = self._get(Wanted(at, MEDIA_TYPES, MAX_BYTES), deadline)
            if answer.status == 200:
                return Page(at, answer.content, answer.media_type, answer.charset)
            if not answer.location:
                raise Unreadable(at, f"answered {answer.status}")
            at = _checked(at, answer.location)
        raise Unreadable(url, f"more than {MAX_REDIRECTS} redirects")

    def _ask_robots(self, url: str, deadline: float) -> None:
        """Nothing, if the host lets robots read this page."""
        split = urlsplit(url)
        host = f"{split.scheme}://{split.netloc}"
        until, rules = self._robots.get(host, (float("-inf"), None))
        if until <= self._clock():
            if len(self._robots) >= MAX_HOSTS:
                self._robots.clear()
            rules = self._rules(f"{host}/robots.txt", deadline)
            self._robots[host] = (self._clock() + ROBOTS_SECONDS, rules)
        if rules is None:
            raise Unavailable(f"{url}: its host does not say now what robots may read")
        if not rules.can_fetch(USER_AGENT, url):
            raise Unreadable(url, "its host wants it read by no robot (robots.txt)")

    def _rules(self, url: str, deadline: float) -> RobotFileParser | None:
        """What a robots.txt says; None where it cannot be had now, or is none.

        Source: RFC 9309, 2.3.1. Who refuses us a robots.txt is taken to refuse the rest, as in urllib.
        """
        rules = RobotFileParser()
        try:
            answer = self._robots_txt(url, deadline)
            said = answer.content.decode("utf-8-sig", "replace").splitlines()
            rules.parse(_NOTHING if answer.status in (401, 403) else said)
        except (Unavailable, ValueError):  # the library stumbles over some lines
            return None
        return rules

    def _robots_txt(self, url: str, deadline: float) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._get(Wanted(url, frozenset(), MAX_ROBOTS_BYTES), deadline)
            if not answer.location:
                break
            url = _checked(url, answer.location)
        return answer

    def _get(self, wanted: Wanted, deadline: float) -> Answer:
        """The answer, asked for when it is our turn."""
        host = urlsplit(wanted.url).hostname or ""
        wait = self._asked.get(host, float("-inf")) + PAUSE_SECONDS - self._clock()
        if wait > 0:
            self._sleep(wait)
        try:
            return get(wanted, self._reach, deadline - time.monotonic())
        finally:
            self._asked[host] = self._clock()


def _checked(url: str, location: str) -> str:
    """Where `location`, seen from `url`, is."""
    try:
        return page_url(urljoin(url, location))
    except ValueError as error:
        leads = "" if location == url else "leads elsewhere: "
        raise Unreadable(url, f"{leads}{error}") from error
