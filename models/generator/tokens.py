"""The chat format: special tokens, the template, and conversations as token rows for training.

Everything that trains, converts or serves the generator agrees on the format through the tokenizer folder made here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BEGIN, USER, ASSISTANT, END, PAD = "<|begin|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
SPECIAL = (PAD, BEGIN, END, USER, ASSISTANT)  # their ids are their places
# System messages are left out: no training text has one, and a model this small cannot follow instructions.
CHAT_TEMPLATE = (
    "<|begin|>{% for message in messages %}"
    "{% if message['role'] in ['user', 'assistant'] %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Conversations packed side by side into rows of equal length.

    Shapes:
        ids: (N, T) int16 token ids, padded with the id of PAD
        conversation: (N, T) int16, the number of the conversation within its row, 0 for padding
        position: (N, T) int16, counted from each conversation's beginning
        reply: (N, T) bool, True where the token is part of a reply, its END included
    """

    ids: np.ndarray
    conversation: np.ndarray
    position: np.ndarray
    reply: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """A byte-level BPE tokenizer; digits stand alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_tokens: int) -> None:
    """Write the tokenizer the way Hugging Face and onnxruntime-genai read it, chat template included."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [USER, ASSISTANT],
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_windows(path: Path) -> list[list[str]]:
    return [json.loads(line)["turns"] for line in path.read_text(encoding="utf-8").splitlines()]


def special_id(token: str) -> int:
    """The id of one of the special tokens."""
    return SPECIAL.index(token)


def prompt_tokens(tokenizer: Tokenizer, messages: list[tuple[str, str]], budget_tokens: int) -> list[int]:
    """The chat template's token ids for (role, content) messages, ready for a reply, at most `budget_tokens` of them.

    The oldest messages go first; a single message that is still too long keeps its end. What people write is never
    read as a special token, so no text can end a turn or forge one.
    """
    begin, end, assistant = (special_id(token) for token in (BEGIN, END, ASSISTANT))
    markers = {"user": special_id(USER), "assistant": assistant}
    spoken = [(role, content) for role, content in messages if role in markers]
    tokenizer.encode_special_tokens = True
    kept: list[int] = []
    for role, content in reversed(spoken):
        ids = tokenizer.encode(content, add_special_tokens=False).ids
        room = budget_tokens - len(kept) - 4
        if len(ids) > room:
            if kept:
                break
            ids = ids[-room:]
        kept = [markers[role], *ids, end, *kept]
    return [begin, *kept, assistant]


def conversation_tokens(tokenizer: Tokenizer, windows: list[list[str]]) -> Iterator[tuple[list[int], list[bool]]]:
    """Each conversation's token ids in the chat format, and which of them belong to a reply."""
    begin, end, user, assistant = (special_id(token) for token in (BEGIN, END, USER, ASSISTANT))
    encoded = iter(tokenizer.encode_batch([turn for window in windows for turn in window], add_special_tokens=False))
    for window in windows:
        ids, reply = [begin], [False]
        for place in range(len(window)):
            is_reply = place % 2 == 1
            turn = next(encoded).ids
            ids += [assistant if is_reply else user, *turn, end]
            reply += [False] + [is_reply] * (len(turn) + 1)
        yield ids, reply


def pack(tokenizer: Tokenizer, windows: list[list[str]], row_tokens: int, seed: int) -> Rows:
    """The windows in a random order, packed so that none is cut; longer ones than a row lose their end."""
    conversations = [(ids[:row_tokens], reply[:row_tokens]) for ids, reply in conversation_tokens(tokenizer, windows)]
    random.Random(seed).shuffle(conversations)
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (row, tokens still free), few enough to search by eye
    for number, (tokens, _) in enumerate(conversations):
        fitting = next((place for place, (_, free) in enumerate(open_rows) if free >= len(tokens)), None)
        if fitting is None:
            rows.append([])
            open_rows = [*open_rows[-31:], (len(rows) - 1, row_tokens)]
            fitting = len(open_rows) - 1
        row, free = open_rows[fitting]
        rows[row].append(number)
        open_rows[fitting] = (row, free - len(tokens))

    shape = (len(rows), row_tokens)
    ids, conversation, position = (np.zeros(shape, np.int16) for _ in range(3))
    packed = Rows(ids, conversation, position, np.zeros(shape, bool))
    for row, members in enumerate(rows):
        start = 0
        for place, number in enumerate(members, 1):
            tokens, reply = conversations[number]
            span = slice(start, start + len(tokens))
            packed.ids[row, span] = tokens
            packed.conversation[row, span] = place
            packed.position[row, span] = np.arange(len(tokens))
            packed.reply[row, span] = reply
            start += len(tokens)
    return packed
