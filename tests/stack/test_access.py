"""Every route of the deployed stack by every kind of caller, cell by cell.

The bots `support` (tenant main) and `clinic` (tenant weir-street) are in one deployment; what is asked for is main's.
Two issuers on loopback sign people in. A route that the OpenAPI document has and the table has not fails.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.builders import PNG
from tests.contracts.issuer import Issuer
from tests.stack.person import Answer, Person, ask
from tests.stack.test_slack import SECRET

CALLERS = (
    "nobody",  # shows nothing
    "stranger",  # another visitor's token
    "forged",  # a JWT that nobody signed
    "bearer",  # the visitor's own token
    "alice",  # signed in; one of the conversations is hers
    "bob",  # signed in, the same tenant
    "patient",  # signed in, another tenant
    "server",  # an API key; one of the conversations is its
    "another",  # an API key of the same tenant
    "foreign",  # an API key of another tenant
    "operator",  # an API key of the tenant that operates and does not talk
    "chief",  # signed in, and in the group of operators
    "foreign_operator",  # an API key of another tenant that operates
    "root",  # the operator key
)

# route -> what each caller is answered, in the order of CALLERS
TALK = (200, 200, 401, 200, 200, 200, 404, 200, 200, 404, 403, 200, 403, 200)
SEE = (200, 200, 401, 200, 200, 200, 404, 200, 200, 404, 200, 200, 404, 200)
ANY = (200,) * 14
ANY_BUT_FORGED = (200, 200, 401) + (200,) * 11
OPENAI = (401, 401, 401, 401, 401, 401, 401, 200, 200, 404, 403, 401, 403, 401)
MODELS = (401, 401, 401, 401, 401, 401, 401, 200, 200, 200, 403, 401, 403, 401)
NOT_THERE = (404,) * 14


def visitors(done: int) -> tuple[int, ...]:
    """Of the visitor's conversation: its bearer and operators."""
    return (403, 403, 401, done, 403, 403, 404, 403, 403, 404, done, done, 404, done)


def alices(done: int) -> tuple[int, ...]:
    return (403, 403, 401, 403, done, 403, 404, 403, 403, 404, done, done, 404, done)


def servers(done: int) -> tuple[int, ...]:
    return (403, 403, 401, 403, 403, 403, 404, done, 403, 404, done, done, 404, done)


def operators(done: int, foreign: int = 404) -> tuple[int, ...]:
    return (403, 403, 401, 403, 403, 403, 403, 403, 403, 403, done, done, foreign, done)


