"""Run the whole stack on this machine, until Ctrl-C.

    python scripts/run_local.py          (make run)

Builds what is not built, starts the local AWS and the generator, deploys to it with the unmodified CDK CLI, writes the
addresses to .parley/local.json, and at the end ends every process it started. The environment may name other ports:
PARLEY_PORT (the chat page and the HTTP API; 4566), PARLEY_GENERATOR_PORT (4567), PARLEY_SAGEMAKER_PORT (4568),
PARLEY_GRPC_PORT (4569; the generator as TensorFlow Serving's clients ask it), PARLEY_SLACK_PORT (4570; where the
functions look for something that stands in for Slack, which is not part of the stack), PARLEY_ISSUER_PORT (4571; where
they look for who signs people in, who is no part of it either).
"""

import json
import os
import time

from local_stack import PORT_VARIABLES, LocalStack, Ports
from steps import PARLEY, Stop, finish

ADDRESSES = PARLEY / "local.json"
_FIRST_PORT = 4566
_LOOK_SECONDS = 0.5


def main() -> None:
    """Keep the stack up until somebody ends it."""
    began = time.monotonic()
    with LocalStack("run", _ports()) as stack:
        try:
            _announce(stack, time.monotonic() - began)
            _keep(stack)
        except KeyboardInterrupt:
            print("\nEnding.")
        finally:
            ADDRESSES.unlink(missing_ok=True)


def _ports() -> Ports:
    numbers = []
    for offset, variable in enumerate(PORT_VARIABLES):
        value = os.environ.get(variable, str(_FIRST_PORT + offset))
        if not value.isdecimal() or not 0 < int(value) < 1 << 16:
            raise Stop(f"{variable} is {value!r}, which is no port.")
        numbers.append(int(value))
    return Ports(*numbers)


def _announce(stack: LocalStack, seconds: float) -> None:
    addresses = {name: getattr(stack, name) for name in ("http", "websocket", "generator", "grpc")}
    ADDRESSES.write_text(json.dumps(addresses, indent=2) + "\n")
    print(
        f"\nReady after {seconds:.0f} s.\n"
        f"  chat page   {stack.http}/\n"
        f"  HTTP API    {stack.http}/v1/chat\n"
        f"  WebSocket   {stack.websocket}\n"
        f"  generator   {stack.generator}/v1, and {stack.grpc} for TensorFlow Serving's clients\n"
        "Ctrl-C ends it.",
        flush=True,
    )


def _keep(stack: LocalStack) -> None:
    while True:
        for name in stack.dead():
            if name == "local AWS":
                raise Stop("The local AWS has ended, and the stack with it; its log is in .parley/logs.")
            print(
                f"The {name} has ended; the stack goes on, and the bot falls back where it would generate.", flush=True
            )
        time.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    finish(main)
