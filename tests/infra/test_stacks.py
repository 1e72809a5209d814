"""What every stage owes: told by meaning, so that a stack may be built otherwise and still keep it."""

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from cdk_nag import AwsSolutionsChecks

from tests.infra.template import Template

STAGES = ("local", "dev", "prod")
IN_AN_ACCOUNT = ("dev", "prod")
DATA = ("dynamodb:", "s3:", "secretsmanager:", "sqs:", "sagemaker:", "kms:", "events:", "lambda:")

# Actions for which AWS knows no resource, and what is asked of each beside it.
ON_ANYTHING = {
    "xray:PutTraceSegments": None,
    "xray:PutTelemetryRecords": None,
    "ecr:GetAuthorizationToken": None,
    "cloudwatch:PutMetricData": {
        "StringEquals": {"cloudwatch:namespace": ["/aws/sagemaker/Endpoints", "/aws/sagemaker/InferenceComponents"]}
    },
}

StackOf = Callable[[str], Template]


def slack_of(stage: str) -> set[str]:
    """The function that hears Slack, which is off in an account unless somebody switches it on."""
    return {"slack"} if stage == "local" else set()


def stream_of(stage: str) -> set[str]:
    """The function that streams, which the local AWS cannot run."""
    return set() if stage == "local" else {"stream"}


def queue_of(source: dict[str, Any]) -> str | None:
    """The queue of an event source; None if it is a stream."""
    arn = source["EventSourceArn"]
    return str(arn["Fn::GetAtt"][0]) if "Fn::GetAtt" in arn and "StreamArn" not in arn["Fn::GetAtt"] else None


@pytest.mark.parametrize("stage", STAGES)
def test_cdk_nag_has_nothing_to_say(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)  # to synthesize with a finding raises

    assert template.functions().keys() >= {"chat", "socket", "worker", "web", "keys"}


def test_cdk_nag_would_have_something_to_say(tmp_path: object) -> None:
    app = cdk.App(outdir=str(tmp_path))
    sqs.Queue(cdk.Stack(app, "Careless"), "WithoutDeadLetters")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


