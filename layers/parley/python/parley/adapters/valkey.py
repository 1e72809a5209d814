"""A Valkey server as the hot tier of the reply cache: ElastiCache's, or any other that takes what IAM signs.

Gives up early, for the shared store stands behind it: a dead server costs a turn one short wait every few seconds.
Only looking its name up may take longer. Always over TLS. What the client sends and gets, it does not log.

The client's modules cost 0.3 s of CPU: import this only where there is a server.
"""

import time
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError
from valkey import Valkey
from valkey.backoff import NoBackoff
from valkey.connection import ConnectionPool, SSLConnection
from valkey.credentials import CredentialProvider
from valkey.exceptions import ConnectionError as Lost
from valkey.exceptions import ValkeyError
from valkey.retry import Retry

from parley.errors import Unavailable

# In one region a connection takes a few milliseconds and an answer less than one; DynamoDB would answer in ten.
CONNECT_SECONDS = 0.3
READ_SECONDS = 0.2  # for each thing that the server has to say: in TLS, to who we are, to what we ask
REST_SECONDS = 5.0  # after a failure nobody asks for so long

PREFIX = "reply:"  # of all our keys: to others the server's user has no access

_TOKEN_SECONDS = 900  # the most that IAM takes; a token is needed only while a connection is being made

Credentials = Callable[[], tuple[str, str]]  # user and password, asked for at each new connection


class ValkeyHotReplies:
    """`ports.HotReplies` on a Valkey server. Threads may share it."""

    def __init__(
        self,
        server: str,  # host:port
        credentials: Credentials,
        *,
        authorities: str | None = None,  # a file with whom to trust besides the system's own
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        host, _, port = server.rpartition(":")
        pool = ConnectionPool(
            connection_class=SSLConnection,
            host=host,
            port=int(port),
            ssl_ca_certs=authorities,
            ssl_check_hostname=True,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=READ_SECONDS,
            credential_provider=_Asking(credentials),
            # A connection that was idle may be gone by now, which the first command finds out: once more, with a new
            # one. Never after a time-out.
            retry=Retry(NoBackoff(), 1, (Lost,)),
            retry_on_error=[Lost],
            lib_name=None,  # with name and version it would ask twice more at each connection
            lib_version=None,
        )
        self._server: Any = Valkey(connection_pool=pool)  # its types say that each answer may be awaitable
        self._clock = clock
        self._rests_until = 0.0

    def get(self, key: str) -> bytes | None:
        """See `ports.HotReplies.get`."""
        content: bytes | None = self._ask(lambda: self._server.get(PREFIX + key))
        return content

    def put(self, key: str, content: bytes, *, seconds: int) -> None:
        """See `ports.HotReplies.put`."""
        if seconds < 1:
            self.drop(key)  # the server takes no time that is over
        else:
            self._ask(lambda: self._server.set(PREFIX + key, content, ex=seconds))

    def drop(self, key: str) -> None:
        """See `ports.HotReplies.drop`."""
        self._ask(lambda: self._server.delete(PREFIX + key))

    def close(self) -> None:
        """Gives up its connections; the next call makes new ones."""
        self._server.connection_pool.disconnect()

    def _ask(self, command: Callable[[], Any]) -> Any:
        if self._clock() < self._rests_until:
            raise Unavailable("the cache server failed a moment ago, and is not asked again yet")
        try:
            return command()
        except (ValkeyError, OSError, BotoCoreError) as error:
            self._rests_until = self._clock() + REST_SECONDS
            raise Unavailable(f"the cache server did not answer: {type(error).__name__}") from error


class _Asking(CredentialProvider):
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str, str]:
        return self._credentials()


def iam_credentials(user: str, cache: str) -> Credentials:
    """How the function's own role comes to a serverless cache: as `user`, with a request to connect that it signs.

    Signed here, so that nothing is asked of anybody, and no password is kept anywhere.

    Source: "Authenticating with IAM", Amazon ElastiCache User Guide.
    """
    session = botocore.session.get_session()

    def sign() -> tuple[str, str]:
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        asked = {"Action": "connect", "User": user, "ResourceType": "ServerlessCache"}
        request = AWSRequest("GET", f"https://{cache}/", params=asked)
        region = session.get_config_variable("region")
        SigV4QueryAuth(credentials.get_frozen_credentials(), "elasticache", region, expires=_TOKEN_SECONDS).add_auth(
            request
        )
        return user, str(request.url).removeprefix("https://")

    return sign
