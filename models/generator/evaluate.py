"""Look at the generator: its replies to small talk, and its speed in onnxruntime-genai against transformers.

    python models/generator/evaluate.py [--model models/generator/build/run] [--artefact models/generator/artefact]

`prompts.txt` holds the messages; none of them is in the training data word for word. Speed is tokens per second while
a reply of at most 64 tokens is drawn, on one thread, the median of several replies. Without the trained model's folder
there are only replies.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from engine import Engine, Request

HERE = Path(__file__).parent
SPEED_TOKENS = 64
SPEED_REPLIES = 9
SPEED_PROMPT = "Tell me about your day and ask me about mine."


def reply(engine: Engine, text: str, seed: int) -> str:
    request = Request(messages=(("user", text),), seed=seed)
    return "".join(piece.text for piece in engine.reply(request))


def tokens_per_second(generate: Callable[[], int]) -> float:
    """The median over several calls of the tokens that `generate` says it made, per second."""
    generate()
    rates = []
    for _ in range(SPEED_REPLIES):
        began = time.perf_counter()
        made = generate()
        rates.append(made / (time.perf_counter() - began))
    return statistics.median(rates)


def with_engine(artefact: Path) -> Callable[[], int]:
    """A long reply from the served artefact; temperature high, so that it rarely ends early."""
    engine = Engine(artefact, threads=1)
    request = Request(messages=(("user", SPEED_PROMPT),), max_tokens=SPEED_TOKENS, temperature=2.0, top_p=1.0, seed=1)
    return lambda: list(engine.reply(request))[-1].completion_tokens


def with_transformers(model: Path) -> Callable[[], int]:
    """A reply of the same length from the trained model."""
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    network = LlamaForCausalLM.from_pretrained(model).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(model)
    message = [{"role": "user", "content": SPEED_PROMPT}]
    ids = tokenizer.apply_chat_template(message, add_generation_prompt=True, return_tensors="pt")["input_ids"]

    def generate() -> int:
        answer = network.generate(ids, do_sample=True, temperature=2.0, min_new_tokens=64, max_new_tokens=SPEED_TOKENS)
        return answer.shape[1] - ids.shape[1]

    return generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE / "build" / "run")
    parser.add_argument("--artefact", type=Path, default=HERE / "artefact")
    arguments = parser.parse_args()
    engine = Engine(arguments.artefact, threads=1)
    for seed, text in enumerate((HERE / "prompts.txt").read_text(encoding="utf-8").splitlines()):
        print(f"{text:45} -> {reply(engine, text, seed)}")
    print(f"onnxruntime-genai: {tokens_per_second(with_engine(arguments.artefact)):.0f} tokens/s")
    if arguments.model.exists():
        print(f"transformers: {tokens_per_second(with_transformers(arguments.model)):.0f} tokens/s")


if __name__ == "__main__":
    main()
