"""Distil the generator: a small Llama learns from a larger one what follows what, token by token or reply by reply.

Token by token, over the learnt places i of a batch, with p and q the teacher's and the student's distributions of the
next token, t a temperature, h the weight of the token y_i that was written:

    loss = 1/N sum_i  (1 - h) t^2 KL(p_i^(1/t) || q_i^(1/t)) - h log q_i(y_i)

Reply by reply (sequence level), the data's replies give way to the teacher's own to prompts x from the data:

    loss = -sum over all y of p(y|x) log q(y|x),  about  -log q(y'|x)  with y' the likeliest reply

y' is found greedily, one token after the other; drawn at temperature 1 it stands for the sum itself. Only y' is learnt,
and only if it came to an end. With h below 1 the first loss is taken at its places (both levels together).

A killed run goes on as if there had been no kill: batches follow from seed and step alone, replies that were written
stay written, and a folder of other settings is refused. Knows nothing of the command line. Needs torch, transformers.

Sources: Hinton, Vinyals and Dean 2015, arXiv:1503.02531; Kim and Rush 2016, "Sequence-level knowledge distillation",
sections 3.1 (where it is called word level) to 3.3 (both), arXiv:1606.07947
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional
from tqdm import tqdm
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from models.compression.distil_generator_plan import (
    Answer,
    BadInput,
    Lesson,
    Recipe,
    Reply,
    Told,
    Window,
    half_of,
    known_layers,
    lesson,
    prompts_of,
    rows_of_step,
    to_learn,
    windows_hash,
    written_replies,
)
from models.compression.distil_losses import logit_loss
from models.compression.distil_plan import rate_share
from models.compression.run_settings import CHECKPOINT, REPLIES, Setting, remember
from models.generator.tokens import ASSISTANT, END, PAD, SPECIAL, Rows, conversation_tokens, pack, special_id

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
CLIP = 1.0  # greatest norm of a gradient
JUDGED_ROWS = 8  # at a time


@dataclass(frozen=True, slots=True)
class Figures:
    """What models say of held-out conversations, per reply token."""

    teacher: float  # perplexity
    before: float  # perplexity of the student as it began
    after: float  # ... and as it became
    divergence_before: float  # KL(teacher || student), nats
    divergence_after: float


def distil_folder(
    teacher_folder: Path,
    windows: Sequence[Window],
    valid: Sequence[Window],
    out: Path,
    recipe: Recipe,
    *,
    layers: Sequence[int] | None = None,
    student_folder: Path | None = None,
    seconds_between_saves: float = 60.0,
) -> Figures:
    """Write `out`/start and `out`/student, Hugging Face folders with the teacher's tokenizer, and say what was gained.

    The student begins as the given layers of the teacher (without any, half of them), or as another folder.

    Raises:
        BadInput: a folder, the layers, the tokenizers or the conversations are not fit for it.
        Mismatch: `out` was begun with other settings.
    """
    teacher, tokenizer = load_llama(teacher_folder), chat_tokenizer(teacher_folder)
    if tokenizer.get_vocab_size() > teacher.config.vocab_size:
        sizes = f"{tokenizer.get_vocab_size()} tokens, its model {teacher.config.vocab_size}"
        raise BadInput(f"{teacher_folder} is of two minds: its tokenizer knows {sizes}")
    if student_folder is None:
        kept = known_layers(half_of(len(teacher.model.layers)) if layers is None else layers, len(teacher.model.layers))
        student, start = keep_layers(teacher, kept), f"layers {' '.join(map(str, kept))}"
    else:
        student, start = load_llama(student_folder), f"{student_folder.name} {weights_hash(student_folder)}"
        see_same_vocabulary(teacher, student, tokenizer, chat_tokenizer(student_folder))
    settings: dict[str, Setting] = {
        "teacher": f"{teacher_folder.name} {weights_hash(teacher_folder)}",
        "start": start,
        "data": windows_hash(windows),
        **asdict(recipe),
    }
    remember(out, settings)
    write_folder(student, teacher_folder, out / "start")
    told: Told = "everything"
    if recipe.replies:
        windows, told = teacher_replies(teacher, tokenizer, windows, recipe, out / REPLIES), "last replies"
    rows = pack(tokenizer, list(windows), recipe.row_tokens, recipe.seed)
    held_out = pack(tokenizer, list(valid), recipe.row_tokens, recipe.seed)
    if not len(rows) or not len(held_out):
        raise BadInput("there is nothing to learn from, or nothing to judge by")
    before = judged(teacher, student, held_out)
    distil(teacher, student, rows, told, recipe, out / CHECKPOINT, seconds_between_saves)
    after = judged(teacher, student, held_out)
    figures = Figures(
        teacher=math.exp(before.teacher),
        before=math.exp(before.student),
        after=math.exp(after.student),
        divergence_before=before.divergence,
        divergence_after=after.divergence,
    )
    write_folder(student, teacher_folder, out / "student")
    (out / "student" / "distillation.json").write_text(
        json.dumps({"settings": settings, "figures": asdict(figures)}, indent=2) + "\n", encoding="utf-8"
    )
    return figures


def load_llama(folder: Path) -> LlamaForCausalLM:
    """A Llama in float32, only asked until it is trained.

    Raises:
        BadInput: the folder holds none.
    """
    if not (folder / "config.json").exists():
        raise BadInput(f"{folder} has no config.json: no Hugging Face folder (models/generator/restore.py writes one)")
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != "llama":
        raise BadInput(f"{folder} holds a model of type {kind}; only llama is known")
    if not list(folder.glob("model*.safetensors")):
        raise BadInput(f"{folder} has no model.safetensors")
    model, told = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    if told["missing_keys"]:  # which transformers would fill with random numbers
        raise BadInput(f"{folder} lacks the weights {', '.join(sorted(told['missing_keys']))}")
    return model.eval()


def chat_tokenizer(folder: Path) -> Tokenizer:
    """The folder's tokenizer, which has the generator's chat format.

    Raises:
        BadInput: it has not, or there is none.
    """
    missing = [name for name in TOKENIZER_FILES[:2] if not (folder / name).exists()]
    if missing:
        raise BadInput(f"{folder} has no {' and no '.join(missing)}")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if [tokenizer.token_to_id(token) for token in SPECIAL] != list(range(len(SPECIAL))):
        raise BadInput(f"{folder}: the tokenizer does not begin with {' '.join(SPECIAL)}, the generator's chat format")
    return tokenizer


def see_same_vocabulary(teacher: LlamaForCausalLM, student: LlamaForCausalLM, ours: Tokenizer, its: Tokenizer) -> None:
    """See that one id is one token to both, or else their distributions are not over the same things.

    Raises:
        BadInput: it is not.
    """
    if teacher.config.vocab_size != student.config.vocab_size:
        sizes = f"{teacher.config.vocab_size} and {student.config.vocab_size}"
        raise BadInput(f"teacher and student have different vocabularies, of {sizes} tokens")
    if ours.to_str() != its.to_str():
        raise BadInput("teacher and student have different tokenizers")


def weights_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("model*.safetensors")):
        with path.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()[:16]


def keep_layers(teacher: LlamaForCausalLM, layers: Sequence[int]) -> LlamaForCausalLM:
    """A student of only the given layers of the teacher, in that order, and of everything around them."""
    student = LlamaForCausalLM(LlamaConfig(**{**teacher.config.to_dict(), "num_hidden_layers": len(layers)}))
    student.generation_config = teacher.generation_config
    student.model.embed_tokens.load_state_dict(teacher.model.embed_tokens.state_dict())
    student.model.norm.load_state_dict(teacher.model.norm.state_dict())
    student.lm_head.load_state_dict(teacher.lm_head.state_dict())
    for new, old in enumerate(layers):
        student.model.layers[new].load_state_dict(teacher.model.layers[old].state_dict())
    return student.eval()


def write_folder(model: LlamaForCausalLM, tokenizer_folder: Path, folder: Path) -> None:
    """Write what transformers, models/generator/convert.py and evaluate.py read."""
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (tokenizer_folder / name).exists():
            shutil.copyfile(tokenizer_folder / name, folder / name)


def teacher_replies(
    teacher: LlamaForCausalLM, tokenizer: Tokenizer, windows: Sequence[Window], recipe: Recipe, path: Path
) -> list[Window]:
    """Conversations whose last turn the teacher wrote; the file is read as far as it goes.

    Raises:
        BadInput: none of the replies came to an end.
    """
    room = recipe.row_tokens - recipe.reply_tokens
    prompts = prompts_of(
        windows, recipe.replies, recipe.seed, lambda prompt: len(_prompt_ids(tokenizer, [prompt])[0]) <= room
    )
    if not prompts:
        raise BadInput(f"no conversation leaves room for a reply in {recipe.row_tokens} tokens")
    replies = []
    with tqdm(total=len(prompts), desc="replies", unit="reply", mininterval=5) as bar:
        for reply in written_replies(path, prompts, recipe.seed, answerer(teacher, tokenizer, recipe)):
            replies.append(reply)
            bar.update()
    learnt = to_learn(replies)
    if not learnt:
        raise BadInput(f"of {len(prompts)} replies of the teacher none came to an end in {recipe.reply_tokens} tokens")
    return learnt


def answerer(teacher: LlamaForCausalLM, tokenizer: Tokenizer, recipe: Recipe) -> Answer:
    """How the teacher answers: with the likeliest tokens or drawn ones, never with a mark of the chat format."""
    drawn = {"do_sample": True, "temperature": recipe.reply_temperature, "top_k": 0, "top_p": 1.0}
    how = GenerationConfig(
        max_new_tokens=recipe.reply_tokens,
        eos_token_id=special_id(END),
        pad_token_id=special_id(PAD),
        suppress_tokens=[special_id(token) for token in SPECIAL if token != END],
        **(drawn if recipe.reply_temperature else {"do_sample": False}),
    )

    @torch.inference_mode()
    def answer(prompts: Sequence[Window], seed: int) -> list[Reply]:
        torch.manual_seed(seed)
        ids = _prompt_ids(tokenizer, prompts)
        width = max(len(each) for each in ids)
        tokens = torch.tensor([[special_id(PAD)] * (width - len(each)) + each for each in ids])  # ends stand together
        mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in ids])
        made = teacher.generate(tokens, attention_mask=mask, generation_config=how)[:, width:].tolist()
        return [_reply(tokenizer, *each) for each in zip(prompts, made, strict=True)]

    return answer


def _reply(tokenizer: Tokenizer, prompt: Window, made: list[int]) -> Reply:
    ended = special_id(END) in made
    said = made[: made.index(special_id(END))] if ended else made
    return Reply([*prompt, tokenizer.decode(said).strip()], ended)


def _prompt_ids(tokenizer: Tokenizer, prompts: Sequence[Window]) -> list[list[int]]:
    """Each prompt's tokens, the mark that begins a reply included."""
    return [[*ids, special_id(ASSISTANT)] for ids, _ in conversation_tokens(tokenizer, list(prompts))]


