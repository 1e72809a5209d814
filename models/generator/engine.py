"""The generator's engine: chat messages in, text pieces out, on a CPU through onnxruntime-genai.

Knows nothing of HTTP. One loaded model serves several generations at once, each with its own state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime_genai as og
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from tokens import END, SPECIAL, prompt_tokens, special_id

CONTEXT_TOKENS = 256  # prompt and reply; the longest conversation seen in training
MAX_REPLY_TOKENS = 128
NO_CHARACTER = "\ufffd"  # stands for bytes that make no character; at high temperatures the model writes some


@dataclass(frozen=True, slots=True)
class Request:
    """What to generate. The defaults suit a weak model: some chance, few repetitions."""

    messages: tuple[tuple[str, str], ...]  # (role, content)
    max_tokens: int = 64
    temperature: float = 0.6
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.1
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The next bit of a reply; the last piece alone has a finish reason.

    `text` never holds part of a character.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str | None = None  # "stop" or "length"


class Engine:
    """A loaded model and its tokenizer."""

    def __init__(self, artefact: Path, *, threads: int) -> None:
        og.disable_telemetry_events()
        config = og.Config(str(artefact))
        session = {"session_options": {"intra_op_num_threads": threads}}
        config.overlay(json.dumps({"model": {"decoder": session}}))
        self._model = og.Model(config)
        self._tokenizer = Tokenizer.from_file(str(artefact / "tokenizer.json"))
        self._end = special_id(END)
        self._markers = [special_id(token) for token in SPECIAL if token != END]

    def reply(self, request: Request) -> Iterator[Piece]:
        """The reply, piece by piece; closing the iterator stops the work."""
        max_tokens = min(request.max_tokens, MAX_REPLY_TOKENS)
        prompt = prompt_tokens(self._tokenizer, list(request.messages), CONTEXT_TOKENS - max_tokens)
        generator = og.Generator(self._model, self._search(request, len(prompt) + max_tokens))
        generator.append_tokens(np.array(prompt, np.int32))
        stream = DecodeStream(skip_special_tokens=True)
        held = HeldBack(request.stop)
        count = 0
        finish_reason = "length"
        while count < max_tokens and not generator.is_done():
            forbid(generator, self._markers if count else [*self._markers, self._end])
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            if token == self._end:
                finish_reason = "stop"
                break
            count += 1
            decoded = stream.step(self._tokenizer, token) or ""
            text = held.push(decoded.replace(NO_CHARACTER, ""))
            if text:
                yield Piece(text, len(prompt), count)
            if held.stopped:
                finish_reason = "stop"
                break
        yield Piece(held.rest(), len(prompt), count, finish_reason)

    def _search(self, request: Request, max_length: int) -> og.GeneratorParams:
        parameters = og.GeneratorParams(self._model)
        options: dict[str, float | bool] = {
            "max_length": max_length,
            "repetition_penalty": request.repetition_penalty,
            "do_sample": request.temperature > 0,
        }
        if request.temperature > 0:
            options |= {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
        if request.seed is not None:
            options["random_seed"] = request.seed
        parameters.set_search_options(**options)
        return parameters


def forbid(generator: og.Generator, tokens: list[int]) -> None:
    """Keep the next token from being one of these: a reply holds no markers and has at least one token."""
    logits = generator.get_logits()
    logits[..., tokens] = np.finfo(logits.dtype).min
    generator.set_logits(logits)


class HeldBack:
    """Text on its way out, held back while it may still turn into a stop string."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._text = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """What may be sent now that `text` has been added."""
        self._text += text
        found = [place for place in (self._text.find(stop) for stop in self._stop) if place >= 0]
        if found:
            self.stopped = True
            sendable, self._text = self._text[: min(found)], ""
            return sendable
        keep = max((self._overlap(stop) for stop in self._stop), default=0)
        cut = len(self._text) - keep
        sendable, self._text = self._text[:cut], self._text[cut:]
        return sendable

    def rest(self) -> str:
        """What is left once nothing more will come."""
        rest, self._text = self._text, ""
        return rest

    def _overlap(self, stop: str) -> int:
        """How many of the text's last characters begin `stop`."""
        lengths = range(min(len(stop) - 1, len(self._text)), 0, -1)
        return next((length for length in lengths if self._text.endswith(stop[:length])), 0)
