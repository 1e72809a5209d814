"""Of a passage that answers, the part that does: what is said beside the citation that has the whole.

Knows sentences and paragraphs; is told which sentence is nearest to the question.
"""

import re

ENOUGH_WORDS = 60  # a passage of so many is said whole
_PARAGRAPH = re.compile(r"\n\s*\n")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def excerpt(text: str, nearest: str) -> str:
    """The paragraph with the sentence `nearest`, and what leads to it; of a long paragraph that sentence and the next.

    A list says nothing without the line before it, and a line that ends with a colon nothing without what follows.
    """
    if _words(text) <= ENOUGH_WORDS:
        return text
    paragraphs = [each.strip() for each in _PARAGRAPH.split(text) if each.strip()]
    at = next((place for place, each in enumerate(paragraphs) if nearest in each), 0)
    first, last = at, at
    if at and paragraphs[at - 1].endswith(":"):
        first -= 1
    if paragraphs[at].endswith(":") and at + 1 < len(paragraphs):
        last += 1
    chosen = "\n\n".join(paragraphs[first : last + 1])
    return chosen if _words(chosen) <= ENOUGH_WORDS or first != last else _from(paragraphs[at], nearest)


def _from(paragraph: str, nearest: str) -> str:
    """The paragraph from the sentence `nearest` on, whole sentences of ENOUGH_WORDS together, one at least."""
    start = max(paragraph.find(nearest), 0)
    end = start + len(nearest)
    for found in SENTENCE_END.finditer(paragraph, end):
        if _words(paragraph[start : found.start()]) > ENOUGH_WORDS:
            break
        end = found.start()
    else:
        if _words(paragraph[start:]) <= ENOUGH_WORDS:
            end = len(paragraph)
    return paragraph[start:end].strip()


def _words(text: str) -> int:
    return len(text.split())
