"""OpenAI's own clients, unchanged, talk to the deployed stack with an API key that an operator made.

The local AWS cannot run the function `stream`, so its process is started here as Lambda starts it: its handler, the
settings of `chat`, the deployed tables and models, and on its other side a Lambda on loopback.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.contracts.loopback_lambda import LoopbackLambda
from tests.stack.node import by_node
from tests.stack.person import Answer, ask

ROOT = Path(__file__).resolve().parents[2]

Messages = list[Any]
Connect = Callable[..., openai.OpenAI]


@pytest.fixture(scope="module")
def operator(deployed_stack: Any) -> str:
    secret = deployed_stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
    return str(deployed_stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])


@pytest.fixture(scope="module")
def keys(deployed_stack: Any, operator: str) -> Callable[..., Answer]:
    """Calls the operators' routes of API keys: `keys("POST", "", name="a server")`."""

    def call(method: str, path: str = "", **body: Any) -> Answer:
        url = f"{deployed_stack.http}/v1/keys{path}"
        given = body if method == "POST" else None
        return ask(url, method=method, body=given, Authorization=f"Bearer {operator}")

    return call


@pytest.fixture
def connect(deployed_stack: Any) -> Iterator[Connect]:
    """OpenAI's client with a key; it tries once, so that a test sees what the stack answered."""
    clients = []

    def connected(key: str) -> openai.OpenAI:
        clients.append(openai.OpenAI(base_url=f"{deployed_stack.http}/v1", api_key=key, max_retries=0, timeout=60))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def key(keys: Callable[..., Answer]) -> str:
    return str(keys("POST", name="the tests").body["key"])


@pytest.fixture
def client(connect: Connect, key: str) -> openai.OpenAI:
    return connect(key)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def text_of(client: openai.OpenAI, messages: Messages, **fields: Any) -> str:
    completion = client.chat.completions.create(model="support", messages=messages, **fields)
    assert completion.choices[0].finish_reason == "stop"
    return str(completion.choices[0].message.content)


def test_a_completion_comes_with_usage_and_with_the_reply_as_parley_has_it(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="support",
        messages=[user("how long do I have to return something?")],  # type: ignore[list-item]
        temperature=0.2,
        max_tokens=100,
    )

    assert "Sources:\n[1]" in str(completion.choices[0].message.content)
    assert completion.model == "support"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0
    assert completion.parley["source"] == "knowledge"  # type: ignore[attr-defined]
    assert completion.parley["replies"][0]["citations"]  # type: ignore[attr-defined]


def test_what_the_generator_says_is_counted_as_it_read_it(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model="support",
        messages=[user("do you like poetry on rainy days?")],  # type: ignore[list-item]
    )

    assert completion.parley["source"] == "generated"  # type: ignore[attr-defined]
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 20  # persona and rules are in it


def test_a_stream_reads_as_the_whole(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="support",
        messages=[user("hello")],  # type: ignore[list-item]
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert text.strip()
    assert len(chunks) > 3
    assert reasons[-1] == "stop"
    assert set(reasons[:-1]) == {None}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_the_models_are_the_bots(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert "support" in names
    assert client.models.retrieve("support").owned_by == "parley"


def test_a_conversation_goes_on_by_its_name(client: openai.OpenAI) -> None:
    name = {"metadata": {"conversation_id": "order-1"}, "user": "jo"}

    asked = text_of(client, [user("where is my order?")], **name)
    told = text_of(client, [user("WB-204518")], **name)

    assert "WB-" in asked
    assert "WB-204518" in told


def test_a_conversation_goes_on_by_its_messages(client: openai.OpenAI) -> None:
    messages: Messages = [{"role": "system", "content": "Be brief."}]
    for said in ("where is my order?", "12", "WB-204518"):
        messages.append(user(said))
        messages.append({"role": "assistant", "content": text_of(client, messages)})

    assert "six digits" in messages[4]["content"]
    assert "WB-204518" in messages[6]["content"]


def test_another_keys_conversation_is_unknown(
    client: openai.OpenAI, connect: Connect, keys: Callable[..., Answer]
) -> None:
    name = {"metadata": {"conversation_id": "secret-1"}}
    text_of(client, [user("where is my order?")], **name)

    stranger = connect(keys("POST", name="a stranger").body["key"])

    assert "six digits" not in text_of(stranger, [user("12")], **name)
    assert "six digits" in text_of(client, [user("12")], **name)


def test_a_wrong_key_is_an_authentication_error(connect: Connect, key: str) -> None:
    for wrong in ("sk-wrong", key[:-1] + ("A" if key[-1] != "A" else "B")):
        with pytest.raises(openai.AuthenticationError) as refused:
            text_of(connect(wrong), [user("hello")])

        assert refused.value.code == "invalid_api_key"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-4", messages=[user("hello")])  # type: ignore[list-item]

    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_an_image_is_a_bad_request(client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}}

    with pytest.raises(openai.BadRequestError, match="image_url"):
        text_of(client, [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]}])


