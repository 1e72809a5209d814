"""The local stack as processes: where they listen, and that they end, whatever happens."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

import local_stack
from local_stack import HOST, PORT_VARIABLES, LocalStack, free_ports
from steps import Stop


def listening() -> dict[int, set[str]]:
    """Every process that listens on TCP, and on which addresses; Linux only."""
    if shutil.which("ss") is None:
        pytest.skip("no `ss` here; on Debian: apt-get install iproute2")
    lines = subprocess.run(["ss", "-tlnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[int, set[str]] = {}
    for line in lines:
        address = line.split()[3].rpartition(":")[0]
        for part in line.split("pid=")[1:]:
            found.setdefault(int(part.partition(",")[0]), set()).add(address)
    return found


def group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def test_nothing_of_the_stack_listens_beyond_this_machine(deployed_stack: Any) -> None:
    groups = set(deployed_stack.process_groups)

    addresses = {address for pid, where in listening().items() if group_of(pid) in groups for address in where}

    mapped = f"[::ffff:{HOST}]"  # the same address, as gRPC's sockets have it
    assert addresses - {mapped} == {HOST}


def test_a_build_that_fails_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def fail(_: str) -> None:
        begun.extend(stack.process_groups)
        raise Stop("the build failed")

    monkeypatch.setattr(local_stack, "build", fail)
    stack = LocalStack("test-fails", free_ports())

    with pytest.raises(Stop, match="the build failed"), stack:
        pass

    assert len(begun) == 2  # the local AWS and the generator
    assert not [group for group in begun if exists(group)]


def test_asked_to_end_while_it_starts_it_leaves_no_server_behind() -> None:
    ports = free_ports()
    environment = os.environ | dict(zip(PORT_VARIABLES, map(str, astuple(ports)), strict=True))
    program = Path(__file__).parents[2] / "scripts" / "run_local.py"
    run = subprocess.Popen([sys.executable, program], env=environment, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline().startswith("page")

    run.terminate()
    run.stdout.close()

    assert run.wait(30) == 130
    assert not [port for port in astuple(ports) if answers(port)]


def test_a_taken_port_is_told_in_one_sentence() -> None:
    free = free_ports()
    with socket.create_server((HOST, 0)) as taken:
        number = taken.getsockname()[1]

        with (
            pytest.raises(Stop, match=rf"^Port {number} is taken; [^\n]*$"),
            LocalStack("test-taken", replace(free, http=number)),
        ):
            pass
