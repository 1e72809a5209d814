"""Weights as 4-bit indices into a codebook, two in a byte: the packing, and the file that holds such weights.

Knows how indices are packed and read back, exactly, and the safetensors layout below. Knows nothing of how the levels
are chosen (quantize_codebook.py).

A weight of R rows and C columns becomes

    packed4   uint8 (R, ceil(C / 2))   column 2j in the low four bits, 2j + 1 in the high; an odd last high half is 0
    codebook  float32 (G, 16)          row r uses the codebook of its group, r * G // R
    scales    float32 (R, 1), (1, C) or absent; each level is multiplied by its row's or column's

    weight[r, c] = codebook[r * G // R, index[r, c]] * scales[r or 0, 0 or c]

In a Hugging Face folder the file is `model.packed4.safetensors` (never `model.safetensors`: who does not know the
layout must fail, not load half a model). For a weight `NAME` it holds `NAME.packed4`, `NAME.codebook`, perhaps
`NAME.scales`, and `NAME.shape` (int64: R, C); all other tensors stand under their own names, untouched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

FloatArray = NDArray[np.float32]

LEVELS = 16
PLAIN_FILE = "model.safetensors"
PACKED_FILE = "model.packed4.safetensors"
PACKED, CODEBOOK, SCALES, SHAPE = "packed4", "codebook", "scales", "shape"


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """A weight in 4 bits; shapes as in the module's docstring."""

    packed: NDArray[np.uint8]
    codebook: FloatArray
    scales: FloatArray | None
    shape: tuple[int, int]

    def dequantized(self) -> FloatArray:
        """The weight that the bytes stand for.

        Shapes:
            returns: (R, C) float32
        """
        rows, columns = self.shape
        indices = unpack(self.packed, columns)
        values = self.codebook[row_groups(rows, len(self.codebook))[:, None], indices]
        return np.asarray(values if self.scales is None else values * self.scales, dtype=np.float32)


def pack(indices: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Two indices in each byte, row by row.

    Shapes:
        indices: (R, C), 0..15
        returns: (R, ceil(C / 2)) uint8

    Raises:
        ValueError: an index does not fit in four bits.
    """
    if indices.size and (indices.min() < 0 or indices.max() >= LEVELS):
        raise ValueError(f"an index lies outside 0..{LEVELS - 1}")
    halves = np.pad(indices, ((0, 0), (0, indices.shape[1] % 2))).astype(np.uint8)
    return np.asarray(halves[:, ::2] | halves[:, 1::2] << 4)


def unpack(packed: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """The indices that `pack` was given.

    Shapes:
        packed: (R, ceil(columns / 2)); returns: (R, columns) uint8
    """
    halves = np.stack([packed & 15, packed >> 4], axis=-1)
    return halves.reshape(len(packed), 2 * packed.shape[1])[:, :columns]


def row_groups(rows: int, groups: int) -> NDArray[np.int64]:
    """Which codebook each row uses, (rows,)."""
    return np.arange(rows) * groups // max(rows, 1)


def save(path: Path, packed: Mapping[str, PackedWeight], others: Mapping[str, NDArray[np.generic]]) -> None:
    """Write the packed weights and the tensors that stay as they are."""
    tensors: dict[str, NDArray[np.generic]] = {name: np.ascontiguousarray(value) for name, value in others.items()}
    for name, weight in packed.items():
        tensors[f"{name}.{PACKED}"] = np.ascontiguousarray(weight.packed)
        tensors[f"{name}.{CODEBOOK}"] = np.ascontiguousarray(weight.codebook)
        tensors[f"{name}.{SHAPE}"] = np.array(weight.shape, np.int64)
        if weight.scales is not None:
            tensors[f"{name}.{SCALES}"] = np.ascontiguousarray(weight.scales)
    save_file(tensors, str(path), metadata={"format": PACKED})


def load(path: Path) -> tuple[dict[str, PackedWeight], dict[str, NDArray[np.generic]]]:
    """What `save` was given."""
    tensors = load_file(str(path))
    names = [name.removesuffix(f".{PACKED}") for name in tensors if name.endswith(f".{PACKED}")]
    packed = {}
    for name in names:
        rows, columns = tensors.pop(f"{name}.{SHAPE}").tolist()
        scales = tensors.pop(f"{name}.{SCALES}", None)
        values, codebook = tensors.pop(f"{name}.{PACKED}"), tensors.pop(f"{name}.{CODEBOOK}")
        packed[name] = PackedWeight(values, codebook, scales, (rows, columns))
    return packed, tensors


def load_state_dict(folder: Path) -> dict[str, NDArray[np.generic]]:
    """All tensors of a Hugging Face folder by name, dequantized where they are packed.

    Raises:
        FileNotFoundError: the folder has neither a plain nor a packed weight file.
    """
    if (folder / PACKED_FILE).exists():
        packed, others = load(folder / PACKED_FILE)
        return {**others, **{name: weight.dequantized() for name, weight in packed.items()}}
    if not (folder / PLAIN_FILE).exists():
        raise FileNotFoundError(f"{folder} has no {PLAIN_FILE} and no {PACKED_FILE}")
    return dict(load_file(str(folder / PLAIN_FILE)))
