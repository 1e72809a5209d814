"""The function `stream` in memory. What its generator says, a test writes into a pipe, up to an empty line."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from parley.access import OWN_TENANT, Access
from parley.adapters.memory import (
    MemoryActions,
    MemoryAnnouncements,
    MemoryConversations,
    MemoryKeys,
    MemoryMetrics,
    MemoryReplies,
    MemoryUploads,
    unmetered,
)
from parley.bots.bundle import unpack
from parley.caching.cache import reply_cache
from parley.callers import Callers
from parley.channels import api_key
from parley.generation.counting import by_bytes
from parley.loaded import load
from parley.logs import log_as_json
from parley.nlu.encoder import OnnxEncoder
from parley.openai_door import OpenAiDoor
from parley.ports import Patience, Prompt, Window
from parley.services import Services
from parley.stream_api import StreamApi

log_as_json("stream")


class Piped:
    """`ports.Generator` that reads what it says."""

    model = "piped"

    def stream(self, prompt: Prompt, *, patience: Patience) -> Iterator[str]:
        with Path(os.environ["SPEECH"]).open() as pipe:
            for line in iter(pipe.readline, "\n"):
                yield line.replace("\n", " ")


encoder = OnnxEncoder(Path(os.environ["ENCODER_DIR"]))
support = load(unpack(Path(os.environ["BUNDLE"]).read_bytes()), encoder)
services = Services(
    bots=lambda _: support,
    encoder=encoder,
    conversations=MemoryConversations(time.time),
    cache=reply_cache(
        MemoryReplies(time.time), lambda: b"secret", encoder, MemoryMetrics(), clock=time.time, ttl_seconds=60
    ),
    generator=Piped(),
    window=Window(4096, by_bytes),
    composes=False,
    patience=Patience(first_seconds=20, whole_seconds=45),
    actions=MemoryActions(),
    announcements=MemoryAnnouncements(),
    metering=unmetered(time.time),
    uploads=MemoryUploads(),
    clock=time.time,
)
keys = MemoryKeys()
key, shown = api_key.new_key("a server", ["chat"], [], tenant=OWN_TENANT, now=0.0, expires_at=None)
keys.save(key)
Path(os.environ["KEY"]).write_text(shown)
handler = StreamApi(OpenAiDoor(services, Callers({"support": Access()}, time.time, keys=keys)))
