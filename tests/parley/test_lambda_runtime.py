"""Our runtime as Lambda starts it: the wrapper script, a process of its own, and the Runtime API on loopback."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from parley.adapters.lambda_runtime import Context
from tests.contracts.loopback_lambda import TRACE, WITHIN_SECONDS, LoopbackLambda
from tests.stack.node import by_node

ROOT = Path(__file__).resolve().parents[2]
STREAM = Path(__file__).with_name("streaming_function")
STARTS_WITHIN_SECONDS = 100  # on a machine that is busy with other tests
WRAPPER = ROOT / "layers" / "parley" / "bin" / "streaming-runtime"


@contextmanager
def process(lambda_: LoopbackLambda, folder: Path, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A function's process while it runs; `folder` has its handler."""
    environment = {
        **os.environ,
        **settings,
        "AWS_LAMBDA_RUNTIME_API": lambda_.runtime_api,
        "LAMBDA_TASK_ROOT": str(folder),
        "_HANDLER": "handler.handler",
    }
    # Lambda calls the wrapper with its Python and its own runtime.
    with log.open("wb") as out:
        running = subprocess.Popen(
            [WRAPPER, sys.executable, "bootstrap.py"], env=environment, stdout=out, stderr=out, cwd=folder
        )
        try:
            yield running
        finally:
            running.kill()
            running.wait()


def until(path: Path, running: subprocess.Popen[bytes]) -> None:
    """Waits for a file that a process writes when it is ready."""
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not path.exists():
        assert running.poll() is None, "the process has ended"
        assert time.monotonic() < deadline, "it is not ready"
        time.sleep(0.05)


@dataclass(frozen=True)
class Running:
    """The function `stream` in a process of its own."""

    lambda_: LoopbackLambda
    key: str
    speech: int  # the pipe that its generator reads
    log: Path

    def says(self, *lines: str) -> None:
        os.write(self.speech, "".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
def running(bundle: Path, tmp_path: Path) -> Iterator[Running]:
    speech, key, log = (tmp_path / name for name in ("speech", "key", "log"))
    os.mkfifo(speech)
    settings = {"BUNDLE": bundle, "SPEECH": speech, "KEY": key, "ENCODER_DIR": ROOT / "models" / "encoder"}
    told = {name: str(value) for name, value in settings.items()}
    with LoopbackLambda() as lambda_, process(lambda_, STREAM, log, **told) as started:
        until(key, started)
        pipe = os.open(speech, os.O_RDWR)  # who reads and writes it need not wait for the other side
        yield Running(lambda_, key.read_text(), pipe, log)
        os.close(pipe)


def test_a_reply_leaves_a_real_process_while_it_is_made(running: Running) -> None:
    running.says("Very", "well,")
    client = openai.OpenAI(base_url=f"{running.lambda_.url}/v1", api_key=running.key, max_retries=0)
    messages: Any = [{"role": "user", "content": "how are you today?"}]

    with client, client.chat.completions.create(model="support", messages=messages, stream=True) as stream:
        texts = (chunk.choices[0].delta.content for chunk in stream)
        assert [next(texts), next(texts)] == ["", "Very"]
        running.says("thank you.")
        assert next(texts) == " well, thank"
        assert not running.lambda_.last.is_over.is_set()
        running.says("")
        assert "".join(filter(None, texts)) == " you."

    running.lambda_.last.is_over.wait(WITHIN_SECONDS)
    lines = [json.loads(line) for line in running.log.read_text().splitlines() if line.startswith("{")]
    (answered,) = (line for line in lines if line["message"] == "turn answered")
    assert answered["function_request_id"] == running.lambda_.last.id
    assert answered["xray_trace_id"] == TRACE.split(";")[0].removeprefix("Root=")
    assert "how are you" not in running.log.read_text()


def test_the_client_for_node_reads_the_same(running: Running) -> None:
    running.says("I like poems.", "When it rains I read.", "")

    got = by_node(f"{running.lambda_.url}/v1", running.key)

    assert got["generated"]["text"] == "I like poems. When it rains I read."
    assert got["stream"]["text"] == got["whole"]
    assert got["stream"]["reasons"][-1] == "stop"
    assert "WB-204518" in got["told"]
    assert (got["stranger"]["kind"], got["unknown"]["kind"]) == ("AuthenticationError", "NotFoundError")


def test_lambda_is_told_why_a_function_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("raise ZeroDivisionError('of which the log tells')\n")

    with LoopbackLambda() as lambda_, process(lambda_, tmp_path, tmp_path / "log") as running:
        assert running.wait(STARTS_WITHIN_SECONDS) != 0

    assert [error["type"] for error in lambda_.init_errors] == ["ZeroDivisionError"]
    assert "of which the log tells" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("left", "told"), [(5_000, 5_000), (-5_000, 0)])
def test_a_handler_is_told_how_long_it_may_still_run(left: int, told: int) -> None:
    context = Context("r", "arn", int(time.time() * 1000) + left, "stream", "1", "1024")

    assert told - 1_000 <= context.get_remaining_time_in_millis() <= told
