"""White space in one form, as a text comes: no blanks at the ends of lines, one between words, one empty line at most.

Pure. Indentation and what stands in a fenced block stay. What it gives never ends with white space that may yet be
dropped, so it is the same however the text is cut into pieces.
"""

import unicodedata

FENCE = "```"
CODE = "\0"  # stands for a character of code where prose is looked at
MAX_INDENT = 16

_BREAKS = frozenset("\n\v\f\x85\u2028\u2029")


class Spacing:
    """Puts white space into one form."""

    def __init__(self) -> None:
        self._begun = False
        self._is_code = False
        self._breaks = 0  # since the last character
        self._blanks = ""
        self._ticks: int | None = 0  # with which the line begins; None: other characters came

    def push(self, piece: str) -> tuple[str, str]:
        """The text that this piece adds, and the same with code made unrecognisable."""
        text: list[str] = []
        prose: list[str] = []
        for character in piece:
            if character in _BREAKS:
                self._breaks += 1
                self._blanks = ""
            elif character.isspace():
                self._blanks += "" if character == "\r" else "\t" if character == "\t" else " "
            elif unicodedata.category(character) != "Cc":
                space = self._space()
                text += (space, character)
                prose += (space, CODE if self._is_code else character)
                self._count_ticks(character)
        return "".join(text), "".join(prose)

    def _space(self) -> str:
        breaks, blanks = self._breaks, self._blanks
        self._breaks, self._blanks = 0, ""
        if breaks or not self._begun:
            self._ticks = 0
        if not self._begun:
            self._begun = True
            return ""
        if breaks:
            return "\n" * min(breaks, 2) + (blanks if self._is_code else blanks[:MAX_INDENT])
        return blanks if self._is_code else blanks and " "

    def _count_ticks(self, character: str) -> None:
        if self._ticks is None:
            return
        self._ticks = self._ticks + 1 if character == "`" else None
        if self._ticks == len(FENCE):
            self._is_code = not self._is_code
            self._ticks = None
