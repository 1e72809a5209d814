"""Files that people send: what one is by its own bytes, and what it may be called.

Pure; the standard library only. What a client says a file is counts among kinds of text alone, which no byte tells
apart. A mark must stand at the very beginning: a reader that looks further for it would take one file for two things.
"""

import unicodedata
from collections.abc import Mapping

MOST_MB = 4  # Lambda takes and gives 6 MB, and API Gateway hands bytes over as base64, a third more
MEGABYTE = 1024 * 1024
LONGEST_NAME = 100

ENDINGS: Mapping[str, tuple[str, ...]] = {  # what can be told apart, and how such files end
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    "text/plain": (".txt",),
    "text/csv": (".csv",),
    "text/markdown": (".md", ".markdown"),
}
_MARKS: tuple[tuple[str, int, bytes], ...] = (
    ("image/png", 0, b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/gif", 0, b"GIF87a"),
    ("image/gif", 0, b"GIF89a"),
    ("image/webp", 8, b"WEBPVP8"),
    ("application/pdf", 0, b"%PDF-"),
)
_IN_TEXT = frozenset("\t\n\r\f")
_NOT_IN_NAMES = frozenset('<>:"|?*')  # what one system or another does not take


def type_of(content: bytes, claimed: str) -> str | None:
    """The media type of a file; None for what is none of `ENDINGS`. `claimed` may have parameters."""
    for media_type, at, mark in _MARKS:
        if content.startswith(mark, at) and (media_type != "image/webp" or content.startswith(b"RIFF")):
            return media_type
    said = claimed.partition(";")[0].strip().lower()
    return said if said.startswith("text/") and said in ENDINGS and _is_text(content) else None


def name_of(name: str, media_type: str) -> str:
    """A name without folders and whatever does not show, which ends as files of the type do."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in unicodedata.normalize("NFC", last) if _may_stand(each))
    endings = ENDINGS[media_type]
    stem = " ".join(shown.split()).strip(". ")
    ending = next((each for each in endings if stem.lower().endswith(each)), None)
    if ending is None:
        return f"{stem[: LONGEST_NAME - len(endings[0])] or 'file'}{endings[0]}"
    kept = stem[: -len(ending)][: LONGEST_NAME - len(ending)].rstrip(". ")
    return f"{kept or 'file'}{stem[-len(ending) :]}"


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return all(each in _IN_TEXT or unicodedata.category(each) != "Cc" for each in text)


def _may_stand(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and character not in _NOT_IN_NAMES
