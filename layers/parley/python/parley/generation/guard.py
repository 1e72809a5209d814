"""The guard: what of a completion may leave.

Pure. A small model rambles, repeats itself and invents addresses; a large one does so rarely, and writes lists, tables
and code. What cannot be trimmed into a clean reply is not a reply, and the bot's fallback is said instead. While a
completion is still being written, what is surely clean may leave already.

White space is put into one form: no blanks at the ends of lines, one between words, one empty line at most; indentation
and what stands in a fenced block stay.
"""

import re
import unicodedata

# A role marker with its full stop, its blanks and its colon, after which nothing may leave, is no longer than this.
HELD_BACK_CHARACTERS = 48
LONGEST_MARKER = 64  # a special token, or a role marker; so far back a part of one may have been looked at already
MAX_INDENT = 16
MAX_LOOP_WORDS = 24  # a sentence

_BREAKS = frozenset("\n\v\f\x85\u2028\u2029")
_FENCE = "```"
_CODE = "\0"  # stands for characters of code where prose is looked at

# No template's tokens and no turn of somebody else's. Outside of code, where a name and a colon may begin a line.
_TOKEN = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>|<\|?[a-z_/]*(?:assistant|user|system|think|turn|begin|end)[a-z_]*\|?>"
    r"|</?(?:s|bos|eos|pad|unk|mask)>|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE,
)
_ROLE = re.compile(r"(?:^|[\n.!?]\s*)(?:user|assistant|system)\s*:", re.IGNORECASE)
_CONTACT = re.compile(
    r"""(?P<link>(?:https?://|www\.)[^\s<>"'`)\]。！？]*)"""
    r"|(?P<mail>(?<![\w.+-])[\w.+-]*\w@\w[\w.-]*)"
    r"|(?P<number>\d(?:[ ./-]?\d)*)",
    re.IGNORECASE,
)
_FEWEST_DIGITS = 7
_WORD = re.compile(rf"\w+|{_CODE}+")
_CLOSERS = r"[\"'”’»)\]*_`]*"
_SENTENCE_END = re.compile(
    rf"(?:[.!?…]{_CLOSERS}(?=\s|$)|[。！？]{_CLOSERS})(?:\s?\[\d{{1,2}}(?:,\s?\d{{1,2}})*\]{_CLOSERS}(?=\s|[.!?…]|$))*"
)
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?=\S)")
_NUMBER_OF_ITEM = re.compile(r"\s*\d+[.]")
_OPEN_ENDS = (":", ",", ";", "-", "–", "—", "(", "/")


def clean(completion: str, allowed: str = "") -> str | None:
    """The completion up to the end of its last whole sentence, item, row or block of code; None when it is not fit.

    Contacts are fit only if they stand in `allowed`: nobody answers at an invented one.
    """
    guard = StreamGuard(allowed)
    guard.push(completion)
    return guard.finish()


class StreamGuard:
    """Lets of a completion leave what is surely clean, while it is still being written.

    What has left, put together, is the beginning of the completion with its white space in one form, and ends between
    two words. It holds nothing forbidden, and is the same however the completion is cut into pieces, unless something
    forbidden comes: then less may have left, but not more. The final text may be shorter, because it ends with a whole
    sentence, and longer, by what was held back.
    """

    def __init__(self, allowed: str = "") -> None:
        self.refused = False  # nothing can make a reply of it any more
        self._allowed = _contacts(allowed)
        self._spacing = _Spacing()
        self._text, self._prose = "", ""
        self._left = 0  # characters that have left
        self._seen = 0  # characters looked at, up to a blank
        self._run_from: int | None = None  # where a number begins that may go on
        self._looked_for_contacts = 0
        self._words: list[str] = []
        self._bad_end: int | None = None  # where the first contact or loop ends

    def push(self, piece: str) -> str:
        """What may leave, now that this piece has come."""
        if self.refused:
            return ""
        self._take(piece)
        self._look(_last_blank(self._text, len(self._text)))
        if self.refused or self._bad_end is not None:
            return ""
        limit = min(len(self._text) - HELD_BACK_CHARACTERS, self._seen)
        if self._run_from is not None:
            limit = min(limit, self._run_from)
        end = _last_blank(self._text, limit + 1)
        if end <= self._left:
            return ""
        leaving, self._left = self._text[self._left : end], end
        return leaving

    def finish(self) -> str | None:
        """The whole completion as a reply; None when it is not fit to be one."""
        if not self.refused:
            self._look(len(self._text), is_last=True)
        if self.refused:
            return None
        reply = self._text[: _whole(self._text, is_last=True)]
        return reply if sum(character.isalpha() for character in reply) >= 2 else None

    def _take(self, piece: str) -> None:
        text, prose = self._spacing.push(piece)
        self._text += text
        self._prose += prose

    def _look(self, end: int, *, is_last: bool = False) -> None:
        """Looks at what has come up to `end`, where a blank follows or nothing."""
        if end <= self._seen and not is_last:
            return
        since = max(0, self._seen - LONGEST_MARKER)
        if _TOKEN.search(self._text, since, end) or _ROLE.search(self._prose, since, end):
            self.refused = True
            return
        bad = [place for place in (self._contact(end, is_last=is_last), self._loop(end)) if place is not None]
        if self._bad_end is None and bad:
            self._bad_end = min(bad)
        self._seen = end
        # A sentence that is never finished is left out, whatever is in it.
        if self._bad_end is not None and _whole(self._text[:end], is_last=is_last) >= self._bad_end:
            self.refused = True

    def _contact(self, end: int, *, is_last: bool) -> int | None:
        """Where the first contact ends that is not allowed."""
        self._run_from = None
        for found in _CONTACT.finditer(self._text, self._looked_for_contacts, end):
            if found.end() == end and found.lastgroup == "number" and not is_last:
                self._run_from = found.start()
                break
            self._looked_for_contacts = found.end()
            contact = _contact(found)
            if contact and not any(known.endswith(contact) for known in self._allowed if known[0] == contact[0]):
                return found.end()
        else:
            self._looked_for_contacts = end
        return None

    def _loop(self, end: int) -> int | None:
        """Where a word ends that makes a loop: the fourth in a row, or the last of as many words said three times."""
        words = self._words
        for found in _WORD.finditer(self._prose, self._seen, end):
            word = found[0].lower()
            words.append(word if not word.startswith(_CODE) else f"{_CODE}{len(words)}")
            if words[-4:] == [words[-1]] * 4:
                return found.end()
            for size in range(2, MAX_LOOP_WORDS + 1):
                if len(words) < 3 * size or words[-1] != words[-1 - size]:
                    continue
                if words[-size:] == words[-2 * size : -size] == words[-3 * size : -2 * size]:
                    return found.end()
        return None


