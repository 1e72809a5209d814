"""A language model on a CPU with room for several conversations: reads prompts, and advances all of them by a token.

Knows token ids and places, and nothing of requests, text or chance. It runs the ONNX file that onnxruntime-genai's
builder writes. That library's own `Engine` batches statically on a CPU (its dynamic batching needs CUDA): whoever comes
while others are served waits until the last of them is done. So the graph is run by onnxruntime itself. The graph's
`GroupQueryAttention` takes keys and values in one buffer per layer, where each place has a block, appends to them where
they are, and lets places hold different numbers of tokens.

What follows in a place does not depend on where it lies. It depends on its neighbours only as far as onnxruntime
multiplies one row and many rows with different kernels; inputs are rounded to INT8 row by row, so nothing but the order
of float additions differs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

CPU = ("cpu", 0)
FLOAT = "tensor(float)"


class NotServable(ValueError):
    """The folder's model cannot be served here; says why."""


class Network:
    """The loaded model, shared by decoders; each thread that runs one works for itself."""

    def __init__(self, artefact: Path) -> None:
        """Raises: NotServable: no folder of the builder, or a model with other inputs than a Llama has."""
        try:
            settings = json.loads((artefact / "genai_config.json").read_text(encoding="utf-8"))["model"]
        except (OSError, ValueError, KeyError) as error:
            raise NotServable(f"{artefact}: no genai_config.json with a model: {error}") from error
        decoder = settings["decoder"]
        inputs, outputs = decoder["inputs"], decoder["outputs"]
        self.context_tokens: int = settings["context_length"]
        self.vocabulary: int = settings["vocab_size"]
        self.end: int = settings["eos_token_id"]
        self.heads: int = decoder["num_key_value_heads"]
        self.head_size: int = decoder["head_size"]
        self.ids, self.mask, self.logits = inputs["input_ids"], inputs["attention_mask"], outputs["logits"]
        layers = [(kind, number) for number in range(decoder["num_hidden_layers"]) for kind in ("key", "value")]
        self.past = [inputs[f"past_{kind}_names"] % number for kind, number in layers]
        self.present = [outputs[f"present_{kind}_names"] % number for kind, number in layers]
        self.session = _session(artefact / decoder["filename"])
        self._check(artefact)

    def _check(self, artefact: Path) -> None:
        kinds = {each.name: each.type for each in [*self.session.get_inputs(), *self.session.get_outputs()]}
        known = (self.ids, self.mask, *self.past)
        missing = [name for name in (*known, self.logits, *self.present) if name not in kinds]
        unknown = [each.name for each in self.session.get_inputs() if each.name not in known]
        others = {kinds.get(name) for name in (self.logits, *self.past)} - {FLOAT}
        if missing or unknown or others:
            raise NotServable(f"{artefact}: lacks {missing}, has {unknown} besides, and numbers of kinds {others}")


class Decoder:
    """Places for `places` conversations of at most `context_tokens` each. One thread at a time may use it."""

    def __init__(self, network: Network, *, places: int, context_tokens: int) -> None:
        self.places = places
        self._network = network
        block = (places, network.heads, context_tokens, network.head_size)
        self._caches = [np.zeros(block, np.float32) for _ in network.past]  # memory is taken when it is written to
        self._mask = np.zeros((places, context_tokens), np.int64)  # ones as far as a place is full
        self._ids = np.zeros((places, 1), np.int64)
        self._logits = np.zeros((places, 1, network.vocabulary), np.float32)
        self._steps = [self._step_of(count) for count in range(1, places + 1)]
        self._only_caches = onnxruntime.RunOptions()
        self._only_caches.only_execute_path_to_fetches = True  # so that nobody computes the logits of a prompt

    def read(self, place: int, ids: list[int], length: int) -> None:
        """Append `ids` to a place that holds `length` tokens; what stood behind them is gone. No logits come of it."""
        total = length + len(ids)
        self._mask[place, length:total] = 1
        self._mask[place, total:] = 0
        given = np.array([ids], np.int64)
        binding = self._bound(slice(place, place + 1), given, total)
        self._network.session.run_with_iobinding(binding, self._only_caches)

    def step(self, ids: list[int], lengths: list[int]) -> FloatArray:
        """The logits after one more token in each of the first places, which hold `lengths` tokens before it.

        Shapes:
            returns: (N, V) float32, N = len(ids); the caller may change it, and the next step overwrites it
        """
        count = len(ids)
        self._ids[:count, 0] = ids
        self._mask[np.arange(count), lengths] = 1
        self._network.session.run_with_iobinding(self._steps[count - 1])
        return self._logits[:count, 0]

    def move(self, source: int, target: int, length: int) -> None:
        """Let `target` hold the `length` tokens that `source` holds."""
        for cache in self._caches:
            cache[target, :, :length] = cache[source, :, :length]
        self._mask[target, :length] = 1
        self._mask[target, length:] = 0

    def _step_of(self, count: int) -> Any:
        binding = self._bound(slice(0, count), self._ids[:count], self._mask.shape[1])
        _bind(binding.bind_output, self._network.logits, self._logits[:count])
        return binding

    def _bound(self, places: slice, ids: NDArray[np.int64], total: int) -> Any:
        network = self._network
        binding = network.session.io_binding()
        _bind(binding.bind_input, network.ids, ids)
        _bind(binding.bind_input, network.mask, self._mask[places, :total])
        for past, present, cache in zip(network.past, network.present, self._caches, strict=True):
            _bind(binding.bind_input, past, cache[places])
            _bind(binding.bind_output, present, cache[places])  # the same memory: attention appends where it lies
        return binding


def _bind(how: Any, name: str, array: NDArray[Any]) -> None:
    """Let the session read or write this array's own memory, which must outlive the binding."""
    assert array.flags.c_contiguous
    how(name, *CPU, array.dtype.type, array.shape, array.ctypes.data)


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # who runs it is its only thread: two would wait for each other at every node
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.fspath(file), options, providers=["CPUExecutionProvider"])
