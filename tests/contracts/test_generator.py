"""The contract of `ports.Generator`: the fake, and SageMaker's adapter in front of a container that misbehaves."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from parley.adapters.memory import MemoryGenerator
from parley.adapters.sagemaker import SageMakerGenerator
from parley.errors import GenerationBusy, GenerationFailed, GenerationSlow
from parley.ports import Generator, Patience, Prompt

RUNTIME = Path(__file__).resolve().parents[2] / "models/generator/sagemaker_runtime.py"
ENDPOINT = "misbehaving"
BUDGET_SECONDS = 1.0
SILENCE_SECONDS = 3.5
SLACK_SECONDS = 2.0  # of a busy machine


class Container(BaseHTTPRequestHandler):
    """Does what the last message tells it to."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        getattr(self, "do_" + body["messages"][-1]["content"])()

    def do_answer(self) -> None:
        self._begin()
        self._send(*map(self._chunk, ("Grüß ", "Gott 😀")), self._chunk(None, "stop"), "[DONE]")

    def do_stall(self) -> None:
        self._begin()
        self._send(self._chunk("Half a"))
        time.sleep(SILENCE_SECONDS + 3)

    def do_dawdle(self) -> None:
        self._begin()
        for _ in range(40):
            self._send(self._chunk("word "))
            time.sleep(0.2)

    def do_ping(self) -> None:
        self._begin()
        for _ in range(40):
            self.wfile.write(b": ping\n\n")
            time.sleep(0.2)

    def do_break(self) -> None:
        self._begin()
        self._send(self._chunk("Half a"))
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_babble(self) -> None:
        self._begin()
        self.wfile.write(b"<html>I am a proxy</html>\n")

    def do_refuse(self) -> None:
        self.send_response(503)
        self.end_headers()

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def _send(self, *lines: str) -> None:
        for line in lines:
            self.wfile.write(f"data: {line}\n\n".encode())

    def _chunk(self, text: str | None, finish: str | None = None) -> str:
        delta = {} if text is None else {"content": text}
        return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}, ensure_ascii=False)


@pytest.fixture(scope="module")
def runtime() -> Iterator[str]:
    """SageMaker's runtime protocol in front of the container."""
    container = ThreadingHTTPServer(("127.0.0.1", 0), Container)
    threading.Thread(target=container.serve_forever, daemon=True).start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    behind = ["--container", f"http://127.0.0.1:{container.server_port}", "--endpoint-name", ENDPOINT]
    command = [sys.executable, str(RUNTIME), "--host", "127.0.0.1", "--port", str(port), *behind]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        _wait(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        container.shutdown()
        container.server_close()


def _wait(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the SageMaker front did not start within 30 s")


@pytest.fixture
def sagemaker(runtime: str, monkeypatch: pytest.MonkeyPatch) -> SageMakerGenerator:
    for name, value in {
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": runtime,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    return SageMakerGenerator(ENDPOINT, silence_seconds=SILENCE_SECONDS)


def generate(generator: Generator, message: str = "answer", budget_seconds: float = 30.0) -> str:
    patience = Patience(first_seconds=budget_seconds, whole_seconds=budget_seconds)
    return "".join(generator.stream(Prompt((("user", message),), 16, 0.5), patience=patience))


def test_the_pieces_make_up_the_completion(sagemaker: SageMakerGenerator) -> None:
    assert generate(sagemaker) == generate(MemoryGenerator("Grüß ", "Gott 😀")) == "Grüß Gott 😀"


@pytest.mark.parametrize("message", ["stall", "dawdle", "ping"])
def test_a_stream_that_takes_too_long_is_given_up_in_time(sagemaker: SageMakerGenerator, message: str) -> None:
    begun = time.monotonic()

    with pytest.raises(GenerationSlow):
        generate(sagemaker, message, BUDGET_SECONDS)

    assert time.monotonic() - begun < BUDGET_SECONDS + SILENCE_SECONDS + SLACK_SECONDS


def test_a_container_that_takes_no_more_requests_is_busy(sagemaker: SageMakerGenerator) -> None:
    with pytest.raises(GenerationBusy):
        generate(sagemaker, "refuse")


@pytest.mark.parametrize("message", ["break", "babble"])
def test_a_stream_that_breaks_is_a_failure(sagemaker: SageMakerGenerator, message: str) -> None:
    with pytest.raises(GenerationFailed):
        generate(sagemaker, message)


def test_an_endpoint_that_is_not_there_is_named(sagemaker: SageMakerGenerator) -> None:
    with pytest.raises(GenerationFailed, match="ValidationError"):
        generate(SageMakerGenerator("another", silence_seconds=SILENCE_SECONDS))


def test_a_runtime_that_cannot_be_reached_is_busy(
    sagemaker: SageMakerGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{port}")

    with pytest.raises(GenerationBusy):
        generate(SageMakerGenerator(ENDPOINT, silence_seconds=SILENCE_SECONDS))
