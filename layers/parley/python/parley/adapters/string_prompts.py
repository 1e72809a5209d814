"""Generators that take one string over HTTP, and answer with text, in chunks or whole.

What TorchServe and Ray Serve have in common. Knows how the request may be written,
which is up to whoever wrote the handler, and what of an answer is the text.
"""

import codecs
import json
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Generator as Yields
from contextlib import suppress
from typing import Any, Literal

from parley.adapters.http_stream import Answer, Judge, bearer, post, refusal
from parley.errors import GenerationFailed
from parley.generation.stream import Waiting, deltas
from parley.generation.transcript import Form, answer_of
from parley.ports import Patience, Prompt

Body = Literal["prompt", "text"]

_JSON = "application/json"
_TEXT = frozenset({"", "text/plain", "application/octet-stream"})


class StringPromptGenerator:
    """`ports.Generator` over a POST to `url`.

    The body may be `prompt`: JSON with the string, max_tokens and temperature; or `text`: the string alone.
    """

    def __init__(
        self,
        url: str,
        model: str,
        form: Form,
        *,
        body: Body = "prompt",
        key: Callable[[], str] | None = None,
        judge: Judge = refusal,
    ) -> None:
        self._url = url
        self._model = model
        self._form = form
        self._body = body
        self._key = key
        self._judge = judge

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return self._model

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        waiting = Waiting(patience)
        string = self._form.write(prompt.messages)
        headers = {"Content-Type": "text/plain; charset=utf-8" if self._body == "text" else _JSON, **bearer(self._key)}
        with post(self._url, self._written(prompt, string), headers, waiting, self._judge) as answer:
            yield from waiting.text(answer_of(_texts(answer), string, self._form.stop))

    def _written(self, prompt: Prompt, string: str) -> bytes:
        if self._body == "text":
            return string.encode(errors="replace")
        body = {"prompt": string, "max_tokens": prompt.max_tokens, "temperature": prompt.temperature}
        return json.dumps(body).encode()


def _texts(answer: Answer) -> Iterator[str]:
    """The text pieces of an answer: of plain text as they come, of JSON the one string in it.

    Raises:
        GenerationFailed: it is neither, or may have broken off.
    """
    if answer.media_type == "text/event-stream":
        yield from deltas(answer.parts)
    elif not (answer.is_whole or answer.is_chunked):
        raise GenerationFailed("the generator's answer has neither a length nor chunks, so its end cannot be told")
    elif answer.media_type == _JSON:
        yield _text_in(_loaded(b"".join(answer.parts)))
    elif not answer.media_type and answer.is_whole:  # TorchServe names no type, whatever a handler returns
        yield _of_either(b"".join(answer.parts))
    elif answer.media_type in _TEXT:
        yield from _decoded(answer.parts)
    else:
        raise GenerationFailed("the generator's answer is neither text nor JSON")


def _text_in(value: Any) -> str:
    """The one string in a list or an object.

    Raises:
        GenerationFailed: there is none, or more than one.
    """
    match value:
        case str():
            return value
        case [one]:
            return _text_in(one)
        case dict():
            candidates = [one for one in value.values() if isinstance(one, str | list | dict)]
            if len(candidates) == 1:
                return _text_in(candidates[0])
    raise GenerationFailed("the generator's answer has not exactly one string in it")


def _of_either(content: bytes) -> str:
    if content.startswith((b"{", b"[")):
        with suppress(GenerationFailed):
            return _text_in(_loaded(content))
    return "".join(_decoded([content]))


def _loaded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # without the cause, which holds what the server said
        raise GenerationFailed("the generator's answer is not the JSON that it says it is") from None


def _decoded(parts: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for part in parts:
            if text := decoder.decode(part):
                yield text
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise GenerationFailed("the generator's answer is not text in UTF-8") from None
