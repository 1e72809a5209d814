"""Teach a grown model which sentence of its passages answers a question.

    python models/generator/choose.py --start models/generator/build/merged --minutes 30 [--out FOLDER]

Training of everything (train.py) wears down the circuit that grow.py wrote: it is sure of itself, also where it is
wrong, and the quickest way to less loss is to make it say one sentence always. So here only the circuit moves, by
little: what its heads look at, what a word means to it, how loud a mark is. The loss is of the choice, and of saying a
mark where one is wanted and not in talk, at the temperature at which the untrained circuit is as sure as it is right.
Of the passages some are kept back, and the state that is best on those stays in `--out`; the held-out questions
(questions.jsonl) are only asked, never chosen by.
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
from tokens import (
    ASSISTANT,
    END,
    MARKS,
    Rows,
    grounded_tokens,
    pack,
    pack_encoded,
    read_grounded,
    read_windows,
    save_tokenizer,
    special_id,
)
from torch.nn import functional
from tqdm import tqdm
from train import IGNORED, ROW_TOKENS, Batch, Part, batch_of, learnt_logits, rate_at, validation_rows
from transformers import LlamaForCausalLM

HERE = Path(__file__).parent
MARKS_AT = slice(special_id(MARKS[0]), special_id(MARKS[0]) + len(MARKS))
EXAMPLES = 9000  # passages, an hour's worth on two cores; all of them take four minutes to encode
BATCH_ROWS = 4
KEPT_BACK = 100  # of them, to know which state is best
WORD_RATE = 0.02  # of a code's usual size, a step: words that ask for each other come together
HEAD_RATE = 5e-5  # of a matrix's largest entry, a step: most entries are 0 and have to stay near it
TEMPERATURES = (3.0, 6.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
LEAD_TEMPERATURE = 2.0  # whether to say a mark is plain to see, unlike which one
CHECK_STEPS = 60


@dataclass(frozen=True, slots=True)
class Movable:
    """A part of a matrix that is trained; the rest of it stays."""

    weight: torch.nn.Parameter
    where: torch.Tensor  # 1 in the part, 0 elsewhere
    rate: float


@dataclass(frozen=True, slots=True)
class Said:
    """What a model would say where it may say a mark.

    Shapes: preferred: (M, len(MARKS)) float32; chosen: (M,) int64; lead, wants: (N,); longing, goes_on: (K,)
    """

    preferred: torch.Tensor  # how much each mark is preferred where a reply quotes
    chosen: torch.Tensor  # which one is right
    lead: torch.Tensor  # of all marks over all other tokens, in log odds: where replies begin, and everywhere in talk
    wants: torch.Tensor  # whether a mark is right there
    longing: torch.Tensor  # of the next sentence's mark over the end, in log odds, behind a sentence that was quoted
    goes_on: torch.Tensor  # whether the next sentence is quoted, too


@torch.no_grad()
def circuit(model: LlamaForCausalLM) -> list[Movable]:
    """What grow.py has written of the choice."""
    size = model.config.hidden_size - NEW_WIDTH
    new, heads = slice(size, None), slice(-NEW_WIDTH, None)
    words = slice(size + WORD.start, size + WORD.stop)
    embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
    parts = [
        movable(embedding, slice(None), words, WORD_RATE * float(embedding[:, words].std())),
        movable(head, MARKS_AT, new, HEAD_RATE * float(head[MARKS_AT, new].abs().max())),
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


def said_by(model: LlamaForCausalLM, batch: Batch) -> Said:
    """What the model would say."""
    logits, target = learnt_logits(model, batch)
    learnt = batch.target != IGNORED
    is_mark = (target >= MARKS_AT.start) & (target < MARKS_AT.stop)
    begins = (batch.ids == special_id(ASSISTANT))[learnt]
    quoting = quotes(batch)[learnt]
    marks = logits[:, MARKS_AT]
    others = torch.cat([logits[:, : MARKS_AT.start], logits[:, MARKS_AT.stop :]], dim=-1)
    lead = marks.logsumexp(-1) - others.logsumexp(-1)
    follows = (last_marks(batch)[learnt][quoting] + 1).clamp(max=MARKS_AT.stop - 1)
    longing = logits[quoting].gather(1, follows[:, None])[:, 0] - logits[quoting, special_id(END)]
    return Said(
        preferred=marks[begins & is_mark],
        chosen=target[begins & is_mark] - MARKS_AT.start,
        lead=lead[~quoting],
        wants=is_mark[~quoting],
        longing=longing,
        goes_on=is_mark[quoting],
    )


def quotes(batch: Batch) -> torch.Tensor:
    """Where a reply that quotes has come to the end of a sentence: something is learnt, and before it nothing was.

    Shapes: returns (B, T) bool
    """
    learnt = batch.target != IGNORED
    before = functional.pad(learnt[:, :-1], (1, 0))
    return learnt & ~before & (batch.ids != special_id(ASSISTANT))


def last_marks(batch: Batch) -> torch.Tensor:
    """The mark that was said last at each place.

    Shapes: returns (B, T) int64
    """
    is_mark = (batch.ids >= MARKS_AT.start) & (batch.ids < MARKS_AT.stop)
    places = torch.arange(batch.ids.shape[1], device=batch.ids.device).expand_as(batch.ids)
    return batch.ids.gather(1, torch.where(is_mark, places, 0).cummax(dim=1).values)


def loss_of(said: Said, temperature: float) -> torch.Tensor:
    """Which mark is said, that one is said where a sentence is wanted and nowhere else, and where a quotation ends."""
    which = functional.cross_entropy(said.preferred / temperature, said.chosen)
    wanted = functional.softplus(-said.lead[said.wants] / LEAD_TEMPERATURE).mean()
    unwanted = functional.softplus(said.lead[~said.wants] / LEAD_TEMPERATURE).mean()
    signs = torch.where(said.goes_on, -1.0, 1.0)
    ending = functional.softplus(signs * said.longing / LEAD_TEMPERATURE).mean()
    return which + wanted + unwanted + ending


def batches(passages: Rows, talk: Rows, draw: np.random.Generator) -> Iterator[Batch]:
    """Rows of passages, and one of talk, in which no mark is ever said."""
    parts = [Part(passages, 1.0, replies_only=True)] * (BATCH_ROWS - 1) + [Part(talk, 1.0, replies_only=True)]
    while True:
        yield batch_of([(part, int(draw.integers(len(part.rows)))) for part in parts], "cpu")


@torch.no_grad()
def temperature_of(model: LlamaForCausalLM, some: list[Batch]) -> float:
    """By what the preferences must be divided to be as sure as they are right."""
    found = [said_by(model, batch) for batch in some]
    preferred, chosen = torch.cat([each.preferred for each in found]), torch.cat([each.chosen for each in found])
    return min(TEMPERATURES, key=lambda t: functional.cross_entropy(preferred / t, chosen).item())


@torch.no_grad()
def measured(model: LlamaForCausalLM, rows: Rows) -> tuple[float, float]:
    """For which share of quotations the right mark is said, and in which share of other places one is said."""
    part = Part(rows, 1.0, replies_only=True)
    right = wanted = misplaced = others = 0
    for row in range(len(rows)):
        said = said_by(model, batch_of([(part, row)], "cpu"))
        is_right = said.preferred.argmax(-1) == said.chosen
        right += int((is_right & (said.lead[said.wants] > 0)).sum())
        misplaced += int((said.lead[~said.wants] > 0).sum())
        wanted, others = wanted + len(said.chosen), others + int((~said.wants).sum())
    return right / max(wanted, 1), misplaced / max(others, 1)


@dataclass(frozen=True, slots=True)
class Measure:
    """What decides which state is kept."""

    questions: Rows
    talk: Rows

    def of(self, model: LlamaForCausalLM) -> tuple[float, float]:
        """Questions answered rightly, and marks said in talk, in shares."""
        return measured(model, self.questions)[0], measured(model, self.talk)[1]


def run(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    draw = np.random.default_rng(arguments.seed)
    tokenizer = Tokenizer.from_file(str(arguments.start / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(arguments.start, dtype=torch.float32)
    examples = read_grounded(arguments.data / "grounded.jsonl")
    drawn = [examples[place] for place in draw.permutation(len(examples))[:EXAMPLES]]
    encoded = [grounded_tokens(tokenizer, each, ROW_TOKENS) for each in tqdm(drawn, "passages", mininterval=15)]
    asked = [each for each in encoded if any(each.reply)]
    talk = pack(tokenizer, read_windows(arguments.data / "smalltalk.jsonl"), ROW_TOKENS, arguments.seed)
    held_out = validation_rows(arguments.data, tokenizer)
    kept_back = Measure(pack_encoded(asked[:KEPT_BACK], ROW_TOKENS, arguments.seed), held_out["talk"])
    source = batches(pack_encoded(asked[KEPT_BACK:], ROW_TOKENS, arguments.seed), talk, draw)

    temperature = temperature_of(model, [next(source) for _ in range(16)])
    right, misplaced = kept_back.of(model)
    best = right - misplaced
    print(f"temperature {temperature:g}; {told(right, misplaced, model, held_out)}", flush=True)
    optimizer = only(circuit(model), model)
    began, steps = time.monotonic(), 0
    bar = tqdm(total=round(arguments.minutes * 60), unit="s", mininterval=15)
    while (spent := (time.monotonic() - began) / (arguments.minutes * 60)) < 1:
        loss = loss_of(said_by(model, next(source)), temperature)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate_at(spent)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
        bar.update(round(time.monotonic() - began) - bar.n)
        bar.set_postfix(step=steps, loss=f"{loss.item():.2f}")
        if steps % CHECK_STEPS == 0:
            right, misplaced = kept_back.of(model)
            is_best = right - misplaced > best
            if is_best:
                best = right - misplaced
                model.save_pretrained(arguments.out)
                save_tokenizer(tokenizer, arguments.out, MAX_POSITION)
            told_now = told(right, misplaced, model, held_out)
            tqdm.write(f"step {steps}: {told_now}{', kept' if is_best else ''}")


def told(right: float, misplaced: float, model: LlamaForCausalLM, held_out: dict[str, Rows]) -> str:
    """Where it stands, for whoever waits."""
    return (
        f"{right:.1%} right, {measured(model, held_out['passages'])[0]:.1%} of held-out, {misplaced:.2%} marks in talk"
    )


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
