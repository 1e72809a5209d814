"""Compile a bot's folder into a bundle.

    python scripts/compile_bot.py models/bots/support --out .parley/bundles

Reads the Rasa files, bot.yml and documents, learns rules and stories, trains the intent head,
and writes one file NAME-VERSION.zip; its path is the only thing on standard output. Faults in
the files are listed with file and line, all of them at once, and nothing is written; what is
taken although nothing acts on it, or it is probably not meant, is named. A bot that has not
changed since is not compiled again.
"""

import argparse
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "layers/parley/python"
ENCODER = ROOT / "models/encoder"
ENCODER_FILES = ("model.onnx", "tokenizer.json", "config.json")
BUNDLES = ROOT / ".parley/bundles"
sys.path.insert(0, str(PACKAGE))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # on small matrices a second thread only spins


def bundle_of(bot: Path, *, out: Path = BUNDLES, encoder: Path = ENCODER) -> Path:
    """The bundle of the bot in `bot`, compiled if anything that it is made from has changed.

    Raises:
        parley.errors.ParleyError: the files do not make a bot.
    """
    stamp = out / f"{bot.resolve().name}-{_fingerprint(bot, encoder)}.made"
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{bot.resolve().name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds it made
        if stamp.is_file() and (made := out / stamp.read_text()).is_file():
            return made
        path = _compile(bot, out, encoder)
        stamp.write_text(path.name)
        return path


def _fingerprint(bot: Path, encoder: Path) -> str:
    files = [(bot, path) for path in sorted(bot.rglob("*")) if "tests" not in path.relative_to(bot).parts]
    files += [(PACKAGE, path) for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".txt")]
    files += [(encoder, encoder / name) for name in ENCODER_FILES]
    digest = hashlib.sha256()
    for root, path in files:
        if path.is_file():
            digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _compile(bot: Path, out: Path, encoder: Path) -> Path:
    from parley.compile import compile_bot
    from parley.nlu.encoder import OnnxEncoder

    begun = time.perf_counter()
    compiled = compile_bot(bot, OnnxEncoder(encoder), _progress())
    path = out / f"{compiled.bot.name}-{compiled.bot.version}.zip"
    path.write_bytes(compiled.content)
    fit = compiled.fit.intents
    print(
        f"{compiled.bot.name} {compiled.bot.version}: {compiled.examples} examples of {len(fit.head.intents)} intents, "
        f"{compiled.passages} passages, {len(compiled.content) / 1e6:.1f} MB, {time.perf_counter() - begun:.1f} s\n"
        f"  of examples held out, {fit.right:.1%} ranked right and {fit.kept:.1%} were not taken for out of scope; "
        f"of foreign utterances, {fit.refused:.1%} were",
        file=sys.stderr,
    )
    for note in compiled.notes:
        print(f"  {note}", file=sys.stderr)
    return path


def _progress() -> Callable[[str], None] | None:
    """Tells on one line what is being done, where somebody looks on."""
    if not sys.stderr.isatty():
        return None
    return lambda news: print(f"\r\033[K{news}", end="\r", file=sys.stderr, flush=True)


def main() -> int:
    """The command."""
    from parley.errors import ParleyError

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bot", type=Path, help="the bot's folder")
    parser.add_argument("--out", type=Path, default=BUNDLES, help="where the bundle goes")
    parser.add_argument("--encoder", type=Path, default=ENCODER, help="the encoder's folder")
    options = parser.parse_args()
    try:
        print(bundle_of(options.bot, out=options.out, encoder=options.encoder))
    except ParleyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
