"""Live: a turn's frames to everybody who listens to its conversation, while the turn goes on.

Frames are numbered and kept until the turn ends, so that who reconnects gets what he
missed. Text is gathered for some milliseconds: thousands of streams do not mean
thousands of calls a second. All sending is done by a thread of its own, so the
generator is never held up by a connection, and nobody who leaves stops the turn.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from parley.channels import socket
from parley.conversation import Citation, Message, RecordedTurn, Turn
from parley.errors import Unavailable
from parley.ports import Connections, Listener, Listeners, Sockets

GATHER_SECONDS = 0.04  # 25 frames a second read as steady, and are fewer than most models' tokens
LOOK_SECONDS = 0.5  # how soon a new connection, or a cancellation, is noticed; one small read each time
LAST_TRIES = 3  # for a connection that could not be written to just before the end
FRAMES_PER_DELIVERY = 10_000  # a turn that is delivered again numbers on from here: more than any one sends

logger = logging.getLogger(__name__)


class Live:
    """`ports.Audience` of one turn: `with Live(...) as live:`, at the end `live.done(...)` or `live.failed(...)`."""

    takes_back = True

    def __init__(self, turn: Turn, connections: Connections, sockets: Sockets, *, delivery: int = 1) -> None:
        self._turn = turn
        self._connections = connections
        self._sockets = sockets
        self._first = (delivery - 1) * FRAMES_PER_DELIVERY + 1
        self._frames: list[str] = []  # the one with number n stands at n - self._first
        self._text: tuple[int, str] | None = None  # gathered, not yet a frame: from where on, and what
        self._listeners = Listeners()
        self._reached: dict[Listener, int] = {}  # the number of the last frame that each has
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._sender = threading.Thread(target=self._send_until_ended, name="live", daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self._sender.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._sender.join()

    @property
    def wants_no_more(self) -> bool:
        """See `ports.Audience.wants_no_more`."""
        return self._turn.id in self._listeners.cancelled

    def begin(self, before: Sequence[Message], *, must_cite: bool) -> None:
        """See `ports.Audience.begin`. Listeners see the rest of the reply when it is done."""

    def write(self, text: str, *, at: int) -> None:
        """See `ports.Audience.write`."""
        with self._lock:
            if self._text is not None and self._text[0] + len(self._text[1]) == at:
                self._text = (self._text[0], self._text[1] + text)
            else:
                self._gather()
                self._text = (at, text)

    def cite(self, citation: Citation) -> None:
        """See `ports.Audience.cite`."""
        self._add(lambda number: socket.citation(self._turn.id, number, citation))

    def done(self, recorded: RecordedTurn, **more: Any) -> None:
        """The reply is kept, and here it is whole."""
        self._add(lambda number: socket.done(self._turn.conversation_id, number, recorded, **more))

    def failed(self, problem: dict[str, Any]) -> None:
        """There will be no reply."""
        self._add(lambda number: socket.failed(self._turn.id, number, problem))

    def _add(self, frame: Callable[[int], str]) -> None:
        with self._lock:
            self._gather()
            self._frames.append(frame(self._next))

    @property
    def _next(self) -> int:
        return self._first + len(self._frames)

    def _gather(self) -> None:
        """Makes a frame of the text that waits for one. The lock is held."""
        if self._text is not None:
            at, text = self._text
            self._frames.append(socket.delta(self._turn.id, self._next, at=at, text=text))
            self._text = None

    def _send_until_ended(self) -> None:
        looked_at = time.monotonic()
        while not self._ended.wait(GATHER_SECONDS):
            if time.monotonic() - looked_at >= LOOK_SECONDS:
                self._look()
                looked_at = time.monotonic()
            self._send()
        self._look()  # who came while the turn was being saved gets its end from here, or finds it saved
        for _ in range(LAST_TRIES):
            if self._send():
                return
            time.sleep(LOOK_SECONDS)
        logger.warning("a connection could not be told the end of a turn", extra={"turn_id": self._turn.id})

    def _look(self) -> None:
        try:
            self._listeners = self._connections.listeners(self._turn.conversation_id)
        except Unavailable as error:
            logger.warning("who listens could not be read", extra={"turn_id": self._turn.id, "reason": str(error)})

    def _send(self) -> bool:
        """Sends to everybody what he does not have; False if somebody could not be reached just now."""
        with self._lock:
            self._gather()
            frames = tuple(self._frames)
        caught_up = [self._catch_up(listener, frames) for listener in self._listeners.listeners]  # all of them
        return all(caught_up)

    def _catch_up(self, listener: Listener, frames: tuple[str, ...]) -> bool:
        has = listener.after if listener.turn_id == self._turn.id else 0
        reached = self._reached.get(listener, max(has, self._first - 1))
        for frame in frames[reached - self._first + 1 :]:
            try:
                if not self._sockets.send(listener.connection_id, frame):
                    self._forget(listener)
                    return True
            except Unavailable:
                return False
            reached += 1
            self._reached[listener] = reached
        return True

    def _forget(self, listener: Listener) -> None:
        remaining = tuple(each for each in self._listeners.listeners if each != listener)
        self._listeners = Listeners(remaining, self._listeners.cancelled)
        try:
            self._connections.close(listener.connection_id)
        except Unavailable as error:
            logger.warning("a connection that is gone stays noted", extra={"reason": str(error)})


def tell(conversation_id: str, frame: str, connections: Connections, sockets: Sockets) -> None:
    """Sends one frame to everybody who listens to the conversation. Who cannot be reached reads it in the history."""
    try:
        for listener in connections.listeners(conversation_id).listeners:
            if not sockets.send(listener.connection_id, frame):
                connections.close(listener.connection_id)
    except Unavailable as error:
        logger.warning("a frame was not sent", extra={"conversation_id": conversation_id, "reason": str(error)})