def test_a_key_opens_its_bots_only(connect: Connect, keys: Callable[..., Answer], client: openai.OpenAI) -> None:
    other = next(model.id for model in client.models.list() if model.id != "support")
    limited = connect(keys("POST", name="limited", bots=[other]).body["key"])

    assert [model.id for model in limited.models.list()] == [other]
    with pytest.raises(openai.PermissionDeniedError):
        text_of(limited, [user("hello")])


def test_a_key_is_rotated_without_a_gap_and_revoked_at_once(connect: Connect, keys: Callable[..., Answer]) -> None:
    made = keys("POST", name="a server").body
    old = connect(made["key"])
    old.models.list()

    new = connect(keys("POST", f"/{made['id']}/rotate").body["key"])
    assert [bool(each.models.list().data) for each in (old, new)] == [True, True]

    keys("POST", f"/{made['id']}/rotate", finish=True)
    with pytest.raises(openai.AuthenticationError):
        old.models.list()
    new.models.list()

    assert keys("DELETE", f"/{made['id']}").status == 204
    with pytest.raises(openai.AuthenticationError):
        new.models.list()
    assert made["id"] not in [each["id"] for each in keys("GET").body["keys"]]


def test_keys_are_for_operators(deployed_stack: Any, key: str) -> None:
    url = f"{deployed_stack.http}/v1/keys"

    assert ask(url).status == 403
    assert ask(url, method="POST", body={"name": "mine"}, Authorization=f"Bearer {key}").status == 403


def test_the_function_that_answers_cannot_make_a_key(deployed_stack: Any) -> None:
    outputs = deployed_stack.outputs["Parley-local-Chat"]
    iam, functions = deployed_stack.client("iam"), deployed_stack.client("lambda")
    role = functions.get_function(FunctionName=outputs["ChatFunction"])["Configuration"]["Role"].rpartition("/")[2]
    allowed = [
        statement["Action"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        for statement in iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
        if outputs["KeysTable"] in str(statement["Resource"])
    ]

    assert allowed == ["dynamodb:GetItem"]


@pytest.fixture(scope="module")
def streaming(deployed_stack: Any) -> Iterator[str]:
    """The function URL of `stream`."""
    name = deployed_stack.outputs["Parley-local-Chat"]["ChatFunction"]
    chat = deployed_stack.client("lambda").get_function(FunctionName=name)["Configuration"]
    with LoopbackLambda() as lambda_:
        environment = {
            **os.environ,
            **chat["Environment"]["Variables"],
            "POWERTOOLS_SERVICE_NAME": "stream",
            "AWS_LAMBDA_RUNTIME_API": lambda_.runtime_api,
            "AWS_LAMBDA_FUNCTION_NAME": "stream",
            "LAMBDA_TASK_ROOT": str(ROOT / "functions" / "stream"),
            "_HANDLER": "handler.handler",
            "AWS_ENDPOINT_URL": deployed_stack.aws_endpoint,
            "AWS_REGION": deployed_stack.region,
            "AWS_DEFAULT_REGION": deployed_stack.region,
            "AWS_ACCESS_KEY_ID": deployed_stack.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": deployed_stack.credentials.secret_access_key,
        }
        wrapper = ROOT / "layers" / "parley" / "bin" / "streaming-runtime"
        process = subprocess.Popen([wrapper, sys.executable, "the-managed-runtime"], env=environment)
        try:
            yield f"{lambda_.url}/v1"
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("by", ["chat", "stream"])
def test_the_client_for_node_gets_the_same(deployed_stack: Any, streaming: str, key: str, by: str) -> None:
    got = by_node(streaming if by == "stream" else f"{deployed_stack.http}/v1", key)

    assert "support" in got["models"]
    assert got["model"]["owned_by"] == "parley"
    assert got["completion"]["parley"]["source"] == "knowledge"
    assert "Sources:\n[1]" in got["completion"]["choices"][0]["message"]["content"]
    assert got["stream"]["text"] == got["whole"]
    for stream in (got["stream"], got["generated"]):
        assert stream["text"].strip()
        assert stream["chunks"] > 3
        assert [reason for reason in stream["reasons"] if reason] == ["stop"]
        assert stream["usage"]["total_tokens"] > 0
    assert "WB-" in got["asked"]
    assert "WB-204518" in got["told"]
    assert (got["stranger"]["kind"], got["stranger"]["code"]) == ("AuthenticationError", "invalid_api_key")
    assert (got["unknown"]["kind"], got["unknown"]["code"]) == ("NotFoundError", "model_not_found")
    assert got["empty"]["kind"] == "BadRequestError"


def test_the_function_that_streams_says_what_the_other_says(streaming: str, key: str, client: openai.OpenAI) -> None:
    messages: Any = [user("how long do I have to return something?")]
    with openai.OpenAI(base_url=streaming, api_key=key, max_retries=0, timeout=60) as live:
        stream = live.chat.completions.create(model="support", messages=messages, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert text == text_of(client, messages)
