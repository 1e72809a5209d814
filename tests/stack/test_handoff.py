"""In the deployed stack: a person takes a conversation over and gives it back; why the bot does what it does."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.stack.person import Answer, Person, ask
from tests.stack.test_failures import without_grant

WITHIN_SECONDS = 30


@pytest.fixture
def operator(deployed_stack: Any) -> str:
    """The operator key, as a desk would have it."""
    secret = deployed_stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
    return str(deployed_stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])


@contextmanager
def listening(stack: Any) -> Iterator[Any]:
    """What is announced on the bus of the stack: a function that gives the next announcement."""
    events, sqs = stack.client("events"), stack.client("sqs")
    bus = stack.outputs["Parley-local-Chat"]["AnnouncementsBus"]
    url = sqs.create_queue(QueueName="desk")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="desk", EventBusName=bus, EventPattern=json.dumps({"source": ["parley"]}))
    events.put_targets(Rule="desk", EventBusName=bus, Targets=[{"Id": "desk", "Arn": arn}])

    def heard() -> Any:
        deadline = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", ()):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                return json.loads(message["Body"])
        raise TimeoutError("nothing was announced")

    try:
        yield heard
    finally:
        events.remove_targets(Rule="desk", EventBusName=bus, Ids=["desk"])
        events.delete_rule(Name="desk", EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


def operate(stack: Any, person: Person, path: str, key: str, body: Any = None) -> Answer:
    url = f"{stack.http}/v1/conversations/{person.conversation_id}/{path}"
    return ask(url, method="POST", body=body, Authorization=f"Bearer {key}")


def test_a_person_takes_over_writes_and_gives_back(deployed_stack: Any, operator: str) -> None:
    person = Person(deployed_stack.http)
    person.say("hello", bot="clinic")
    with listening(deployed_stack) as heard:
        called = person.say("I want to talk to a person")
        announced = heard()
        silent = person.say("is anybody there?")
        message = heard()

    written = operate(deployed_stack, person, "person", operator, {"message": "Good day, Maeve here."})
    while_away = person.own().body
    given_back = operate(deployed_stack, person, "handback", operator)
    after = person.say("hello")

    assert called.body["handed_off"] is True
    assert called.body["replies"]
    assert (silent.body["replies"], silent.body["source"], silent.body["handed_off"]) == ([], "handoff", True)
    assert announced["detail-type"] == "conversation.handed_off"
    assert [line["text"] for line in announced["detail"]["transcript"]][-1] == "I want to talk to a person"
    assert announced["detail"]["conversation_id"] == person.conversation_id
    assert message["detail-type"] == "conversation.message"
    assert message["detail"]["transcript"] == [
        {"from": "user", "text": "is anybody there?", "at": message["detail"]["at"]}
    ]
    assert written.status == 201
    assert while_away["handed_off"] is True
    assert while_away["turns"][-1]["replies"] == [{"text": "Good day, Maeve here."}]
    assert while_away["turns"][-1]["source"] == "person"
    assert given_back.status == 200
    assert "handed_off" not in after.body
    assert after.body["source"] == "scripted"


def test_only_an_operator_takes_part(deployed_stack: Any, operator: str) -> None:
    person = Person(deployed_stack.http)
    person.say("hello", bot="clinic")

    nobody = operate(deployed_stack, person, "person", "somebody else", {"message": "hi"})
    too_early = operate(deployed_stack, person, "person", operator, {"message": "hi"})

    assert nobody.status == 403
    assert too_early.status == 400
    assert len(person.messages()) == 1


def test_nobody_is_handed_off_when_nobody_can_be_told(deployed_stack: Any) -> None:
    person = Person(deployed_stack.http)
    person.say("hello", bot="clinic")

    with without_grant(deployed_stack, deployed_stack.outputs["Parley-local-Chat"]["ChatFunction"], "events:"):
        refused = person.say("I want to talk to a person")
    again = person.say("I want to talk to a person")

    assert refused.status == 503
    assert again.body["handed_off"] is True
    assert person.messages() == ["hello", "I want to talk to a person"]


def test_a_reply_says_why(deployed_stack: Any) -> None:
    person = Person(deployed_stack.http)
    person.say("where is my order?")

    told = person.say("WB-204518", explain=True).body["explanation"]

    assert told["understanding"]["entities"][0]["value"] == "WB-204518"
    assert [step["action"] for step in told["steps"]] == ["order_form", "utter_order_status", "action_listen"]
    assert "data/rules.yml" in told["steps"][1]["because"]
    assert told["slots"] == [{"name": "order_number", "before": None, "after": "WB-204518"}]
    assert told["form"] is None
    assert told["timings_ms"]["total"] > 0


def test_rasas_routes_are_off_for_a_bot_that_does_not_want_them(deployed_stack: Any) -> None:
    answer = ask(f"{deployed_stack.http}/webhooks/rest/webhook", method="POST", body={"sender": "a", "message": "hi"})

    assert answer.status == 404