class _Spacing:
    """Puts white space into one form, as the text comes."""

    def __init__(self) -> None:
        self._begun = False
        self._is_code = False
        self._breaks = 0
        self._blanks = ""
        self._ticks: int | None = 0  # with which the line begins; None: other characters came
        self._beside = False

    def push(self, piece: str) -> tuple[str, str]:
        """The text that this piece adds, and the same with code made unrecognisable."""
        text: list[str] = []
        prose: list[str] = []
        for character in piece:
            if character in _BREAKS:
                self._breaks += 1
                self._blanks = ""
            elif character.isspace():
                self._blanks += "" if character == "\r" else "\t" if character == "\t" else " "
            elif unicodedata.category(character) != "Cc":
                space = self._space()
                text += (space, character)
                prose += (space, _CODE if self._is_code else character)
                self._count_ticks(character)
        return "".join(text), "".join(prose)

    def _space(self) -> str:
        breaks, blanks = self._breaks, self._blanks
        self._breaks, self._blanks = 0, ""
        if breaks or not self._begun:
            self._ticks = 0
        if not self._begun:
            self._begun = True
            return ""
        if breaks:
            return "\n" * min(breaks, 2) + (blanks if self._is_code else blanks[:MAX_INDENT])
        return blanks if self._is_code else blanks and " "

    def _count_ticks(self, character: str) -> None:
        if self._ticks is None:
            return
        self._ticks = self._ticks + 1 if character == "`" else None
        if self._ticks == len(_FENCE):
            self._is_code = not self._is_code
            self._ticks = None


def _last_blank(text: str, end: int) -> int:
    """Where the last blank before `end` is; 0 without one."""
    return max(0, text.rfind(" ", 0, max(0, end)), text.rfind("\n", 0, max(0, end)), text.rfind("\t", 0, max(0, end)))


def _contacts(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(_contact, _CONTACT.finditer(text))))


def _contact(found: re.Match[str]) -> str:
    """A contact in the form in which two of them are compared; empty if it is none."""
    match found.lastgroup:
        case "link":
            link = found[0].lower().rstrip(".,;:!?*_~")
            return "l" + link.removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")
        case "mail":
            return "m" + found[0].lower().rstrip(".-_")
        case _:
            digits = "".join(filter(str.isdecimal, found[0]))
            return f"n{digits}" if len(digits) >= _FEWEST_DIGITS else ""


def _whole(text: str, *, is_last: bool) -> int:
    """Where the last sentence, item, row, paragraph or block of code ends that is whole."""
    end = begin = 0
    is_code = False
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.lstrip().startswith(_FENCE):
            is_code = not is_code
            if not is_code:
                end = begin + len(line)
        elif not is_code:
            first = _NUMBER_OF_ITEM.match(line)
            for found in _SENTENCE_END.finditer(line, first.end() if first else 0):
                end = begin + found.end()
            follows = None if number + 1 == len(lines) else lines[number + 1]
            if _is_whole(line, follows) or (follows is None and is_last and _ends_like_its_siblings(lines)):
                end = begin + len(line)
        begin += len(line) + 1
    return end


def _is_whole(line: str, follows: str | None) -> bool:
    """Whether the line says something whole without a full stop; `follows` is the next line."""
    stripped = line.strip()
    if stripped.startswith("|"):
        return len(stripped) > 1 and stripped.endswith("|")
    if follows is None or not stripped or stripped.endswith(_OPEN_ENDS) or stripped.startswith("#"):
        return False
    return bool(_ITEM.match(line)) or not follows


def _ends_like_its_siblings(lines: list[str]) -> bool:
    """Whether the last line is an item of a list whose items have no full stops."""
    if not _ITEM.match(lines[-1]):
        return False
    before = next((line for line in reversed(lines[:-1]) if _ITEM.match(line)), None)
    return before is not None and not _SENTENCE_END.search(before, len(before.rstrip()) - 3)
