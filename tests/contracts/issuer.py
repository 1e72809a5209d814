"""Who signs people in, on loopback: OpenID Connect's discovery, an issuer's keys, and tokens signed with them."""

import json
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.contracts.loopback import Handler, Loopback


class _Discovery(Handler):
    def do_GET(self) -> None:  # noqa: N802  # as http.server calls it
        told: Issuer = self.server.told
        status, body = told.published(self.path)
        self.whole(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


class Issuer(Loopback):
    """An issuer for each path, such as `/main`; all sign with the same keys.

    Attributes:
        asked: the paths that were asked for
        is_down: it answers 503
    """

    handler = _Discovery

    def __init__(self, port: int = 0) -> None:
        self.left, self.over = threading.Event(), threading.Event()
        self.asked: list[str] = []
        self.is_down = False
        self.wanted_port = port
        self._keys: dict[str, Any] = {}
        self.rotate()

    def rotate(self) -> None:
        """Another key, with which is signed from now on; what was signed before is good no longer."""
        self.kid = f"key-{time.monotonic_ns()}"
        self._keys = {self.kid: rsa.generate_private_key(65537, 2048), "curve": ec.generate_private_key(ec.SECP256R1())}

    def name(self, path: str) -> str:
        """How the issuer at a path calls itself."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def token(
        self, path: str = "/main", *, kid: str | None = None, headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token that it signed, for Parley and an hour unless `claims` say otherwise; None takes one away."""
        now = int(time.time())
        usual = {"iss": self.name(path), "sub": "alice", "aud": "parley", "iat": now, "exp": now + 3600}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        kid = kid or self.kid
        algorithm = "ES256" if kid == "curve" else "RS256"
        return jwt.encode(said, self._keys[kid], algorithm, headers={"kid": kid, **(headers or {})})

    def published(self, path: str) -> tuple[int, dict[str, Any]]:
        """What it answers to a GET."""
        self.asked.append(path)
        if self.is_down:
            return 503, {}
        if path.endswith("/.well-known/openid-configuration"):
            issuer = self.name(path.removesuffix("/.well-known/openid-configuration"))
            return 200, {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
        return 200, {"keys": [self._public(kid, key) for kid, key in self._keys.items()]}

    def _public(self, kid: str, key: Any) -> dict[str, Any]:
        kind = jwt.algorithms.ECAlgorithm if kid == "curve" else jwt.algorithms.RSAAlgorithm
        return {"kid": kid, "use": "sig", **json.loads(kind.to_jwk(key.public_key()))}
