"""Continuous batching: many replies are written at once, and each may join and leave between two tokens.

    waiting, first come first served ──▶ lanes, each a thread: read a prompt, write it in step with the lane's others

There are as many lanes as cores are to work: two cores that share one multiplication of a small model spend their time
waiting for each other, two that have their own do not. A new request waits for one round of the emptiest lane
(`lane.py`), not for anybody's reply to end.

Knows who is inside and who waits, and nothing of tokens, messages or HTTP.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from decoder import Decoder
from lane import Job, Lane, Vocabulary


class Busy(Exception):
    """As many requests are inside as may be."""


class Batcher:
    """The lanes, and the queue before them."""

    def __init__(self, decoders: Sequence[Decoder], vocabulary: Vocabulary, *, waiting: int) -> None:
        """A lane for each decoder; at most `waiting` requests wait for one of all their places."""
        self._changed = threading.Condition()  # guards the queue and who is let in where
        self._waiting: deque[Job] = deque()
        self._room = sum(decoder.places for decoder in decoders) + waiting
        self._lanes = [Lane(decoder, vocabulary) for decoder in decoders]
        for lane in self._lanes:
            threading.Thread(target=self._run, args=(lane,), name="lane", daemon=True).start()

    def submit(self, job: Job) -> None:
        """Let the job's listener hear its reply, piece by piece, from now on.

        Raises:
            Busy: as many are running and waiting as may be.
        """
        with self._changed:
            if len(self._waiting) + sum(lane.load for lane in self._lanes) >= self._room:
                raise Busy
            self._waiting.append(job)
            self._changed.notify_all()

    def cancel(self, job: Job) -> None:
        """Make nothing more of the job; its listener may still hear a piece that is under way."""
        job.is_cancelled = True
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def _run(self, lane: Lane) -> None:
        while True:
            self._let_in(lane)
            lane.go_round()

    def _let_in(self, lane: Lane) -> None:
        """Give the lane the request whose turn it is; returns once the lane has something to do."""
        with self._changed:
            while True:
                if self._waiting and lane.has_room and lane.load == self._least_load():
                    lane.admit(self._waiting.popleft())
                    self._changed.notify_all()  # another lane has the most room now
                if lane.load:
                    return
                self._changed.wait()

    def _least_load(self) -> int:
        return min(lane.load for lane in self._lanes if lane.has_room)
