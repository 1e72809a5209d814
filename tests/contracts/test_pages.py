"""The contract of `ports.Pages`, kept by the fake and by HTTP alike; and where HTTP goes on no account."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from parley.adapters.memory import MemoryPages
from parley.adapters.pages import MAX_BYTES, PAUSE_SECONDS, ROBOTS_SECONDS, HttpPages
from parley.adapters.public_web import Address, addresses_of, is_public
from parley.errors import Unavailable, Unreadable
from parley.ports import Page, Pages
from tests.contracts.loopback import CERTIFICATE, Handler, Loopback

HOST = "shop.example"
HOURS = b"<p>We open at nine."
HTML = {"Content-Type": "text/html; charset=ISO-8859-1"}
PATIENCE_SECONDS, SLACK_SECONDS = 0.4, 1.0


class SiteHandler(Handler):
    """Answers GET with what the site has."""

    server: Any

    def do_GET(self) -> None:  # noqa: N802  # as http.server calls it
        try:
            self._get()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True
            self.server.told.left.set()

    def _get(self) -> None:
        site = self.server.told
        site.seen.append((self.path, dict(self.headers)))
        if self.path == "/drip":
            self.stream(HTML, self._drops())
            return
        status, headers, content = site.has.get(self.path, (404, {}, b"nothing"))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def _drops(self) -> Iterator[bytes]:
        while not self.server.told.over.wait(0.05):
            yield b"x"


class Site(Loopback):
    """A host of the web, on loopback."""

    handler = SiteHandler

    def __init__(self, *, has_tls: bool = False) -> None:
        self.has_tls = has_tls
        self.left, self.over = threading.Event(), threading.Event()
        self.seen: list[tuple[str, Mapping[str, str]]] = []
        self.has: dict[str, tuple[int, Mapping[str, str], bytes]] = {"/hours": (200, HTML, HOURS)}

    def moved(self, path: str, to: str, status: int = 302) -> None:
        self.has[path] = (status, {"Location": to}, b"")

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.seen if path != "/robots.txt"]

    def at(self, path: str) -> str:
        return f"{'https' if self.has_tls else 'http'}://{HOST}:{self.port}{path}"


class Web:
    """What is reached of it, what its names mean, and a clock that only pauses move."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.names: dict[str, list[str]] = {HOST: ["127.0.0.1"]}
        self.looked_up: list[str] = []
        self.now = 0.0
        self.pauses: list[float] = []

    def resolve(self, host: str, port: int) -> list[Address]:
        self.looked_up.append(host)
        found = self.names.get(host)
        return [ip_address(each) for each in found] if found is not None else list(addresses_of(host, port))

    def may_reach(self, address: Address, port: int) -> bool:
        """What may always be reached, and the site by the name that it has."""
        return is_public(address, port) or (port == self.site.port and address == ip_address("127.0.0.1"))

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def pages(self, **changes: Any) -> HttpPages:
        own = {"may_reach": self.may_reach, "resolve": self.resolve, "clock": lambda: self.now, "sleep": self.sleep}
        return HttpPages(**{**own, **changes})


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def web(site: Site) -> Web:
    return Web(site)


@pytest.fixture
def pages(web: Web) -> HttpPages:
    return web.pages()


# The contract.


@pytest.fixture(params=["memory", "http"])
def either(request: pytest.FixtureRequest, site: Site, web: Web) -> Pages:
    site.moved("/old", "/hours")
    site.has["/busy"] = (503, {}, b"")
    if request.param == "http":
        return web.pages()
    page = Page(site.at("/hours"), HOURS, "text/html", "iso-8859-1")
    busy = Unavailable(f"{site.at('/busy')}: answered 503")
    return MemoryPages({site.at("/hours"): page, site.at("/old"): page, site.at("/busy"): busy})


