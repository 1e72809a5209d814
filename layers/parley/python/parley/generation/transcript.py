"""A conversation as one string, for models that take no messages, and the answer cut out of what comes back.

Pure. The plain form is

    <the persona>

    User: <what the person said>
    Assistant: <what the bot replied>
    User: <what the person says now>
    Assistant:

and a model that goes on with the next `User:` is stopped there. A model that was
trained on a form of its own has a template (`generation.template`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

_SPEAKERS = {"user": "User", "assistant": "Assistant"}


class Form(Protocol):
    """How a model wants a conversation written."""

    @property
    def stop(self) -> str:
        """What ends the answer where a model writes it; empty if nothing does."""

    def write(self, messages: Sequence[tuple[str, str]]) -> str:
        """The conversation up to where the answer begins.

        Raises:
            GenerationFailed: the form has no place for these messages.
        """


class Transcript:
    """The plain form."""

    stop = "\nUser:"

    def write(self, messages: Sequence[tuple[str, str]]) -> str:
        """See `Form.write`."""
        instructions = [content for role, content in messages if role not in _SPEAKERS]
        said = [f"{_SPEAKERS[role]}: {content}" for role, content in messages if role in _SPEAKERS]
        return "\n\n".join([*instructions, "\n".join([*said, "Assistant:"])])


def answer_of(pieces: Iterable[str], prompt: str, stop: str) -> Iterator[str]:
    """`pieces` without an echo of the prompt before the answer, and up to `stop` if that is not empty."""
    answer = _without_echo(pieces, prompt)
    return _up_to(stop, answer) if stop else answer


def _without_echo(pieces: Iterable[str], prompt: str) -> Iterator[str]:
    echo: str | None = ""  # what may yet turn out to be one; None once that is settled
    for piece in pieces:
        if echo is None:
            yield piece
            continue
        echo += piece
        if not prompt.startswith(echo):
            yield echo.removeprefix(prompt)
            echo = None
    if echo and echo != prompt:
        yield echo


def _up_to(stop: str, pieces: Iterable[str]) -> Iterator[str]:
    held = ""  # the end of what has come, which may be the beginning of the stop
    for piece in pieces:
        held += piece
        text, found, _ = held.partition(stop)
        if found:
            held = text
            break
        sure = len(held) - _overlap(held, stop)
        if sure:
            yield held[:sure]
            held = held[sure:]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` are the beginning of `stop`."""
    return next((size for size in range(min(len(text), len(stop)), 0, -1) if text.endswith(stop[:size])), 0)
