"""The stream parser: bytes as they come from the container, text pieces out.

Pure. A payload part is neither a line nor a whole character: lines are put together
here, and UTF-8 is decoded across parts. Reads server-sent events (vLLM) and bare
JSON lines (LMI). Source: OpenAI's chat completion chunks; the SSE format of the
HTML standard, section 9.2.
"""

import codecs
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from parley.errors import GenerationFailed, GenerationSlow
from parley.ports import Patience

_END = "[DONE]"


class Waiting:
    """The patience of one call, which begins now; looked at whenever something arrives, text or not."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._begun = time.monotonic()
        self._has_begun_to_answer = False

    def look(self) -> None:
        """Raises: GenerationSlow: the first piece, or after it the whole, has taken too long."""
        limit = self._patience.whole_seconds if self._has_begun_to_answer else self._patience.first_seconds
        if time.monotonic() - self._begun > limit:
            raise GenerationSlow("the generator takes longer than the turn may wait")

    def over(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """`parts`, as long as there is patience."""
        for part in parts:
            self.look()
            yield part

    def text(self, pieces: Iterable[str]) -> Iterator[str]:
        """`pieces`, of which the first says that the generator has begun to answer."""
        for piece in pieces:
            self._has_begun_to_answer = True
            yield piece


def deltas(parts: Iterable[bytes]) -> Iterator[str]:
    """The text pieces of a streamed completion.

    Raises:
        GenerationFailed: the stream holds something else, reports an error, or ends before the completion does.
    """
    finished = False
    for line in _lines(parts):
        data = line.removeprefix("data:").strip()
        if not data or line.startswith((":", "event:", "id:", "retry:")):
            continue
        if data == _END:
            return
        choice = _choice(data)
        finished = finished or bool(choice.get("finish_reason"))
        text = _text(choice)
        if text:
            yield text
    if not finished:
        raise GenerationFailed("the generator's stream ended before its reply did")


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    pending = ""
    for part in parts:
        *lines, pending = (pending + decoder.decode(part)).split("\n")
        yield from lines
    yield pending + decoder.decode(b"", final=True)


def _text(choice: dict[str, Any]) -> str:
    match choice:
        case {"delta": {"content": str(text)}}:
            return text
        case {"delta": {"content": None}} | {"delta": None}:
            return ""
        case {"delta": dict(delta)} if "content" not in delta:
            return ""
        case {"delta": _}:
            raise GenerationFailed("the generator's stream holds something else than text")
        case _:
            return ""


def _choice(data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
        if "error" in chunk:
            raise GenerationFailed("the generator reported an error in its stream")  # its words may quote the prompt
        choices = chunk["choices"]
        return dict(choices[0]) if choices else {}  # a chunk without choices carries only the usage
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise GenerationFailed("the generator's stream is not one of chat completion chunks") from error
