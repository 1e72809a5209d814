"""Follow-up questions: what was asked before makes them whole.

"And how long does it take?" finds nothing by itself. Together with the question before, both are near to the passage
that is meant; which words stand for which need not be known. Knows how English points back; in other languages a
question stands for itself.
"""

import re

FEW_WORDS = 9  # a longer question says what it is about, whatever its pronouns
_BEGINNINGS = re.compile(r"(?:and|or|but|so|then|also|what about|how about|what if|same for|and for)\b", re.IGNORECASE)
_POINTERS = re.compile(
    r"\b(?:it|its|that|those|these|this|they|them|their|there|then|he|she|him|her|one|ones|instead|too|either)\b",
    re.IGNORECASE,
)
_EMPTY_IT = re.compile(r"\b(?:is it|what time is it|it is) (?:possible|true|ok|okay)\b", re.IGNORECASE)
_BARE = re.compile(
    r"(?:why(?: not)?|how(?: much| long| many| so)?|when|where|who|which(?: one)?|really)\W*", re.IGNORECASE
)
_WORD = re.compile(r"\w+")


def is_follow_up(text: str, language: str) -> bool:
    """Whether a question leans on the one before."""
    if language != "en":
        return False
    said = text.strip()
    if _BARE.fullmatch(said):
        return True
    if len(_WORD.findall(said)) > FEW_WORDS:
        return False
    return bool(_BEGINNINGS.match(said) or _POINTERS.search(_EMPTY_IT.sub("", said)))


def standalone(text: str, before: str) -> str:
    """The question with the one before it."""
    return f"{before.strip()} {text.strip()}"
