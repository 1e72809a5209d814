"""Train the bundled language model on what prepare.py wrote, on a CPU or a GPU.

    python models/generator/train.py --stage pretrain  --minutes 70 --out models/generator/build/talk
    python models/generator/train.py --stage fine-tune --minutes 75 --start models/generator/build/grown

`pretrain` begins a new model and reads dialogues, of which every token is learnt. `fine-tune` goes on from `--start`, a
folder of Hugging Face weights with its tokenizer, and learns only replies: answers out of passages, and small talk.
With `--teacher FOLDER` a larger model with the same tokenizer is listened to as well: its probabilities of every learnt
token are followed, not only which token came.

The budget is wall-clock time, because that is what is scarce on a small machine: the learning rate follows the share
of it that is spent. A run that was stopped goes on from its last checkpoint with the same command.
`--out` receives a Hugging Face folder (config, model.safetensors, tokenizer) and state.pt for resuming.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokens import (
    BEGIN,
    END,
    MARKS,
    PAD,
    Grounded,
    Rows,
    grounded_tokens,
    pack,
    pack_encoded,
    read_grounded,
    read_windows,
    save_tokenizer,
    special_id,
    train_tokenizer,
)
from torch.nn import functional
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
VOCABULARY_SIZE = 6144
ROW_TOKENS = 512  # nine in ten passages with all their questions are shorter
BATCH_ROWS = 4
MAX_POSITION = 1024
SHARES = {  # of a batch's rows
    "pretrain": {"chat": 1.0},
    "fine-tune": {"grounded": 0.75, "smalltalk": 0.25},
}
MATRIX_RATE = 5e-3  # Muon with AdamW's update size; about Keller Jordan's 0.02 at this width
OTHER_RATE = 2e-3  # AdamW, embedding and norms
FINE_TUNE_RATE = 1e-4  # AdamW, everything; at ten times as much, what grow.py wrote by hand is gone within ten steps
MARK_WEIGHT = 5.0  # of a mark's loss: one token chooses the sentence, twenty more only copy it
WARM_UP = 0.03
FINAL_RATE = 0.04  # of the peak
CHECKPOINT_SECONDS = 600
IGNORED = -100


@dataclass(slots=True)
class Progress:
    """How far a run has come; saved with every checkpoint."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of row in a batch."""

    rows: Rows
    share: float
    replies_only: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Shapes: ids, position, target: (B, T) int64, target IGNORED where nothing is learnt; seen: (B, 1, T, T) bool."""

    ids: torch.Tensor
    position: torch.Tensor
    seen: torch.Tensor
    target: torch.Tensor


def new_model() -> LlamaForCausalLM:
    """A Llama of 6.4 M parameters; head size 64 and as many key as query heads, which the CPU kernels like best."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY_SIZE,
            hidden_size=256,
            intermediate_size=704,
            num_hidden_layers=6,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=MAX_POSITION,
            tie_word_embeddings=True,
            bos_token_id=special_id(BEGIN),
            eos_token_id=special_id(END),
            pad_token_id=special_id(PAD),
        )
    )


def optimizers(model: LlamaForCausalLM, stage: str) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices while all is new, AdamW for the rest; each group keeps its peak rate.

    Muon moves every direction of a matrix alike, and so would soon have undone what grow.py set by hand.
    """
    if stage == "fine-tune":
        state = [torch.optim.AdamW(model.parameters(), lr=FINE_TUNE_RATE, betas=(0.9, 0.98), weight_decay=0.01)]
    else:
        matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
        chosen = {id(p) for p in matrices}
        others = [p for p in model.parameters() if id(p) not in chosen]
        state = [
            torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.01),
        ]
    for optimizer in state:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return state


def rate_at(spent: float) -> float:
    """The learning rate's share of its peak: a short climb, then a cosine down. `spent` is in 0..1."""
    if spent < WARM_UP:
        return max(spent / WARM_UP, 0.01)
    falling = (spent - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(falling, 1.0)))


