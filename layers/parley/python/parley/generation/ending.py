"""Where a completion can end: behind its last whole sentence, item, row, paragraph or block of code.

Pure. Expects white space in the form that `generation.spacing` gives it.
"""

import re

from parley.generation.spacing import FENCE

_CLOSERS = r"[\"'”’»)\]*_`]*"
_SENTENCE_END = re.compile(
    rf"(?:[.!?…]{_CLOSERS}(?=\s|$)|[。！？]{_CLOSERS})(?:\s?\[\d{{1,2}}(?:,\s?\d{{1,2}})*\]{_CLOSERS}(?=\s|[.!?…\[]|$))*"
)
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?=\S)")
_NUMBER_OF_ITEM = re.compile(r"\s*\d+[.]")
_OPEN_ENDS = (":", ",", ";", "-", "–", "—", "(", "/")


def last_end(text: str, *, is_last: bool) -> int:
    """Where the last whole thing in it ends; 0 if there is none. `is_last` says that no more will come."""
    end = begin = 0
    is_code = False
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.lstrip().startswith(FENCE):
            is_code = not is_code
            if not is_code:
                end = begin + len(line)
        elif not is_code:
            first = _NUMBER_OF_ITEM.match(line)
            for found in _SENTENCE_END.finditer(line, first.end() if first else 0):
                end = begin + found.end()
            follows = None if number + 1 == len(lines) else lines[number + 1]
            if follows is None and is_last:
                is_whole = _is_row(line) or _ends_like_its_siblings(lines)
            else:
                is_whole = follows is not None and _is_whole(line, follows)
            if is_whole:
                end = begin + len(line)
        begin += len(line) + 1
    return end


def broken_off(text: str) -> str:
    """A text that ends wherever it does, so that more can be said behind it: code is closed, and a gap is seen."""
    text = text.rstrip()
    if sum(line.lstrip().startswith(FENCE) for line in text.split("\n")) % 2:
        return f"{text}\n{FENCE}"
    return text if last_end(text, is_last=True) == len(text) else f"{text} …"


def _is_whole(line: str, follows: str) -> bool:
    """Whether the line says something whole without a full stop; `follows` is the next line."""
    stripped = line.strip()
    if stripped.startswith("|"):
        return _is_row(line)
    if not stripped or stripped.endswith(_OPEN_ENDS) or stripped.startswith("#"):
        return False
    return bool(_ITEM.match(line)) or not follows


def _is_row(line: str) -> bool:
    """Whether it is a row of a table, with its last bar."""
    stripped = line.strip()
    return len(stripped) > 1 and stripped.startswith("|") and stripped.endswith("|")


def _ends_like_its_siblings(lines: list[str]) -> bool:
    """Whether the last line is an item of a list whose items have no full stops."""
    if not _ITEM.match(lines[-1]):
        return False
    before = next((line for line in reversed(lines[:-1]) if _ITEM.match(line)), None)
    return before is not None and not _SENTENCE_END.search(before, len(before.rstrip()) - 3)
