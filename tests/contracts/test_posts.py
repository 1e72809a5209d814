"""The contract of `ports.Posts`, kept by the fake and by HTTP alike; and where HTTP posts on no account."""

import ssl
import time
from collections.abc import Iterator
from email.utils import formatdate
from ipaddress import ip_address
from typing import Any

import pytest

from parley.adapters.memory import MemoryPosts
from parley.adapters.posts import HttpPosts, is_public_or_loopback
from parley.adapters.public_web import Address, is_public
from parley.errors import MalformedRequest, Unavailable
from parley.ports import Posts, Taken
from tests.contracts.loopback import CERTIFICATE
from tests.contracts.subscriber import SubscriberServer

PATIENCE_SECONDS = 0.4
HEADERS = {"webhook-id": "msg_1"}


@pytest.fixture
def server() -> Iterator[SubscriberServer]:
    with SubscriberServer() as server:
        yield server


def loopback_posts(**options: Any) -> HttpPosts:
    return HttpPosts(**{"may_reach": is_public_or_loopback, "seconds": PATIENCE_SECONDS, **options})


class Fake:
    """A server that the fake posts to, as the tests ask about it."""

    url = "https://shop.example"

    def __init__(self) -> None:
        self.posts = MemoryPosts()

    def answers(self, path: str, status: int) -> None:
        self.posts.answers[self.url + path] = Taken(status)

    def taken(self) -> list[tuple[str, bytes]]:
        return [(headers["webhook-id"], body) for _, headers, body in self.posts.posted]


class Real:
    """A server on loopback."""

    def __init__(self, server: SubscriberServer) -> None:
        self._server = server
        self.url, self.posts = server.url, loopback_posts()

    def answers(self, _: str, status: int) -> None:
        self._server.answers.append((status, {}))

    def taken(self) -> list[tuple[str, bytes]]:
        return [(headers["webhook-id"], body) for _, headers, body in self._server.posts]


@pytest.fixture(params=[Fake, Real])
def there(request: pytest.FixtureRequest) -> Any:
    return Fake() if request.param is Fake else Real(request.getfixturevalue("server"))


@pytest.mark.parametrize("status", [200, 204, 302, 404, 410, 500, 503])
def test_whatever_the_server_answers_is_told(there: Any, status: int) -> None:
    posts: Posts = there.posts
    there.answers("/hook", status)

    answer = posts.post(f"{there.url}/hook", HEADERS, b"{}")

    assert answer.status == status
    assert there.taken() == [("msg_1", b"{}")]


def test_what_is_posted_says_what_it_is_and_keeps_its_headers(server: SubscriberServer) -> None:
    loopback_posts().post(f"{server.url}/hook?a=b", {**HEADERS, "X-Key": "k"}, b'{"a":1}')

    ((path, headers, body),) = server.posts
    assert (path, body) == ("/hook?a=b", b'{"a":1}')
    assert headers["content-type"] == "application/json"
    assert (headers["x-key"], headers["user-agent"], headers["content-length"]) == ("k", "Parley", "7")


def test_a_redirect_is_not_followed(server: SubscriberServer) -> None:
    server.answers.append((307, {"Location": f"{server.url}/elsewhere"}))

    assert loopback_posts().post(f"{server.url}/hook", HEADERS, b"{}").status == 307
    assert [path for path, _, _ in server.posts] == ["/hook"]
    assert server.gets == []


@pytest.mark.parametrize("path", ["/drip", "/huge"])
def test_the_body_of_an_answer_is_not_waited_for(server: SubscriberServer, path: str) -> None:
    begun = time.monotonic()

    assert loopback_posts(seconds=5).post(f"{server.url}{path}", HEADERS, b"{}").status == 200
    assert time.monotonic() - begun < 2


def test_a_server_that_hangs_is_left_in_time(server: SubscriberServer) -> None:
    begun = time.monotonic()

    with pytest.raises(Unavailable):
        loopback_posts().post(f"{server.url}/hang", HEADERS, b"{}")
    assert time.monotonic() - begun < PATIENCE_SECONDS + 1


def test_nobody_there_is_a_failure_that_does_not_tell_the_url() -> None:
    with SubscriberServer() as server:
        url = f"{server.url}/hook?token=secret"

    with pytest.raises(Unavailable) as told:
        loopback_posts().post(url, HEADERS, b"{}")

    assert "secret" not in str(told.value)


@pytest.mark.parametrize("said", ["3000", "a date", "soon", "", "-3"])
def test_how_long_a_server_wants_to_be_left_alone_is_told(server: SubscriberServer, said: str) -> None:
    said = formatdate(time.time() + 3000, usegmt=True) if said == "a date" else said
    server.answers.append((429, {"Retry-After": said} if said else {}))

    wish = loopback_posts().post(f"{server.url}/hook", HEADERS, b"{}").retry_after_seconds

    assert wish == (pytest.approx(3000, abs=300) if "3000" in said or "GMT" in said else None)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1"]
)
def test_nothing_is_posted_into_a_network_of_our_own(address: str) -> None:
    def resolve(_host: str, _port: int) -> list[Address]:
        return [ip_address("93.184.216.34"), ip_address(address)]  # one of them is enough

    posts = HttpPosts(resolve=resolve)

    with pytest.raises(Unavailable, match="not on the public internet"):
        posts.post("https://inside.example/hook", HEADERS, b"{}")
    with pytest.raises(MalformedRequest, match="not on the public internet"):
        posts.check("https://inside.example/hook")


@pytest.mark.parametrize("url", ["http://shop.example/hook", "http://127.0.0.1.example/"])
def test_plain_http_leads_to_this_machine_only(url: str) -> None:
    posts = loopback_posts(resolve=lambda _host, _port: [ip_address("93.184.216.34")])

    with pytest.raises(Unavailable, match="not https"):
        posts.post(url, HEADERS, b"{}")
    with pytest.raises(MalformedRequest, match="not https"):
        posts.check(url)


def test_without_the_setting_of_a_laptop_this_machine_is_not_reached(server: SubscriberServer) -> None:
    with pytest.raises(Unavailable, match="not on the public internet"):
        HttpPosts().post(f"{server.url}/hook", HEADERS, b"{}")
    assert not is_public(ip_address("127.0.0.1"), 443)
    assert server.posts == []


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with SubscriberServer(has_tls=True) as server:
        trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
        url = f"{server.url}/hook"

        with pytest.raises(Unavailable, match="certificate"):
            loopback_posts(seconds=5).post(url, HEADERS, b"{}")
        assert loopback_posts(seconds=5, tls=trusting).post(url, HEADERS, b"{}").status == 200


def test_a_host_that_nobody_knows_is_no_place_to_post_to() -> None:
    def resolve(_host: str, _port: int) -> list[Address]:
        raise OSError("no such host")

    with pytest.raises(MalformedRequest, match="nobody knows the host"):
        HttpPosts(resolve=resolve).check("https://nowhere.example/")


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_a_name_that_cannot_be_one_of_a_host_is_no_place_to_post_to(host: str) -> None:
    with pytest.raises(MalformedRequest, match="nobody knows the host"):
        HttpPosts().check(f"https://{host}/hook")
    with pytest.raises(Unavailable):
        HttpPosts().post(f"https://{host}/hook", HEADERS, b"{}")