# To a port where nobody listens; the local stage lets subscribers be on this machine.
SUBSCRIPTION = {"name": "the table", "url": "http://127.0.0.1:9/hook", "types": ["form.completed"]}
CHAT, UNDERSTAND = {"message": "hello", "bot": "support"}, {"message": "hello", "bot": "support"}
COMPLETION = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}
TABLE: dict[tuple[str, str], tuple[Any, tuple[int, ...]]] = {
    ("POST", "/v1/chat"): (CHAT, TALK),
    ("POST", "/v1/chat#visitors"): (CHAT, visitors(200)),
    ("POST", "/v1/chat#alices"): (CHAT, alices(200)),
    ("POST", "/v1/chat#servers"): (CHAT, servers(200)),
    ("POST", "/v1/conversations"): ({"bot": "support"}, tuple(201 if status == 200 else status for status in TALK)),
    ("POST", "/v1/conversations/{conversation_id}/uploads?name=a.png#visitors"): (PNG, visitors(201)),
    ("GET", "/v1/conversations/{conversation_id}/uploads/{upload_id}#visitors"): (None, visitors(404)),  # no such file
    ("GET", "/v1/conversations/{conversation_id}#visitors"): (None, visitors(200)),
    ("GET", "/v1/conversations/{conversation_id}#alices"): (None, alices(200)),
    ("GET", "/v1/conversations/{conversation_id}#servers"): (None, servers(200)),
    ("DELETE", "/v1/conversations/{conversation_id}#visitors"): (None, visitors(204)),
    ("DELETE", "/v1/conversations/{conversation_id}#alices"): (None, alices(204)),
    ("DELETE", "/v1/conversations/{conversation_id}#servers"): (None, servers(204)),
    ("GET", "/v1/conversations/{conversation_id}/turns/{turn_id}#visitors"): (None, visitors(404)),  # no such turn
    ("POST", "/v1/conversations/{conversation_id}/turns/{turn_id}/wait#visitors"): (None, visitors(404)),
    ("POST", "/v1/conversations/{conversation_id}/turns/{turn_id}/feedback#visitors"): (
        {"rating": "up"},
        visitors(404),
    ),
    ("POST", "/v1/conversations/{conversation_id}/person#visitors"): ({"message": "I am Ada"}, operators(400)),
    ("POST", "/v1/conversations/{conversation_id}/handback#visitors"): (None, operators(400)),  # the bot has it
    ("GET", "/v1/conversations"): (None, (403, 403, 401, 403, 200, 200, 200, 400, 400, 400, 403, 200, 403, 400)),
    ("GET", "/v1/conversations?user_id=jo"): (
        None,
        (403, 403, 401, 403, 400, 400, 400, 200, 200, 200, 403, 400, 403, 200),
    ),
    ("DELETE", "/v1/conversations?user_id=jo"): (
        None,
        (403, 403, 401, 403, 400, 400, 400, 200, 200, 200, 403, 400, 403, 200),
    ),
    ("POST", "/v1/understand"): (UNDERSTAND, SEE),
    ("GET", "/v1/health"): (None, ANY_BUT_FORGED),
    ("GET", "/v1/health?bot=support"): (None, SEE),
    ("GET", "/v1/knowledge/{bot}/{name}"): (None, SEE),
    ("PUT", "/v1/knowledge/{bot}/{name}"): ("# A page\n\nIt says nothing.", operators(202)),
    ("DELETE", "/v1/knowledge/{bot}/{name}"): (None, operators(202)),
    ("GET", "/v1/knowledge/{bot}"): (None, operators(200)),
    ("POST", "/v1/keys"): ({"name": "made by a test"}, operators(201, foreign=201)),
    ("POST", "/v1/keys#for main"): ({"name": "made by a test", "tenant": "main"}, operators(201, foreign=403)),
    ("GET", "/v1/keys"): (None, operators(200, foreign=200)),
    ("POST", "/v1/keys/{key_id}/rotate"): ({}, operators(200)),
    ("DELETE", "/v1/keys/{key_id}"): (None, operators(204)),
    ("POST", "/v1/chat/completions"): (COMPLETION, OPENAI),
    ("POST", "/v1/webhooks/{name}"): ({"event": {}}, NOT_THERE),  # no bot has one
    ("POST", "/v1/subscriptions"): (SUBSCRIPTION, operators(201, foreign=201)),
    ("POST", "/v1/subscriptions#for main"): ({**SUBSCRIPTION, "tenant": "main"}, operators(201, foreign=403)),
    ("GET", "/v1/subscriptions"): (None, operators(200, foreign=200)),
    ("GET", "/v1/subscriptions/{subscription_id}"): (None, operators(200)),
    ("PATCH", "/v1/subscriptions/{subscription_id}"): ({"content": False}, operators(200)),
    ("DELETE", "/v1/subscriptions/{subscription_id}"): (None, operators(204)),
    ("POST", "/v1/subscriptions/{subscription_id}/rotate"): ({}, operators(200)),
    ("POST", "/v1/subscriptions/{subscription_id}/enable"): (None, operators(200)),
    ("POST", "/v1/subscriptions/{subscription_id}/test"): (None, operators(200)),
    ("GET", "/v1/subscriptions/{subscription_id}/deliveries"): (None, operators(200)),
    ("POST", "/v1/subscriptions/{subscription_id}/replay"): ({}, operators(202)),
    ("GET", "/v1/models"): (None, MODELS),
    ("GET", "/v1/models/{name}"): (None, OPENAI),
    ("POST", "/webhooks/rest/webhook"): ({"sender": "jo", "message": "hello"}, NOT_THERE),  # no bot switched it on
    ("POST", "/model/parse"): ({"text": "hello"}, NOT_THERE),
    ("GET", "/conversations/{sender}/tracker"): (None, NOT_THERE),
    ("GET", "/status"): (None, NOT_THERE),
    ("GET", "/version"): (None, NOT_THERE),
    ("GET", "/openapi.json"): (None, ANY),
    ("GET", "/docs"): (None, ANY),
    ("GET", "/"): (None, ANY),
    ("POST", "/slack/events"): ({"type": "url_verification", "challenge": "c"}, (401,) * 14),  # it is not signed
    ("POST", "/slack/interactions"): ({}, (401,) * 14),
    ("POST", "/slack/commands"): ({}, (401,) * 14),
}


@dataclass(frozen=True)
class World:
    """A deployment in which people of two tenants are about."""

    http: str
    shown: dict[str, str]  # what each caller shows, but for `bearer`
    key: Callable[..., dict[str, Any]]  # makes an API key

    def conversation(self, whose: str) -> tuple[str, str]:
        """A conversation with the support bot that somebody has begun, and its token."""
        by = {"visitors": "nobody", "alices": "alice", "servers": "server"}[whose]
        begun = self.call("POST", "/v1/chat", CHAT, by)
        assert begun.status == 200, begun
        return begun.body["conversation_id"], begun.body.get("conversation_token", "none")

    def call(self, method: str, path: str, body: Any, caller: str, token: str = "none") -> Answer:
        shown = token if caller == "bearer" else self.shown.get(caller)
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        sent = {"raw": body.encode()} if isinstance(body, str) else {"body": body}
        if isinstance(body, bytes):
            sent, headers = {"raw": body}, {**headers, "Content_Type": "image/png"}
        return ask(f"{self.http}{path}", method=method, **sent, **headers)


