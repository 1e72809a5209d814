"""The Slack channel: off unless somebody wants it, and then with no more rights than it needs."""

import json
from collections.abc import Callable

import pytest

from tests.infra.template import Template

StackOf = Callable[..., Template]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_it_is_off_in_an_account_until_it_is_switched_on(stack_of: StackOf, stage: str) -> None:
    off = stack_of(stage)

    assert "slack" not in off.functions()
    assert "SLACK" not in json.dumps([each["Environment"] for each in off.functions().values()])


@pytest.mark.parametrize("chosen", [("local", {}), ("prod", {"slack": "true"})], ids=["local", "prod"])
def test_switched_on_it_hears_slack_and_may_do_no_more_than_it_needs(
    stack_of: StackOf, chosen: tuple[str, dict[str, str]]
) -> None:
    stage, context = chosen
    template = stack_of(stage, **context)
    routes = {route["RouteKey"] for route in template.of_type("AWS::ApiGatewayV2::Route").values()}
    slack = template.functions()["slack"]
    allowed = template.actions_of("slack")

    assert {"POST /slack/events", "POST /slack/interactions"} <= routes
    assert "Encoder" not in json.dumps(slack["Layers"])
    assert slack["Timeout"] <= 10
    assert template.who_may("sqs:SendMessage", to="TurnsQueue") == {"chat", "socket", "slack"}
    assert not [action for action in allowed if action.startswith(("sagemaker:", "s3:", "events:", "execute-api:"))]
    assert "slack" not in template.who_may("sqs:SendMessage", to="WaitingQueue")
    assert any(
        template.alarmed("Errors", name) for name in template.of_type("AWS::Lambda::Function") if "Slack" in name
    )


@pytest.mark.parametrize("chosen", [("local", {}), ("prod", {"slack": "true"})], ids=["local", "prod"])
def test_each_of_the_two_reads_its_own_secret_and_has_its_name_only(
    stack_of: StackOf, chosen: tuple[str, dict[str, str]]
) -> None:
    stage, context = chosen
    template = stack_of(stage, **context)
    read = "secretsmanager:GetSecretValue"
    worker = template.functions()["worker"]["Environment"]["Variables"]

    assert template.who_may(read, to=f"parley/{stage}/slack-signing-secret-??????") == {"slack"}
    assert template.who_may(read, to=f"parley/{stage}/slack-bot-token-??????") == {"worker"}
    assert worker["SLACK_TOKEN_SECRET"] == f"parley/{stage}/slack-bot-token"
    assert worker["DOCUMENTS_AT"]


def test_where_several_workspaces_may_install_it_only_slack_keeps_them_and_only_the_worker_decrypts(
    stack_of: StackOf,
) -> None:
    template = stack_of("prod", slack="true", slack_client_id="1.2")
    slack, worker = (template.functions()[name]["Environment"]["Variables"] for name in ("slack", "worker"))
    routes = {route["RouteKey"] for route in template.of_type("AWS::ApiGatewayV2::Route").values()}

    assert {"GET /slack/install", "GET /slack/oauth_redirect", "POST /slack/commands"} <= routes
    for change in ("dynamodb:PutItem", "dynamodb:DeleteItem"):
        assert template.who_may(change, to="Workspaces") == {"slack"}
    assert template.who_may("dynamodb:GetItem", to="Workspaces") == {"slack", "worker"}
    assert template.who_may("kms:Encrypt", to="SlackTokens") == {"slack"}
    assert template.who_may("kms:Decrypt", to="SlackTokens") == {"worker"}
    read = "secretsmanager:GetSecretValue"
    assert template.who_may(read, to="parley/prod/slack-client-secret-??????") == {"slack"}
    assert slack["SLACK_CLIENT_ID"] == "1.2"
    assert "SLACK_CLIENT_SECRET" not in worker


def test_where_one_workspace_has_it_there_is_nothing_of_several(stack_of: StackOf) -> None:
    template = stack_of("prod", slack="true")

    assert "WORKSPACES_TABLE" not in template.functions()["worker"]["Environment"]["Variables"]
    assert not [name for name in template.of_type("AWS::DynamoDB::Table") if "Workspaces" in name]
    assert not [name for name in template.of_type("AWS::KMS::Key") if "SlackTokens" in name]


def test_only_a_laptop_has_something_else_in_slacks_place(stack_of: StackOf) -> None:
    assert (
        stack_of("local").functions()["worker"]["Environment"]["Variables"]["SLACK_API_URL"].startswith("http://127.")
    )
    assert "SLACK_API_URL" not in json.dumps(stack_of("prod", slack="true").functions()["worker"]["Environment"])
