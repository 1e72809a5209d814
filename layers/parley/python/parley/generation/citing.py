"""Citing: which passages a completion goes back to, by the marks in it.

Pure. The prompt numbers the passages, and the generator puts `[1]` or `[2, 3]` behind what it takes from them. A person
sees the citations of a reply numbered from 1, so the marks are numbered anew, in the order of their first appearance.
A mark that names no passage is left out, and what only looks like one stays: in code, and before a link's address.
"""

import re
from collections.abc import Sequence

from parley.conversation import Citation
from parley.generation.spacing import FENCE

_FENCE = re.compile(rf"\s*{FENCE}")
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
        self._sure = 0  # characters of it that were given out, or left out
        self._begun = False

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages that have been named."""
        return tuple(self._passages[number - 1] for number in self._order)

    def push(self, piece: str) -> str:
        """The text that is sure, now that this piece has come."""
        *lines, last = piece.split("\n")
        text = "".join(f"{self._end_line(line)}\n" for line in lines)
        self._line += last
        return self._without_blank_begin(text + self._up_to(self._sure_end()))

    def rest(self) -> str:
        """What was held back, now that no more will come."""
        return self._without_blank_begin(self._end_line(""))

    def _end_line(self, end: str) -> str:
        """The rest of the line, which ends so."""
        self._line += end
        text = self._up_to(len(self._line))
        self._is_code ^= bool(_FENCE.match(self._line))
        self._line, self._sure = "", 0
        return text

    def _up_to(self, end: int) -> str:
        """What has not been given out of the line up to there, as people see it."""
        text, self._sure = self._line[self._sure : end], end
        return text if self._is_code or _FENCE.match(self._line) else _PLACE.sub(self._renumbered, text)

    def _sure_end(self) -> int:
        """Up to where nothing that may come can make or unmake a mark."""
        if self._is_code or _FENCE.match(self._line):
            return len(self._line)
        text = self._line[self._sure :]
        code_end = max((found.end() for found in _CODES.finditer(text)), default=0)
        begun_code = text.find("`", code_end)
        sure = text if begun_code < 0 else text[:begun_code]
        may_go_on = _MAY_GO_ON.search(sure)
        return self._sure + (may_go_on.start() if may_go_on else len(sure))

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