@pytest.mark.parametrize("stage", STAGES)
def test_every_queue_has_dead_letters_and_an_alarm_on_them(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    queues = template.of_type("AWS::SQS::Queue")

    dead = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    dead |= {
        source["DestinationConfig"]["OnFailure"]["Destination"]["Fn::GetAtt"][0]
        for source in template.of_type("AWS::Lambda::EventSourceMapping").values()
        if "DestinationConfig" in source
    }

    assert dead
    assert {name for name, queue in queues.items() if "RedrivePolicy" not in queue} == dead
    assert all(template.alarmed("ApproximateNumberOfMessagesVisible", name) for name in dead)


@pytest.mark.parametrize("stage", STAGES)
def test_a_queued_turn_is_hidden_longer_than_the_worker_may_take_and_a_waiting_one_is_tried_oftener(
    stack_of: StackOf, stage: str
) -> None:
    template = stack_of(stage)
    sources = [
        source
        for source in template.of_type("AWS::Lambda::EventSourceMapping").values()
        if queue_of(source) is not None
    ]
    queues = [template.of_type("AWS::SQS::Queue")[str(queue_of(source))] for source in sources]

    assert {(queue.get("FifoQueue", False), queue["RedrivePolicy"]["maxReceiveCount"]) for queue in queues} == {
        (True, 3),  # turns in order
        (False, 20),  # turns that wait
        (False, 5),  # documents, and what is posted to subscribers
    }
    turns = [pair for pair in zip(sources, queues, strict=True) if pair[1]["RedrivePolicy"]["maxReceiveCount"] != 5]
    for source, queue in turns:
        assert queue["VisibilityTimeout"] >= template.functions()["worker"]["Timeout"]
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert source["BatchSize"] == 1


@pytest.mark.parametrize("stage", STAGES)
def test_the_doors_queue_turns_whoever_meets_a_sleeping_generator_lets_one_wait_and_only_worker_takes_them(
    stack_of: StackOf, stage: str
) -> None:
    template = stack_of(stage)

    assert template.who_may("sqs:SendMessage", to="TurnsQueue") == {"chat", "socket", *slack_of(stage)}
    assert template.who_may("sqs:SendMessage", to="WaitingQueue") == {"chat", "socket", "worker"}
    assert template.who_may("sqs:ReceiveMessage", to="TurnsQueue") == {"worker"}
    assert template.who_may("sqs:ReceiveMessage", to="WaitingQueue") == {"worker"}


@pytest.mark.parametrize("stage", STAGES)
def test_custom_actions_may_use_the_secrets_and_functions_that_bots_name_and_no_others(
    stack_of: StackOf, stage: str
) -> None:
    statements = stack_of(stage).statements()

    called = [each for each in statements if "lambda:InvokeFunction" in each.actions and "payments" in str(each)]
    read = [each for each in statements if "weather-key" in json.dumps(each.resources)]

    answering = {"chat", "worker", *stream_of(stage)}
    assert {each.role for each in (*called, *read)} == {stack_of(stage).role_of(name) for name in answering}
    assert all(f"secret:parley/{stage}/weather-key-??????" in json.dumps(each.resources) for each in read)
    assert all(json.dumps(each.resources).count("function:payments") == 1 for each in called)


@pytest.mark.parametrize("stage", STAGES)
def test_hand_offs_are_announced_by_who_answers_and_only_the_doors_of_operators_know_them(
    stack_of: StackOf, stage: str
) -> None:
    template = stack_of(stage)
    announcing = {name for name in template.functions() if "events:PutEvents" in template.actions_of(name)}
    secret_readers = [each for each in template.statements() if "OperatorKey" in json.dumps(each.resources)]

    assert announcing == {"chat", "worker", *stream_of(stage)}
    assert {each.role for each in secret_readers} == {
        template.role_of(name) for name in ("chat", "keys", "subscriptions")
    }


@pytest.mark.parametrize("stage", STAGES)
def test_who_is_asked_with_api_keys_looks_them_up_and_only_the_function_of_operators_changes_them(
    stack_of: StackOf, stage: str
) -> None:
    template = stack_of(stage)
    asked = {template.role_of(name) for name in ("chat", "subscriptions", *stream_of(stage))}
    of_keys = [each for each in template.statements() if "GetAttKeys" in json.dumps(each.resources)]

    assert {each.role for each in of_keys} == {*asked, template.role_of("keys")}
    assert {action for each in of_keys if each.role in asked for action in each.actions} == {"dynamodb:GetItem"}


@pytest.mark.parametrize("stage", STAGES)
def test_the_function_of_keys_touches_nothing_but_keys(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    data = [
        each
        for each in template.statements()
        if each.role == template.role_of("keys") and any(action.startswith(DATA) for action in each.actions)
    ]

    assert data
    for each in data:
        is_kms = all(action.startswith("kms:") for action in each.actions)
        assert is_kms or any(name in json.dumps(each.resources) for name in ("GetAttKeys", "OperatorKey"))


@pytest.mark.parametrize("stage", STAGES)
def test_whatever_changes_keys_goes_to_their_function(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    routes = template.of_type("AWS::ApiGatewayV2::Route").values()
    targets = {each["RouteKey"]: json.dumps(each["Target"]) for each in routes}
    of_keys = {route: target for route, target in targets.items() if "/v1/keys" in route}

    assert of_keys.keys() == {
        "GET /v1/keys",
        "POST /v1/keys",
        "DELETE /v1/keys/{id}",
        "POST /v1/keys/{id}/rotate",
    }
    assert len(set(of_keys.values())) == 1
    assert not set(of_keys.values()) & {targets["$default"], targets["GET /"]}


@pytest.mark.parametrize("stage", STAGES)
def test_the_page_may_touch_no_data(stack_of: StackOf, stage: str) -> None:
    assert not [action for action in stack_of(stage).actions_of("web") if action.startswith(DATA)]


@pytest.mark.parametrize("stage", STAGES)
def test_no_function_may_read_a_whole_table_or_change_one(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    granted = {action for name in template.functions() for action in template.actions_of(name)}

    assert not granted & {"dynamodb:Scan", "dynamodb:UpdateTable", "dynamodb:DeleteTable"}


@pytest.mark.parametrize("stage", STAGES)
def test_no_permission_is_wider_than_its_reason(stack_of: StackOf, stage: str) -> None:
    for each in stack_of(stage).statements():
        assert not [action for action in each.actions if "*" in action]
        if "*" in each.resources:
            assert set(each.actions) <= ON_ANYTHING.keys()
            assert all(ON_ANYTHING[action] == each.conditions for action in each.actions)


@pytest.mark.parametrize("stage", STAGES)
def test_every_table_expires_its_items_and_can_be_brought_back(stack_of: StackOf, stage: str) -> None:
    tables = stack_of(stage).of_type("AWS::DynamoDB::Table").values()

    assert len(tables) == 7 + (stage == "local")  # which has one for workspaces of Slack, too
    for table in tables:
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_in_production_data_is_under_the_accounts_own_key_and_outlives_the_stack(stack_of: StackOf) -> None:
    template = stack_of("prod")
    (key,) = [name for name in template.of_type("AWS::KMS::Key") if not name.startswith("SigningKey")]

    for table in template.of_type("AWS::DynamoDB::Table").values():
        assert table["SSESpecification"]["KMSMasterKeyId"] == {"Fn::GetAtt": [key, "Arn"]}
        assert table["DeletionProtectionEnabled"] is True
    for part in template.parts:
        for resource in part["Resources"].values():
            if resource["Type"] in {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret"}:
                assert resource["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_queues_and_topics_refuse_plain_http(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    protected = json.dumps([template.of_type("AWS::SQS::QueuePolicy"), template.of_type("AWS::SNS::TopicPolicy")])

    for name in (*template.of_type("AWS::SQS::Queue"), *template.of_type("AWS::SNS::Topic")):
        assert name in protected
    assert "aws:SecureTransport" in protected


@pytest.mark.parametrize("stage", STAGES)
def test_the_topic_of_alarms_lets_alarms_in(stack_of: StackOf, stage: str) -> None:
    (policy,) = stack_of(stage).of_type("AWS::SNS::TopicPolicy").values()
    allowed = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]

    assert [each["Principal"] for each in allowed] == [{"Service": "cloudwatch.amazonaws.com"}]
    assert allowed[0]["Action"] == "sns:Publish"


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_functions_are_traced_and_chat_resumes_from_a_snapshot(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    chat = template.functions()["chat"]
    (alias,) = template.of_type("AWS::Lambda::Alias")

    assert {function["TracingConfig"]["Mode"] for function in template.functions().values()} == {"Active"}
    assert chat["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert alias in json.dumps(template.of_type("AWS::ApiGatewayV2::Integration"))


@pytest.mark.parametrize("stage", STAGES)
def test_logs_end_some_day_and_both_apis_are_throttled(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    doors = template.of_type("AWS::ApiGatewayV2::Stage").values()

    assert all(group["RetentionInDays"] for group in template.of_type("AWS::Logs::LogGroup").values())
    assert all("LoggingConfig" in function for function in template.functions().values())
    assert len(doors) == 2
    assert all(door["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0 for door in doors)


@pytest.mark.parametrize("stage", STAGES)
def test_the_access_logs_tell_nothing_of_the_person(stack_of: StackOf, stage: str) -> None:
    for door in stack_of(stage).of_type("AWS::ApiGatewayV2::Stage").values():
        told = door["AccessLogSettings"]["Format"]

        assert "$context.status" in told
        assert not [word for word in ("sourceIp", "userAgent", "authorizer", "body", "$context.path") if word in told]


def test_a_laptop_deploys_no_sagemaker(stack_of: StackOf) -> None:
    kinds = stack_of("local").types()

    assert not [kind for kind in kinds if kind.startswith(("AWS::SageMaker", "AWS::ApplicationAutoScaling"))]


@pytest.mark.parametrize("stage", IN_AN_ACCOUNT)
def test_no_address_of_a_laptop_reaches_an_account(stack_of: StackOf, stage: str) -> None:
    settings = [function["Environment"]["Variables"] for function in stack_of(stage).functions().values()]

    assert not [name for each in settings for name in each if name.startswith("AWS_ENDPOINT_URL")]
    assert "127.0.0.1" not in json.dumps(settings)


@pytest.mark.parametrize("stage", STAGES)
def test_who_generates_counts_by_the_tokenizer_that_the_layer_carries(stack_of: StackOf, stage: str) -> None:
    functions = stack_of(stage).functions()

    for name in ("chat", "worker", *stream_of(stage)):
        settings = functions[name]["Environment"]["Variables"]
        assert settings["GENERATOR_TOKENIZER"].endswith("/tokenizer/tokenizer.json")
        assert int(settings["GENERATOR_CONTEXT_TOKENS"]) >= 1024
        assert settings.get("GENERATOR_COMPOSES", "false") == ("false" if stage == "local" else "true")
