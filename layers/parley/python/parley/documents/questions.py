"""Questions and answers: a row of a table, or an object of JSON, becomes a section.

Knows what the columns are called; knows no format.
"""

from collections.abc import Mapping, Sequence

from parley.documents.document import Section
from parley.documents.text import clean, metadata, says_something, squeezed

QUESTION = ("question", "questions", "q", "query", "prompt")
ANSWER = ("answer", "answers", "a", "response", "reply")
NAMES = "name one column `question` and one `answer`"


def columns(names: Sequence[str]) -> tuple[str, str] | None:
    """Which of these names mean the question and the answer; None where one of them is missing."""
    plain = {name.strip().lower(): name for name in reversed(names)}
    question = next((plain[name] for name in QUESTION if name in plain), None)
    answer = next((plain[name] for name in ANSWER if name in plain), None)
    return None if question is None or answer is None else (question, answer)


def section(row: Mapping[str, str], place: str) -> Section | str:
    """The section that a row says, or what it lacks."""
    found = columns(tuple(row))
    if found is None:
        return f"{place}: no question or no answer; {NAMES}"
    question, answer = squeezed(row[found[0]]), clean(row[found[1]]).strip()
    for kind, text in (("question", question), ("answer", answer)):
        if not says_something(text):
            return f"{place}: the {kind} is empty"
    return Section(question, answer, place, metadata((name, row[name]) for name in row if name not in found))
