"""What the deployed stack does when a part of it is taken away."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stack.person import Person

WITHIN_SECONDS = 90


@contextmanager
def without_grant(stack: Any, function: str, prefix: str) -> Iterator[None]:
    """Takes from a function's role whatever lets it do actions that begin with `prefix`."""
    iam, lambda_ = stack.client("iam"), stack.client("lambda")
    role = lambda_.get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    policies = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    policies = {name: json.loads(text) if isinstance(text, str) else text for name, text in policies.items()}
    taken = 0
    for name, policy in policies.items():
        kept = [statement for statement in policy["Statement"] if not _allows(statement, prefix)]
        taken += len(policy["Statement"]) - len(kept)
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps({**policy, "Statement": kept}))
    assert taken, f"{function} was never granted {prefix}"
    try:
        yield
    finally:
        for name, policy in policies.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def _allows(statement: dict[str, Any], prefix: str) -> bool:
    actions = statement["Action"]
    return any(action.startswith(prefix) for action in ([actions] if isinstance(actions, str) else actions))


def test_without_the_grant_on_its_tables_the_call_is_refused_readably(deployed_stack: Any) -> None:
    outputs = deployed_stack.outputs["Parley-local-Chat"]

    with without_grant(deployed_stack, outputs["ChatFunction"], "dynamodb:"):
        refused = Person(deployed_stack.http).say("hello")
    allowed = Person(deployed_stack.http).say("hello")

    assert refused.status == 503
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "arn:" not in json.dumps(refused.body)
    assert allowed.status == 200


def test_without_the_generator_the_bot_says_its_fallback_within_ten_seconds(deployed_stack: Any) -> None:
    person = Person(deployed_stack.http)
    person.say("hello")
    deployed_stack.stop_generator()
    try:
        begun = time.monotonic()
        answer = person.say("tell me something about yourself, friend")
        took = time.monotonic() - begun
    finally:
        deployed_stack.start_generator()

    assert answer.status == 200
    assert answer.body["source"] == "fallback"
    assert answer.body["replies"][0]["text"]
    assert took < 10
    assert person.say("tell me something about yourself, friend").body["source"] == "generated"


def test_a_turn_that_cannot_be_answered_ends_as_a_dead_letter(deployed_stack: Any) -> None:
    outputs = deployed_stack.outputs["Parley-local-Chat"]
    sqs = deployed_stack.client("sqs")
    patience = sqs.get_queue_attributes(QueueUrl=outputs["TurnsQueue"], AttributeNames=["VisibilityTimeout"])
    sqs.set_queue_attributes(QueueUrl=outputs["TurnsQueue"], Attributes={"VisibilityTimeout": "1"})
    try:
        with without_grant(deployed_stack, outputs["WorkerFunction"], "dynamodb:"):
            accepted = Person(deployed_stack.http).say("hello", prefer="respond-async")
            dead = _dead_letter(sqs, outputs["DeadLettersQueue"])
    finally:
        sqs.set_queue_attributes(QueueUrl=outputs["TurnsQueue"], Attributes=patience["Attributes"])

    assert accepted.status == 202
    assert json.loads(dead["Body"])["id"] == accepted.body["turn_id"]


def _dead_letter(sqs: Any, queue: str) -> Any:
    deadline = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return message
    raise TimeoutError(f"no dead letter within {WITHIN_SECONDS} s")