def batch_of(chosen: list[tuple[Part, int]], device: str) -> Batch:
    """These rows, and for each place the token that follows it.

    A place sees what stands before it in its own conversation: passages (branch 0) and its own branch.
    """
    ids, conversation, position, reply, branch = (
        torch.stack([torch.from_numpy(getattr(part.rows, name)[row].astype(np.int64)) for part, row in chosen])
        for name in ("ids", "conversation", "position", "reply", "branch")
    )
    every = torch.tensor([not part.replies_only for part, _ in chosen])[:, None]
    follows = (conversation[:, 1:] == conversation[:, :-1]) & (conversation[:, 1:] > 0)
    follows &= (reply[:, 1:] == 1) | every
    target = torch.full_like(ids, IGNORED)
    target[:, :-1] = torch.where(follows, ids[:, 1:], IGNORED)
    length = ids.shape[1]
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    seen = seen & (conversation[:, :, None] == conversation[:, None, :])
    seen &= (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    return Batch(ids.to(device), position.to(device), seen[:, None].to(device), target.to(device))


def next_batch(parts: list[Part], draw: np.random.Generator, device: str) -> Batch:
    """Rows drawn by the parts' shares."""
    kinds = draw.choice(len(parts), BATCH_ROWS, p=[part.share for part in parts])
    return batch_of([(parts[kind], int(draw.integers(len(parts[kind].rows)))) for kind in kinds], device)


def learnt_logits(model: LlamaForCausalLM, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets where something is learnt; elsewhere the head, a third of the work, is not asked.

    Shapes: returns (N, V) float32, (N,) int64
    """
    hidden = model.model(
        input_ids=batch.ids, attention_mask=batch.seen, position_ids=batch.position, use_cache=False
    ).last_hidden_state
    learnt = batch.target != IGNORED
    return model.lm_head(hidden[learnt]).float(), batch.target[learnt]


def weights_of(target: torch.Tensor) -> torch.Tensor:
    """How much each token's loss counts."""
    first = special_id(MARKS[0])
    is_mark = (target >= first) & (target < first + len(MARKS))
    return torch.where(is_mark, MARK_WEIGHT, 1.0)


def loss_of(
    model: LlamaForCausalLM, batch: Batch, teacher: LlamaForCausalLM | None = None, teacher_share: float = 0.5
) -> torch.Tensor:
    """Weighted mean cross-entropy; with a teacher, mixed with the divergence from its probabilities.

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531, at temperature 1
    """
    logits, target = learnt_logits(model, batch)
    weights = weights_of(target)
    losses = functional.cross_entropy(logits, target, reduction="none")
    if teacher is not None:
        with torch.no_grad():
            wanted = functional.log_softmax(learnt_logits(teacher, batch)[0], dim=-1)
        apart = functional.kl_div(functional.log_softmax(logits, -1), wanted, reduction="none", log_target=True).sum(-1)
        losses = (1 - teacher_share) * losses + teacher_share * apart
    return (losses * weights).sum() / weights.sum()


@torch.no_grad()
def measured(model: LlamaForCausalLM, rows: Rows, device: str) -> tuple[float, float]:
    """Cross-entropy per reply token, and which share of the replies' marks is the likeliest token."""
    part = Part(rows, 1.0, replies_only=True)
    loss = count = right = marks = 0.0
    for start in range(0, len(rows), BATCH_ROWS):
        batch = batch_of([(part, row) for row in range(start, min(start + BATCH_ROWS, len(rows)))], device)
        logits, target = learnt_logits(model, batch)
        is_mark = weights_of(target) > 1
        loss += functional.cross_entropy(logits, target, reduction="sum").item()
        count += len(target)
        right += (logits.argmax(-1) == target)[is_mark].sum().item()
        marks += is_mark.sum().item()
    return loss / count, right / marks if marks else 0.0


@torch.no_grad()
def sample(model: LlamaForCausalLM, tokenizer: Tokenizer, text: str, device: str) -> str:
    """A reply to one message, drawn at temperature 0.7."""
    tokenizer.encode_special_tokens = False
    prompt = f"{BEGIN}<|user|>{text}{END}<|assistant|>"
    ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids], device=device)
    answer = model.generate(ids, max_new_tokens=40, do_sample=True, temperature=0.7, top_p=0.9)
    return tokenizer.decode(answer[0, ids.shape[1] :].tolist())


def save(
    model: LlamaForCausalLM, state: list[torch.optim.Optimizer], tokenizer: Tokenizer, progress: Progress, out: Path
) -> None:
    model.save_pretrained(out)
    save_tokenizer(tokenizer, out, MAX_POSITION)
    content = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state],
        "progress": (progress.steps, progress.tokens, progress.seconds),
    }
    torch.save(content, out / "state.part")
    (out / "state.part").rename(out / "state.pt")


