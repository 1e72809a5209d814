"""Talk to a bot in the terminal, in one process, with the in-memory adapters.

    python scripts/chat.py [BOT_DIR] [--encoder DIR]

The same turn function, models and generator as the deployed stack. After each reply a line
says where it came from. /restart begins again, /quit (or Ctrl-D) ends.
"""

import argparse
import io
import sys
import time
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER, ROOT, bundle_of
from parley.adapters.memory import MemoryConversations, MemoryReplies
from parley.bots.bundle import unpack
from parley.caching.recall import ReplyCache
from parley.conversation import Session, Turn
from parley.errors import ParleyError
from parley.loaded import LoadedBot, load
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Prompt
from parley.services import Services
from parley.turn import answer

if TYPE_CHECKING:
    from engine import Engine

GENERATOR = ROOT / "models/generator"
THREADS = 2
sys.path.insert(0, str(GENERATOR))  # the engine is the container's, not part of our package
DIM, BOLD, PLAIN = "\033[2m", "\033[1m", "\033[0m"


class LocalGenerator:
    """`ports.Generator` over the bundled model in this process; loaded when it first speaks."""

    model = "bundled"

    def stream(self, prompt: Prompt, *, budget_seconds: float) -> Iterator[str]:
        """See `ports.Generator.stream`."""
        from engine import Request

        deadline = time.monotonic() + budget_seconds
        for piece in self._engine.reply(Request(prompt.messages, prompt.max_tokens, prompt.temperature)):
            if time.monotonic() > deadline:
                return
            yield piece.text

    @cached_property
    def _engine(self) -> "Engine":
        from engine import Engine

        return Engine(GENERATOR / "artefact", threads=THREADS)


def talk(loaded: LoadedBot, services: Services, *, styled: bool) -> None:
    """Reads messages until the end of the input."""
    dim, bold, plain = (DIM, BOLD, PLAIN) if styled else ("", "", "")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(
            errors="replace"
        )  # what is not UTF-8 is asked as a question mark, which any model can read
    session = _begin(loaded, services)
    print(f"{bold}{loaded.bot.title}{plain}  {dim}/restart, /quit; try: {' · '.join(loaded.bot.suggestions)}{plain}")
    while (text := _read()) is not None:
        if text in ("/quit", "/exit"):
            return
        if text == "/restart":
            session = _begin(loaded, services)
            continue
        if not text:
            continue
        turn = Turn(uuid.uuid4().hex, session.conversation_id, loaded.bot.name, "terminal", text, time.time())
        answered = answer(turn, services)
        for message in answered.turn.reply.messages:
            print(message.text)
            for cited in message.citations:
                print(f"{dim}  [{cited.title}, {cited.section}: {cited.document}]{plain}")
            if message.buttons:
                print(f"{dim}  " + "  ".join(f"({button.title})" for button in message.buttons) + plain)
        understood, source = answered.turn.understanding, answered.turn.reply.source
        intent = f"{understood.intent or 'out of scope'} {understood.confidence:.2f}"
        print(f"{dim}  {source} · {intent} · {answered.because} · {answered.timings_ms['total']:.1f} ms{plain}")


def _begin(loaded: LoadedBot, services: Services) -> Session:
    session = Session(uuid.uuid4().hex, loaded.bot.name, "", time.time(), slots=loaded.bot.initial_slots())
    services.conversations.start(session)
    return session


def _read() -> str | None:
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bot", type=Path, nargs="?", default=ROOT / "models/bots/support", help="the bot's folder")
    parser.add_argument("--encoder", type=Path, default=ENCODER, help="the encoder's folder")
    options = parser.parse_args()
    try:
        encoder = OnnxEncoder(options.encoder)
        loaded = load(unpack(bundle_of(options.bot, encoder=options.encoder).read_bytes()), encoder)
        services = Services(
            bots=lambda _: loaded,
            encoder=encoder,
            conversations=MemoryConversations(time.time),
            cache=ReplyCache(MemoryReplies(time.time), lambda: b"terminal", ttl_seconds=3600, clock=time.time),
            generator=LocalGenerator(),
            clock=time.time,
        )
    except ParleyError as error:
        print(error, file=sys.stderr)
        return 1
    talk(loaded, services, styled=sys.stdout.isatty())
    return 0


if __name__ == "__main__":
    sys.exit(main())
