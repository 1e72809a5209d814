"""The teacher: a cross-encoder that reads both questions at once, and which pairs it is shown.

Knows torch and the folder of all-mpnet-base-v2; no files of pairs. Texts are known by their numbers.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pairs import Text
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional
from transformers import MPNetModel

FloatArray = NDArray[np.float32]
Labelled = tuple[int, int, int]  # two texts, and 1 if they are the same
Unlabelled = tuple[int, int]

BEGIN, PAD, END = 0, 1, 2
MOST_PIECES = 40
BATCH = 320
RATE, HEAD_RATE = 4e-5, 1e-3
WARM_UP_STEPS = 200
EPOCHS = 3  # at most; the minutes end before
CERTAINTY = 0.98  # of a label

NEIGHBOURS = 12
NEAR = {"trivia": 0.85, "bitext": 0.65}  # cosine from which two of a group are taken for the same
NEAR_ELSEWHERE = 0.75
UNLIKE = 30_000  # pairs out of two sources


@dataclass(slots=True)
class Mined:
    """Pairs found among the texts."""

    labelled: list[Labelled] = field(default_factory=list)
    unlabelled: list[Unlabelled] = field(default_factory=list)


class Teacher(nn.Module):
    """all-mpnet-base-v2 with a head on its first position, that sees `<s> a </s></s> b </s>`."""

    def __init__(self, folder: Path, texts: Sequence[str], device: str, layers: int | None = None) -> None:
        super().__init__()
        self.model = MPNetModel.from_pretrained(folder, add_pooling_layer=False)
        if layers is not None:
            del self.model.encoder.layer[layers:]
        width = self.model.config.hidden_size
        self.head = nn.Sequential(nn.Linear(width, 256), nn.Tanh(), nn.Linear(256, 1))
        self.device = device
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.pieces = [encoding.ids[1:-1][:MOST_PIECES] for encoding in tokenizer.encode_batch(list(texts))]
        self.to(device)

    def length(self, pair: Sequence[int]) -> int:
        return len(self.pieces[pair[0]]) + len(self.pieces[pair[1]])

    def read(self, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """The last layer, and which positions are no padding.

        Shapes: returns (B, T, 768), (B, T) int64
        """
        longest = (max(map(len, sequences)) + 7) // 8 * 8
        ids = np.full((len(sequences), longest), PAD, np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
        there = torch.tensor(ids).to(self.device)
        mask = (there != PAD).long()
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            return self.model(there, attention_mask=mask).last_hidden_state, mask

    def logits(self, pairs: Sequence[Unlabelled]) -> torch.Tensor:
        """The log-odds that the texts of each pair are the same. Shapes: returns (B,) float32"""
        joined = [[BEGIN, *self.pieces[a], END, END, *self.pieces[b], END] for a, b in pairs]
        return self.head(self.read(joined)[0][:, 0].float()).squeeze(1)

    @torch.no_grad()
    def scores(self, pairs: Sequence[Unlabelled], batch: int = 2048) -> FloatArray:
        """The log-odds of many pairs."""
        self.eval()
        found = np.zeros(len(pairs), np.float32)
        order = np.argsort([self.length(pair) for pair in pairs], kind="stable")
        for rows in np.split(order, range(batch, len(order), batch)):
            found[rows] = self.logits([pairs[row] for row in rows]).cpu().numpy()
        return found

    @torch.no_grad()
    def vectors(self, texts: Sequence[int], batch: int = 1024) -> FloatArray:
        """The meaning of single texts, before anything was learnt. Shapes: returns (N, 768), unit length"""
        self.eval()
        found = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        order = np.argsort([len(self.pieces[text]) for text in texts], kind="stable")
        for rows in np.split(order, range(batch, len(order), batch)):
            states, mask = self.read([[BEGIN, *self.pieces[texts[row]], END] for row in rows])
            mean = (states.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            found[rows] = functional.normalize(mean, dim=1).cpu().numpy()
        return found


# Which pairs ----------------------------------------------------------------------------------------------------------


def mine(texts: Sequence[Text], numbers: Sequence[int], vectors: FloatArray, device: str, rng: random.Random) -> Mined:
    """Pairs that are near each other: of one group, of two, and those that the teacher is to judge.

    Shapes: numbers: what each text is known by; vectors: (N, D), unit length
    """
    sources = defaultdict(list)
    for row, text in enumerate(texts):
        sources[text.source].append(row)
    mined = Mined()
    for source, rows in sources.items():
        of_source = [texts[row] for row in rows], [numbers[row] for row in rows]
        near = torch.tensor(vectors[rows]).to(device, torch.float16 if device == "cuda" else torch.float32)
        if of_source[0][0].group:
            _pairs_of_groups(*of_source, near, NEAR.get(source, NEAR_ELSEWHERE), mined, rng)
        _pairs_of_neighbours(*of_source, near, mined, rng)
    _far_pairs(sources, texts, numbers, vectors, mined, rng)
    return mined


def _pairs_of_groups(
    texts: Sequence[Text],
    numbers: Sequence[int],
    vectors: torch.Tensor,
    least: float,
    mined: Mined,
    rng: random.Random,
) -> None:
    groups = defaultdict(list)
    for place, text in enumerate(texts):
        groups[text.group].append(place)
    for places in groups.values():
        alike = texts[places[0]].alike
        for place in places if len(places) > 1 else ():
            for other in rng.sample(places, min(2 if alike else 4, len(places) - 1)):
                pair = numbers[place], numbers[other]
                if other != place and not alike:
                    mined.unlabelled.append(pair)
                elif other != place and float(vectors[place] @ vectors[other]) > least:
                    mined.labelled.append((*pair, 1))


def _pairs_of_neighbours(
    texts: Sequence[Text], numbers: Sequence[int], vectors: torch.Tensor, mined: Mined, rng: random.Random
) -> None:
    """Of two groups they differ; what nobody sorted, and the nearest of all, the teacher is to judge."""
    for place, found in _neighbours(texts, vectors):
        text = texts[place]
        if text.group and (text.alike or text.source != "trivia"):
            others = [other for other, cosine in found if texts[other].group != text.group and cosine > 0.5][:6]
            for other in rng.sample(others, min(1 if text.source == "sgd train" else 2, len(others))):
                mined.labelled.append((numbers[place], numbers[other], 0))
            chosen = [other for other, _ in found[:4]]
        else:
            near = [other for other, cosine in found if cosine > 0.6]
            chosen = rng.sample(near, min(4, len(near)))
        mined.unlabelled.extend((numbers[place], numbers[other]) for other in chosen)


def _neighbours(texts: Sequence[Text], vectors: torch.Tensor) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """The nearest other texts of each, nearest first, with their cosine."""
    for start in range(0, len(texts), 2048):
        similar = (vectors[start : start + 2048] @ vectors.T).float()
        cosines, places = similar.topk(min(NEIGHBOURS + 1, len(texts)), dim=1)
        for row, found in enumerate(zip(places.tolist(), cosines.tolist(), strict=True)):
            own = texts[start + row].text.lower()
            yield start + row, [each for each in zip(*found, strict=True) if texts[each[0]].text.lower() != own]


def _far_pairs(
    sources: dict[str, list[int]],
    texts: Sequence[Text],
    numbers: Sequence[int],
    vectors: FloatArray,
    mined: Mined,
    rng: random.Random,
) -> None:
    for _ in range(min(UNLIKE, len(texts))):
        one, other = rng.randrange(len(texts)), rng.randrange(len(texts))
        if texts[one].source != texts[other].source:
            mined.labelled.append((numbers[one], numbers[other], 0))
    for rows in sources.values():
        for _ in range(len(rows) // 6):
            one, other = rng.choice(rows), rng.choice(rows)
            if float(vectors[one] @ vectors[other]) < 0.5:
                mined.labelled.append((numbers[one], numbers[other], 0))


# Training -------------------------------------------------------------------------------------------------------------


def train_teacher(teacher: Teacher, labelled: Sequence[Labelled], minutes: float, rng: random.Random) -> None:
    """Learns for `minutes`, or EPOCHS times through; the rate falls in a straight line to their end."""
    matrices = [each for each in teacher.model.parameters() if each.ndim > 1]
    others = [each for each in teacher.model.parameters() if each.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": 0.01, "peak": RATE},
        {"params": others, "weight_decay": 0.0, "peak": RATE},
        {"params": teacher.head.parameters(), "weight_decay": 0.01, "peak": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=teacher.device == "cuda")
    teacher.train()
    began, steps = time.monotonic(), 0
    for batch in _batches(teacher, labelled, rng):
        spent = (time.monotonic() - began) / (60 * minutes)
        if spent >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1, (steps + 1) / WARM_UP_STEPS) * (1 - spent)
        pairs = [(b, a) if rng.random() < 0.5 else (a, b) for a, b, _ in batch]
        wanted = torch.tensor([float(label) for *_, label in batch], device=teacher.device)
        wanted = wanted * CERTAINTY + (1 - CERTAINTY) / 2
        loss = functional.binary_cross_entropy_with_logits(teacher.logits(pairs), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(teacher.model.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if steps % 200 == 0:
            print(f"teacher, step {steps}, {spent:.0%} of its time, loss {loss.item():.4f}", flush=True)
    print(f"teacher: {steps} steps of {BATCH} pairs", flush=True)


def _batches(teacher: Teacher, labelled: Sequence[Labelled], rng: random.Random) -> Iterator[Sequence[Labelled]]:
    """Pairs of about one length together."""
    for _ in range(EPOCHS):
        shuffled = rng.sample(labelled, len(labelled))
        for start in range(0, len(shuffled), 64 * BATCH):
            chunk = sorted(shuffled[start : start + 64 * BATCH], key=teacher.length)
            batches = [chunk[at : at + BATCH] for at in range(0, len(chunk), BATCH)]
            yield from rng.sample(batches, len(batches))
