"""The student: the network that ships, as it learns. `parley.caching.sameness.Network` is the same in numpy.

Knows torch, and what states.py made of the questions; no texts.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from states import MOST_PIECES, WIDTH, States
from torch import nn
from torch.nn import functional

DIMENSIONS, LAYERS, HEADS, HIDDEN = 128, 2, 4, 256
DROPOUT = 0.1
BATCH = 2048
RATE = 2e-3
WARM_UP_STEPS = 500
TEACHER_SHARE = 0.5  # of what is wanted where there is a label
DOUBTED, DOUBTED_WEIGHT = 0.9, 0.3  # a label that the teacher, having learnt from it, still finds so wrong is noise
UNLABELLED_WEIGHT = 0.7
SPREAD = WIDTH**0.5  # of a unit vector's products, so that they are about 1


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the student learns from.

    Shapes:
        pairs: (P, 2) int64, rows of `States`
        labels: (P,) int8, -1 where there is none
        teacher: (P,) float32, log-odds
    """

    pairs: NDArray[np.int64]
    labels: NDArray[np.int8]
    teacher: NDArray[np.float32]

    def wanted(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The probability to learn for each pair, and how much it weighs."""
        labels = torch.tensor(self.labels, dtype=torch.float32)
        taught = torch.sigmoid(torch.tensor(self.teacher))
        known = labels >= 0
        wanted = torch.where(known, (1 - TEACHER_SHARE) * labels + TEACHER_SHARE * taught, taught)
        weight = torch.where(known, 1.0, UNLABELLED_WEIGHT)
        return wanted, torch.where(known & ((labels - taught).abs() > DOUBTED), DOUBTED_WEIGHT, weight)


class Layer(nn.Module):
    """Attention with a weight for each kind of piece (of one question, of the other, the same piece), feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(DIMENSIONS), nn.LayerNorm(DIMENSIONS)
        self.qkv, self.o = nn.Linear(DIMENSIONS, 3 * DIMENSIONS), nn.Linear(DIMENSIONS, DIMENSIONS)
        self.f1, self.f2 = nn.Linear(DIMENSIONS, HIDDEN), nn.Linear(HIDDEN, DIMENSIONS)
        # Two heads begin with their own question, two with the other one, of which one looks for the same piece.
        self.w = nn.Parameter(torch.tensor([[1.0, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 3, 1]]))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor, kind: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shapes: x: (B, T, D); kind: (B, T, T) in 0..2; mask: (B, 1, 1, T), added to the logits."""
        batch, pieces, width = x.shape
        q, k, v = self.qkv(self.n1(x)).view(batch, pieces, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        logits = q @ k.transpose(-1, -2) / (width // HEADS) ** 0.5
        logits = logits + functional.embedding(kind, self.w).permute(0, 3, 1, 2) + mask
        read = (logits.softmax(-1) @ v).transpose(1, 2).reshape(batch, pieces, width)
        x = x + self.dropout(self.o(read))
        return x + self.dropout(self.f2(functional.gelu(self.f1(self.n2(x)))))


class Student(nn.Module):
    """Whether two questions are the same; 409,561 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.proj, self.n0 = nn.Linear(WIDTH, DIMENSIONS), nn.LayerNorm(DIMENSIONS)
        self.pos, self.eq = nn.Embedding(MOST_PIECES, DIMENSIONS), nn.Embedding(2, DIMENSIONS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.nf, self.vec = nn.LayerNorm(DIMENSIONS), nn.Linear(2 * WIDTH, 64)
        self.out = nn.Sequential(nn.Linear(2 * DIMENSIONS + 64, 128), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(128, 1))
        nn.init.normal_(self.pos.weight, std=0.02)
        nn.init.normal_(self.eq.weight, std=0.02)

    def forward(self, states: list[torch.Tensor], pieces: list[torch.Tensor], vectors: list[torch.Tensor]):
        """The log-odds.

        Shapes: of either question (B, T, 384), (B, T) int32 with 0 for none, (B, 384); returns (B,)
        """
        x = torch.cat([self.n0(self.proj(each)) + self.pos.weight[: each.shape[1]] for each in states], 1)
        ids, here = torch.cat(pieces, 1), torch.cat(pieces, 1) > 0
        side = torch.cat([torch.full_like(each, number) for number, each in enumerate(pieces)], 1)
        across = side[:, :, None] != side[:, None, :]
        same = (ids[:, :, None] == ids[:, None, :]) & across & here[:, :, None] & here[:, None, :]
        x = x + self.eq(same.any(-1).long())
        mask = ((~here)[:, None, None, :] * -1e4).to(x.dtype)
        for layer in self.layers:
            x = layer(x, across.long() + same.long(), mask)
        x = self.nf(x)
        mean = (x * here[..., None]).sum(1) / here.sum(1, keepdim=True).clamp(min=1)
        most = x.masked_fill(~here[..., None], -1e4).amax(1)
        u, v = vectors
        both = functional.gelu(self.vec(torch.cat([u * v, (u - v).abs()], 1) * SPREAD))
        return self.out(torch.cat([mean, most, both], 1)).squeeze(1)


class Desk:
    """The student with what it reads, on a device."""

    def __init__(self, read: States, device: str) -> None:
        self.device = device
        self.student = Student().to(device)
        self._pieces = torch.tensor(read.pieces).to(device)
        self._states = torch.tensor(read.states).to(device)
        self._vectors = torch.tensor(read.vectors).to(device)
        self.lengths = (self._pieces > 0).sum(1)

    def logits(self, pairs: torch.Tensor) -> torch.Tensor:
        """Shapes: pairs: (B, 2) int64; returns (B,) float32"""
        sides = pairs.unbind(1)
        longest = [max(1, int(self.lengths[rows].max())) for rows in sides]
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            return self.student(
                [self._states[rows, :most].float() for rows, most in zip(sides, longest, strict=True)],
                [self._pieces[rows, :most] for rows, most in zip(sides, longest, strict=True)],
                [self._vectors[rows].float() for rows in sides],
            ).float()

    @torch.no_grad()
    def scores(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """The log-odds of many pairs."""
        self.student.eval()
        found = [self.logits(rows).cpu().numpy() for rows in torch.tensor(pairs).to(self.device).split(BATCH)]
        return np.concatenate(found)

    def weights(self) -> dict[str, NDArray[np.float16]]:
        """What ships."""
        return {name: each.cpu().numpy().astype(np.float16) for name, each in self.student.state_dict().items()}


def train_student(desk: Desk, lesson: Lesson, minutes: float) -> None:
    """Learns for `minutes`; the rate falls in a straight line to their end."""
    pairs = torch.tensor(lesson.pairs).to(desk.device)
    wanted, weight = (each.to(desk.device) for each in lesson.wanted())
    optimizer = torch.optim.AdamW(desk.student.parameters(), lr=RATE, weight_decay=0.02)
    desk.student.train()
    began, steps = time.monotonic(), 0
    for rows in _batches(desk, pairs):
        spent = (time.monotonic() - began) / (60 * minutes)
        if spent >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (steps + 1) / WARM_UP_STEPS) * (1 - spent)
        losses = functional.binary_cross_entropy_with_logits(desk.logits(pairs[rows]), wanted[rows], reduction="none")
        loss = (losses * weight[rows]).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(desk.student.parameters(), 1.0)
        optimizer.step()
        steps += 1
        if steps % 200 == 0:
            print(f"student, step {steps}, {spent:.0%} of its time, loss {loss.item():.4f}", flush=True)
    print(f"student: {steps} steps, {steps * BATCH / len(pairs):.1f} times through", flush=True)


def _batches(desk: Desk, pairs: torch.Tensor) -> Iterator[torch.Tensor]:
    """Pairs of about one length together, without end."""
    lengths = desk.lengths[pairs].sum(1).float()
    while True:
        order = torch.randperm(len(pairs), device=desk.device)
        for chunk in order.split(16 * BATCH):
            noise = torch.rand(len(chunk), device=desk.device) * 4
            batches = chunk[(lengths[chunk] + noise).argsort()].split(BATCH)
            for place in torch.randperm(len(batches)).tolist():
                yield batches[place]
