"""The chat format: special tokens, the template, and conversations as token rows for training.

    <|begin|> [<|knowledge|> passages <|end|>] <|user|>...<|end|><|assistant|>...<|end|> ...

Everything that trains, converts or serves the generator agrees on the format through the tokenizer folder made here.
Passages stand first, so that many questions can be asked about them at the price of reading them once. A numbered mark
precedes each of their sentences, and one more closes the last. A reply that quotes says its sentence's mark first:
choosing a sentence is then one token, and saying it is copying what stands behind the same token above.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BEGIN, USER, ASSISTANT, END, PAD = "<|begin|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
KNOWLEDGE = "<|knowledge|>"
SPECIAL = (PAD, BEGIN, END, USER, ASSISTANT, KNOWLEDGE)  # their ids are their places
MARK_COUNT = 40  # sentences beyond it are read, but cannot be quoted
MARKS = tuple(f"<|{number}|>" for number in range(1, MARK_COUNT + 1))  # ids follow SPECIAL's; replies may hold them
KNOWLEDGE_LINE = "Knowledge:"  # of a system message; passages follow it, up to an empty line
MIN_PIECE = 12  # characters; what is shorter ("1.", "Yes.", "Dr.") belongs to the sentence that follows
SENTENCE_ENDS = (". ", "! ", "? ")
PASSAGE_NUMBER = re.compile(r"\[\d+\] ")
# Says the same as `pieces_of` and `prompt_tokens` for whoever renders with Jinja. Of system messages it reads only the
# passages: no training text has more, and a model this small cannot follow instructions.
CHAT_TEMPLATE = (
    "{%- set state = namespace(inside=false, pieces=[], part='', text='') -%}"
    "{%- for message in messages -%}{%- if message['role'] == 'system' -%}"
    "{%- set state.inside = false -%}"
    "{%- for line in message['content'].split('\n') -%}"
    "{%- if line == 'Knowledge:' -%}{%- set state.inside = true -%}"
    "{%- elif line == '' -%}{%- set state.inside = false -%}"
    "{%- elif state.inside -%}"
    "{%- set state.text = line -%}"
    "{%- if line[0] == '[' and line.split('] ')[0][1:].isdigit() and '] ' in line -%}"
    "{%- set state.text = line.split('] ')[1:] | join('] ') -%}"
    "{%- if ': ' in state.text -%}"
    "{%- set state.pieces = state.pieces + [state.text.split(': ')[0] + ': '] -%}"
    "{%- set state.text = state.text.split(': ')[1:] | join(': ') -%}"
    "{%- endif -%}{%- endif -%}"
    "{%- set state.part = '' -%}"
    "{%- set state.text = state.text | replace('. ', '. \n') | replace('! ', '! \n') | replace('? ', '? \n') -%}"
    "{%- for part in state.text.split('\n') -%}"
    "{%- set state.part = state.part + part -%}"
    "{%- if loop.last -%}{%- set state.pieces = state.pieces + [state.part + '\n'] -%}"
    "{%- elif state.part | length >= 12 -%}"
    "{%- set state.pieces = state.pieces + [state.part] -%}{%- set state.part = '' -%}"
    "{%- endif -%}{%- endfor -%}"
    "{%- endif -%}{%- endfor -%}{%- endif -%}{%- endfor -%}"
    "{{- '<|begin|>' -}}"
    "{%- if state.pieces -%}{{- '<|knowledge|>' -}}"
    "{%- for piece in state.pieces -%}"
    "{%- if loop.index < 40 -%}{{- '<|' ~ loop.index ~ '|>' -}}{%- endif -%}{{- piece -}}"
    "{%- if loop.last -%}{{- '<|' ~ ([loop.index + 1, 40] | min) ~ '|>' -}}{%- endif -%}"
    "{%- endfor -%}{{- '<|end|>' -}}{%- endif -%}"
    "{%- for message in messages -%}{%- if message['role'] in ['user', 'assistant'] -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Conversations packed side by side into rows of equal length.

    A question about passages is a branch: it sees the passages (branch 0) and itself, not the other questions.

    Shapes:
        ids: (N, T) int16 token ids, padded with the id of PAD
        conversation: (N, T) int16, the number of the conversation within its row, 0 for padding
        position: (N, T) int16, counted from each conversation's beginning; branches all begin behind the passages
        reply: (N, T) bool, True where the token is part of a reply, its END included; not for the words of a quotation,
            which follow from its marks
        branch: (N, T) int16
    """

    ids: np.ndarray
    conversation: np.ndarray
    position: np.ndarray
    reply: np.ndarray
    branch: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Grounded:
    """Passages, and conversations that each know nothing of one another.

    In a reply, a run of the passages' whole sentences becomes a quotation with marks; other replies stay as they are.
    """

    passages: str  # what follows the line `Knowledge:`
    branches: tuple[tuple[str, ...], ...]  # each is user, reply, user, reply ...; the last reply is learnt


