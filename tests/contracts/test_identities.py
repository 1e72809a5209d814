"""Who people are by a real JWT of a real issuer on loopback."""

import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import jwt
import pytest

from parley.access import Issuer as Trusted
from parley.adapters.oidc import LONGEST_SECONDS, LOOK_AGAIN_SECONDS, PAUSE_SECONDS, OidcIdentities
from parley.errors import NotKnown, Unavailable
from tests.contracts.issuer import Issuer


class Clock:
    """A clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identities(issuer: Issuer, clock: Clock) -> OidcIdentities:
    trusted = (
        Trusted(issuer.name("/main"), "parley", "main", "desk"),
        Trusted(issuer.name("/clinic"), "parley", "weir-street"),
    )
    return OidcIdentities(trusted, clock)


def test_who_is_signed_in_is_known_by_issuer_and_subject(issuer: Issuer, identities: OidcIdentities) -> None:
    alice, again = identities.identify(issuer.token()), identities.identify(issuer.token(iat=1))
    others = [identities.identify(issuer.token(sub="bob")), identities.identify(issuer.token("/clinic"))]

    assert alice == again
    assert alice.user_id.startswith("@")
    assert "alice" not in alice.user_id
    assert len({alice.user_id, *(each.user_id for each in others)}) == 3
    assert [each.tenant for each in (alice, *others)] == ["main", "main", "weir-street"]


def test_a_curve_signs_as_well(issuer: Issuer, identities: OidcIdentities) -> None:
    assert identities.identify(issuer.token(kid="curve")) == identities.identify(issuer.token())


@pytest.mark.parametrize("claim", ["cognito:groups", "groups", "roles"])
def test_members_of_a_group_are_operators_of_their_tenant(
    issuer: Issuer, identities: OidcIdentities, claim: str
) -> None:
    groups = {claim: ["staff", "desk"]}

    assert identities.identify(issuer.token(**groups)).is_operator
    assert not identities.identify(issuer.token(**{claim: ["staff"]})).is_operator
    assert not identities.identify(issuer.token(**{claim: "desk"})).is_operator
    assert not identities.identify(issuer.token("/clinic", **groups)).is_operator  # which names no such group


def test_cognitos_access_tokens_name_the_client_in_place_of_an_audience(
    issuer: Issuer, identities: OidcIdentities
) -> None:
    assert identities.identify(issuer.token(aud=None, client_id="parley")) == identities.identify(issuer.token())


BAD = {
    "expired": {"exp": int(time.time()) - 3600},
    "not valid yet": {"nbf": int(time.time()) + 3600},
    "never ending": {"exp": None},
    "for somebody else": {"aud": "another"},
    "for nobody": {"aud": None},
    "for another client": {"aud": None, "client_id": "another"},
    "without a subject": {"sub": None},
    "of another issuer": {"iss": "https://elsewhere.example"},
    "without an issuer": {"iss": None},
}


@pytest.mark.parametrize("claims", BAD.values(), ids=BAD.keys())
def test_a_token_that_is_not_good_here_opens_nothing(
    issuer: Issuer, identities: OidcIdentities, claims: dict[str, object]
) -> None:
    with pytest.raises(NotKnown):
        identities.identify(issuer.token(**claims))


def test_a_forged_token_opens_nothing(issuer: Issuer, identities: OidcIdentities) -> None:
    head, claims, signature = issuer.token().split(".")
    with Issuer() as forger:
        forged = forger.token(iss=issuer.name("/main"), headers={"kid": issuer.kid})
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    public = "a key that everybody knows, and is long enough for it"
    tokens = [
        forged,
        f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
        f"{head}.{claims}.",
        jwt.encode({**said, "sub": "bob"}, None, "none", headers={"kid": issuer.kid}),
        jwt.encode(said, public, "HS256", headers={"kid": issuer.kid}),
        "a.b.c",
    ]

    for token in tokens:
        with pytest.raises(NotKnown):
            identities.identify(token)


def test_keys_are_fetched_once_for_many(issuer: Issuer, identities: OidcIdentities) -> None:
    for number in range(5):
        identities.identify(issuer.token(sub=f"user {number}"))

    assert issuer.asked == ["/main/.well-known/openid-configuration", "/main/keys"]


def test_a_new_key_is_found_and_the_old_one_opens_nothing_any_more(
    issuer: Issuer, identities: OidcIdentities, clock: Clock
) -> None:
    old = issuer.token()
    identities.identify(old)
    issuer.rotate()
    clock.now += LOOK_AGAIN_SECONDS + 1

    identities.identify(issuer.token())

    with pytest.raises(NotKnown):
        identities.identify(old)


def test_forged_names_of_keys_do_not_make_us_ask_each_time(issuer: Issuer, identities: OidcIdentities) -> None:
    identities.identify(issuer.token())
    before = len(issuer.asked)

    for number in range(20):
        with pytest.raises(NotKnown):
            identities.identify(issuer.token(headers={"kid": f"forged {number}"}))

    assert len(issuer.asked) == before


def test_an_issuer_that_is_down_is_told_from_a_bad_token_and_asked_again(
    issuer: Issuer, identities: OidcIdentities, clock: Clock
) -> None:
    issuer.is_down = True
    with pytest.raises(Unavailable):
        identities.identify(issuer.token())

    issuer.is_down = False
    clock.now += PAUSE_SECONDS

    assert identities.identify(issuer.token()).tenant == "main"


def test_known_keys_are_good_while_an_issuer_is_down(issuer: Issuer, identities: OidcIdentities, clock: Clock) -> None:
    identities.identify(issuer.token())
    issuer.is_down = True
    clock.now += 7200

    assert identities.identify(issuer.token()).tenant == "main"


def test_an_issuer_that_is_down_is_not_asked_for_every_token(
    issuer: Issuer, identities: OidcIdentities, clock: Clock
) -> None:
    issuer.is_down = True
    for number in range(20):
        clock.now += PAUSE_SECONDS / 20
        with pytest.raises(Unavailable):
            identities.identify(issuer.token(headers={"kid": f"forged {number}"}))

    assert len(issuer.asked) == 1


def test_keys_that_could_not_be_renewed_for_long_open_nothing(
    issuer: Issuer, identities: OidcIdentities, clock: Clock
) -> None:
    token = issuer.token()
    identities.identify(token)
    issuer.is_down = True

    for later_seconds in (LONGEST_SECONDS + 1, 1.0):
        clock.now += later_seconds
        with pytest.raises(Unavailable):
            identities.identify(token)

    issuer.is_down = False
    clock.now += PAUSE_SECONDS
    assert identities.identify(token).tenant == "main"


@pytest.fixture(scope="module")
def cognito(aws: dict[str, str]) -> Any:
    """A client of the local AWS's Cognito, which signs as AWS's own does."""
    return boto3.client(
        "cognito-idp",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=aws["AWS_DEFAULT_REGION"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )


def test_cognitos_own_tokens_sign_a_user_of_a_pool_in(cognito: Any, aws: dict[str, str], clock: Clock) -> None:
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="chat", ExplicitAuthFlows=flows)
    client_id, password = client["UserPoolClient"]["ClientId"], "Correct-horse-9"
    cognito.create_group(UserPoolId=pool, GroupName="desk")
    cognito.admin_create_user(UserPoolId=pool, Username="ada", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ada", Password=password, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="ada", GroupName="desk")
    issuer = f"https://cognito-idp.{aws['AWS_DEFAULT_REGION']}.amazonaws.com/{pool}"

    def fetch(url: str) -> dict[str, Any]:
        local = url.replace(issuer, f"{aws['AWS_ENDPOINT_URL']}/{pool}")
        with urllib.request.urlopen(local, timeout=10) as response:
            return dict(json.loads(response.read()))

    identities = OidcIdentities((Trusted(issuer, client_id, "acme", "desk"),), clock, fetch)
    answer = cognito.initiate_auth(
        ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": "ada", "PASSWORD": password}
    )
    tokens = answer["AuthenticationResult"]

    by_id, by_access = (identities.identify(tokens[name]) for name in ("IdToken", "AccessToken"))

    assert by_id == by_access
    assert (by_id.tenant, by_id.is_operator) == ("acme", True)
    with pytest.raises(NotKnown):
        OidcIdentities((Trusted(issuer, "another"),), clock, fetch).identify(tokens["IdToken"])
