"""How many tokens a text is, by the generator's own tokenizer or, without it, at most.

Knows tokenizer files; knows no prompt. Texts are counted without the special tokens of a chat template:
`generation.prompt` adds those.
"""

from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from parley.errors import ModelUnavailable


def counter(file: str) -> Callable[[str], int]:
    """What counts by this tokenizer; by bytes if none is named.

    Raises:
        ModelUnavailable: there is no such file.
    """
    return TokenCounter(Path(file)) if file else by_bytes


class TokenCounter:
    """Counts by a `tokenizer.json`, which is read at the first count: one of a large model takes a second to read."""

    def __init__(self, file: Path) -> None:
        """Raises: ModelUnavailable: there is no such file."""
        if not file.is_file():
            raise ModelUnavailable(f"there is no tokenizer at {file}")
        self._file = file
        self._tokenizer: Tokenizer | None = None

    def __call__(self, text: str) -> int:
        """How many tokens the text is.

        Raises:
            ModelUnavailable: the file is no tokenizer.
        """
        if self._tokenizer is None:
            self._tokenizer = self._read()
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _read(self) -> Tokenizer:
        try:
            tokenizer = Tokenizer.from_file(str(self._file))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelUnavailable(f"the tokenizer {self._file} cannot be loaded: {error}") from error
        tokenizer.no_truncation()  # a file may carry the limit of its training
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # what somebody writes like a special token is text
        return tokenizer


def by_bytes(text: str) -> int:
    """How many tokens the text is at most: its UTF-8 bytes.

    A bound, not an estimate: byte-level BPE, which most models have, never makes more tokens than bytes, and some make
    as many of digits or rare scripts. English has 3 to 4 bytes a token (3.2 in the example bots' documents with
    the bundled generator's vocabulary of 6,144), so three quarters of the context stay empty. That costs passages and
    history; half the bytes would cost every reply of a conversation in Thai, because an endpoint refuses a prompt that
    is too long. Whoever wants the room gives the tokenizer.
    """
    return len(text.encode("utf-8", "surrogatepass"))
