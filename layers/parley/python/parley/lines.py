"""The lines back to people who do not wait at the door."""

from dataclasses import dataclass

from parley.ports import Connections, LateQueue, Sockets


@dataclass(frozen=True, slots=True)
class Lines:
    """Who listens, how frames reach them, and the queue of those who agreed to wait."""

    connections: Connections
    sockets: Sockets
    late: LateQueue
