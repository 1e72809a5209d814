"""The lines back to people who do not wait at the door."""

from dataclasses import dataclass

from parley.ports import Connections, DeliveryQueue, LateQueue, Slack, Sockets


@dataclass(frozen=True, slots=True)
class Lines:
    """Who listens, how frames reach them, the queue of those who agreed to wait, the ways to Slack and callbacks."""

    connections: Connections
    sockets: Sockets
    late: LateQueue
    slack: Slack | None = None  # None: nobody talks to us there
    documents_at: str = ""  # the HTTP API, for links to what is cited, where it is known
    callbacks: DeliveryQueue | None = None  # to servers that wait for a reply; only the worker has it
