"""The WebSocket side of every stage: what is heard, who may push, and where to."""

import json
from collections.abc import Callable

import pytest

from tests.infra.template import Resource, Template

STAGES = ("local", "dev", "prod")
IN_AN_ACCOUNT = ("dev", "prod")
PUSHING = {"chat", "socket", "worker"}

StackOf = Callable[[str], Template]


def live(template: Template) -> tuple[str, Resource]:
    """The logical id of the WebSocket API, and its stage."""
    (api,) = (
        name for name, it in template.of_type("AWS::ApiGatewayV2::Api").items() if it["ProtocolType"] == "WEBSOCKET"
    )
    (stage,) = (it for it in template.of_type("AWS::ApiGatewayV2::Stage").values() if it["ApiId"] == {"Ref": api})
    return api, stage


def setting(template: Template, function: str, name: str) -> str:
    return json.dumps(template.functions()[function]["Environment"]["Variables"][name])


@pytest.mark.parametrize("stage", STAGES)
def test_socket_hears_who_comes_what_they_send_and_who_leaves(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    api, served = live(template)
    routes = [it for it in template.of_type("AWS::ApiGatewayV2::Route").values() if it["ApiId"] == {"Ref": api}]
    integrations = template.of_type("AWS::ApiGatewayV2::Integration")
    (socket,) = (name for name, it in template.of_type("AWS::Lambda::Function").items() if "Socket" in name)

    assert served["StageName"] == "live"
    assert {route["RouteKey"] for route in routes} == {"$connect", "$default", "$disconnect"}
    for route in routes:
        integration = route["Target"]["Fn::Join"][1][1]["Ref"]
        assert socket in json.dumps(integrations[integration]["IntegrationUri"])


@pytest.mark.parametrize("stage", STAGES)
def test_frames_are_pushed_by_who_answers_and_only_to_connections_of_this_api(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    api, _ = live(template)
    pushing = [each for each in template.statements() if "execute-api:ManageConnections" in each.actions]

    assert template.who_may("execute-api:ManageConnections", to=api) == PUSHING
    assert len(pushing) == len(PUSHING)
    for each in pushing:
        assert each.actions == ("execute-api:ManageConnections",)
        for resource in map(json.dumps, each.resources):
            assert f'{{"Ref": "{api}"}}' in resource
            assert "/live/" in resource
            assert resource.count("*") == resource.count("/@connections/*") == 1


@pytest.mark.parametrize("stage", STAGES)
def test_who_listens_is_known_to_who_pushes_and_to_nobody_else(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    for action in ("dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"):
        assert template.who_may(action, to="Connections") == PUSHING


@pytest.mark.parametrize("stage", STAGES)
def test_socket_loads_no_encoder_and_may_neither_generate_nor_read_bots_or_secrets(
    stack_of: StackOf, stage: str
) -> None:
    template = stack_of(stage)
    layers = json.dumps(template.functions()["socket"]["Layers"])
    allowed = template.actions_of("socket")

    assert ("Dependencies" in layers, "Parley" in layers, "Encoder" in layers) == (True, True, False)
    assert not [action for action in allowed if action.startswith(("sagemaker:", "s3:", "secretsmanager:", "events:"))]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_clients_connect_to_the_stage_and_functions_push_to_it(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert "wss://" in setting(template, "web", "SOCKET_ADDRESS")
    for function in PUSHING:
        assert setting(template, function, "SOCKET_ADDRESS") == setting(template, "web", "SOCKET_ADDRESS")
        assert "https://" in setting(template, function, "SOCKET_URL")
        assert "/live" in setting(template, function, "SOCKET_URL")


@pytest.mark.parametrize("stage", STAGES)
def test_who_meets_pages_knows_where_those_are_that_may_talk_to_every_bot(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert "http" in setting(template, "socket", "HTTP_ADDRESS")
    assert setting(template, "chat", "HTTP_ADDRESS") == setting(template, "socket", "HTTP_ADDRESS")


def test_on_a_laptop_both_are_the_local_aws(stack_of: StackOf) -> None:
    template = stack_of("local")
    api, _ = live(template)
    path = f'127.0.0.1:1/_aws/execute-api/", {{"Ref": "{api}"}}, "/live"'

    assert f"ws://{path}" in setting(template, "web", "SOCKET_ADDRESS")
    assert f"http://{path}" in setting(template, "worker", "SOCKET_URL")


@pytest.mark.parametrize("stage", STAGES)
def test_an_alarm_rings_when_what_clients_send_does_not_arrive(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    api, _ = live(template)

    assert template.alarmed("ExecutionError", api)