@dataclass(frozen=True, slots=True)
class Encoded:
    """One conversation's tokens; the fields are `Rows`' without its first dimension."""

    ids: list[int]
    position: list[int]
    reply: list[bool]
    branch: list[int]


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """A byte-level BPE tokenizer; digits stand alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[*SPECIAL, *MARKS],
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
        "additional_special_tokens": [USER, ASSISTANT, KNOWLEDGE, *MARKS],
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": max_tokens,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "add_eos_token": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_windows(path: Path) -> list[list[str]]:
    return [json.loads(line)["turns"] for line in path.read_text(encoding="utf-8").splitlines()]


def read_grounded(path: Path) -> list[Grounded]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Grounded(row["passages"], tuple(tuple(branch) for branch in row["branches"])) for row in rows]


def special_id(token: str) -> int:
    """The id of one of the special tokens or marks."""
    return SPECIAL.index(token) if token in SPECIAL else len(SPECIAL) + MARKS.index(token)


def knowledge_of(messages: Iterable[tuple[str, str]]) -> str:
    """The lines of passages in the system messages; empty where there are none."""
    lines: list[str] = []
    for role, content in messages:
        inside = False
        for line in content.split("\n") if role == "system" else ():
            if line == KNOWLEDGE_LINE:
                inside = True
            elif not line:
                inside = False
            elif inside:
                lines.append(line)
    return "\n".join(lines)


def pieces_of(passages: str) -> list[str]:
    """The sentences of passages, each with the space or line break behind it.

    Of `[1] Title: text` the number goes, and the title is a piece of its own.
    """
    pieces: list[str] = []
    for line in passages.split("\n") if passages else ():
        text = line
        if number := PASSAGE_NUMBER.match(line):
            title, colon, rest = line[number.end() :].partition(": ")
            text = rest if colon else title
            pieces += [title + colon] if colon else []
        for end in SENTENCE_ENDS:
            text = text.replace(end, end + "\n")
        part = ""
        *parts, last = text.split("\n")
        for each in parts:
            part += each
            if len(part) >= MIN_PIECE:
                pieces.append(part)
                part = ""
        pieces.append(part + last + "\n")
    return pieces


def quoted(pieces: list[str], reply: str) -> range:
    """Which consecutive pieces the reply consists of; empty where it is no quotation."""
    wanted = " ".join(reply.split())
    for first, piece in enumerate(pieces[: MARK_COUNT - 1]):
        if not wanted.startswith(" ".join(piece.split())):
            continue
        said = ""
        for last in range(first, min(len(pieces), MARK_COUNT - 1)):
            said += pieces[last]
            normal = " ".join(said.split())
            if normal == wanted:
                return range(first, last + 1)
            if not wanted.startswith(normal):
                break
    return range(0)


def knowledge_tokens(tokenizer: Tokenizer, pieces: list[str], budget_tokens: int) -> list[int]:
    """The passages' segment, marks included; what does not fit is cut from its end, at a sentence where possible."""
    mark, end = special_id(MARKS[0]), special_id(END)
    ids = [special_id(KNOWLEDGE)]
    closing = mark
    for number, encoded in enumerate(tokenizer.encode_batch(pieces, add_special_tokens=False)):
        piece = [mark + number, *encoded.ids] if number < MARK_COUNT - 1 else encoded.ids
        room = budget_tokens - len(ids) - 2
        if len(piece) > room and number:
            break
        ids += piece[:room]
        closing = mark + min(number + 1, MARK_COUNT - 1)
    return [*ids, closing, end] if len(ids) > 1 else []


