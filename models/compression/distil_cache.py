"""What a teacher says of each text, computed once and kept in a file, so that a student's epochs cost no teacher.

Knows how the rows of a float16 file are filled in the order of the texts, chunk by chunk, and how a killed run goes on
where it stopped. Knows nothing of torch: the teacher arrives as a function.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

HalfArray = NDArray[np.float16]
Say = Callable[[Sequence[str]], NDArray[np.float32]]  # texts -> (N, D)

CHUNK = 1024  # texts between two saves: what a kill costs at most


@dataclass(frozen=True, slots=True)
class Progress:
    """What the file beside the rows says about them."""

    teacher: str  # whatever names the teacher without doubt
    texts: str  # hash of the texts
    done: int


class Mismatch(ValueError):
    """The cache belongs to another teacher or to other texts."""


def texts_hash(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def teacher_rows(folder: Path, texts: Sequence[str], width: int, teacher: str, say: Say) -> HalfArray:
    """The teacher's output for each text, from the file as far as it goes; the rest is computed and saved.

    Shapes:
        returns: (N, width) float16, memory-mapped and read-only

    Raises:
        Mismatch: the folder holds what another teacher said, or of other texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows_file, progress_file = folder / "teacher.npy", folder / "teacher.json"
    wanted = Progress(teacher, texts_hash(texts), 0)
    done = _done(progress_file, wanted) if rows_file.exists() else 0
    if done == 0:
        rows = np.lib.format.open_memmap(rows_file, "w+", np.float16, (len(texts), width))
    else:
        rows = np.lib.format.open_memmap(rows_file, "r+")
    with tqdm(total=len(texts), initial=done, desc="teacher", unit="text", mininterval=5) as bar:
        for start in range(done, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            rows[start : start + len(chunk)] = say(chunk)
            rows.flush()
            _write(progress_file, Progress(wanted.teacher, wanted.texts, start + len(chunk)))
            bar.update(len(chunk))
    return np.lib.format.open_memmap(rows_file, "r")


def _done(path: Path, wanted: Progress) -> int:
    if not path.exists():
        return 0
    found = Progress(**json.loads(path.read_text(encoding="utf-8")))
    if (found.teacher, found.texts) != (wanted.teacher, wanted.texts):
        raise Mismatch(f"{path.parent} holds what {found.teacher} said of other texts; give another folder")
    return found.done


def _write(path: Path, progress: Progress) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(progress)), encoding="utf-8")
    fresh.replace(path)  # a kill leaves the old one or the new one, never half
