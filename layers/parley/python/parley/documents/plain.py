"""Plain text: a section for each group of paragraphs; two empty lines or more stand between groups."""

import re

from parley.documents.document import MAX_SECTIONS, Document, Section, title_of
from parley.documents.text import clean, decode, says_something

_GROUP_END = re.compile(r"\n[ \t]*\n[ \t]*\n\s*")


def read_plain(name: str, content: bytes) -> Document:
    """The groups of paragraphs of a text, each placed by the line with which it begins.

    Raises:
        Unreadable: the content is not UTF-8.
    """
    title = title_of(name)
    sections: list[Section] = []
    line = 1
    text = decode(name, content)
    begins = [0, *(gap.end() for gap in _GROUP_END.finditer(text))]
    for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
        group = text[begin:end]
        first = line + group[: len(group) - len(group.lstrip())].count("\n")
        if len(sections) > MAX_SECTIONS:
            break
        if says_something(group):
            sections.append(Section(title, clean(group).strip(), f"line={first}"))
        line += group.count("\n")
    return Document(name, title, tuple(sections))
