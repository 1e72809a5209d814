"""One AWS for the contract suite, as MiniStack serves it on loopback: the tables of the stack, and a bus."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest


@dataclass(frozen=True)
class Tables:
    """Names of tables that exist."""

    conversations: str
    replies: str
    connections: str
    keys: str
    usage: str
    workspaces: str
    tokens_key: str  # the ARN of a key in KMS
    subscriptions: str
    deliveries: str


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of a MiniStack of our own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test" + secrets.token_hex(8),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    log = (tmp_path_factory.mktemp("ministack") / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env={**os.environ, **environment, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        _wait(environment["AWS_ENDPOINT_URL"], server)
        yield environment
    finally:
        server.terminate()
        server.wait(20)
        log.close()


@dataclass(frozen=True)
class Bus:
    """A bus that exists, and a queue in which what it carries arrives."""

    name: str
    queue: str
    sqs: Any

    def heard(self) -> list[dict[str, Any]]:
        """The events that have arrived since it was last asked, one at least."""
        found: list[dict[str, Any]] = []
        while messages := self._next(wait_seconds=1 if found else 10):
            found += messages
        return found

    def _next(self, *, wait_seconds: int) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=wait_seconds, MaxNumberOfMessages=10)
        messages = answer.get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture(scope="session")
def tables(aws: dict[str, str]) -> Tables:
    """The tables as `infra/state_stack.py` declares them: the same keys."""
    client = _client("dynamodb", aws)
    _create(client, "conversations", {"by_user": ("user_id", "updated_at")}, pk="HASH", sk="RANGE")
    _create(client, "replies", {"by_bot": ("bot", "changed_at")}, pk="HASH")
    _create(client, "connections", pk="HASH", sk="RANGE")
    _create(client, "keys", {"by_kind": ("kind", "created_at")}, pk="HASH")
    _create(client, "usage", pk="HASH")
    _create(client, "workspaces", pk="HASH")
    tokens_key = _client("kms", aws).create_key()["KeyMetadata"]["Arn"]
    _create(client, "subscriptions", {"by_tenant": ("tenant", "created_at")}, pk="HASH")
    _create(client, "deliveries", pk="HASH", sk="RANGE")
    return Tables(
        "conversations",
        "replies",
        "connections",
        "keys",
        "usage",
        "workspaces",
        tokens_key,
        "subscriptions",
        "deliveries",
    )


@pytest.fixture(scope="session")
def bus(aws: dict[str, str]) -> Bus:
    """A bus, and a rule by which all that Parley announces reaches a queue."""
    events, sqs = _client("events", aws), _client("sqs", aws)
    events.create_event_bus(Name="announcements")
    queue = sqs.create_queue(QueueName="desk")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    events.put_rule(Name="all", EventBusName="announcements", EventPattern='{"source": ["parley"]}')
    target = {"Id": "desk", "Arn": asked["Attributes"]["QueueArn"]}
    events.put_targets(Rule="all", EventBusName="announcements", Targets=[target])
    return Bus("announcements", queue, sqs)


def _client(service: str, aws: dict[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=aws["AWS_DEFAULT_REGION"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )


def _create(client: Any, name: str, indexes: dict[str, tuple[str, str]] | None = None, **keys: str) -> None:
    kinds = dict.fromkeys(keys, "S")
    more: dict[str, Any] = {}
    if indexes:
        kinds |= {key: kind for both in indexes.values() for key, kind in zip(both, "SN", strict=True)}
        more["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": of, "KeyType": "HASH"}, {"AttributeName": by, "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (of, by) in indexes.items()
        ]
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in kinds.items()],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "MiniStack ended while it started"
        try:
            urllib.request.urlopen(url + "/_ministack/health", timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError("MiniStack did not start within a minute")
