"""The support bot as it ships, compiled once; the services of a turn in memory; and the stack, deployed once.

A test that cannot run says why, and where CI=true it fails: nothing is skipped unseen.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from collections.abc import Generator as Yields
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from compile_bot import bundle_of
from local_stack import LocalStack, free_ports
from parley.adapters.memory import (
    MemoryActions,
    MemoryAnnouncements,
    MemoryConversations,
    MemoryGenerator,
    MemoryMetrics,
    MemoryReplies,
    MemoryUploads,
    unmetered,
)
from parley.bots.bundle import unpack
from parley.caching.cache import reply_cache
from parley.errors import NotFound
from parley.generation.counting import by_bytes
from parley.loaded import LoadedBot, load
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Actions, Announcements, Conversations, Generator, Patience, Window
from parley.services import Services
from tests.contracts.subscriber import SubscriberServer

IN_CI = os.environ.get("CI") == "true"
ROOT = Path(__file__).resolve().parents[1]
# What builds and deploys, and what asks what was deployed.
DEPLOYED = (
    *("tests/stack/", "tests/infra/test_layers.py", "tests/scripts/test_local_stack.py"),
    *(f"tests/browser/test_{name}.py" for name in ("chat_page", "handoff", "live_stack", "why", "widget_stack")),
)


@pytest.fixture(scope="session")
def encoder() -> OnnxEncoder:
    """The encoder that ships."""
    return OnnxEncoder(ROOT / "models/encoder")


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The support bot's bundle, which the deployed stack has too."""
    return bundle_of(ROOT / "models/bots/support")


@pytest.fixture(scope="session")
def support(bundle: Path, encoder: OnnxEncoder) -> LoadedBot:
    """The support bot, ready to talk."""
    return load(unpack(bundle.read_bytes()), encoder)


@pytest.fixture
def make_services(encoder: OnnxEncoder, support: LoadedBot) -> Callable[..., Services]:
    """Builds the services of a turn, all in memory but the models."""

    def build(
        generator: Generator | None = None,
        conversations: Conversations | None = None,
        clock: Callable[[], float] = time.time,
        actions: Actions | None = None,
        announcements: Announcements | None = None,
    ) -> Services:
        def bots(name: str) -> LoadedBot:
            if name != "support":
                raise NotFound(f"there is no bot {name!r} here")
            return support

        return Services(
            bots=bots,
            encoder=encoder,
            conversations=conversations or MemoryConversations(clock),
            cache=reply_cache(
                MemoryReplies(clock),
                lambda: b"secret",
                encoder,
                MemoryMetrics(),
                clock=clock,
                ttl_seconds=3600,
                share_compared=0.0,
                spawn=lambda work: work(),
            ),
            generator=generator or MemoryGenerator("Very well, ", "thank you. And"),
            window=Window(4096, by_bytes),
            composes=False,
            patience=Patience(first_seconds=5, whole_seconds=20),
            actions=actions or MemoryActions(),
            announcements=announcements or MemoryAnnouncements(),
            metering=unmetered(clock),
            uploads=MemoryUploads(),
            clock=clock,
        )

    return build


@pytest.fixture(scope="session")
def desk_server() -> Iterator[SubscriberServer]:
    """Where the replies of the bot `desk` are posted to."""
    with SubscriberServer() as server:
        yield server


@pytest.fixture(scope="session")
def deployed_stack(desk_server: SubscriberServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """What `make run` runs, on ports of its own: the local AWS, the generator, and the stack that CDK deployed.

    Beside the example bots it has the bot `desk`, whose callback is at a port that nobody knows before.
    """
    folder = tmp_path_factory.mktemp("bots")
    desk = Path(shutil.copytree(ROOT / "tests/stack/desk", folder / "desk"))
    said = (desk / "bot.yml").read_text()
    (desk / "bot.yml").write_text(said.replace("http://127.0.0.1:0", desk_server.url))
    with LocalStack("test", free_ports(), more_bots=[bundle_of(desk, out=folder)]) as stack:
        yield stack


class _Together(LoadScopeScheduling):
    """Keeps in one process what belongs together: all that builds or deploys, and each other file."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return "deployed" if file.startswith(DEPLOYED) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share the tests out among processes."""
    return _Together(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Yields[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test a failed one in CI."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report
