"""Front matter: the YAML between two lines of `---` with which a Markdown document may begin.

YAML 1.2 with every scalar as it was written: `yes`, 1.10 and dates stay texts.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from parley.documents.text import metadata

_BLOCK = re.compile(r"---[ \t]*\n(?![ \t]*\n)(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
MAX_CHARACTERS = 4_000  # aliases say the same again and again: the square of this may come of them
MAX_BRACKETS = 300  # 2,000 in one another take the parser 4 s
# What the library raises, without a place, for a misplaced tag or a mapping as a key.
_ODD_YAML = (YAMLError, ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)


def split(markdown: str) -> tuple[dict[str, str], str, tuple[str, ...]]:
    """What the front matter says, the rest of the document, and what of the front matter was left out.

    What stands between two rulers and is not a mapping is no front matter but text.
    """
    block = _BLOCK.match(markdown)
    if block is None:
        return {}, markdown, ()
    rest = markdown[block.end() :]
    if len(block[1]) > MAX_CHARACTERS:
        return {}, rest, (f"line 1: front matter of more than {MAX_CHARACTERS} characters",)
    if block[1].count("[") + block[1].count("{") > MAX_BRACKETS:
        return {}, rest, (f"line 1: front matter with more than {MAX_BRACKETS} brackets",)
    try:
        said = YAML(typ="base", pure=True).load(block[1])
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 2 if mark else 1
        return {}, rest, (f"line {line}: the front matter is not valid YAML: {error.problem}",)
    except _ODD_YAML:
        return {}, rest, ("line 1: the front matter is not valid YAML",)
    if not isinstance(said, Mapping):
        return {}, markdown, ()
    faults: list[str] = []
    return metadata(_texts(said, faults)), rest, tuple(faults)


def _texts(said: Mapping[Any, Any], faults: list[str]) -> Iterator[tuple[str, str]]:
    for name, value in said.items():
        match value:
            case str() if isinstance(name, str):
                yield name, value
            case list() if isinstance(name, str) and all(isinstance(item, str) for item in value):
                yield name, ", ".join(value)
            case None:
                pass
            case _:
                faults.append(f"line 1: `{str(name)[:40]}` in the front matter is neither a text nor a list of texts")