def next_token_logits(model: LlamaForCausalLM, batch: Lesson) -> torch.Tensor:
    """What the model says of the next token where there is one to learn; conversations of a row do not see each other.

    Shapes:
        returns: (N, V) float32, N the learnt places of the batch
    """
    ids, conversation, position, learnt = (
        torch.from_numpy(part) for part in (batch.ids, batch.conversation, batch.position, batch.learnt)
    )
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    mask = causal & (conversation[:, None, :, None] == conversation[:, None, None, :])
    hidden = model.model(input_ids=ids, attention_mask=mask, position_ids=position, use_cache=False).last_hidden_state
    return model.lm_head(hidden[learnt]).float()


def next_tokens(batch: Lesson) -> torch.Tensor:
    """The tokens that follow the learnt places, (N,)."""
    return torch.from_numpy(np.roll(batch.ids, -1, axis=1)[batch.learnt])


def loss_of(teacher: LlamaForCausalLM, student: LlamaForCausalLM, batch: Lesson, recipe: Recipe) -> torch.Tensor:
    """The loss that this module opens with; a part of weight 0 is not computed."""
    ours = next_token_logits(student, batch)
    loss = torch.zeros(())
    if recipe.hard < 1:
        with torch.no_grad():
            theirs = next_token_logits(teacher, batch)
        loss = loss + (1 - recipe.hard) * logit_loss(ours, theirs, recipe.temperature)
    if recipe.hard > 0:
        loss = loss + recipe.hard * functional.cross_entropy(ours, next_tokens(batch))
    return loss


