"""In the deployed stack: a document that is put in is found without a deployment, and is gone when it is deleted."""

import json
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.stack.person import Person

WITHIN_SECONDS = 90  # 30 s of which are promised; the rest is a cold function of the emulator on a busy machine


@pytest.fixture
def operator(deployed_stack: Any) -> str:
    secret = deployed_stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
    return str(deployed_stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])


def call(stack: Any, method: str, path: str, operator: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"Bearer {operator}", "Content-Type": "application/octet-stream"}
    request = Request(f"{stack.http}/v1/knowledge/{path}", body, headers, method=method)
    with urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(1)


def status_of(stack: Any, operator: str, name: str) -> str | None:
    listed = call(stack, "GET", "support", operator)["documents"]
    return next((each["status"] for each in listed if each["name"] == name), None)


def answered(stack: Any, question: str) -> str:
    return str(Person(stack.http).say(question, bot="support").body["replies"][0]["text"])


def test_a_document_that_is_put_in_is_found_and_is_gone_when_it_is_deleted(deployed_stack: Any, operator: str) -> None:
    name = f"hedgehogs-{uuid.uuid4().hex[:6]}.md"
    text = b"# Hedgehog houses\n\nOur hedgehog houses are made of larch and have room for a family of seven hedgehogs."
    question = f"How many hedgehogs have room in your hedgehog house? ({uuid.uuid4().hex[:4]})"

    assert "seven hedgehogs" not in answered(deployed_stack, question)
    call(deployed_stack, "PUT", f"support/{name}", operator, text)

    until(lambda: status_of(deployed_stack, operator, name) == "ready")
    until(lambda: "seven hedgehogs" in answered(deployed_stack, question))

    call(deployed_stack, "DELETE", f"support/{name}", operator)
    until(lambda: status_of(deployed_stack, operator, name) is None)
    until(lambda: "seven hedgehogs" not in answered(deployed_stack, question))


def test_a_document_that_is_copied_into_the_bucket_is_found_too(deployed_stack: Any, operator: str) -> None:
    name = f"broken-{uuid.uuid4().hex[:6]}.pdf"
    bucket = deployed_stack.outputs["Parley-local-Knowledge"]["DocumentsBucket"]
    s3 = deployed_stack.client("s3")

    s3.put_object(Bucket=bucket, Key=f"documents/support/{name}", Body=b"no pdf at all")

    until(lambda: status_of(deployed_stack, operator, name) == "failed")
    s3.delete_object(Bucket=bucket, Key=f"documents/support/{name}")
    until(lambda: status_of(deployed_stack, operator, name) is None)
