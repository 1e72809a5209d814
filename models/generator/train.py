"""Train the bundled language model on the windows that prepare.py wrote.

    python models/generator/train.py --minutes 65 [--data models/generator/build] [--out models/generator/build/run]

The budget is wall-clock time, because that is what is scarce on a small machine: the learning rate and the mix follow
the share of it that is spent. The first part reads whole dialogues and learns every token; the rest reads mostly
small talk, of which only the replies are learnt. A run that was stopped goes on from its last checkpoint with the
same command.
`--out` receives a Hugging Face folder (config, model.safetensors, tokenizer) and state.pt for resuming.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokens import ASSISTANT, BEGIN, END, PAD, Rows, pack, read_windows, save_tokenizer, special_id, train_tokenizer
from torch.nn import functional
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
VOCABULARY_SIZE = 6144
ROW_TOKENS = 256
BATCH_ROWS = 32
MAX_POSITION = 1024
SMALLTALK_SHARES = ((0.0, 0.0), (0.3, 0.6), (0.7, 0.85))  # (share of the budget spent, share of small-talk batches)
MATRIX_RATE = 5e-3  # Muon with AdamW's update size; about Keller Jordan's 0.02 at this width
OTHER_RATE = 2e-3  # AdamW, embedding and norms
WARM_UP = 0.02
FINAL_RATE = 0.04  # of the peak
CHECKPOINT_SECONDS = 300
IGNORED = -100


@dataclass(slots=True)
class Progress:
    """How far a run has come; saved with every checkpoint."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


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


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest; each group keeps its peak rate."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adam]


def rate_at(spent: float) -> float:
    """The learning rate's share of its peak: a short climb, then a cosine down. `spent` is in 0..1."""
    if spent < WARM_UP:
        return max(spent / WARM_UP, 0.01)
    falling = (spent - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * min(falling, 1.0)))


def smalltalk_share_at(spent: float) -> float:
    """How many of the batches are small talk: none at first, nearly all at the end. `spent` is in 0..1."""
    return max(share for start, share in SMALLTALK_SHARES if spent >= start)


def batches(rows: Rows, seed: int) -> Iterator[np.ndarray]:
    """Row numbers, batch after batch, in a new order every time round."""
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(rows))
        yield from (order[start : start + BATCH_ROWS] for start in range(0, len(rows) - BATCH_ROWS + 1, BATCH_ROWS))


def loss_of(
    model: LlamaForCausalLM,
    ids: torch.Tensor,
    conversation: torch.Tensor,
    position: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Mean cross-entropy where `targets` is not IGNORED; conversations of one row do not see each other.

    Shapes: all (B, T) int64
    """
    length = ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = causal & (conversation[:, None, :, None] == conversation[:, None, None, :])
    logits = model(input_ids=ids, attention_mask=mask, position_ids=position, use_cache=False).logits
    return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED)


def tensors(rows: Rows, chosen: np.ndarray, replies_only: bool) -> tuple[torch.Tensor, ...]:
    """One batch for `loss_of`: inputs and the next token of each, IGNORED where nothing is to be learned."""
    ids, conversation, position, reply = (
        torch.from_numpy(part[chosen].astype(np.int64))
        for part in (rows.ids, rows.conversation, rows.position, rows.reply)
    )
    targets = torch.full_like(ids, IGNORED)
    follows = (conversation[:, 1:] == conversation[:, :-1]) & (conversation[:, 1:] > 0)
    if replies_only:
        follows &= reply[:, 1:] == 1
    targets[:, :-1] = torch.where(follows, ids[:, 1:], IGNORED)
    return ids, conversation, position, targets


@torch.no_grad()
def validation_loss(model: LlamaForCausalLM, rows: Rows) -> float:
    """Cross-entropy per reply token over every full batch of the rows."""
    order = np.arange(len(rows) - len(rows) % BATCH_ROWS).reshape(-1, BATCH_ROWS)
    losses = [loss_of(model, *tensors(rows, chosen, replies_only=True)).item() for chosen in order]
    return sum(losses) / len(losses)


def sample(model: LlamaForCausalLM, tokenizer: Tokenizer, text: str) -> str:
    """A reply to one message, drawn at temperature 0.7."""
    prompt = f"{BEGIN}<|user|>{text}{END}{ASSISTANT}"
    ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids])
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


def tokenizer_for(windows: list[list[str]], out: Path) -> Tokenizer:
    """The run's tokenizer, trained on the windows when the run is new."""
    if (out / "tokenizer.json").exists():
        return Tokenizer.from_file(str(out / "tokenizer.json"))
    tokenizer = train_tokenizer((turn for window in windows for turn in window), VOCABULARY_SIZE)
    save_tokenizer(tokenizer, out, MAX_POSITION)
    return tokenizer


def update(model: LlamaForCausalLM, state: list[torch.optim.Optimizer], loss: torch.Tensor, rate: float) -> None:
    """One step down the loss at this share of the peak rates."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in state:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def run(data: Path, out: Path, minutes: float, seed: int, threads: int) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    chat_windows = read_windows(data / "chat.jsonl")
    tokenizer = tokenizer_for(chat_windows, out)
    chat = pack(tokenizer, chat_windows, ROW_TOKENS, seed)
    valid = pack(tokenizer, read_windows(data / "valid.jsonl")[-600:], ROW_TOKENS, seed)
    print(f"{len(chat)} rows of {ROW_TOKENS} tokens, {(chat.conversation > 0).mean():.0%} filled", flush=True)

    model = new_model()
    state = optimizers(model)
    progress = resume(model, state, out)
    learn = torch.compile(loss_of)
    chat_batches = batches(chat, seed + progress.steps)
    smalltalk = pack(tokenizer, read_windows(data / "smalltalk.jsonl"), ROW_TOKENS, seed)
    smalltalk_batches = batches(smalltalk, seed + progress.steps)
    draw = np.random.default_rng(seed + progress.steps)
    bar = tqdm(total=round(minutes * 60), initial=round(progress.seconds), unit="s", mininterval=15)
    saved_at = progress.seconds
    while progress.seconds < minutes * 60:
        began = time.monotonic()
        spent = progress.seconds / (minutes * 60)
        if draw.random() < smalltalk_share_at(spent):
            batch = tensors(smalltalk, next(smalltalk_batches), replies_only=True)
        else:
            batch = tensors(chat, next(chat_batches), replies_only=False)
        with torch.autocast("cpu", torch.bfloat16):
            loss = learn(model, *batch)
        update(model, state, loss, rate_at(spent))

        seconds = time.monotonic() - began
        progress.steps += 1
        progress.tokens += batch[0].numel()
        progress.seconds += seconds
        bar.update(round(progress.seconds) - bar.n)
        bar.set_postfix(step=progress.steps, loss=f"{loss.item():.3f}", tokens=f"{progress.tokens / 1e6:.2f}M")
        if progress.seconds - saved_at > CHECKPOINT_SECONDS or progress.seconds >= minutes * 60:
            saved_at = progress.seconds
            model.eval()
            save(model, state, tokenizer, progress, out)
            told = sample(model, tokenizer, "Hi, how are you?")
            tqdm.write(f"step {progress.steps} valid {validation_loss(model, valid):.3f} | {told}")
            model.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE / "build")
    parser.add_argument("--out", type=Path, default=HERE / "build" / "run")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, arguments.minutes, arguments.seed, arguments.threads)


if __name__ == "__main__":
    main()
