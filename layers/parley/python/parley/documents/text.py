"""Text out of bytes, and what of it may be kept.

Knows encodings; knows no format.
"""

import codecs
import re
from collections.abc import Iterable

from parley.errors import Unreadable

# A mark at the beginning says how the rest is encoded.
_MARKED = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# As Python names them; others are no encodings of pages. Those of UTF-16 are meant as UTF-8, so says HTML.
_ENCODINGS = frozenset(
    {*(f"cp{number}" for number in (866, 874, *range(1250, 1259))), *(f"iso8859-{n}" for n in range(1, 17))}
    | {"big5", "cp949", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "iso2022_jp", "koi8-r", "koi8-u", "mac-roman"}
    | {"shift_jis", "utf-8"}
)
_AS_BROWSERS_READ = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gbk", "utf-16": "utf-8"}
# Controls, halves of surrogate pairs and what is no character: none of them can be shown, some not even stored.
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\xad\ud800-\udfff\ufffe\uffff]")
_WORD = re.compile(r"\w")


def decode(name: str, content: bytes, encoding: str = "utf-8") -> str:
    """The text, with `\\n` at the end of each line; a mark at its beginning has more to say than `encoding`.

    Raises:
        Unreadable: the bytes are not of that encoding, or no text at all.
    """
    mark, encoding = next((pair for pair in _MARKED if content.startswith(pair[0])), (b"", encoding))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"not {encoding.upper()}; save the document as UTF-8"
        raise Unreadable(name, problem, line=line) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Unreadable(name, "a NUL byte, which no text has; save the document as UTF-8", line=line)
    return text


def encoding_of(name: str, label: str) -> str:
    """The encoding of a page that calls it `label`, as Python names it.

    Raises:
        Unreadable: no page has one of that name.
    """
    try:
        known = codecs.lookup(label).name
    except LookupError:
        known = ""
    encoding = _AS_BROWSERS_READ.get(known.removesuffix("-le").removesuffix("-be"), known)
    if encoding not in _ENCODINGS:
        raise Unreadable(name, f"its encoding `{label[:40]}` is not known; save the page as UTF-8")
    return encoding


def clean(text: str) -> str:
    """The text without characters that cannot be shown, and without hyphens that are not to be seen."""
    return _UNSPEAKABLE.sub("", text)


def squeezed(text: str) -> str:
    """The text on one line, with single spaces."""
    return " ".join(clean(text).split())


def says_something(text: str) -> bool:
    """Whether there is a word in it; a ruler such as --- has none."""
    return _WORD.search(text) is not None


def metadata(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names, in lower case, with what they say; the first to say something is heard."""
    said: dict[str, str] = {}
    for name, value in pairs:
        key, words = squeezed(name).lower(), squeezed(value)
        if key and words:
            said.setdefault(key, words)
    return said
