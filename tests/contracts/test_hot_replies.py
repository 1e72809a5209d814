"""The contract of `ports.HotReplies`, kept by the fake and by the client of a real server alike."""

import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore.model import ServiceId
from botocore.signers import RequestSigner

from parley.adapters.memory import MemoryHotReplies
from parley.adapters.valkey import (
    CONNECT_SECONDS,
    READ_SECONDS,
    REST_SECONDS,
    Credentials,
    ValkeyHotReplies,
    iam_credentials,
)
from parley.errors import Unavailable
from parley.ports import HotReplies
from tests.contracts.cache_server import CacheServer, free_port, silent_server
from tests.contracts.loopback import CERTIFICATE

SOON_SECONDS = 3.0  # what a call may wait is far less, but this machine may be busy


class Clock:
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture(scope="module")
def shared_server() -> Iterator[CacheServer]:
    with CacheServer() as server:
        yield server


@pytest.fixture
def server(shared_server: CacheServer) -> CacheServer:
    """The server, empty."""
    shared_server.kill()
    shared_server.start()
    return shared_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connect(clock: Clock) -> Iterator[Callable[..., ValkeyHotReplies]]:
    """Makes clients, and closes them afterwards."""
    made = []

    def client(
        address: str, credentials: Credentials = lambda: ("nobody", ""), authorities: str | None = str(CERTIFICATE)
    ) -> ValkeyHotReplies:
        made.append(ValkeyHotReplies(address, credentials, authorities=authorities, clock=clock))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients wait longer than real ones do, for this machine may be busy."""
    for name in ("CONNECT_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(f"parley.adapters.valkey.{name}", 10.0)


@pytest.fixture
def of_server(connect: Callable[..., ValkeyHotReplies], server: CacheServer, patient: None) -> ValkeyHotReplies:
    """A client of the server that runs."""
    return connect(server.address, lambda: (server.user, server.password))


@dataclass(frozen=True)
class Subject:
    """Hot replies, and how to take their server away and bring it back."""

    replies: HotReplies
    go_away: Callable[[], None]
    come_back: Callable[[], None]


@pytest.fixture(params=["memory", "valkey"])
def subject(request: pytest.FixtureRequest, clock: Clock) -> Subject:
    if request.param == "memory":
        fake = MemoryHotReplies(clock)

        def fail(error: Unavailable | None) -> None:
            fake.fails_with = error

        return Subject(fake, lambda: fail(Unavailable("away")), lambda: fail(None))
    server: CacheServer = request.getfixturevalue("server")

    def come_back() -> None:
        server.start()
        clock.ahead += REST_SECONDS

    return Subject(request.getfixturevalue("of_server"), server.kill, come_back)


@pytest.fixture
def replies(subject: Subject) -> HotReplies:
    return subject.replies


def test_nothing_is_under_an_unknown_key(replies: HotReplies) -> None:
    assert replies.get("nothing") is None


def test_what_was_put_is_got_byte_by_byte(replies: HotReplies) -> None:
    content = bytes(range(256)) * 100

    replies.put("k", content, seconds=60)

    assert replies.get("k") == content


def test_what_is_put_again_is_what_counts(replies: HotReplies) -> None:
    replies.put("k", b"old", seconds=60)

    replies.put("k", b"new", seconds=60)

    assert replies.get("k") == b"new"


def test_what_is_dropped_is_gone_and_dropping_nothing_is_no_error(replies: HotReplies) -> None:
    replies.put("k", b"wrong", seconds=60)
    replies.put("other", b"right", seconds=60)

    replies.drop("k")
    replies.drop("k")

    assert replies.get("k") is None
    assert replies.get("other") == b"right"


def test_what_has_had_its_time_is_gone(replies: HotReplies) -> None:
    replies.put("k", b"brief", seconds=1)
    before = replies.get("k")

    time.sleep(1.1)

    assert before == b"brief"
    assert replies.get("k") is None


@pytest.mark.parametrize("seconds", [0, -5])
def test_what_has_no_time_left_is_not_kept(replies: HotReplies, seconds: int) -> None:
    replies.put("k", b"old", seconds=60)

    replies.put("k", b"late", seconds=seconds)

    assert replies.get("k") is None


def test_while_the_server_is_away_everything_says_so_and_once_it_is_back_all_is_well(subject: Subject) -> None:
    subject.replies.put("k", b"before", seconds=60)
    subject.go_away()

    for call in (
        lambda: subject.replies.get("k"),
        lambda: subject.replies.put("k", b"lost", seconds=60),
        lambda: subject.replies.drop("k"),
    ):
        with pytest.raises(Unavailable):
            call()
    subject.come_back()
    subject.replies.put("k", b"after", seconds=60)

    assert subject.replies.get("k") == b"after"


def seconds_until_unavailable(replies: HotReplies) -> float:
    before = time.monotonic()
    with pytest.raises(Unavailable):
        replies.get("k")
    return time.monotonic() - before


def test_a_server_that_dies_is_noticed_soon_and_then_left_in_peace(
    of_server: ValkeyHotReplies, server: CacheServer, clock: Clock
) -> None:
    of_server.put("k", b"before", seconds=60)
    server.kill()

    assert seconds_until_unavailable(of_server) < SOON_SECONDS
    server.start()
    with pytest.raises(Unavailable):  # for nobody asks it
        of_server.get("k")
    clock.ahead += REST_SECONDS
    assert of_server.get("k") is None  # it lost what it had


def test_a_connection_that_was_closed_while_idle_is_made_again_and_nobody_notices(
    of_server: ValkeyHotReplies, server: CacheServer
) -> None:
    of_server.put("k", b"before", seconds=60)
    server.kill()
    server.start()

    of_server.put("k", b"after", seconds=60)

    assert of_server.get("k") == b"after"


def test_a_connection_that_turns_out_to_be_gone_is_made_again_and_nobody_notices(
    of_server: ValkeyHotReplies, server: CacheServer
) -> None:
    of_server.put("k", b"kept", seconds=60)

    server.forget_connections()

    assert of_server.get("k") == b"kept"


def test_a_server_that_never_answers_costs_one_short_wait_then_none(connect: Callable[..., ValkeyHotReplies]) -> None:
    with silent_server() as silent:
        replies = connect(silent.address)

        waited = seconds_until_unavailable(replies)
        seconds_until_unavailable(replies)

        assert waited < SOON_SECONDS
        assert silent.visits() == 1


def test_a_turn_waits_for_the_server_less_than_anybody_notices() -> None:
    assert CONNECT_SECONDS + READ_SECONDS <= 0.5
    assert REST_SECONDS >= 10 * (CONNECT_SECONDS + READ_SECONDS)


def test_a_port_on_which_nobody_listens_costs_next_to_nothing(connect: Callable[..., ValkeyHotReplies]) -> None:
    assert seconds_until_unavailable(connect(f"127.0.0.1:{free_port()}")) < SOON_SECONDS


def test_a_server_that_somebody_else_vouches_for_is_told_nothing(
    connect: Callable[..., ValkeyHotReplies], server: CacheServer
) -> None:
    asked = []

    def credentials() -> tuple[str, str]:
        asked.append(True)
        return server.user, server.password

    with pytest.raises(Unavailable):
        connect(server.address, credentials, authorities=None).get("k")
    assert not asked


def test_whom_the_server_does_not_know_is_turned_away_and_his_password_is_told_nobody(
    connect: Callable[..., ValkeyHotReplies], server: CacheServer
) -> None:
    guess = secrets.token_urlsafe(24)

    with pytest.raises(Unavailable) as raised:
        connect(server.address, lambda: (server.user, guess)).get("k")

    assert guess not in "".join(traceback.format_exception(raised.value))


@pytest.mark.usefixtures("patient")
def test_each_new_connection_has_a_password_of_its_own(
    connect: Callable[..., ValkeyHotReplies], server: CacheServer, clock: Clock
) -> None:
    passwords = iter(["expired", server.password])
    replies = connect(server.address, lambda: (server.user, next(passwords)))
    seconds_until_unavailable(replies)

    clock.ahead += REST_SECONDS

    assert replies.get("k") is None


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Lambda puts into the environment of a function."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-told")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-role")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.mark.usefixtures("role")
def test_the_role_signs_a_request_to_connect_as_aws_documents_it() -> None:
    ours, theirs = "", "otherwise"
    while signed_at(ours) != signed_at(theirs):  # a second may pass between the two
        user, ours = iam_credentials("parley-dev-turns", "parley-dev-replies")()
        theirs = documented_token("parley-dev-turns", "parley-dev-replies")

    assert user == "parley-dev-turns"
    assert ours.startswith("parley-dev-replies/?")
    assert parse_qs(ours.partition("?")[2]) == parse_qs(theirs.partition("?")[2])
    assert "never-told" not in ours


def test_a_function_without_a_role_has_no_cache_server(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[..., ValkeyHotReplies], server: CacheServer
) -> None:
    monkeypatch.setattr(botocore.session.Session, "get_credentials", lambda *_: None)

    with pytest.raises(Unavailable):
        connect(server.address, iam_credentials("parley-dev-turns", "parley-dev-replies")).get("k")


def signed_at(token: str) -> list[str]:
    return parse_qs(token.partition("?")[2]).get("X-Amz-Date", [token])


def documented_token(user: str, cache: str) -> str:
    """As "Authenticating with IAM" of the ElastiCache User Guide makes it, by botocore's signer."""
    session = botocore.session.get_session()
    signer = RequestSigner(
        ServiceId("elasticache"),
        "eu-west-1",
        "elasticache",
        "v4",
        session.get_credentials(),
        session.get_component("event_emitter"),
    )
    url = f"https://{cache}/?Action=connect&User={user}&ResourceType=ServerlessCache"
    request = {"method": "GET", "url": url, "body": {}, "headers": {}, "context": {}}
    signed = signer.generate_presigned_url(request, operation_name="connect", expires_in=900, region_name="eu-west-1")
    return str(signed.removeprefix("https://"))
