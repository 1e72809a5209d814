"""Apps of Ray Serve around the scripted model: `/llm` streams, `/whole` answers in JSON, `/narrow` has one place.

    python ray_serve_app.py PORT FOLDER

Writes the file `cancelled` into the folder when a client left a stream.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import ray
import scripted
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

FOLDER = Path(sys.argv[2])
TRIES = 4


@serve.deployment(max_ongoing_requests=8)
class Llm:
    """Streams plain text."""

    async def __call__(self, request: Request) -> Response:
        prompt = (await request.json())["prompt"]
        return StreamingResponse(self._said(prompt), media_type="text/plain")

    async def _said(self, prompt: str) -> AsyncIterator[str]:
        said = scripted.pieces(prompt)
        try:
            while (piece := await asyncio.to_thread(next, said, None)) is not None:
                yield piece
        except (asyncio.CancelledError, GeneratorExit):
            (FOLDER / "cancelled").touch()
            raise


@serve.deployment
class Whole:
    """Answers when all is said."""

    async def __call__(self, request: Request) -> Response:
        prompt = (await request.body()).decode()
        return JSONResponse({"text": "".join(await asyncio.to_thread(list, scripted.pieces(prompt)))})


@serve.deployment(max_ongoing_requests=1, max_queued_requests=1)
class Narrow(Whole.func_or_class):
    """Has one place, and room for one who waits."""


def start_ray() -> None:
    """One node, with no more than Serve needs: a node waits 15 s for its agents, each of which is a Python of its own.

    Where others keep the cores busy that fails, so it is tried again.
    """
    without = ["--include-dashboard=false", "--include-log-monitor=false", "--no-monitor"]
    room = ["--num-cpus=2", "--object-store-memory=100000000", f"--temp-dir={FOLDER}"]
    start = ["ray", "start", "--head", "--node-ip-address=127.0.0.1", *without, *room]
    for _ in range(TRIES):
        if subprocess.run(start, check=False).returncode == 0:
            ray.init(address="auto", log_to_driver=False)
            return
        subprocess.run(["ray", "stop", "--force", "--grace-period=1"], check=False)
    sys.exit("Ray did not start.")


if __name__ == "__main__":
    start_ray()
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, proxy_location="HeadOnly")
    for deployment, route in ((Llm, "/llm"), (Whole, "/whole"), (Narrow, "/narrow")):
        serve.run(deployment.options(ray_actor_options={"num_cpus": 0}).bind(), name=route[1:], route_prefix=route)
    print("ready", flush=True)
    signal.pause()
