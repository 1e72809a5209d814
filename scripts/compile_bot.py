"""Compile a bot's folder into a bundle.

    python scripts/compile_bot.py models/bots/support --out .parley/bundles

Reads the Rasa files, bot.yml and documents, trains the intent head, and writes one file
NAME-VERSION.zip; its path is the only thing on standard output. Faults in the files are
listed with file and line, all of them at once, and nothing is written.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "layers/parley/python"))

from parley.compile import compile_bot  # noqa: E402
from parley.errors import ParleyError  # noqa: E402
from parley.nlu.encoder import OnnxEncoder  # noqa: E402


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bot", type=Path, help="the bot's folder")
    parser.add_argument("--out", type=Path, default=Path(".parley/bundles"), help="where the bundle goes")
    parser.add_argument("--encoder", type=Path, default=ROOT / "models/encoder", help="the encoder's folder")
    options = parser.parse_args()
    begun = time.perf_counter()
    try:
        compiled = compile_bot(options.bot, OnnxEncoder(options.encoder))
    except ParleyError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{compiled.bot.name}-{compiled.bot.version}.zip"
    path.write_bytes(compiled.content)
    fit = compiled.fit
    print(
        f"{compiled.bot.name} {compiled.bot.version}: {compiled.examples} examples of {len(fit.head.intents)} intents, "
        f"{compiled.passages} passages, {len(compiled.content) / 1e6:.1f} MB, {time.perf_counter() - begun:.1f} s\n"
        f"  held-out accuracy {fit.accuracy:.1%}; known kept {fit.kept:.1%}, unknown refused {fit.refused:.1%} "
        f"(confidence >= {fit.head.min_confidence:.2f}, similarity >= {fit.head.min_similarity:.2f})",
        file=sys.stderr,
    )
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