def test_a_page_comes_with_what_its_server_says_of_it(either: Pages, site: Site) -> None:
    assert either.fetch(site.at("/hours")) == Page(site.at("/hours"), HOURS, "text/html", "iso-8859-1")


def test_a_page_that_has_moved_is_known_by_where_it_is(either: Pages, site: Site) -> None:
    assert either.fetch(site.at("/old")).url == site.at("/hours")


def test_a_page_that_is_not_there_is_named(either: Pages, site: Site) -> None:
    with pytest.raises(Unreadable, match=site.at("/nothing")):
        either.fetch(site.at("/nothing"))


def test_a_page_that_may_come_later_is_told_apart(either: Pages, site: Site) -> None:
    with pytest.raises(Unavailable, match=site.at("/busy")):
        either.fetch(site.at("/busy"))


# What may be reached.


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
)
def test_public_addresses_are_reached(address: str) -> None:
    assert is_public(ip_address(address), 443)
    assert is_public(ip_address(address), 80)
    assert not is_public(ip_address(address), 8080)


PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_other_addresses_are_reached(address: str) -> None:
    assert not is_public(ip_address(address), 443)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_into_a_private_network_is_refused(web: Web, address: str) -> None:
    web.names["inside.example"] = ["1.1.1.1", address]

    with pytest.raises(Unreadable, match=r"^https://inside\.example/: .*not on the public internet"):
        web.pages(may_reach=is_public).fetch("https://inside.example/")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:7f00:1]"]
)
def test_no_spelling_of_loopback_is_reached(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        pages = HttpPages(may_reach=lambda address, _: is_public(address, 80))

        with pytest.raises((Unreadable, Unavailable)):
            pages.fetch(f"http://{host}:{port}/")

        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_name_is_looked_up_once_and_what_was_looked_at_is_reached(web: Web) -> None:
    page = web.pages().fetch(web.site.at("/hours"))

    assert page.content == HOURS
    assert web.looked_up == [HOST, HOST]  # for robots.txt, and for the page; the system knows no such name
    assert web.site.seen[-1][1]["Host"] == f"{HOST}:{web.site.port}"


def test_a_name_that_means_something_else_the_second_time_is_refused(web: Web) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    with pytest.raises(Unreadable, match="not on the public internet"):
        web.pages(resolve=lambda *_: [ip_address(each) for each in next(answers)]).fetch(web.site.at("/hours"))

    assert web.site.paths == []


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1:{other}/",
        "http://localhost:{other}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "http://jo:secret@shop.example/",
        "gopher://shop.example/",
        "http://shop.example:22/",
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_refused(pages: HttpPages, site: Site, to: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        site.moved("/old", to.format(other=other.getsockname()[1]))

        with pytest.raises(Unreadable, match=site.at("/old")) as refusal:
            pages.fetch(site.at("/old"))

    assert "secret" not in str(refusal.value)
    assert site.paths == ["/old"]


def test_robots_txt_leads_nowhere_else_either(pages: HttpPages, site: Site) -> None:
    site.moved("/robots.txt", "http://169.254.169.254/latest/meta-data/")

    with pytest.raises(Unreadable, match="not on the public internet"):
        pages.fetch(site.at("/hours"))


def test_redirects_come_to_an_end(pages: HttpPages, site: Site) -> None:
    for number in range(7):
        site.moved(f"/{number}", f"/{number + 1}")

    with pytest.raises(Unreadable, match="more than 5 redirects"):
        pages.fetch(site.at("/0"))

    assert site.paths == [f"/{number}" for number in range(6)]


def test_five_redirects_are_followed(pages: HttpPages, site: Site) -> None:
    for number in range(5):
        site.moved(f"/{number}", f"/{number + 1}", 301 + number if number < 3 else 307)
    site.has["/5"] = (200, HTML, HOURS)

    assert pages.fetch(site.at("/0")).url == site.at("/5")


def test_nothing_is_told_but_who_asks_and_for_what(pages: HttpPages, site: Site) -> None:
    site.has["/hours"] = (200, {**HTML, "Set-Cookie": "a=b"}, HOURS)
    pages.fetch(site.at("/hours"))
    pages.fetch(site.at("/hours"))

    headers = site.seen[-1][1]
    assert headers.keys() == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert (headers["User-Agent"], headers["Accept-Encoding"]) == ("Parley", "identity")


# TLS.


def test_a_certificate_must_be_trusted_and_be_the_hosts() -> None:
    with Site(has_tls=True) as site:
        web = Web(site)
        trusting = ssl.create_default_context(cafile=CERTIFICATE)
        its_own = f"https://127.0.0.1:{site.port}/hours"  # what the certificate is for

        assert web.pages(tls=trusting).fetch(its_own).content == HOURS
        for pages, url in ((web.pages(tls=trusting), site.at("/hours")), (web.pages(), its_own)):
            with pytest.raises(Unreadable, match="certificate"):
                pages.fetch(url)


# What is taken of an answer.


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ((200, {"Content-Type": "image/png"}, b"x"), "media type `image/png`"),
        ((200, {}, b"x"), "media type ``"),
        ((200, {**HTML, "Content-Length": str(MAX_BYTES + 1)}, b"x"), "more than 10,000,000 bytes"),
        ((200, {**HTML, "Content-Encoding": "br"}, b"x"), "compressed"),
        ((200, {**HTML, "Content-Encoding": "gzip"}, gzip.compress(b"x" * (MAX_BYTES + 1))), "more than 10 MB"),
        ((204, {}, b""), "answered 204"),
        ((301, {}, b""), "answered 301"),
        ((403, {}, b""), "answered 403"),
        ((410, {}, b""), "answered 410"),
    ],
)
def test_what_is_no_page_for_us_is_refused(pages: HttpPages, site: Site, answer: Any, what: str) -> None:
    site.has["/hours"] = answer

    with pytest.raises(Unreadable) as refusal:
        pages.fetch(site.at("/hours"))

    assert str(refusal.value).startswith(f"{site.at('/hours')}: ")
    assert what in str(refusal.value)


