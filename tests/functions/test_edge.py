"""The function that shuts the APIs to whoever goes around CloudFront, before Secrets Manager as MiniStack serves it."""

import importlib.util
import io
import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.contracts.conftest import aws  # noqa: F401  (a fixture)

FUNCTION = Path(__file__).parents[2] / "functions" / "edge" / "handler.py"
EVENTS = Path(__file__).parent / "events"
SECRET = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:EdgeKey-AbCdEf"
NOW, LATER = 1000.0, 1061.0
CONNECT = "arn:aws:execute-api:eu-west-1:000000000000:abc123/live/$connect"


def load(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("edge_handler", FUNCTION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def edge(monkeypatch):
    """The function with its environment, in front of no AWS at all."""
    account = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-west-1"}
    return load(monkeypatch, {**account, "EDGE_KEY_SECRET": SECRET})


@pytest.fixture
def manager(edge):
    with Stubber(edge.secrets) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def secret_is(manager, current, *, before=None):
    manager.add_response("get_secret_value", {"SecretString": current}, {"SecretId": SECRET})
    asked = {"SecretId": SECRET, "VersionStage": "AWSPREVIOUS"}
    if before is None:
        manager.add_client_error("get_secret_value", "ResourceNotFoundException", expected_params=asked)
    else:
        manager.add_response("get_secret_value", {"SecretString": before}, asked)


def asking(shown=None):
    """What an HTTP API tells its authorizer (payload format 2.0)."""
    event = json.loads((EVENTS / "http_api_get.json").read_text())
    event["routeArn"] = "arn:aws:execute-api:eu-west-1:000000000000:abc123/$default/GET/"
    if shown is not None:
        event["headers"]["x-parley-edge"] = shown
    return event


def connection(**headers):
    """What a WebSocket API tells its authorizer, with the headers as they were sent."""
    return {"type": "REQUEST", "methodArn": CONNECT, "headers": headers}


@pytest.mark.parametrize(
    ("shown", "is_let_in"), [("right", True), ("wrong", False), ("", False), (None, False), ("rîght", False)]
)
def test_only_who_bears_the_secret_is_let_in(edge, manager, shown, is_let_in):
    secret_is(manager, "right")

    assert edge.handler(asking(shown), None) == {"isAuthorized": is_let_in}


@pytest.mark.parametrize(("shown", "effect"), [("right", "Allow"), ("wrong", "Deny")])
def test_a_websocket_api_is_told_by_a_policy_for_this_connection(edge, manager, shown, effect):
    secret_is(manager, "right")

    told = edge.handler(connection(**{"Host": "abc123.execute-api", "X-Parley-Edge": shown}), None)

    assert told["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": effect, "Resource": CONNECT}
    ]


def test_a_connection_without_headers_is_refused(edge, manager):
    secret_is(manager, "right")

    told = edge.handler({"type": "REQUEST", "methodArn": CONNECT, "headers": None}, None)

    assert told["policyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_the_secret_before_the_last_change_is_good_until_cloudfront_has_learned_the_new_one(edge, manager):
    secret_is(manager, "new", before="old")

    borne = [edge.keys.are_borne_by({"x-parley-edge": shown}, NOW) for shown in ("new", "old", "older")]

    assert borne == [True, True, False]


def test_whatever_is_tried_out_the_secret_is_read_once_a_minute(edge, manager):
    secret_is(manager, "first")
    secret_is(manager, "second", before="first")

    tries = [edge.keys.are_borne_by({"x-parley-edge": "second"}, at) for at in (NOW, NOW + 59, LATER)]

    assert tries == [False, False, True]


def test_who_bears_a_known_secret_is_let_in_while_it_cannot_be_read_and_it_is_tried_once_a_minute(
    edge, manager, capsys
):
    secret_is(manager, "right")
    manager.add_client_error("get_secret_value", "InternalServiceError")
    secret_is(manager, "new")

    at = (NOW, LATER, LATER + 59)
    borne = [edge.keys.are_borne_by({"x-parley-edge": "right"}, now) for now in at]
    after = [edge.keys.are_borne_by({"x-parley-edge": shown}, LATER + 60) for shown in ("right", "new")]

    assert borne == [True, True, True]
    assert after == [False, True]
    assert json.loads(capsys.readouterr().out) == {"message": "secret not read", "error": "InternalServiceError"}


def test_nobody_is_let_in_while_no_secret_has_ever_been_read(edge, manager):
    manager.add_client_error("get_secret_value", "AccessDeniedException")

    with pytest.raises(edge.secrets.exceptions.ClientError, match="AccessDenied"):
        edge.handler(asking("right"), None)


def test_a_refusal_is_logged_as_one_line_without_what_was_shown(edge, manager, capsys):
    secret_is(manager, "right")

    edge.handler(asking("right"), None)
    edge.handler(asking("wrong"), None)

    assert json.loads(capsys.readouterr().out) == {"message": "refused", "door": "http"}


def test_secrets_manager_gives_the_secret_and_the_one_before(request, monkeypatch):
    edge = load(monkeypatch, {**request.getfixturevalue("aws"), "EDGE_KEY_SECRET": "edge"})
    boto3.client("secretsmanager").create_secret(Name="edge", SecretString="old")
    only = edge.keys.are_borne_by({"x-parley-edge": "old"}, NOW)

    boto3.client("secretsmanager").put_secret_value(SecretId="edge", SecretString="new")

    assert only
    assert edge.keys.are_borne_by({"x-parley-edge": "new"}, LATER)
    assert edge.keys.are_borne_by({"x-parley-edge": "old"}, LATER)


@pytest.fixture
def gate(request, monkeypatch):
    """The function as a local AWS runs it, in front of the secret `right`."""
    for name, value in request.getfixturevalue("aws").items():
        monkeypatch.setenv(name, value)
    name = f"gate-{request.node.name}"
    secret = boto3.client("secretsmanager").create_secret(Name=name, SecretString="right")["ARN"]
    return function(name[:64], FUNCTION.read_text(), {"EDGE_KEY_SECRET": secret})


def test_an_http_api_lets_nothing_in_that_does_not_bear_the_secret(gate, aws_url):
    api = boto3.client("apigatewayv2").create_api(Name="http", ProtocolType="HTTP")["ApiId"]
    remembering = {
        "AuthorizerPayloadFormatVersion": "2.0",
        "AuthorizerResultTtlInSeconds": 3600,
        "EnableSimpleResponses": True,
        "IdentitySource": ["$request.header.x-parley-edge"],
    }
    lead(api, "$default", stage="$default", gate=gate, **remembering)
    address = f"{aws_url}/_aws/execute-api/{api}/v1/chat"

    assert said(address) == 401
    assert said(address, shown="wrong") == 403
    assert said(address, shown="right") == 200


def test_a_websocket_api_lets_nobody_connect_who_does_not_bear_the_secret(gate, aws_url):
    api = boto3.client("apigatewayv2").create_api(
        Name="socket", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
    )["ApiId"]
    lead(api, "$connect", stage="live", gate=gate, IdentitySource=["route.request.header.x-parley-edge"])
    address = f"{aws_url.replace('http', 'ws', 1)}/_aws/execute-api/{api}/live"

    for headers in ({}, {"x-parley-edge": "wrong"}):
        with pytest.raises(InvalidStatus):
            connect(address, additional_headers=headers, proxy=None)
    with connect(address, additional_headers={"x-parley-edge": "right"}, proxy=None) as connection:
        assert connection.ping().wait(10)


@pytest.fixture
def aws_url(request):
    return request.getfixturevalue("aws")["AWS_ENDPOINT_URL"]


def function(name, code, environment=()):
    """A function of the local AWS."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("handler.py", code)
    return boto3.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/any",
        Handler="handler.handler",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": dict(environment)},
    )["FunctionArn"]


def lead(api, route, *, stage, gate, **asked):
    """Lead a route to a function that always says yes; `gate` is asked before, as infra/front_door.py has it."""
    gateway = boto3.client("apigatewayv2")
    behind = function(f"behind-{api}", "def handler(event, context):\n    return {'statusCode': 200}\n")
    uri = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"
    authorizer = gateway.create_authorizer(
        ApiId=api, Name="edge", AuthorizerType="REQUEST", AuthorizerUri=uri.format(gate), **asked
    )["AuthorizerId"]
    integration = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=uri.format(behind))[
        "IntegrationId"
    ]
    gateway.create_route(
        ApiId=api,
        RouteKey=route,
        Target=f"integrations/{integration}",
        AuthorizationType="CUSTOM",
        AuthorizerId=authorizer,
    )
    gateway.create_stage(ApiId=api, StageName=stage, AutoDeploy=True)


def said(address, *, shown=None):
    headers = {} if shown is None else {"X-Parley-Edge": shown}
    asked = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
