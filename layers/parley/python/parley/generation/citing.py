"""Citing: which passages a completion goes back to, by the marks in it.

Pure. The prompt numbers the passages, and the generator puts `[1]` or `[2, 3]` behind what it takes from them. A person
sees the citations of a reply numbered from 1, so the marks are numbered anew, in the order of their first appearance.
A mark that names no passage is left out, and what only looks like one stays: in code, and before a link's address.
"""

import re
from collections.abc import Sequence

from parley.conversation import Citation
from parley.generation.spacing import FENCE

_CODE = r"`[^`]+`"
_PLACE = re.compile(rf"{_CODE}|(?P<blank>[ \t]*)\[(?P<numbers>\d{{1,3}}(?: ?, ?\d{{1,3}})*)\](?!\()")
_CODES = re.compile(_CODE)
_MAY_GO_ON = re.compile(r"[ \t]*(?:\[[\d, ]*\]?)?\Z")


def cited(completion: str, passages: Sequence[Citation]) -> tuple[str, tuple[Citation, ...]]:
    """The completion as people see it, and the passages that it names, in the order of its marks.

    The mark `[1]` in the text means the first of the citations.
    """
    citing = Citing(passages)
    text = citing.push(completion) + citing.rest()
    return text.rstrip(), citing.citations


def without_marks(text: str) -> str:
    """The text as it is for whoever does not see its citations."""
    return cited(text, ())[0]


class Citing:
    """Numbers the marks of a completion anew, while it is being written."""

    def __init__(self, passages: Sequence[Citation]) -> None:
        self._passages = passages
        self._order: list[int] = []  # numbers of passages as the prompt has them, as they were first named
        self._is_code = False
        self._line = ""  # the last one, which may go on
        self._shown = 0  # characters of it, as people see it
        self._begun = False

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages that have been named."""
        return tuple(self._passages[number - 1] for number in self._order)

    def push(self, piece: str) -> str:
        """The text that is sure, now that this piece has come."""
        *lines, last = piece.split("\n")
        text = "".join(self._finished(line) + "\n" for line in lines)
        self._line += last
        return self._without_blank_begin(text + self._more(self._line[: self._sure_end()]))

    def rest(self) -> str:
        """What was held back, now that no more will come."""
        return self._without_blank_begin(self._finished(""))

    def _finished(self, end: str) -> str:
        """The rest of the line, which ends so."""
        self._line += end
        text = self._more(self._line)
        self._is_code ^= self._line.lstrip().startswith(FENCE)
        self._line, self._shown = "", 0
        return text

    def _more(self, line: str) -> str:
        """What this much of the line adds to what has been shown of it."""
        is_code = self._is_code or self._line.lstrip().startswith(FENCE)
        text = line if is_code else _PLACE.sub(self._renumbered, line)
        more, self._shown = text[self._shown :], max(self._shown, len(text))
        return more

    def _sure_end(self) -> int:
        """Up to where nothing that may come can make or unmake a mark."""
        line = self._line
        if self._is_code:
            return len(line)
        code_end = max((found.end() for found in _CODES.finditer(line)), default=0)
        begun_code = line.find("`", code_end)
        sure = line if begun_code < 0 else line[:begun_code]
        may_go_on = _MAY_GO_ON.search(sure)
        return may_go_on.start() if may_go_on else len(sure)

    def _renumbered(self, found: re.Match[str]) -> str:
        if found["numbers"] is None:
            return found[0]
        numbers = dict.fromkeys(map(int, found["numbers"].split(",")))
        named = [number for number in numbers if 1 <= number <= len(self._passages)]
        self._order += [number for number in named if number not in self._order]
        marks = ", ".join(str(self._order.index(number) + 1) for number in named)
        return f"{found['blank']}[{marks}]" if marks else ""

    def _without_blank_begin(self, text: str) -> str:
        """The text, whose blanks are left out where a mark before them was."""
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return text
