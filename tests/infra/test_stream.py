"""The function whose replies leave while they are made: who may call it, and what it may do."""

import json
from collections.abc import Callable

import pytest

from infra.packaging import ROOT
from infra.stage import STAGES
from tests.infra.template import Template

IN_AN_ACCOUNT = ("dev", "prod")
LIMIT = "ReservedConcurrentExecutions"

StackOf = Callable[[str], Template]


def may(template: Template, function: str) -> set[str]:
    """What a function may do to what, but for its own log."""
    role = template.role_of(function)
    return {
        f"{action} {json.dumps(resource)}"
        for each in template.statements()
        if each.role == role
        for action in each.actions
        for resource in each.resources
        if not action.startswith("logs:")
    }


def test_a_laptop_has_none(stack_of: StackOf) -> None:
    template = stack_of("local")

    assert STAGES["local"].stream is None
    assert "stream" not in template.functions()
    assert not template.of_type("AWS::Lambda::Url")


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_its_url_lets_each_piece_through_and_no_page_in(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    (url,) = template.of_type("AWS::Lambda::Url").values()

    assert url["InvokeMode"] == "RESPONSE_STREAM"
    assert url["AuthType"] == "NONE"  # the function asks every request for its API key
    assert "Cors" not in url
    assert "stream" in url["TargetFunctionArn"]["Fn::GetAtt"][0].lower()


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_anybody_may_call_it_by_its_url_and_by_nothing_else(stack_of: StackOf, stage: str) -> None:
    permissions = stack_of(stage).of_type("AWS::Lambda::Permission").values()
    public = [each for each in permissions if each["Principal"] == "*"]

    assert {each["Action"] for each in public} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    for each in public:
        assert "stream" in json.dumps(each["FunctionName"]).lower()
        assert each.get("FunctionUrlAuthType") == "NONE" or each.get("InvokedViaFunctionUrl") is True


def test_in_prod_it_has_a_limit_of_its_own_so_that_a_flood_leaves_the_account_to_the_others(
    stack_of: StackOf,
) -> None:
    limited = {name: it[LIMIT] for name, it in stack_of("prod").functions().items() if LIMIT in it}

    assert limited == {"stream": 100}


def test_dev_sets_no_functions_aside_for_a_new_account_has_none_to_spare(stack_of: StackOf) -> None:
    assert not any(LIMIT in function for function in stack_of("dev").functions().values())


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_its_address_is_told(stack_of: StackOf, stage: str) -> None:
    (url,) = stack_of(stage).of_type("AWS::Lambda::Url")
    told = {name: value for part in stack_of(stage).parts for name, value in part.get("Outputs", {}).items()}

    assert told["StreamUrl"]["Value"] == {"Fn::GetAtt": [url, "FunctionUrl"]}


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_its_runtime_is_ours_and_lies_in_a_layer_that_it_has(stack_of: StackOf, stage: str) -> None:
    function = stack_of(stage).functions()["stream"]
    wrapper = function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"]
    program = ROOT / "layers" / "parley" / wrapper.removeprefix("/opt/")

    assert wrapper.startswith("/opt/")
    assert program.stat().st_mode & 0o111  # Lambda refuses to start what may not be run
    assert function["Handler"] == "handler.handler"
    assert function["Layers"] == stack_of(stage).functions()["worker"]["Layers"]
    assert "SnapStart" not in function  # our runtime knows nothing of snapshots


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_it_may_do_what_answering_takes_and_no_more(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    own = may(template, "stream")

    assert own < may(template, "chat")
    assert not [each for each in own if each.startswith(("sqs:", "execute-api:")) or "OperatorKey" in each]
    assert not [each for each in own if "documents/" in each or "GetAttConnections" in each]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_it_has_an_alarm(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    (name,) = (
        name
        for name, function in template.of_type("AWS::Lambda::Function").items()
        if function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == "stream"
    )

    assert template.alarmed("Errors", name)
    assert template.alarmed("Throttles", name)