def resume(model: LlamaForCausalLM, state: list[torch.optim.Optimizer], out: Path) -> Progress:
    """The progress of the checkpoint in `out`, its weights and optimizer state loaded; none yet is zero progress."""
    if not (out / "state.pt").exists():
        return Progress()
    content = torch.load(out / "state.pt", weights_only=True)
    model.load_state_dict(content["model"])
    for optimizer, saved in zip(state, content["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return Progress(*content["progress"])


def tokenizer_for(data: Path, start: Path | None, out: Path) -> Tokenizer:
    """The start's tokenizer, or the run's own, trained on the dialogues when the run is new."""
    for folder in (start, out):
        if folder and (folder / "tokenizer.json").exists():
            return Tokenizer.from_file(str(folder / "tokenizer.json"))
    windows = read_windows(data / "chat.jsonl")
    tokenizer = train_tokenizer((turn for window in windows for turn in window), VOCABULARY_SIZE)
    save_tokenizer(tokenizer, out, MAX_POSITION)
    return tokenizer


def parts_of(data: Path, stage: str, tokenizer: Tokenizer, seed: int) -> list[Part]:
    """What the stage reads."""
    parts = []
    for name, share in SHARES[stage].items():
        if name == "grounded":
            examples = read_grounded(data / "grounded.jsonl")
            encoded = [grounded_tokens(tokenizer, each, ROW_TOKENS) for each in tqdm(examples, name, mininterval=15)]
            rows = pack_encoded([each for each in encoded if any(each.reply)], ROW_TOKENS, seed)
        else:
            rows = pack(tokenizer, read_windows(data / f"{name}.jsonl"), ROW_TOKENS, seed)
        filled = (rows.conversation > 0).mean()
        print(f"{name}: {len(rows)} rows of {ROW_TOKENS} tokens, {filled:.0%} filled", flush=True)
        parts.append(Part(rows, share, replies_only=stage != "pretrain"))
    return parts


def validation_rows(data: Path, tokenizer: Tokenizer) -> dict[str, Rows]:
    """Held-out talk, and held-out questions each with its passages."""
    lines = (data / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines[::8]]  # of every set some; they are in the order of the sets
    examples = [Grounded(each["passage"], ((each["question"], each["answers"][0]),)) for each in questions]
    encoded = [grounded_tokens(tokenizer, example, ROW_TOKENS) for example in examples]
    return {
        "talk": pack(tokenizer, read_windows(data / "valid.jsonl")[-120:], ROW_TOKENS, 0),
        "passages": pack_encoded([each for each in encoded if any(each.reply)], ROW_TOKENS, 0),
    }


def update(model: LlamaForCausalLM, state: list[torch.optim.Optimizer], loss: torch.Tensor, rate: float) -> None:
    """One step down the loss at this share of the peak rates."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in state:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def run(arguments: argparse.Namespace) -> None:
    data, start, out, seed = arguments.data, arguments.start, arguments.out, arguments.seed
    budget_seconds = arguments.minutes * 60
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(seed)
    torch.set_num_threads(arguments.threads)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_for(data, start, out)
    parts = parts_of(data, arguments.stage, tokenizer, seed)
    held_out = validation_rows(data, tokenizer)

    model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32) if start else new_model()
    model.to(device).train()
    teacher = None
    if arguments.teacher:
        teacher = LlamaForCausalLM.from_pretrained(arguments.teacher, dtype=torch.float32).to(device).eval()
    state = optimizers(model, arguments.stage)
    progress = resume(model, state, out)
    draw = np.random.default_rng(seed + progress.steps)
    model.model.compile(dynamic=False)  # half the time of a small model goes to what is no multiplication of matrices
    bar = tqdm(total=round(budget_seconds), initial=round(progress.seconds), unit="s", mininterval=15)
    saved_at = progress.seconds
    average = None
    while progress.seconds < budget_seconds:
        began = time.monotonic()
        batch = next_batch(parts, draw, device)
        with torch.autocast("cuda", torch.bfloat16, enabled=device == "cuda"):
            loss = loss_of(model, batch, teacher)
        update(model, state, loss, rate_at(progress.seconds / budget_seconds))
        average = loss.item() if average is None else 0.98 * average + 0.02 * loss.item()

        progress.steps += 1
        progress.tokens += batch.ids.numel()
        progress.seconds += time.monotonic() - began
        bar.update(round(progress.seconds) - bar.n)
        bar.set_postfix(step=progress.steps, loss=f"{average:.3f}", tokens=f"{progress.tokens / 1e6:.2f}M")
        if progress.seconds - saved_at > arguments.checkpoint_seconds or progress.seconds >= budget_seconds:
            saved_at = progress.seconds
            model.eval()
            save(model, state, tokenizer, progress, out)
            with torch.compiler.set_stance("force_eager"):  # these have a new length every time
                for name, rows in held_out.items():
                    value, right = measured(model, rows, device)
                    tqdm.write(f"step {progress.steps} {name}: loss {value:.3f}, marks right {right:.1%}")
                tqdm.write(sample(model, tokenizer, "Hi, how are you?", device))
            model.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=SHARES, required=True)
    parser.add_argument("--start", type=Path, help="weights and tokenizer to go on from; without it a new model begins")
    parser.add_argument("--teacher", type=Path, help="a larger model with the same tokenizer to learn from as well")
    parser.add_argument("--data", type=Path, default=HERE / "build")
    parser.add_argument("--out", type=Path, default=HERE / "build" / "run")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--checkpoint-seconds", type=float, default=CHECKPOINT_SECONDS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
