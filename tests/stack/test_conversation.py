"""The deployed stack does what the README promises: API Gateway, Lambda, DynamoDB, SQS, SageMaker's runtime."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack.person import Person, ask


@pytest.fixture
def person(deployed_stack: Any) -> Person:
    return Person(deployed_stack.http)


def test_hello_gets_a_scripted_reply(person: Person) -> None:
    answer = person.say("hello")

    assert answer.status == 200
    assert answer.body["source"] == "scripted"
    assert answer.body["replies"][0]["buttons"]
    assert answer.body["timings_ms"]["total"] > 0


def test_the_order_form_is_filled_over_three_messages(person: Person) -> None:
    asked = person.say("where is my order?")
    explained = person.say("12")
    told = person.say("WB-204518")

    assert "WB-" in asked.body["replies"][0]["text"]
    assert "six digits" in explained.body["replies"][0]["text"]
    assert "WB-204518" in told.body["replies"][0]["text"]


def test_a_question_is_answered_with_a_citation(person: Person) -> None:
    answered = person.say("how long do I have to return something?")

    assert answered.body["source"] == "knowledge"
    assert answered.body["replies"][0]["citations"][0]["document"] == "returns.md"


def test_small_talk_is_generated_and_from_the_third_who_asks_on_cached(deployed_stack: Any) -> None:
    replies = [Person(deployed_stack.http).say("how are you today?") for _ in range(3)]

    assert [reply.body["source"] for reply in replies] == ["generated", "generated", "cached"]
    assert replies[1].body["replies"] == replies[2].body["replies"]


def test_a_turn_sent_again_gets_the_same_reply_and_counts_once(person: Person) -> None:
    person.say("hello")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: person.say("where is my order?", turn_id="t-1"), range(4)))

    assert {answer.status for answer in answers} == {200}
    assert len({json.dumps(answer.body["replies"]) for answer in answers}) == 1
    assert person.messages() == ["hello", "where is my order?"]


def test_many_writers_on_one_conversation_lose_nothing(person: Person) -> None:
    person.say("hello")
    said = [f"thanks number {number}" for number in range(6)]

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(person.say, said))

    answered = [text for text, answer in zip(said, answers, strict=True) if answer.status == 200]
    assert {answer.status for answer in answers} <= {200, 503}  # who loses five races is told so
    assert len(answered) >= 3
    assert sorted(person.messages()) == sorted(["hello", *answered])


def test_a_turn_through_the_queue_is_followed_to_its_reply(person: Person) -> None:
    accepted = person.say("where is my order?", prefer="respond-async")
    turn_id = accepted.body["turn_id"]

    done = person.follow(turn_id)

    assert accepted.status == 202
    assert accepted.headers["Location"] == f"/v1/conversations/{person.conversation_id}/turns/{turn_id}"
    assert done["status"] == "done"
    assert done["understanding"]["intent"] == "order_status"


def test_turns_through_the_queue_keep_their_order_and_mix_with_the_other_door(person: Person) -> None:
    queued = [person.say("where is my order?", prefer="respond-async")]
    queued += [person.say(text, prefer="respond-async") for text in ("12", "never mind")]
    for accepted in queued:
        person.follow(accepted.body["turn_id"])
    direct = person.say("thank you")

    assert direct.body["source"] == "scripted"
    assert person.messages() == ["where is my order?", "12", "never mind", "thank you"]


def test_an_erased_conversation_is_gone(person: Person) -> None:
    person.say("hello")

    assert person.own(method="DELETE").status == 204
    assert person.own().status == 404
    assert person.say("hello?").status == 404


def test_without_its_token_a_conversation_is_closed(person: Person) -> None:
    person.say("hello")
    body = {"message": "let me in", "conversation_id": person.conversation_id}

    refused = ask(f"{person.http}/v1/chat", method="POST", body=body)

    assert refused.status == 403
    assert person.messages() == ["hello"]


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("/v1/chat", {"raw": b'{"message": '}, 400),
        ("/v1/chat", {"body": {"message": 7}}, 422),
        ("/v1/chat", {"body": {"message": ""}}, 422),
        ("/v1/chat", {"body": {"message": "x" * 4001}}, 422),
        ("/v1/chat", {"body": {"message": "he\u0000llo"}}, 422),
        ("/v1/chat", {"body": {"message": "x" * 140_000}}, 413),
        ("/v1/chat", {"raw": b"\xff\xfe"}, 400),
        ("/v1/chat", {"body": {"message": "hello", "bot": "nobody"}}, 404),
        ("/v1/chat", {"body": {"message": "hello", "conversation_id": "nobody"}}, 404),
        ("/v1/nothing", {"body": {}}, 404),
    ],
)
def test_a_bad_request_is_a_problem_all_the_way_out(
    deployed_stack: Any, path: str, request_: dict[str, Any], status: int
) -> None:
    answer = ask(deployed_stack.http + path, method="POST", **request_)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["detail"]


def test_the_api_describes_itself(deployed_stack: Any) -> None:
    document = ask(f"{deployed_stack.http}/openapi.json")
    page = ask(f"{deployed_stack.http}/docs")

    assert "/v1/chat" in document.body["paths"]
    assert "swagger" in page.body.lower()
    assert ask(f"{deployed_stack.http}/v1/health").body["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat"), ("GET", "/v1/conversations/1"), ("POST", "/v1/conversations/1/turns/2/feedback")],
)
def test_a_browser_may_ask_from_a_page_of_another_origin(deployed_stack: Any, method: str, path: str) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"

    answer = ask(f"{deployed_stack.http}{path}", method="OPTIONS", **asked)

    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert answer.status in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {"authorization", "content-type"} <= allowed
