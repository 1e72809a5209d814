"""The chat page and the doors behind it in this process: real functions and doors, over memory, HTTP and a WebSocket.

What the deployed stack cannot be asked for is asked for here: a generator that speaks when it is told to, connections
that break, a WebSocket API that is not there or says nothing. In place of API Gateway, SQS and Lambda stand threads.
"""

import importlib.util
import json
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from collections.abc import Generator as Yields
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from build import node_environment
from parley.adapters.memory import MemoryConnections, MemoryDocuments, MemoryLibraries, memory_callers
from parley.conversation import Turn
from parley.errors import ParleyError, Unavailable
from parley.http_api import HttpApi
from parley.http_door import HttpDoor
from parley.knowledge_door import KnowledgeDoor
from parley.lines import Lines
from parley.ports import LateTurn, Patience, Prompt
from parley.queue_door import MAX_DELIVERIES, QueueDoor
from parley.rasa_door import RasaDoor
from parley.services import Services
from parley.socket_door import SocketDoor
from tests import gateway

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
OPERATOR_KEY = "operator"
HURRY = 20  # a second of waiting for a late answer takes a twentieth


class Speaker:
    """`ports.Generator` that says what a test tells it to, when the test tells it."""

    model = "speaker"

    def __init__(self) -> None:
        self.away: ParleyError | None = None
        self.asked = 0
        self.was_stopped = threading.Event()
        self._pieces: queue.Queue[str | None] = queue.Queue()

    def say(self, *pieces: str) -> None:
        for piece in pieces:
            self._pieces.put(piece)

    def finish(self) -> None:
        self._pieces.put(None)

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        self.asked += 1
        if self.away is not None:
            raise self.away
        try:
            while (piece := self._pieces.get(timeout=patience.whole_seconds)) is not None:
                yield piece
        except GeneratorExit:
            self.was_stopped.set()
            raise


class OpenSockets:
    """`ports.Sockets` over the connections that are open here."""

    def __init__(self) -> None:
        self.open: dict[str, ServerConnection] = {}
        self.is_mute = False

    def send(self, connection_id: str, frame: str) -> bool:
        """See `ports.Sockets.send`."""
        if (connection := self.open.get(connection_id)) is None:
            return False
        if not self.is_mute:
            try:
                connection.send(frame)
            except (ConnectionClosed, OSError):
                return False
        return True


class Workers:
    """`ports.TurnQueue` and, as `later`, `ports.LateQueue`: a thread for each turn."""

    def __init__(self) -> None:
        self.work: Callable[[SQSRecord], None]
        self.is_away = False
        self.taken: list[Turn] = []

    def send(self, turn: Turn) -> None:
        """See `ports.TurnQueue.send`."""
        if self.is_away:
            raise Unavailable("the queue did not take the turn")
        self.taken.append(turn)
        threading.Thread(target=self._try, args=(turn,), daemon=True).start()

    def send_late(self, late: LateTurn, *, delay_seconds: float) -> None:
        timer = threading.Timer(delay_seconds / HURRY, self._try, args=(late,))
        timer.daemon = True
        timer.start()

    def _try(self, errand: Turn | LateTurn) -> None:
        for delivery in range(1, MAX_DELIVERIES + 1):
            try:
                self.work(_record(errand, delivery))
            except Exception:  # noqa: BLE001  # as SQS does, whatever it is
                continue
            return


