"""Teach a grown model which sentence of its passages answers a question.

    python models/generator/choose.py --start models/generator/build/merged --minutes 30 [--out FOLDER]

Training of everything (train.py) wears down the circuit that grow.py wrote: it is sure of itself, also where it is
wrong, and the quickest way to less loss is to make it say one sentence always. So here only the circuit moves, by
little: what its heads look at, what a word means to it, how loud a mark is. The loss is of the choice alone, at the
temperature at which the untrained circuit is as sure as it is right. The best state by held-out questions is kept in
`--out`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from grow import CIRCUIT_LAYERS, MAX_POSITION, NEW_WIDTH, WORD
from tokenizers import Tokenizer
from tokens import ASSISTANT, MARKS, Rows, grounded_tokens, pack_encoded, read_grounded, save_tokenizer, special_id
from torch.nn import functional
from tqdm import tqdm
from train import ROW_TOKENS, Batch, Part, batch_of, rate_at, validation_rows
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
FIRST_MARK = special_id(MARKS[0])
EXAMPLES = 9000  # passages, an hour's worth on two cores; all of them take four minutes to encode
BATCH_ROWS = 4
WORD_RATE = 0.01  # of a code's usual size, a step: words that ask for each other come together
HEAD_RATE = 2e-5  # of a matrix's largest entry, a step: most entries are 0 and have to stay near it
TEMPERATURES = (3.0, 6.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
CHECK_STEPS = 60


@dataclass(frozen=True, slots=True)
class Movable:
    """A part of a matrix that is trained; the rest of it stays."""

    weight: torch.nn.Parameter
    where: torch.Tensor  # 1 in the part, 0 elsewhere
    rate: float


@torch.no_grad()
def circuit(model: LlamaForCausalLM) -> list[Movable]:
    """What grow.py has written of the choice."""
    size = model.config.hidden_size - NEW_WIDTH
    marks, new, heads = slice(FIRST_MARK, FIRST_MARK + len(MARKS)), slice(size, None), slice(-NEW_WIDTH, None)
    words = slice(size + WORD.start, size + WORD.stop)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    parts = [
        movable(embedding, slice(None), words, WORD_RATE * float(embedding[:, words].std())),
        movable(head, marks, new, HEAD_RATE * float(head[marks, new].abs().max())),
    ]
    for layer in model.model.layers[:CIRCUIT_LAYERS]:
        attention = layer.self_attn
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            weight = projection.weight
            parts.append(movable(weight, heads, slice(None), HEAD_RATE * float(weight[heads].abs().max())))
        weight = attention.o_proj.weight
        parts.append(movable(weight, new, heads, HEAD_RATE * float(weight[new, heads].abs().max())))
    return parts


def movable(weight: torch.nn.Parameter, rows: slice, columns: slice, rate: float) -> Movable:
    where = torch.zeros_like(weight)
    where[rows, columns] = 1
    return Movable(weight, where, rate)


def only(parts: list[Movable], model: LlamaForCausalLM) -> torch.optim.Optimizer:
    """An optimizer that moves these parts of the model and nothing else."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for part in parts:
        part.weight.requires_grad_(True)
        part.weight.register_hook(lambda gradient, where=part.where: gradient * where)
    groups = [{"params": [part.weight], "lr": part.rate, "peak": part.rate} for part in parts]
    return torch.optim.Adam(groups, betas=(0.9, 0.98))


def choices(model: LlamaForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """How much each mark is preferred where a reply begins with one, and which one it is.

    Shapes: returns (N, len(MARKS)) float32, (N,) int64
    """
    chosen = batch.target - FIRST_MARK
    begins = (batch.ids == special_id(ASSISTANT)) & (chosen >= 0) & (chosen < len(MARKS))
    hidden = model.model(
        input_ids=batch.ids, attention_mask=batch.seen, position_ids=batch.position, use_cache=False
    ).last_hidden_state
    return hidden[begins] @ model.lm_head.weight[FIRST_MARK : FIRST_MARK + len(MARKS)].T, chosen[begins]


def batches(rows: Rows, draw: np.random.Generator) -> Iterator[Batch]:
    part = Part(rows, 1.0, replies_only=True)
    while True:
        yield batch_of([(part, int(row)) for row in draw.integers(len(rows), size=BATCH_ROWS)], "cpu")


@torch.no_grad()
def temperature_of(model: LlamaForCausalLM, some: list[Batch]) -> float:
    """By what the preferences must be divided to be as sure as they are right."""
    found = [choices(model, batch) for batch in some]
    preferred, chosen = torch.cat([each for each, _ in found]), torch.cat([each for _, each in found])
    return min(TEMPERATURES, key=lambda t: functional.cross_entropy(preferred / t, chosen).item())


@torch.no_grad()
def share_right(model: LlamaForCausalLM, rows: Rows) -> float:
    """Of how many held-out questions the right sentence is preferred to all others."""
    part = Part(rows, 1.0, replies_only=True)
    right = count = 0
    for row in range(len(rows)):
        preferred, chosen = choices(model, batch_of([(part, row)], "cpu"))
        right += int((preferred.argmax(-1) == chosen).sum())
        count += len(chosen)
    return right / count


def run(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    draw = np.random.default_rng(arguments.seed)
    tokenizer = Tokenizer.from_file(str(arguments.start / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(arguments.start, dtype=torch.float32)
    examples = read_grounded(arguments.data / "grounded.jsonl")
    drawn = [examples[place] for place in draw.permutation(len(examples))[:EXAMPLES]]
    encoded = [grounded_tokens(tokenizer, each, ROW_TOKENS) for each in tqdm(drawn, "passages", mininterval=15)]
    source = batches(pack_encoded([each for each in encoded if any(each.reply)], ROW_TOKENS, arguments.seed), draw)
    held_out = validation_rows(arguments.data, tokenizer)["passages"]

    temperature = temperature_of(model, [next(source) for _ in range(16)])
    best = share_right(model, held_out)
    print(f"temperature {temperature:g}, right at first {best:.1%}", flush=True)
    optimizer = only(circuit(model), model)
    began, steps = time.monotonic(), 0
    bar = tqdm(total=round(arguments.minutes * 60), unit="s", mininterval=15)
    while (spent := (time.monotonic() - began) / (arguments.minutes * 60)) < 1:
        preferred, chosen = choices(model, next(source))
        loss = functional.cross_entropy(preferred / temperature, chosen)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate_at(spent)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
        bar.update(round(time.monotonic() - began) - bar.n)
        bar.set_postfix(step=steps, loss=f"{loss.item():.2f}")
        if steps % CHECK_STEPS == 0 and (right := share_right(model, held_out)) > best:
            best = right
            model.save_pretrained(arguments.out)
            save_tokenizer(tokenizer, arguments.out, MAX_POSITION)
            tqdm.write(f"step {steps}: {right:.1%} right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="what merge.py or grow.py wrote")
    parser.add_argument("--data", type=Path, default=HERE / "build")
    parser.add_argument("--out", type=Path, default=HERE / "build" / "chosen")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
