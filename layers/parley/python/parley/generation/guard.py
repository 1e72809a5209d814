"""The guard: what of a completion may leave.

Pure. A small model rambles, repeats itself and invents addresses; a large one does so rarely, and writes lists, tables
and code. What cannot be trimmed into a clean reply is not a reply, and the bot's fallback is said instead. While a
completion is still being written, what is surely clean may leave already: all but the last word, and what may yet
become part of something forbidden. White space leaves in the form of `generation.spacing`.
"""

import re

from parley.generation.ending import last_end
from parley.generation.spacing import CODE, Spacing

MAX_LOOP_WORDS = 24  # a sentence
_FEWEST_LETTERS = 2
_FEWEST_DIGITS = 7
_NUMBER = "+"  # begins a telephone number in the form in which contacts are compared
_BETWEEN_ENDS = 200  # characters after which a completion that cannot leave any more is looked at again

# No template's tokens and no turn of somebody else's. Outside of code, where a name and a colon may begin a line.
_TOKEN = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>|<\|?[a-z_/]*(?:assistant|user|system|think|turn|begin|end)[a-z_]*\|?>"
    r"|</?(?:s|bos|eos|pad|unk|mask)>|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE,
)
_ROLE = re.compile(r"(?:^|[\n.!?]\s*)(?:user|assistant|system)\s*:", re.IGNORECASE)
# What is found of one of these behind the last word looked at, or ends there: more of it may come.
_LONGEST = 64
_BEGUN_TOKEN = re.compile(r"<[|｜][^<>\n]{0,40}\Z")
_BEGUN_ROLE = re.compile(r"(?<!\w)(?:user|assistant|system)\Z", re.IGNORECASE)

_CONTACT = re.compile(
    r"""(?P<link>(?:https?://|www\.)[^\s<>"'`)\]。！？]*)"""
    r"|(?P<mail>(?<![\w.+-])[\w.+-]*\w@\w[\w.-]*)"
    r"|(?P<number>\d(?:[ ./-]?\d)*)(?![\w.+-]*@)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?: \d{1,2})?")  # and an hour
_WORD = re.compile(rf"\w+|{CODE}+")


def clean(completion: str, allowed: str = "") -> str | None:
    """The completion up to the end of its last whole sentence, item, row or block of code; None when it is not fit.

    Contacts are fit only if they stand in `allowed`: nobody answers at an invented one.
    """
    guard = StreamGuard(allowed)
    guard.push(completion)
    return guard.finish()


