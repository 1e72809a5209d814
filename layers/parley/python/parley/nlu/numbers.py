"""Numbers in a text: digits as people group them, and words read as digits.

Knows how languages write numbers. Words are read by text2num (MIT; Danish, Dutch,
English, French, German, Italian, Portuguese, Spanish), which is imported only when a
text holds a word to read. Which of the numbers found is an entity, `nlu.quantities`
and `nlu.times` decide.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

WORD_LANGUAGES = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})  # whose number words can be read
POINT_LANGUAGES = frozenset({"en", "zh", "ja", "ko", "th", "he", "hi", "ms"})  # 1,234.5; everybody else: 1.234,5

MAX_DIGITS = 25  # what is longer is no number that anybody counts with, and decimal arithmetic rounds from 28 on

# A number in digits, with its marks. What touches a letter or another code ("WB-204518", "1.2.3", "12:30") is none.
DIGITS = r"\d+(?:[.,'’\u00a0\u202f]\d+)*"
_THREES = re.compile(r"\d{1,3}(?:([.,'’\u00a0\u202f])\d{3})(?:\1\d{3})*")


def word_set(words: str) -> frozenset[str]:
    """The words of a text, for lists that read better without quotes."""
    return frozenset(words.split())


_WORD = re.compile(r"[^\W\d_]+|[\W\d_]+")
_MAY_BE_SECOND = frozenset({"the", "every", "my", "your", "on", "may", "of"})
_TENS = frozenset({"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "and"})
# "one" in these surroundings is a pronoun.
_BEFORE_PRONOUN = word_set("""
    the this that which no any every some each another what other old new big small good bad better best last
    next first right wrong same only's my your red blue green black white
""")
_AFTER_PRONOUN = word_set("""
    of is was are were can could will would should has had does did who that which with in
""")


@dataclass(frozen=True, slots=True)
class Found:
    """Something found in a text, with its value in normal form."""

    kind: str  # Duckling's name for it
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Digested:
    """A text with its number words put as digits, and the way back to where they stood."""

    text: str  # "in two weeks" -> "in 2 weeks"
    original: str
    _places: tuple[tuple[int, int], ...]  # (place here, place there) where a stretch begins, ascending

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of `text` stands in the original."""
        return self._place(start), self._place(end, at_end=True)

    def _place(self, here: int, *, at_end: bool = False) -> int:
        number = bisect_right(self._places, (here - at_end, len(self.original))) - 1
        begin, there = self._places[number]
        if number % 2:  # a number that was words: all of it
            return self._places[number + 1][1] if at_end else there
        return there + here - begin


def digested(text: str, language: str) -> Digested:
    """`text` with its number words put as digits; unchanged in a language whose words cannot be read."""
    pieces, places, at, length = [], [(0, 0)], 0, 0
    for start, end, digits in _spelled(text, language):
        pieces += [text[at:start], digits]
        length += start - at
        places += [(length, start), (length + len(digits), end)]
        length += len(digits)
        at = end
    return Digested("".join(pieces) + text[at:], text, tuple(places))


class _Word:
    """A word or what stands between two, as text2num wants it."""

    def __init__(self, match: re.Match[str], before: str, after: str) -> None:
        self.start, self.end = match.span()
        self._text = match.group()
        self._before, self._after = before, after

    def text(self) -> str:
        return self._text

    def nt_separated(self, _previous: "_Word") -> bool:
        return False

    def not_a_number_part(self) -> bool:
        match self._text.lower():
            case "second":  # "wait a second"
                return self._before not in _MAY_BE_SECOND and self._before not in _TENS
            case "one":
                return self._before in _BEFORE_PRONOUN or self._after in _AFTER_PRONOUN
            case "a" | "an" | "o":
                return True
        return False


def _spelled(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    """Where numbers stand in words, and their digits."""
    if language not in WORD_LANGUAGES:
        return
    from text_to_num import find_numbers  # type: ignore[import-untyped]  #  a bot without system entities does not pay for it

    matches = list(_WORD.finditer(text))
    lower = [match.group().strip().lower() for match in matches]
    around = ["", "", *lower, "", ""]
    tokens = [_Word(match, around[i], around[i + 4]) for i, match in enumerate(matches)]
    for found in find_numbers(tokens, language, 0):
        start, end = tokens[found.start].start, tokens[found.end - 1].end
        if not re.search(r"\d[.,]?\s*\Z", text[:start]):  # "3 million" is read below, "5 second" is no number
            yield start, end, found.text.replace(" ", "")


def read_number(digits: str, language: str) -> Decimal | None:
    """The value of a number in digits; None if its marks stand where none may.

    One mark before exactly three digits groups them if the language groups with it, and parts off
    decimals if not ("1,234" is 1234 in English and 1.234 in German); a mark before any other number
    of digits, and the last of two different marks, parts off decimals.
    """
    if len(digits) > MAX_DIGITS:
        return None
    groups, decimal = (",", ".") if language in POINT_LANGUAGES else (".", ",")
    marks = re.findall(r"\D", digits)
    if not marks:
        return Decimal(digits)
    last = marks[-1]
    whole, _, fraction = digits.rpartition(last)
    if len(set(marks)) == 1 and (len(marks) > 1 or (len(fraction) == 3 and last != decimal and whole != "0")):
        whole, fraction = digits, ""
    elif last not in (groups, decimal):
        return None
    inner = re.sub(r"\D", "", whole)
    if inner != whole and not _THREES.fullmatch(whole):
        return None
    try:
        return Decimal(f"{inner}.{fraction}" if fraction else inner)
    except InvalidOperation:
        return None


def plain(value: Decimal) -> str:
    """A number in digits without an exponent, as few as say it."""
    return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")