def prompt_tokens(tokenizer: Tokenizer, messages: list[tuple[str, str]], budget_tokens: int) -> list[int]:
    """The chat template's token ids for (role, content) messages, ready for a reply, at most `budget_tokens` of them.

    The oldest messages go first, then the passages' end; a single message that is still too long keeps its end. What
    people write is never read as a special token, so no text can end a turn or forge one.
    """
    begin, end, assistant = (special_id(token) for token in (BEGIN, END, ASSISTANT))
    markers = {"user": special_id(USER), "assistant": assistant}
    spoken = [(role, content) for role, content in messages if role in markers]
    tokenizer.encode_special_tokens = True
    turns = [tokenizer.encode(content, add_special_tokens=False).ids for _, content in spoken]
    latest = min(len(turns[-1]) + 2 if turns else 0, budget_tokens - 2)
    pieces = pieces_of(knowledge_of(messages))
    knowledge = knowledge_tokens(tokenizer, pieces, budget_tokens - 2 - latest) if pieces else []
    kept: list[int] = []
    for (role, _), ids in zip(reversed(spoken), reversed(turns), strict=True):
        room = budget_tokens - len(knowledge) - len(kept) - 4
        if len(ids) > room:
            if kept:
                break
            ids = ids[-room:]
        kept = [markers[role], *ids, end, *kept]
    return [begin, *knowledge, *kept, assistant]


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


def grounded_tokens(tokenizer: Tokenizer, example: Grounded, row_tokens: int) -> Encoded:
    """The example's tokens: passages first, then branch after branch; branches that do not fit are left out.

    An example without passages has an empty segment left out too, and may still have branches.
    """
    end, user, assistant, mark = (special_id(token) for token in (END, USER, ASSISTANT, MARKS[0]))
    tokenizer.encode_special_tokens = True
    pieces = pieces_of(example.passages)
    ids = [special_id(BEGIN), *knowledge_tokens(tokenizer, pieces, row_tokens)]
    shared = len(ids)
    position, reply, branch = list(range(shared)), [False] * shared, [0] * shared
    for number, turns in enumerate(example.branches, 1):
        tokens: list[int] = []
        for place, turn in enumerate(turns):
            run = quoted(pieces, turn) if place % 2 else range(0)
            said: list[int] = []
            for piece in run:
                text = pieces[piece] if piece != run[-1] else pieces[piece].rstrip()
                said += [mark + piece, *tokenizer.encode(text, add_special_tokens=False).ids]
            said = said or tokenizer.encode(turn, add_special_tokens=False).ids
            learnt = [assistant if place % 2 else user, *said, end]
            tokens += learnt
        if len(ids) + len(tokens) > row_tokens:
            continue
        ids += tokens
        position += range(shared, shared + len(tokens))
        reply += [False] * (len(tokens) - len(learnt) + 1)
        reply += [not run or token == end or mark <= token < mark + MARK_COUNT for token in learnt[1:]]
        branch += [number] * len(tokens)
    return Encoded(ids, position, reply, branch)


def pack(tokenizer: Tokenizer, windows: list[list[str]], row_tokens: int, seed: int) -> Rows:
    """The windows in a random order, packed so that none is cut; longer ones than a row lose their end."""
    conversations = [
        Encoded(ids[:row_tokens], list(range(len(ids[:row_tokens]))), reply[:row_tokens], [0] * len(ids[:row_tokens]))
        for ids, reply in conversation_tokens(tokenizer, windows)
    ]
    return pack_encoded(conversations, row_tokens, seed)


def pack_encoded(conversations: list[Encoded], row_tokens: int, seed: int) -> Rows:
    """The conversations in a random order, packed so that none is cut."""
    conversations = list(conversations)
    random.Random(seed).shuffle(conversations)
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (row, tokens still free), few enough to search by eye
    for number, conversation in enumerate(conversations):
        length = len(conversation.ids)
        fitting = next((place for place, (_, free) in enumerate(open_rows) if free >= length), None)
        if fitting is None:
            rows.append([])
            open_rows = [*open_rows[-31:], (len(rows) - 1, row_tokens)]
            fitting = len(open_rows) - 1
        row, free = open_rows[fitting]
        rows[row].append(number)
        open_rows[fitting] = (row, free - length)

    shape = (len(rows), row_tokens)
    ids, conversation_number, position, branch = (np.zeros(shape, np.int16) for _ in range(4))
    packed = Rows(ids, conversation_number, position, np.zeros(shape, bool), branch)
    for row, members in enumerate(rows):
        start = 0
        for place, number in enumerate(members, 1):
            each = conversations[number]
            span = slice(start, start + len(each.ids))
            packed.ids[row, span] = each.ids
            packed.conversation[row, span] = place
            packed.position[row, span] = each.position
            packed.reply[row, span] = each.reply
            packed.branch[row, span] = each.branch
            start += len(each.ids)
    return packed
