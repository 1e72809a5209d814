"""Read what the generator says to small talk.

    python models/generator/evaluate.py [--artefact models/generator/artefact]

`prompts.txt` holds the messages; none of them is in the training data word for word. How well it answers out of
passages is scripts/evaluate_generator.py's to say, how fast it is scripts/bench_generator.py's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine import Engine, Request

HERE = Path(__file__).parent


def reply(engine: Engine, text: str, seed: int) -> str:
    request = Request(messages=(("user", text),), seed=seed)
    return "".join(piece.text for piece in engine.reply(request))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artefact", type=Path, default=HERE / "artefact")
    arguments = parser.parse_args()
    engine = Engine(arguments.artefact, threads=1)
    for seed, text in enumerate((HERE / "prompts.txt").read_text(encoding="utf-8").splitlines()):
        print(f"{text:45} -> {reply(engine, text, seed)}")


if __name__ == "__main__":
    main()
