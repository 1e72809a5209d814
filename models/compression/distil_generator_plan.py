"""What a generator's distillation decides before it computes.

Knows which layers a student keeps, which prompts the teacher answers, which tokens are learnt at which step, and how
the replies that were written are read again after a kill. Needs numpy only; knows nothing of torch.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Window = list[str]  # turns, the user's at even places, replies at odd ones
Answer = Callable[[Sequence[Window], int], list["Reply"]]  # (conversations that end with the user, chunk's seed)

Told = Literal["everything", "replies", "last replies"]  # which tokens of conversations are learnt or judged

CHUNK = 32  # replies between two saves: what a kill costs at most


class BadInput(ValueError):
    """What was given cannot be distilled; says why."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a student learns."""

    steps: int = 300
    rate: float = 1e-3
    temperature: float = 2.0  # of the teacher's and the student's distributions
    hard: float = 0.5  # weight of the cross-entropy of the one token that was written; the rest is the teacher's say
    replies: int = 0  # so many replies are written by the teacher and learnt in place of the data's; 0: the data's own
    reply_temperature: float = 0.0  # at which they are drawn; 0 takes the likeliest token each time
    batch_rows: int = 8
    row_tokens: int = 256
    reply_tokens: int = 40  # a reply that has not ended by then is not learnt
    warm_up: float = 0.05  # share of all steps
    decay: float = 0.01
    seed: int = 7

    def __post_init__(self) -> None:
        faults = [
            (self.steps < 1, f"steps are 1 or more, not {self.steps}"),
            (self.rate <= 0, f"a rate is above 0, not {self.rate}"),
            (self.temperature <= 0, f"a temperature is above 0, not {self.temperature}"),
            (not 0 <= self.hard <= 1, f"the weight of hard targets lies from 0 to 1, not {self.hard}"),
            (self.replies < 0, f"the teacher writes 0 or more replies, not {self.replies}"),
            (self.reply_temperature < 0, f"replies are drawn at 0 or above, not {self.reply_temperature}"),
            (self.batch_rows < 1, f"a batch has 1 row or more, not {self.batch_rows}"),
            (self.row_tokens <= self.reply_tokens, f"a row of {self.row_tokens} has no room for a prompt and a reply"),
        ]
        said = [words for wrong, words in faults if wrong]
        if said:
            raise BadInput("; ".join(said))


@dataclass(frozen=True, slots=True)
class Reply:
    """What the teacher answered to the turns before."""

    turns: Window  # the answer is the last
    ended: bool  # False where it was cut off


@dataclass(frozen=True, slots=True)
class Lesson:
    """One batch of packed conversations, and what is learnt of it.

    Shapes:
        ids, conversation, position: (B, T) int64
        learnt: (B, T) bool, True where the token that follows is to be foretold; False in the last column
    """

    ids: NDArray[np.int64]
    conversation: NDArray[np.int64]
    position: NDArray[np.int64]
    learnt: NDArray[np.bool_]


class Rows(Protocol):
    """What models/generator/tokens.py packs; (N, T) each, conversation 0 is padding."""

    @property
    def ids(self) -> NDArray[np.int16]: ...
    @property
    def conversation(self) -> NDArray[np.int16]: ...
    @property
    def position(self) -> NDArray[np.int16]: ...
    @property
    def reply(self) -> NDArray[np.bool_]: ...


def read_conversations(paths: Sequence[Path]) -> list[Window]:
    """The conversations of files as models/generator/prepare.py writes them: JSON lines with `turns`.

    Raises:
        BadInput: a file is missing, a line is no conversation, or there is none at all; says where.
    """
    windows: list[Window] = []
    for path in paths:
        if not path.exists():
            raise BadInput(f"{path} does not exist; models/generator/prepare.py writes conversations")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                turns = json.loads(line)["turns"]
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{path}, line {number}: no JSON object with turns") from error
            if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
                raise BadInput(f"{path}, line {number}: turns are a list of texts")
            windows.append(turns)
    if not any(len(window) >= 2 for window in windows):
        raise BadInput(f"{', '.join(str(path) for path in paths)}: no conversation with a reply")
    return windows


