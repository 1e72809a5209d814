"""What people do to a sentence without meaning anything by it: typos, no punctuation, capitals, emoji.

Pure and repeatable: the same sentence and seed always come out the same, whatever stands beside them. What is
part of a number or a code (WB-204518, 3.50) is left alone, because changing it changes the meaning.
"""

import hashlib
import re
from collections.abc import Callable, Mapping

import numpy as np

EMOJI = ("😀", "😂", "🙏", "👍", "😡", "😭", "❤️", "🤔", "🎉", "👋🏽", "🇮🇪", "🔥")

# Neighbours on a QWERTY keyboard: what a finger hits instead.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: [row[at] for at in (place - 1, place + 1) if 0 <= at < len(row)]
    for row in _ROWS
    for place, letter in enumerate(row)
}
_WORD = re.compile(r"(?<![\w'’-])[^\W\d_]{4,}(?![\w'’-])")  # whole words of four letters or more
_MARKS = re.compile(r"(?<!\d)[.,:;!?…\"'’“”()]|[.,:;!?…\"'’“”()](?!\d)")

Perturbation = Callable[[str, int], str]  # the sentence and a seed -> the sentence as somebody else types it


def with_typos(count: int) -> Perturbation:
    """A perturbation that puts up to `count` typos into as many words: two letters swapped, one left out, one doubled,
    or the key beside it. Words of fewer than four letters stay, because a typo makes others of them."""

    def perturb(text: str, seed: int) -> str:
        generator = _generator(text, seed)
        words = list(_WORD.finditer(text))
        chosen = sorted(generator.permutation(len(words))[:count].tolist(), reverse=True)  # from the end, spans stay
        for number in chosen:
            start, end = words[number].span()
            text = text[:start] + _mistyped(text[start:end], generator) + text[end:]
        return text

    return perturb


def without_punctuation(text: str, seed: int) -> str:  # noqa: ARG001  # there is nothing to draw
    """Without marks and apostrophes, but for those inside of numbers."""
    return " ".join(_MARKS.sub("", text).split()) or text


def in_upper_case(text: str, seed: int) -> str:  # noqa: ARG001
    """All in capitals."""
    return text.upper()


def in_lower_case(text: str, seed: int) -> str:  # noqa: ARG001
    """Without any capital."""
    return text.lower()


def with_emoji(text: str, seed: int) -> str:
    """With one emoji at the end, at the beginning or between two words."""
    generator = _generator(text, seed)
    emoji = EMOJI[generator.integers(len(EMOJI))]
    words = text.split(" ")
    at = (len(words), 0, int(generator.integers(len(words) + 1)))[generator.integers(3)]
    return " ".join([*words[:at], emoji, *words[at:]])


def all_at_once(text: str, seed: int) -> str:
    """One typo, no punctuation, no capitals and an emoji: a message from a phone in a hurry."""
    return with_emoji(in_lower_case(without_punctuation(with_typos(1)(text, seed), seed), seed), seed)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "one typo": with_typos(1),
    "two typos": with_typos(2),
    "no punctuation": without_punctuation,
    "upper case": in_upper_case,
    "lower case": in_lower_case,
    "an emoji": with_emoji,
    "all of it at once": all_at_once,
}


def _generator(text: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}\0{text}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _mistyped(word: str, generator: np.random.Generator) -> str:
    """The word with one typo; its first letter stays, as it does in nine of ten typos people make.

    Source: Pollock and Zamora (1984), Automatic spelling correction in scientific and scholarly text, CACM 27(4):
    7.8 % of misspellings have their first letter wrong.
    """
    at = int(generator.integers(1, len(word) - 1))
    match int(generator.integers(4)):
        case 0 if word[at] != word[at + 1]:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            return word[:at] + word[at + 1 :]
        case 2:
            return word[: at + 1] + word[at:]
        case _:
            near = _NEIGHBOURS.get(word[at].lower(), [word[at]])
            return word[:at] + near[generator.integers(len(near))] + word[at + 1 :]