class StreamGuard:
    """Lets of a completion leave what is surely clean, while it is still being written.

    What has left, put together, is the beginning of the completion and ends between two words. It holds nothing
    forbidden, and depends on what has come, not on the pieces in which it came. The final text may be shorter, because
    it ends with a whole sentence, and longer, by what was held back. It is never shorter if nothing `takes_back`.
    """

    def __init__(self, allowed: str = "", *, takes_back: bool = True) -> None:
        self.refused = False  # nothing can make a reply of it any more
        self.is_unfinished = False  # the reply ends within a sentence, because that had left
        self._takes_back = takes_back
        self._allowed = _contacts(allowed)
        self._spacing = Spacing()
        self._text, self._prose = "", ""
        self._left = 0  # characters that have left
        self._seen = 0  # characters looked at, up to a blank
        self._run_from: int | None = None  # where a number begins that may go on
        self._looked_for_contacts = 0
        self._words: list[str] = []
        self._bad_end: int | None = None  # where the first contact or loop ends
        self._next_ending = 0  # where it is worth looking whether a sentence goes beyond that

    def push(self, piece: str) -> str:
        """What may leave, now that this piece has come."""
        if self.refused:
            return ""
        text, prose = self._spacing.push(piece)
        self._text += text
        self._prose += prose
        self._look(_last_blank(self._text, len(self._text)))
        if self.refused or self._bad_end is not None:
            return ""
        end = self._sure_end()
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
        end = last_end(self._text, is_last=True)
        if not self._takes_back and self._left > end:
            if self._bad_end is not None:
                return None
            end, self.is_unfinished = len(self._text), True
        reply = self._text[:end]
        return reply if sum(character.isalpha() for character in reply) >= _FEWEST_LETTERS else None

    def _sure_end(self) -> int:
        """Up to where nothing that may come can make something forbidden of what has come."""
        since = max(0, self._seen - _LONGEST)
        begun = (_BEGUN_TOKEN.search(self._text, since, self._seen), _BEGUN_ROLE.search(self._prose, since, self._seen))
        ends = [found.start() for found in begun if found]
        if self._run_from is not None:
            ends.append(self._run_from)
        return _last_blank(self._text, min(ends)) if ends else self._seen

    def _look(self, end: int, *, is_last: bool = False) -> None:
        """Looks at what has come up to `end`, where a blank follows or nothing."""
        if end <= self._seen and not is_last:
            return
        since = max(0, self._seen - _LONGEST)
        if _TOKEN.search(self._text, since, end) or _ROLE.search(self._prose, since, end):
            self.refused = True
            return
        bad = [place for place in (self._contact(end, is_last=is_last), self._loop(end)) if place is not None]
        if self._bad_end is None and bad:
            self._bad_end = min(bad)
        self._seen = end
        # A sentence that is never finished is left out, whatever is in it.
        if self._bad_end is not None and (is_last or end >= self._next_ending):
            self.refused = last_end(self._text[:end], is_last=is_last) >= self._bad_end
            self._next_ending = end + _BETWEEN_ENDS

    def _contact(self, end: int, *, is_last: bool) -> int | None:
        """Where the first contact ends that is not allowed."""
        self._run_from = None
        for found in _CONTACT.finditer(self._text, self._looked_for_contacts, end):
            if found.end() == end and found.lastgroup == "number" and not is_last:
                self._run_from = found.start()
                break
            self._looked_for_contacts = found.end()
            contact = _contact(found)
            if contact and not self._is_allowed(contact):
                return found.end()
        else:
            self._looked_for_contacts = end
        return None

    def _is_allowed(self, contact: str) -> bool:
        if contact.startswith(_NUMBER):  # the end of a longer one is the same number, dialled from nearer
            return any(known.startswith(_NUMBER) and known.endswith(contact[1:]) for known in self._allowed)
        return contact in self._allowed

    def _loop(self, end: int) -> int | None:
        """Where a word ends that makes a loop: the fourth in a row, or the last of as many words said three times."""
        words = self._words
        for found in _WORD.finditer(self._prose, self._seen, end):
            word = found[0].lower()
            words.append(word if not word.startswith(CODE) else f"{CODE}{len(words)}")
            if words[-4:] == [words[-1]] * 4:
                return found.end()
            for size in range(2, MAX_LOOP_WORDS + 1):
                if len(words) < 3 * size or words[-1] != words[-1 - size]:
                    continue
                if words[-size:] == words[-2 * size : -size] == words[-3 * size : -2 * size]:
                    return found.end()
        return None


def _last_blank(text: str, end: int) -> int:
    """Where the last blank before `end` is; 0 without one."""
    return max(0, text.rfind(" ", 0, end), text.rfind("\n", 0, end), text.rfind("\t", 0, end))


def _contacts(text: str) -> frozenset[str]:
    return frozenset(filter(None, map(_contact, _CONTACT.finditer(text))))


def _contact(found: re.Match[str]) -> str:
    """A contact in the form in which two of them are compared; empty if it is none."""
    match found.lastgroup:
        case "link":
            link = found[0].lower().rstrip(".,;:!?*_~")
            return "//" + link.removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")
        case "mail":
            return found[0].lower().rstrip(".-_")
        case _:
            digits = "".join(filter(str.isdecimal, found[0]))
            is_number = len(digits) >= _FEWEST_DIGITS and not _DATE.fullmatch(found[0])
            return _NUMBER + digits.removeprefix("00").removeprefix("0") if is_number else ""