def test_a_body_that_never_says_how_long_it_is_is_cut_off(pages: HttpPages, site: Site) -> None:
    site.has["/hours"] = (200, {**HTML, "Connection": "close", "Content-Length": "x"}, b"x" * (MAX_BYTES + 1))

    with pytest.raises(Unreadable, match="more than 10,000,000 bytes"):
        pages.fetch(site.at("/hours"))


def test_a_sitemap_may_come_packed(pages: HttpPages, site: Site) -> None:
    headers = {"Content-Type": "application/xml", "Content-Encoding": "x-gzip"}
    site.has["/sitemap.xml.gz"] = (200, headers, gzip.compress(b"<urlset/>"))

    assert pages.fetch(site.at("/sitemap.xml.gz")).content == b"<urlset/>"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_cannot_now_is_told_apart(pages: HttpPages, site: Site, status: int) -> None:
    site.has["/hours"] = (status, {}, b"")

    with pytest.raises(Unavailable, match=f"{site.at('/hours')}: answered {status}"):
        pages.fetch(site.at("/hours"))


def test_half_a_page_is_none(pages: HttpPages, site: Site) -> None:
    site.has["/hours"] = (200, {**HTML, "Content-Length": "100"}, b"half")

    with pytest.raises(Unavailable):
        pages.fetch(site.at("/hours"))