@pytest.fixture(scope="module")
def world(deployed_stack: Any) -> Iterator[World]:
    secret = deployed_stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
    secrets = deployed_stack.client("secretsmanager")
    root = str(secrets.get_secret_value(SecretId=secret)["SecretString"])
    with suppress(secrets.exceptions.ResourceExistsException):
        secrets.create_secret(Name="parley/local/slack-signing-secret", SecretString=SECRET)

    def key(tenant: str = "main", *scopes: str) -> dict[str, Any]:
        wanted = {"name": "the table", "tenant": tenant, "scopes": list(scopes) or ["chat"]}
        return dict(
            ask(f"{deployed_stack.http}/v1/keys", method="POST", body=wanted, Authorization=f"Bearer {root}").body
        )

    stranger = ask(f"{deployed_stack.http}/v1/chat", method="POST", body=CHAT).body["conversation_token"]
    with Issuer(urlsplit(deployed_stack.issuer).port or 0) as issuer, Issuer() as forger:
        shown = {
            "stranger": stranger,
            "forged": forger.token(iss=issuer.name("/main"), headers={"kid": issuer.kid}),
            "alice": issuer.token(sub=f"alice-{uuid.uuid4().hex}"),
            "bob": issuer.token(sub="bob"),
            "patient": issuer.token("/weir-street", sub="pat"),
            "server": key()["key"],
            "another": key()["key"],
            "foreign": key("weir-street")["key"],
            "operator": key("main", "operate")["key"],
            "chief": issuer.token(sub="chief", groups=["desk"]),
            "foreign_operator": key("weir-street", "operate")["key"],
            "root": root,
        }
        yield World(deployed_stack.http, shown, key)


def cells() -> Iterator[Any]:
    for (method, route), (body, expected) in TABLE.items():
        for caller, status in zip(CALLERS, expected, strict=True):
            yield pytest.param(method, route, body, caller, status, id=f"{method} {route} by {caller}")


@pytest.mark.parametrize(("method", "route", "body", "caller", "status"), list(cells()))
def test_a_caller_gets_what_is_theirs_and_no_more(
    world: World, method: str, route: str, body: Any, caller: str, status: int
) -> None:
    path, _, whose = route.partition("#")
    token = "none"
    if whose in ("visitors", "alices", "servers"):
        conversation_id, token = world.conversation(whose)
        path = (
            path.replace("{conversation_id}", conversation_id)
            .replace("{turn_id}", "never")
            .replace("{upload_id}", "never")
        )
        body = {**body, "conversation_id": conversation_id} if path == "/v1/chat" else body
        token = token if whose == "visitors" else "none"
    path = path.replace("{bot}", "support").replace("{sender}", "jo")
    if "{subscription_id}" in path:
        made = world.call("POST", "/v1/subscriptions", SUBSCRIPTION, "root").body
        path = path.replace("{subscription_id}", made["id"])
    if "{key_id}" in path:
        path = path.replace("{key_id}", world.key()["id"])
    path = path.replace("{name}", "support" if "models" in path else "returns.md" if method == "GET" else "table.md")

    answer = world.call(method, path, body, caller, token)

    assert answer.status == status, answer
    if status >= 400:
        assert "hello" not in str(answer.body)  # not a word of what was said there


def test_the_table_has_every_route(world: World) -> None:
    document = ask(f"{world.http}/openapi.json").body
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    tested = {(method, route.partition("#")[0].partition("?")[0]) for method, route in TABLE}

    assert routes - tested == set()


def test_a_key_lists_the_bots_and_an_operator_the_keys_of_the_own_tenant_only(world: World) -> None:
    models = {caller: world.call("GET", "/v1/models", None, caller).body["data"] for caller in ("server", "foreign")}
    keys = world.call("GET", "/v1/keys", None, "foreign_operator").body["keys"]

    assert {model["id"] for model in models["server"]} == {"support", "assistant", "tutor"}
    assert {model["id"] for model in models["foreign"]} == {"clinic"}
    assert {key["tenant"] for key in keys} == {"weir-street"}


def test_who_is_signed_in_gets_no_token_and_lists_their_conversations(world: World) -> None:
    begun = world.call("POST", "/v1/chat", CHAT, "alice").body
    listed = world.call("GET", "/v1/conversations", None, "alice").body["conversations"]
    bobs = world.call("GET", "/v1/conversations", None, "bob").body["conversations"]

    assert "conversation_token" not in begun
    assert listed[0]["conversation_id"] == begun["conversation_id"]
    assert begun["conversation_id"] not in {each["conversation_id"] for each in bobs}


def test_the_sixty_first_message_in_a_minute_is_refused_until_the_next(world: World) -> None:
    person = Person(world.http)
    answers = [person.say("hello", bot="support") for _ in range(62)]
    refused = [answer for answer in answers if answer.status != 200]
    if not refused:  # the minute ended in between
        refused = [answer for answer in (person.say("hello") for _ in range(62)) if answer.status != 200]

    assert {answer.status for answer in refused} == {429}
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert refused[0].body["retry_after_seconds"] == int(refused[0].headers["Retry-After"])
    assert Person(world.http).say("hello", bot="support").status == 200
