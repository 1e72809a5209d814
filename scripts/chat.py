"""Talk to a bot in the terminal, in one process, with the in-memory adapters.

    python scripts/chat.py [BOT_DIR] [--encoder DIR]

The same turn function, models and generator as the deployed stack. After each reply a line
says where it came from. /explain tells from then on why the bot did what it did, /slots shows
what it remembers and where it stands, /restart begins again, /quit (or Ctrl-D) ends; other
messages with a slash are intents, such as /greet or /order{"size": "xl"}.
"""

import argparse
import io
import json
import os
import sys
import time
import uuid
from collections.abc import Generator as Yields
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The scripts' folder is on the path, and compile_bot puts our package there: it must be imported before `parley`.
from compile_bot import ENCODER, ROOT, bundle_of
from parley.adapters.actions import RemoteActions
from parley.adapters.memory import (
    MemoryAnnouncements,
    MemoryConversations,
    MemoryMetrics,
    MemoryReplies,
    MemoryUploads,
    unmetered,
)
from parley.bots.bundle import unpack
from parley.caching.cache import reply_cache
from parley.channels.rendering import render_explanation
from parley.conversation import Session, Turn
from parley.errors import ParleyError, Unavailable
from parley.generation.counting import counter
from parley.loaded import LoadedBot, load
from parley.nlu.encoder import OnnxEncoder
from parley.ports import Patience, Prompt, Window
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

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        from engine import Request

        deadline = time.monotonic() + patience.whole_seconds
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
    session, explains = _begin(loaded, services), False
    commands = "/explain, /slots, /restart, /quit"
    tries = f"; try: {' · '.join(loaded.bot.suggestions)}" if loaded.bot.suggestions else ""
    print(f"{bold}{loaded.bot.title}{plain}  {dim}{commands}{tries}{plain}")
    while (text := _read()) is not None:
        if text in ("/quit", "/exit"):
            return
        if text == "/restart":
            session = _begin(loaded, services)
            continue
        if text == "/slots":
            _show_slots(services, session)
            continue
        if text == "/explain":
            explains = not explains
            print(f"{dim}  {'each reply is explained' if explains else 'no explanations any more'}{plain}")
            continue
        if not text:
            continue
        turn = Turn(uuid.uuid4().hex, session.conversation_id, loaded.bot.name, "terminal", text, time.time())
        answered = answer(turn, services)
        for message in answered.turn.reply.messages:
            print(message.text)
            shown = {"image": message.image, "attachment": message.attachment, "custom": message.custom}
            for kind, more in shown.items():
                if more:
                    print(f"{dim}  [{kind}: {more}]{plain}")
            for number, cited in enumerate(message.citations, 1):
                print(f"{dim}  [{number}] {cited.title}, {cited.section}: {cited.document}{plain}")
            if message.buttons:
                print(f"{dim}  " + "  ".join(f"({button.title})" for button in message.buttons) + plain)
        understood, source = answered.turn.understanding, answered.turn.reply.source
        intent = f"{understood.intent or 'out of scope'} {understood.confidence:.2f}"
        print(f"{dim}  {source} · {intent} · {answered.because} · {answered.timings_ms['total']:.1f} ms{plain}")
        if answered.is_handed_off:
            print(f"{dim}  a person has the conversation now, and there is none here: /restart begins again{plain}")
        if explains:
            told = render_explanation(
                answered.turn, before=answered.before, after=answered.after, timings_ms=answered.timings_ms
            )
            print("\n".join(f"{dim}  {line}{plain}" for line in _explained(told)))


def _explained(told: Mapping[str, Any]) -> Iterator[str]:
    """An explanation as lines."""
    understood = told["understanding"]
    ranking = ", ".join(f"{each['name']} {each['confidence']:.2f}" for each in understood["ranking"])
    yield f"understood  {ranking}; in scope {understood['in_scope']:.2f}"
    for entity in understood["entities"]:
        role = f" ({entity['role']})" if "role" in entity else ""
        yield f"entity      {entity['name']}{role} = {entity['value']!r}"
    for step in told["steps"]:
        yield f"{'rejected' if step['rejected'] else 'did':<11} {step['action']}  [{step['policy']}: {step['because']}]"
    for slot in told["slots"]:
        yield f"slot        {slot['name']}: {slot['before']!r} -> {slot['after']!r}"
    if told["form"]:
        yield f"form        {told['form']['name']} asks for {told['form']['requested_slot']}"
    for cited in told["knowledge"]:
        yield f"document    {cited['document']}: {cited['section']}"
    yield "took        " + ", ".join(f"{step} {spent:.1f} ms" for step, spent in told["timings_ms"].items())


def _show_slots(services: Services, session: Session) -> None:
    now = services.conversations.open(session.conversation_id).session
    if now is None or now.dialogue is None:
        print("  nothing has been said yet")
        return
    for name, value in sorted(now.slots.items()):
        print(f"  {name} = {value!r}")
    print(f"  form: {now.form.name if now.form else 'none'}; last action: {now.dialogue.now.action}")


def _secret(name: str) -> str:
    """A secret of custom actions, from the environment: `PARLEY_SECRET_WEATHER_KEY` for `weather-key`."""
    variable = f"PARLEY_SECRET_{name.upper().replace('-', '_')}"
    if variable not in os.environ:
        raise Unavailable(f"set {variable} to use the secret {name!r}")
    return os.environ[variable]


def _begin(loaded: LoadedBot, services: Services) -> Session:
    session = Session(uuid.uuid4().hex, loaded.bot.name, "", time.time())
    services.conversations.start(session)
    return session


def _read() -> str | None:
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


def _window() -> Window:
    """The bundled model's, by its own tokenizer."""
    artefact = GENERATOR / "artefact"
    model = json.loads((artefact / "genai_config.json").read_text(encoding="utf-8"))["model"]
    return Window(model["context_length"], counter(str(artefact / "tokenizer.json")))


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
            cache=reply_cache(
                MemoryReplies(time.time),
                lambda: b"terminal",
                encoder,
                MemoryMetrics(),
                clock=time.time,
                ttl_seconds=3600,
            ),
            generator=LocalGenerator(),
            window=_window(),
            composes=False,
            patience=Patience(first_seconds=5, whole_seconds=20),
            actions=RemoteActions(_secret),
            announcements=MemoryAnnouncements(),
            metering=unmetered(time.time),
            uploads=MemoryUploads(),
            clock=time.time,
        )
    except ParleyError as error:
        print(error, file=sys.stderr)
        return 1
    talk(loaded, services, styled=sys.stdout.isatty())
    return 0


if __name__ == "__main__":
    sys.exit(main())