def test_a_host_that_is_not_there_is_unavailable(web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(Unavailable, match=HOST):
        web.pages(may_reach=lambda *_: True).fetch(f"http://{HOST}:{port}/")


def test_a_body_that_drips_is_bounded_in_time(web: Web, site: Site) -> None:
    begun = time.monotonic()

    with pytest.raises(Unavailable, match="took longer"):
        web.pages(page_seconds=PATIENCE_SECONDS).fetch(site.at("/drip"))

    assert time.monotonic() - begun < PATIENCE_SECONDS + SLACK_SECONDS
    assert site.left.wait(SLACK_SECONDS)


def test_a_name_that_takes_for_ever_is_bounded_in_time(web: Web, site: Site) -> None:
    def never(host: str, port: int) -> list[Address]:
        site.over.wait(SLACK_SECONDS)
        return []

    begun = time.monotonic()

    with pytest.raises(Unavailable):
        web.pages(resolve=never, page_seconds=PATIENCE_SECONDS).fetch(site.at("/hours"))

    assert time.monotonic() - begun < PATIENCE_SECONDS + SLACK_SECONDS / 2


# Politeness.


def test_what_robots_may_not_read_is_not_read(pages: HttpPages, site: Site) -> None:
    site.has["/robots.txt"] = (
        200,
        {},
        b"\xef\xbb\xbfUser-agent: parley\nDisallow: /hours\n\nUser-agent: *\nDisallow:\n",
    )
    site.has["/returns"] = (200, HTML, b"x")

    pages.fetch(site.at("/returns"))
    with pytest.raises(Unreadable, match="robots"):
        pages.fetch(site.at("/hours"))

    assert [path for path, _ in site.seen] == ["/robots.txt", "/returns"]


def test_where_a_redirect_leads_robots_txt_is_asked_too(web: Web, site: Site) -> None:
    web.names["other.example"] = ["127.0.0.1"]
    site.moved("/old", f"http://other.example:{site.port}/hours")

    assert web.pages().fetch(site.at("/old")).url == f"http://other.example:{site.port}/hours"
    assert [path for path, _ in site.seen] == ["/robots.txt", "/old", "/robots.txt", "/hours"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((401, {}, b""), Unreadable),
        ((403, {}, b""), Unreadable),
        ((429, {}, b""), Unavailable),
        ((500, {}, b""), Unavailable),
        ((200, {}, b"Disallow: //[\nUser-agent: *\nDisallow: //["), Unavailable),
        ((200, {}, "User-agent: *\nCrawl-delay: ²".encode()), Unavailable),
        ((200, {}, b"x" * 600_000), Unreadable),
    ],
)
def test_where_robots_txt_is_withheld_or_none_nothing_is_read(
    pages: HttpPages, site: Site, answer: Any, error: type[Exception]
) -> None:
    site.has["/robots.txt"] = answer

    with pytest.raises(error):
        pages.fetch(site.at("/hours"))

    assert site.paths == []


def test_robots_txt_is_asked_for_again_after_a_while(web: Web, pages: HttpPages, site: Site) -> None:
    pages.fetch(site.at("/hours"))
    site.has["/robots.txt"] = (200, {}, b"User-agent: *\nDisallow: /")
    pages.fetch(site.at("/hours"))
    web.now += ROBOTS_SECONDS

    with pytest.raises(Unreadable, match="robots"):
        pages.fetch(site.at("/hours"))


def test_between_two_requests_to_a_host_there_is_a_pause(web: Web, pages: HttpPages, site: Site) -> None:
    web.names["other.example"] = ["127.0.0.1"]

    pages.fetch(site.at("/hours"))
    assert web.pauses == [PAUSE_SECONDS]  # after robots.txt

    web.now += 0.25
    pages.fetch(site.at("/hours"))
    assert web.pauses == [PAUSE_SECONDS, 0.75]

    pages.fetch(f"http://other.example:{site.port}/hours")
    assert web.pauses == [PAUSE_SECONDS, 0.75, PAUSE_SECONDS]  # after its own robots.txt; the other host is another


def test_one_page_is_fetched_at_a_time(web: Web, site: Site) -> None:
    pages = web.pages()
    threads = [threading.Thread(target=pages.fetch, args=[site.at("/hours")]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert web.pauses == [PAUSE_SECONDS] * 3
