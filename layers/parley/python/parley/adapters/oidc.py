"""Who people are, by OpenID Connect: JWTs that an issuer such as Cognito signed, checked with the keys it publishes.

PyJWT checks signatures and times. Keys are fetched when first needed and each hour; a key that nobody knows makes us
look again, once a minute at most and after a pause if the issuer was away, so that nobody makes us ask it for every
forged token. Keys that cannot be renewed for a day are trusted no longer.
Source: https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
import msgspec

from parley.access import Issuer
from parley.actions.http_call import Prepared
from parley.adapters.exchange import exchange
from parley.errors import ActionFailed, NotKnown, Unavailable
from parley.ports import Clock, Identity

SIGNED_WITH = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
FRESH_SECONDS = 3600.0
LOOK_AGAIN_SECONDS = 60.0
PAUSE_SECONDS = 10.0  # after a failure, which may have taken two times FETCH_SECONDS
LONGEST_SECONDS = 86_400.0  # that a key is trusted while its issuer is away: it may have been withdrawn
LEEWAY_SECONDS = 30
FETCH_SECONDS = 3.0
GROUPS = ("cognito:groups", "groups", "roles")

logger = logging.getLogger(__name__)


class OidcIdentities:
    """`ports.Identities` by issuers that we trust."""

    def __init__(
        self, issuers: Sequence[Issuer], clock: Clock, fetch: Callable[[str], dict[str, Any]] | None = None
    ) -> None:
        self._trusted = {each.issuer: (each, _Keyring(each.issuer, clock, fetch or _json)) for each in issuers}

    def identify(self, token: str) -> Identity:
        """See `ports.Identities.identify`."""
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
            issuer, keyring = self._trusted[claimed["iss"]]
            key = keyring.key(header["kid"])
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=SIGNED_WITH,
                issuer=issuer.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise NotKnown("this token is not valid here") from error
        if not _is_for(claims, issuer.audience):
            raise NotKnown("this token is for somebody else")
        user = hashlib.sha256(f"{issuer.issuer}\n{claims['sub']}".encode()).hexdigest()[:40]
        return Identity(f"@{user}", issuer.tenant, is_operator=_is_member(claims, issuer.operators))


class _Keyring:
    """The keys of one issuer."""

    def __init__(self, issuer: str, clock: Clock, fetch: Callable[[str], dict[str, Any]]) -> None:
        self._fetch = fetch  # the JSON at a URL
        self._issuer = issuer
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._rests_until = float("-inf")
        self._is_away = False

    def key(self, kid: str) -> jwt.PyJWK:
        """The key of this name. Raises: KeyError: there is none; Unavailable: nobody can say."""
        now = self._clock()
        is_due = kid not in self._keys or now - self._fetched_at > FRESH_SECONDS
        if is_due and now >= self._rests_until:
            self._look(now)
        if self._is_away and (kid not in self._keys or now - self._fetched_at > LONGEST_SECONDS):
            raise Unavailable("the keys of who signs people in could not be had")
        return self._keys[kid]

    def _look(self, now: float) -> None:
        self._rests_until, self._is_away = now + PAUSE_SECONDS, True
        try:
            self._keys, self._fetched_at = self._fetched(), now
        except Unavailable as error:
            logger.warning("the keys of an issuer are old", extra={"issuer": self._issuer, "reason": str(error)})
        else:
            self._rests_until, self._is_away = now + LOOK_AGAIN_SECONDS, False

    def _fetched(self) -> Mapping[str, jwt.PyJWK]:
        about = self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != self._issuer:
            raise Unavailable("an issuer calls itself otherwise than it is configured")
        published = self._fetch(str(about.get("jwks_uri")))
        keys = (each for each in published.get("keys", ()) if isinstance(each, dict) and "kid" in each)
        return {str(each["kid"]): key for each in keys if (key := _read(each)) is not None}


def _read(published: dict[str, Any]) -> jwt.PyJWK | None:
    try:
        return jwt.PyJWK(published)
    except jwt.PyJWTError:  # of a kind that we do not take
        return None


def _json(url: str) -> dict[str, Any]:
    try:
        _, content = exchange(Prepared("GET", url, {"Accept": "application/json"}, None), FETCH_SECONDS)
        return msgspec.json.decode(content, type=dict[str, Any])
    except (ActionFailed, msgspec.MsgspecError, ValueError) as error:
        raise Unavailable("the keys of who signs people in could not be had") from error


def _is_for(claims: Mapping[str, Any], audience: str) -> bool:
    """Whether a token is for us. Cognito's access tokens have no `aud` and name the client."""
    named = claims.get("aud", claims.get("client_id"))
    return audience in (named if isinstance(named, list) else [named])


def _is_member(claims: Mapping[str, Any], group: str) -> bool:
    return bool(group) and any(group in _listed(claims.get(name)) for name in GROUPS)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
