"""One database for the contract suite: DynamoDB as MiniStack serves it, on loopback, with the tables of the stack."""

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


@pytest.fixture(scope="session")
def tables(aws: dict[str, str]) -> Tables:
    """The tables as `infra/state_stack.py` declares them: the same keys."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=aws["AWS_DEFAULT_REGION"],
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )
    _create(client, "conversations", pk="HASH", sk="RANGE")
    _create(client, "replies", pk="HASH")
    return Tables("conversations", "replies")


def _create(client: Any, name: str, **keys: str) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
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
