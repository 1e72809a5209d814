"""Webhooks out: who sees what is said, who may unseal a secret, and how far anybody gets."""

import json
from collections.abc import Callable

import pytest

from tests.infra.template import Template

STAGES = ("local", "dev", "prod")
StackOf = Callable[..., Template]


@pytest.mark.parametrize("stage", STAGES)
def test_only_notify_follows_the_stream_and_is_shown_turns_alone(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    (source,) = [
        each for each in template.of_type("AWS::Lambda::EventSourceMapping").values() if "FilterCriteria" in each
    ]
    (wanted,) = [json.loads(each["Pattern"]) for each in source["FilterCriteria"]["Filters"]]

    assert template.who_may("dynamodb:GetRecords", to="StreamArn") == {"notify"}
    assert wanted == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "turn#"}]}}},
    }
    assert source["BisectBatchOnFunctionError"] is True
    assert source["MaximumRecordAgeInSeconds"] == 3600
    (name,) = [name for name in template.of_type("AWS::Lambda::Function") if "Notify" in name]
    assert template.alarmed("IteratorAge", name)


@pytest.mark.parametrize("stage", STAGES)
def test_notify_reads_no_conversation_and_no_secret(stack_of: StackOf, stage: str) -> None:
    allowed = stack_of(stage).actions_of("notify")

    assert "dynamodb:GetItem" not in allowed
    assert not [action for action in allowed if action.startswith("secretsmanager:")]


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_function_of_operators_changes_subscriptions_and_seals_their_secrets(
    stack_of: StackOf, stage: str
) -> None:
    template = stack_of(stage)

    assert template.who_may("dynamodb:PutItem", to="GetAttSubscriptions") == {"subscriptions"}
    assert template.who_may("kms:Encrypt", to="SigningKey") == {"subscriptions"}
    assert template.who_may("kms:Decrypt", to="SigningKey") == {"subscriptions", "deliver"}


@pytest.mark.parametrize("stage", STAGES)
def test_deliver_touches_no_conversation_and_no_bot(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    touched = [each for each in template.statements() if each.role == template.role_of("deliver")]

    assert not [each for each in touched if "Conversations" in json.dumps(each.resources)]
    assert not [action for action in template.actions_of("deliver") if action.startswith(("s3:", "sagemaker:"))]


@pytest.mark.parametrize("stage", STAGES)
def test_a_message_is_posted_by_itself_and_hidden_longer_than_that_may_take(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)
    ((name, queue),) = [
        pair for pair in template.of_type("AWS::SQS::Queue").items() if pair[0].startswith("WebhooksDeliveries")
    ]
    (source,) = [
        each
        for each in template.of_type("AWS::Lambda::EventSourceMapping").values()
        if name in json.dumps(each["EventSourceArn"])
    ]

    assert source["BatchSize"] == 1
    assert source["ScalingConfig"]["MaximumConcurrency"] >= 8  # more than the four places of one addressee
    assert queue["VisibilityTimeout"] > template.functions()["deliver"]["Timeout"] > 10


@pytest.mark.parametrize("stage", STAGES)
def test_only_a_laptop_posts_to_itself(stack_of: StackOf, stage: str) -> None:
    settings = [each["Environment"]["Variables"] for each in stack_of(stage).functions().values()]

    assert any("SUBSCRIBERS_ON_LOOPBACK" in each for each in settings) is (stage == "local")


@pytest.mark.parametrize("stage", STAGES)
def test_who_is_given_up_on_rings_an_alarm(stack_of: StackOf, stage: str) -> None:
    alarms = stack_of(stage).of_type("AWS::CloudWatch::Alarm").values()

    assert [alarm for alarm in alarms if alarm["MetricName"] == "WebhookDead" and alarm["AlarmActions"]]


@pytest.mark.parametrize("stage", STAGES)
def test_who_is_woken_by_what_webhooks_gave_up_hears_what_that_was_and_where_to_look(
    stack_of: StackOf, stage: str
) -> None:
    alarms = stack_of(stage).of_type("AWS::CloudWatch::Alarm").values()
    said = {
        dimension["Value"]["Fn::GetAtt"][0]: alarm["AlarmDescription"]
        for alarm in alarms
        for dimension in alarm.get("Dimensions", [])
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    (unnotified,) = (text for queue, text in said.items() if queue.startswith("WebhooksUnnotified"))
    (undelivered,) = (text for queue, text in said.items() if queue.startswith("WebhooksDead"))

    assert not [text for text in (unnotified, undelivered) if "nobody has been answered" in text]
    assert "log of notify" in unnotified
    assert "a day after" in unnotified  # as long as DynamoDB keeps a stream
    assert "log of deliver" in undelivered


@pytest.mark.parametrize("stage", STAGES)
def test_the_routes_of_subscriptions_go_to_their_function(stack_of: StackOf, stage: str) -> None:
    routes = stack_of(stage).of_type("AWS::ApiGatewayV2::Route").values()
    targets = {each["RouteKey"]: json.dumps(each["Target"]) for each in routes}
    ours = {route: target for route, target in targets.items() if "/v1/subscriptions" in route}

    assert ours.keys() == {
        "GET /v1/subscriptions",
        "POST /v1/subscriptions",
        "GET /v1/subscriptions/{id}",
        "PATCH /v1/subscriptions/{id}",
        "DELETE /v1/subscriptions/{id}",
        "GET /v1/subscriptions/{id}/{what}",
        "POST /v1/subscriptions/{id}/{what}",
    }
    assert len(set(ours.values())) == 1
    assert targets["$default"] not in ours.values()


@pytest.mark.parametrize("stage", STAGES)
def test_what_callbacks_are_signed_by_only_deliver_reads(stack_of: StackOf, stage: str) -> None:
    template = stack_of(stage)

    assert template.who_may("secretsmanager:GetSecretValue", to=f"parley/{stage}/desk-callback-??????") == {"deliver"}
    assert template.who_may("sqs:SendMessage", to="WebhooksDeliveries") == {
        "notify",
        "deliver",
        "subscriptions",
        "worker",
    }