def distil(
    teacher: LlamaForCausalLM,
    student: LlamaForCausalLM,
    rows: Rows,
    told: Told,
    recipe: Recipe,
    checkpoint: Path,
    seconds_between_saves: float,
) -> None:
    """Train the student to the end, from the checkpoint if there is one.

    Raises:
        BadInput: the loss is no number any more.
    """
    optimizer = torch.optim.AdamW(student.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    step = _load(checkpoint, student, optimizer)
    saved = time.monotonic()
    student.train()
    with tqdm(total=recipe.steps, initial=step, desc="student", unit="step", mininterval=5) as bar:
        while step < recipe.steps:
            chosen = rows_of_step(len(rows), recipe.batch_rows, recipe.seed, step)
            loss = loss_of(teacher, student, lesson(rows, chosen, told), recipe)
            if not torch.isfinite(loss):
                raise BadInput(f"the loss of step {step} is {loss.item()}; try a smaller rate than {recipe.rate}")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * rate_share(step, recipe.steps, recipe.warm_up)
            optimizer.step()
            step += 1
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
            if step == recipe.steps or time.monotonic() - saved > seconds_between_saves:
                _save(checkpoint, student, optimizer, step)
                saved = time.monotonic()
    student.eval()


def _save(path: Path, student: LlamaForCausalLM, optimizer: torch.optim.Optimizer, step: int) -> None:
    fresh = path.with_suffix(".new")
    torch.save({"student": student.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, fresh)
    fresh.replace(path)  # a kill leaves the old one or the new one, never half


def _load(path: Path, student: LlamaForCausalLM, optimizer: torch.optim.Optimizer) -> int:
    """The step at which the checkpoint stands; 0 if there is none."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    student.load_state_dict(state["student"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


@dataclass(frozen=True, slots=True)
class Judgement:
    """Nats per reply token."""

    teacher: float  # cross-entropy
    student: float
    divergence: float  # KL(teacher || student)


@torch.inference_mode()
def judged(teacher: LlamaForCausalLM, student: LlamaForCausalLM, rows: Rows) -> Judgement:
    """What both say of the replies in the rows, every token counted alike."""
    sums, count = np.zeros(3), 0
    for start in range(0, len(rows), JUDGED_ROWS):
        batch = lesson(rows, np.arange(start, min(start + JUDGED_ROWS, len(rows))), "replies")
        if not batch.learnt.any():
            continue
        theirs, ours, tokens = next_token_logits(teacher, batch), next_token_logits(student, batch), next_tokens(batch)
        means = functional.cross_entropy(theirs, tokens), functional.cross_entropy(ours, tokens)
        sums += np.array([*(mean.item() for mean in means), logit_loss(ours, theirs, 1.0).item()]) * len(tokens)
        count += len(tokens)
    if not count:
        raise BadInput("there is no reply to judge by")
    return Judgement(*(sums / count).tolist())


def use_threads(count: int) -> None:
    torch.set_num_threads(count)