class Later:
    """`ports.LateQueue`."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def send(self, late: LateTurn, *, delay_seconds: int) -> None:
        """See `ports.LateQueue.send`."""
        self._workers.send_late(late, delay_seconds=delay_seconds)


class Doors:
    """All of it while it runs: `with Doors(services, page) as doors:`."""

    def __init__(self, services: Services, page: Path) -> None:
        assert isinstance(services.generator, Speaker)
        self.services = services
        self.generator = services.generator
        self.sockets = OpenSockets()
        self.workers = Workers()
        self.connections = MemoryConnections(time.time)
        self.is_open = True  # to new connections
        self.is_slow = False  # with them, as a cold function is
        self.said: list[dict[str, Any]] = []  # frames of clients, in their order
        self.opened = 0  # connections, so far
        self._websocket = serve(self._talk, HOST, 0, process_request=self._let_in)
        self.socket_address = f"ws://{HOST}:{self._websocket.socket.getsockname()[1]}/live"
        self._http = ThreadingHTTPServer((HOST, 0), _handler(self._answer))
        self.http = f"http://{HOST}:{self._http.server_port}"
        lines = Lines(self.connections, self.sockets, Later(self.workers))
        self.workers.work = QueueDoor(services, lines)
        access = {"support": services.bots("support").bot.access}
        callers = replace(
            memory_callers(operator_key=OPERATOR_KEY.encode()), access=access, own_address=f"{self.http}/"
        )
        self._socket_door = SocketDoor(
            services.conversations, lines, self.workers, callers, "support", time.time, explains=True
        )
        http_door = HttpDoor(services, self.workers, lines, callers, "support", "local", True, self.socket_address)
        self._api = HttpApi(
            http_door,
            RasaDoor(services, callers, "support"),
            KnowledgeDoor(services.bots, MemoryDocuments(), MemoryLibraries(), callers),
        )
        self._web = _web_function(page, self.socket_address)
        self._one_at_a_time = threading.Lock()  # as a Lambda function is asked, and as Powertools' resolver must be
        self.asked: list[str] = []  # HTTP requests, as `GET /v1/health`

    def __enter__(self) -> "Doors":
        for server in (self._websocket, self._http):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failed: object) -> None:
        self.generator.finish()
        self.is_slow = False
        self.cut()
        self._websocket.shutdown()
        self._http.shutdown()
        self._http.server_close()

    def cut(self) -> None:
        """Ends every connection without a word, as a tunnel does."""
        for connection in list(self.sockets.open.values()):
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def actions(self) -> list[str]:
        """What clients have asked for over the WebSocket, in order."""
        return [frame["action"] for frame in self.said]

    def _let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        while self.is_slow:
            time.sleep(0.05)
        if not self.is_open:
            return connection.respond(503, "not now")
        connecting = {**_socket_event(connection.id.hex, "CONNECT"), "headers": dict(request.headers.raw_items())}
        status = self._socket_door(connecting, None)["statusCode"]
        return None if status == HTTPStatus.OK else connection.respond(status, "")

    def _talk(self, connection: ServerConnection) -> None:
        connection_id = connection.id.hex
        self.opened += 1
        self.sockets.open[connection_id] = connection
        try:
            for message in connection:
                self.said.append(json.loads(message))
                self._socket_door(_socket_event(connection_id, "MESSAGE", str(message)), None)
        except (ConnectionClosed, OSError):
            pass  # it was cut
        finally:
            del self.sockets.open[connection_id]
            self._socket_door(_socket_event(connection_id, "DISCONNECT"), None)

    def _answer(self, event: dict[str, Any]) -> dict[str, Any]:
        path = event["rawPath"]
        self.asked.append(f"{event['requestContext']['http']['method']} {path}")
        if path in ("/", "/widget", "/widget.js"):
            return self._web.handler(event, None)
        if path.startswith("/assets/"):
            return self._web.handler({**event, "pathParameters": {"proxy": path.removeprefix("/assets/")}}, None)
        with self._one_at_a_time:
            return self._api(event, None)


def build_page(folder: Path) -> Path:
    """The built page, in `folder`, beside its function."""
    program = ROOT / "functions" / "web" / "page" / "build.js"
    built = subprocess.run(
        ["node", program, folder / "static"], env=node_environment(), cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    shutil.copy(ROOT / "functions" / "web" / "handler.py", folder)
    return folder


def _web_function(page: Path, socket_address: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_handler", page / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SOCKET_ADDRESS", socket_address)
        spec.loader.exec_module(module)
    return module


def _handler(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    """HTTP as API Gateway carries it: each request an event, each answer a dictionary."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def do_DELETE(self) -> None:
            self._do()

        def do_OPTIONS(self) -> None:
            self._do()

        def _do(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name != "Accept-Encoding"}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told = answer(gateway.event(self.command, self.path, headers, body))
            content = gateway.content(told)
            self.send_response(told["statusCode"])
            for name, value in told.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _socket_event(connection_id: str, kind: str, body: str | None = None) -> dict[str, Any]:
    return {"requestContext": {"connectionId": connection_id, "eventType": kind}, "body": body}


def _record(errand: Turn | LateTurn, delivery: int) -> SQSRecord:
    return SQSRecord(
        {
            "messageId": "m",
            "body": msgspec.json.encode(errand).decode(),
            "attributes": {"ApproximateReceiveCount": str(delivery)},
        }
    )
