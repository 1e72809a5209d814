"""The Dockerfile, followed as far as it goes without Docker: what it copies, starts, by the command it names."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.models.generator.conftest import GENERATOR, START_SECONDS, answers, free_port

PROGRAM = "/opt/program"
ROOT = GENERATOR.parents[1]
DISTRIBUTIONS = {"google": "protobuf", "grpc": "grpcio"}  # those that are called otherwise than their package


def instructions(word: str) -> list[str]:
    lines = (GENERATOR / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    return [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What COPY puts into the image, and nothing else."""
    program = tmp_path_factory.mktemp("image")
    for copy in instructions("COPY"):
        *sources, target = shlex.split(copy)
        place = program / target.removeprefix(PROGRAM).strip("/")
        for name in sources:
            source = GENERATOR / name
            if source.is_dir():
                shutil.copytree(source, place)
            else:
                shutil.copy(source, place)
    return program


def requirements() -> dict[str, str]:
    lines = (GENERATOR / "requirements.in").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_container_starts_as_sagemaker_starts_it(image: Path) -> None:
    (entry,) = instructions("ENTRYPOINT")
    command = [word.replace(PROGRAM, str(image)) for word in json.loads(entry)]
    assert command[0] == "python"
    assert command[command.index("--host") + 1] == "0.0.0.0"
    assert command[command.index("--port") + 1] == "8080"
    port, grpc_port = free_port(), free_port()
    here = ["--host", "127.0.0.1", "--port", str(port), "--grpc-port", str(grpc_port)]

    with subprocess.Popen([sys.executable, *command[1:], *here, "serve"], cwd="/") as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(port):
                assert process.poll() is None, "the container ended at once"
                assert time.monotonic() < deadline, "the container does not answer"
                time.sleep(0.05)
        finally:
            process.kill()


def test_its_packages_are_those_that_parley_is_tested_with() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    assert requirements() == {name: locked[name] for name in requirements()}


def test_whatever_its_modules_import_is_in_the_image(image: Path) -> None:
    imported = {
        name.partition(".")[0]
        for module in image.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    own = {module.stem for module in image.glob("*.py")}
    foreign = imported - own - sys.stdlib_module_names

    assert {DISTRIBUTIONS.get(name, name) for name in foreign} == set(requirements())
