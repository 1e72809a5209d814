"""Real servers, each in the environment that scripts/backends.py made for it, and the adapters in front of them.

They run only where nothing outside this machine can reach them or be reached: Ray listens on every interface.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import steps
from backends import ENVIRONMENTS
from parley.adapters.openai_compatible import OpenAICompatibleGenerator
from parley.adapters.ray_serve import ray_serve
from parley.adapters.string_prompts import Body
from parley.adapters.tensorflow_serving import TensorFlowServingGenerator
from parley.adapters.torchserve import torchserve
from parley.generation.transcript import Transcript
from parley.ports import Generator

SERVERS = Path(__file__).parent / "servers"
START_SECONDS = 300  # of Ray, several times, beside other work on two cores
KEY = "sk-of-the-test"

LLAMA_CPP, RAY_SERVE, TENSORFLOW_SERVING, TORCHSERVE = 8001, 8002, 8003, 8004  # ports, in a network of our own
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}  # nothing is sent, nor kept in the home folder

TORCHSERVE_SETTINGS = f"""
inference_address=http://127.0.0.1:{TORCHSERVE}
management_address=http://127.0.0.1:{TORCHSERVE + 100}
metrics_address=http://127.0.0.1:{TORCHSERVE + 200}
default_workers_per_model=1
job_queue_size=1
disable_system_metrics=true
vmargs=-Xmx256m
"""


@pytest.fixture(scope="session")
def openai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Generator]]:
    """llama.cpp's server; an adapter by the key that it shows."""
    folder = tmp_path_factory.mktemp("llama_cpp")
    with started("llama_cpp", folder, "llama_cpp_server.py", LLAMA_CPP, folder, KEY):
        yield lambda key: OpenAICompatibleGenerator(f"http://127.0.0.1:{LLAMA_CPP}/v1", "chain", lambda: key)


@pytest.fixture(scope="session")
def ray_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Ray Serve's apps write what they notice."""
    return tmp_path_factory.mktemp("ray")  # short, for Ray puts the names of sockets below it


@pytest.fixture(scope="session")
def ray(ray_folder: Path) -> Iterator[Callable[[str, Body], Generator]]:
    """Ray Serve; an adapter by the route of its app, and what that takes."""
    with started("ray_serve", ray_folder, "ray_serve_app.py", RAY_SERVE, ray_folder):
        yield lambda route, body: ray_serve(f"http://127.0.0.1:{RAY_SERVE}/{route}", "m", Transcript(), body, None)


@pytest.fixture(scope="session")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Generator]]:
    """The official stubs; an adapter by the name of its model."""
    folder = tmp_path_factory.mktemp("tensorflow_serving")
    with started("tensorflow_serving", folder, "tensorflow_serving_server.py", TENSORFLOW_SERVING):
        yield lambda model: TensorFlowServingGenerator(
            f"grpc://127.0.0.1:{TENSORFLOW_SERVING}",
            model,
            Transcript(),
            input_name="input_text",
            output_name="output_text",
        )


@pytest.fixture(scope="session")
def torch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Generator]]:
    """TorchServe, which makes up its keys; an adapter by the name of its model, what that takes, and the key."""
    folder = tmp_path_factory.mktemp("torchserve")
    (folder / "config.properties").write_text(TORCHSERVE_SETTINGS)
    for model in ("llm", "whole"):
        archive(folder, model)
    command = ["--start", "--foreground", "--ncs", "--ts-config", "config.properties", "--model-store", folder]
    models = ["--models", "llm=llm.mar", "whole=whole.mar"]
    with running("torchserve", folder, ["torchserve", *command, *models], lambda log: log.count("MODEL_LOADED") >= 2):
        inference_key = json.loads((folder / "key_file.json").read_text())["inference"]["key"]

        def adapter(model: str, body: Body = "prompt", key: str = inference_key) -> Generator:
            return torchserve(f"http://127.0.0.1:{TORCHSERVE}", model, Transcript(), body, lambda: key)

        yield adapter


def archive(folder: Path, model: str) -> None:
    """Makes a model archive of the scripted model."""
    archiver = ENVIRONMENTS / "torchserve" / "bin" / "torch-model-archiver"
    names = ["--model-name", model, "--version", "1.0", "--export-path", folder]
    files = ["--handler", SERVERS / "torchserve_handler.py", "--extra-files", SERVERS / "scripted.py"]
    subprocess.run([archiver, *names, *files], cwd=folder, check=True, capture_output=True)


@contextmanager
def started(name: str, folder: Path, script: str, *arguments: object) -> Iterator[None]:
    """A script of `servers`, which says `ready` when it is."""
    command = ["python", "-u", SERVERS / script, *arguments]
    with running(name, folder, command, lambda log: "\nready" in f"\n{log}"):
        yield


@contextmanager
def running(name: str, folder: Path, command: list[object], is_ready: Callable[[str], bool]) -> Iterator[None]:
    """A program of the environment `name`, from when its log says that it is ready until the end of the session."""
    assert {interface for _, interface in socket.if_nameindex()} == {"lo"}, "only `make test-backends` runs these"
    binaries = ENVIRONMENTS / name / "bin"
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(binaries / str(command[0])), *map(str, command[1:])],
            cwd=folder,
            env={**os.environ, "PATH": path, **QUIET, "LOG_LOCATION": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(log.read_text(errors="replace")):
            assert process.poll() is None, f"{name} ended while it started:\n{log.read_text(errors='replace')[-3000:]}"
            assert time.monotonic() < deadline, f"{name} did not start:\n{log.read_text(errors='replace')[-3000:]}"
            time.sleep(0.2)
        yield
    finally:
        steps.end(process)
