"""Citing: which passages a completion goes back to, by the marks in it.

Pure. The prompt numbers the passages, and the generator puts `[1]` or `[2, 3]` behind what it takes from them. A person
sees the citations of a reply numbered from 1, so the marks are numbered anew, in the order of their first appearance.
A mark that names no passage is left out, and what only looks like a mark stays: in code, in a link, or grown together
with a bracket before it.
"""

import re
from collections.abc import Sequence

from parley.conversation import Citation

# Code first, so that nothing in it is taken for a mark.
_PLACE = re.compile(
    r"(?P<code>^[ \t]*```.*?(?:^[ \t]*```|\Z)|`[^`\n]+`)"
    r"|(?P<blank>[ \t]*)\[(?P<numbers>\d{1,3}(?:\s*,\s*\d{1,3})*)\](?!\()",
    re.DOTALL | re.MULTILINE,
)


def cited(completion: str, passages: Sequence[Citation]) -> tuple[str, tuple[Citation, ...]]:
    """The completion as people see it, and the passages that it names, in the order of its marks.

    The mark `[1]` in the text means the first of the citations.
    """
    order: list[int] = []  # numbers of passages, as the prompt has them

    def renumbered(found: re.Match[str]) -> str:
        if found["code"] is not None:
            return found[0]
        named = [number for number in map(int, found["numbers"].split(",")) if 1 <= number <= len(passages)]
        order.extend(number for number in dict.fromkeys(named) if number not in order)
        marks = ", ".join(str(order.index(number) + 1) for number in dict.fromkeys(named))
        return f"{found['blank']}[{marks}]" if marks else ""

    text = _PLACE.sub(renumbered, completion)
    return text.strip(), tuple(passages[number - 1] for number in order)
