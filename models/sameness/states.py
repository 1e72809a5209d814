"""What the shipped encoder makes of questions, for the student to learn from: word pieces, their vectors, the whole's.

Knows the artefact's folder and onnxruntime. One question per call and one thread per process, as where it serves.
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

MOST_PIECES = 32
WIDTH = 384
_OUTPUTS = ["sentence_embedding", "token_embeddings"]


@dataclass(frozen=True, slots=True)
class States:
    """What the encoder makes of N questions.

    Shapes:
        pieces: (N, MOST_PIECES) int32, 0 where a question has ended
        states: (N, MOST_PIECES, WIDTH) float16
        vectors: (N, WIDTH) float16
    """

    pieces: NDArray[np.int32]
    states: NDArray[np.float16]
    vectors: NDArray[np.float16]


def read_states(texts: Sequence[str], encoder: Path, processes: int | None = None) -> States:
    """What the encoder makes of each text; takes 25 KB of memory for each."""
    count = min(processes or os.cpu_count() or 1, len(texts))
    read = States(
        np.zeros((len(texts), MOST_PIECES), np.int32),
        np.zeros((len(texts), MOST_PIECES, WIDTH), np.float16),
        np.zeros((len(texts), WIDTH), np.float16),
    )
    chunks = [range(start, min(start + 4096, len(texts))) for start in range(0, len(texts), 4096)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=_load, initargs=(encoder,)) as pool:
        for rows, part in zip(chunks, pool.map(_read, ([texts[row] for row in rows] for rows in chunks)), strict=True):
            here = slice(rows.start, rows.stop)
            read.pieces[here], read.states[here], read.vectors[here] = part.pieces, part.states, part.vectors
            print(f"read {rows.stop} of {len(texts)} questions", flush=True)
    return read


_run = None  # of a process: the encoder, loaded once


def _load(encoder: Path) -> None:
    global _run
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(encoder / "model.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    _run = partial(_encode, session, tokenizer)


def _encode(
    session: onnxruntime.InferenceSession, tokenizer: Tokenizer, text: str
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    ids = np.array([tokenizer.encode(text).ids], np.int64)
    vectors, states = session.run(_OUTPUTS, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return ids[0, 1:-1], states[0, 1:-1], vectors[0]


def _read(texts: Sequence[str]) -> States:
    pieces = np.zeros((len(texts), MOST_PIECES), np.int32)
    states = np.zeros((len(texts), MOST_PIECES, WIDTH), np.float16)
    vectors = np.zeros((len(texts), WIDTH), np.float16)
    for row, text in enumerate(texts):
        ids, tokens, vectors[row] = _run(text)
        count = min(len(ids), MOST_PIECES)
        pieces[row, :count], states[row, :count] = ids[:count], tokens[:count]
    return States(pieces, states, vectors)
