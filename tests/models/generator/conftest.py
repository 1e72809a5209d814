"""The generator's two servers, as they run on a laptop: the container and SageMaker's runtime API in front of it."""

from __future__ import annotations

import asyncio
import importlib
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import pytest
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

T = TypeVar("T")
GENERATOR = Path(__file__).parents[3] / "models" / "generator"
ENDPOINT = "parley-generator"
START_SECONDS = 30


@contextmanager
def modules(*names: str) -> Iterator[SimpleNamespace]:
    """The generator's modules, imported as its scripts import one another."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(GENERATOR))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == GENERATOR:
            sys.modules.pop(name)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns. It runs in a thread of its own: a browser that is open has a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with closing(HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            connection.request("GET", "/ping")
            connection.getresponse().read()
    except OSError:
        return False
    return True


@contextmanager
def server(script: str, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One of the generator's scripts, serving on a free loopback port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(GENERATOR / script), "--port", str(port), *options])
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(port):
            assert process.poll() is None, f"{script} ended at once"
            assert time.monotonic() < deadline, f"{script} does not answer"
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


@contextmanager
def runtime_in_front_of(container_port: int) -> Iterator[SageMakerRuntimeClient]:
    """boto3's own client, talking to the runtime API in front of the container."""
    container = f"http://127.0.0.1:{container_port}"
    with server("sagemaker_runtime.py", "--container", container, "--endpoint-name", ENDPOINT) as (_, port):
        client = runtime_client(port)
        yield client
        client.close()


def runtime_client(port: int) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        region_name="eu-central-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


@pytest.fixture(scope="session")
def container_port() -> Iterator[int]:
    with server("serve.py") as (_, port):
        yield port


@pytest.fixture(scope="session")
def runtime(container_port: int) -> Iterator[SageMakerRuntimeClient]:
    with runtime_in_front_of(container_port) as client:
        yield client