def half_of(layers: int) -> list[int]:
    """Half of the layers, spread evenly from the first to the last.

    Source: every second layer as a start, Sanh et al. 2019, "DistilBERT", section 3, arXiv:1910.01108
    """
    kept = max(1, layers // 2)
    return sorted({int(place) for place in np.linspace(0, layers - 1, kept).round()})


def known_layers(layers: Sequence[int], there_are: int) -> list[int]:
    """The layers, which the teacher has.

    Raises:
        BadInput: it lacks one, or none is given.
    """
    unknown = [layer for layer in layers if not 0 <= layer < there_are]
    if unknown or not layers:
        raise BadInput(f"the teacher has layers 0 to {there_are - 1}, not {unknown or 'none at all'}")
    return list(layers)


def prompts_of(windows: Sequence[Window], count: int, seed: int, fits: Callable[[Window], bool]) -> list[Window]:
    """Conversations that end with the user, from windows drawn by the seed; where in each, it draws too.

    What does not fit is left out, so there are fewer than `count` only where the windows are used up.
    """
    chance = np.random.default_rng(seed)
    usable = [window for window in windows if len(window) >= 2]
    prompts: list[Window] = []
    for index in chance.permutation(len(usable)):
        window = usable[index]
        prompt = window[: 2 * int(chance.integers(1, len(window) // 2 + 1)) - 1]
        if len(prompts) < count and fits(prompt):
            prompts.append(prompt)
    return prompts


def rows_of_step(count: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Which of `count` rows a step learns: none twice an epoch, in an order that seed and epoch decide alone."""
    per_epoch = max(1, count // batch)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[place * batch : (place + 1) * batch]


def lesson(rows: Rows, chosen: NDArray[np.int64], told: Told) -> Lesson:
    """The chosen rows as a batch. What follows the end of a conversation belongs to another, and is never learnt."""
    ids, conversation, position = (
        part[chosen].astype(np.int64) for part in (rows.ids, rows.conversation, rows.position)
    )
    match told:
        case "everything":
            goals = conversation > 0
        case "replies":
            goals = rows.reply[chosen]
        case "last replies":
            goals = _last_replies(conversation, rows.reply[chosen])
    learnt = np.zeros(ids.shape, np.bool_)
    learnt[:, :-1] = goals[:, 1:] & (conversation[:, 1:] == conversation[:, :-1])
    return Lesson(ids, conversation, position, learnt)


def _last_replies(conversation: NDArray[np.int64], reply: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a token belongs to its conversation's last turn, and that is a reply."""
    last = np.zeros(reply.shape, np.bool_)
    for place in reversed(range(reply.shape[1])):
        ends = np.ones(len(reply), np.bool_)
        if place + 1 < reply.shape[1]:
            ends = (conversation[:, place] != conversation[:, place + 1]) | last[:, place + 1]
        last[:, place] = reply[:, place] & ends
    return last


def windows_hash(windows: Sequence[Window]) -> str:
    return hashlib.sha256(json.dumps(list(windows)).encode()).hexdigest()[:16]


def written_replies(path: Path, prompts: Sequence[Window], seed: int, answer: Answer) -> Iterator[Reply]:
    """The teacher's reply to each prompt, from the file as far as it goes; the rest is asked for, chunk by chunk.

    A chunk is asked with a seed of its own, so that it comes out the same whether or not those before were read.
    The folder's settings say whose replies they are: see `run_settings.remember`.
    """
    known = _known_replies(path, len(prompts))
    yield from known
    with path.open("a", encoding="utf-8") as lines:
        for start in range(len(known), len(prompts), CHUNK):
            fresh = answer(prompts[start : start + CHUNK], seed + start)
            lines.write("".join(json.dumps(asdict(reply), ensure_ascii=False) + "\n" for reply in fresh))
            lines.flush()
            yield from fresh


def _known_replies(path: Path, wanted: int) -> list[Reply]:
    """The file's replies: all, or whole chunks; what a kill left of the last chunk is cut off, in the file too."""
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    kept = whole if len(whole) == wanted else whole[: len(whole) - len(whole) % CHUNK]
    if len(kept) < len(lines):
        with path.open("r+b") as file:
            file.truncate(sum(len(line) for line in kept))
    return [Reply(**json.loads(line)) for line in kept]


def to_learn(replies: Sequence[Reply]) -> list[Window]:
    """The conversations whose reply came to an end and says something."""
    return [reply.turns for reply in replies if reply.ended and reply.turns[-1]]
