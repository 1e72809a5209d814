"""Where somebody can be reached: e-mail addresses, URLs, phone numbers.

Phone numbers are read by phonenumbers (Google's libphonenumber; Apache-2.0), which is
imported only when a text has enough digits. A number counts if it is valid in its
country; written with a leading +, if it is possible there. Digits that the text itself
calls an order, a ticket, an account and the like are no phone number.
"""

import re
from collections.abc import Iterator

from parley.nlu.numbers import Found

# Source: the practical part of RFC 5321: a dot-atom before the @, a host name with a top-level domain behind it.
_EMAIL = re.compile(
    r"(?<![\w.+@-])[\w!#$%&'*+/=?^`{|}~-]{1,64}(?:\.[\w!#$%&'*+/=?^`{|}~-]{1,64}){0,8}"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w@-])"
)
_HOST = r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}"
_PATH = r"(?::\d{1,5})?(?:[/?#][^\s<>\"]*)?"
# Without a scheme, only hosts that begin with www or end in a top-level domain that is no word or file ending.
_DOMAINS = "com org net edu gov io ai app dev info biz eu uk de fr es nl pl ru cn jp ch se no dk fi ca au nz br mx us"
_URL = re.compile(
    rf"(?<![\w@.-])(?:(?:https?|ftp)://(?:{_HOST}[^\W\d_]{{2,24}}|localhost|\d{{1,3}}(?:\.\d{{1,3}}){{3}}){_PATH}"
    rf"|www\.{_HOST}[^\W\d_]{{2,24}}{_PATH}"
    rf"|{_HOST}(?:{'|'.join(_DOMAINS.split())})(?![\w@]|\.\w|-\w){_PATH})",
    re.IGNORECASE,
)
_CLOSING = {")": "(", "]": "[", "}": "{"}

_ENOUGH_DIGITS = re.compile(r"(?:\d\D{0,3}){7}")
_A_REFERENCE = re.compile(
    r"(?:\b(?:order|invoice|ref(?:erence)?|ticket|tracking|parcel|account|customer|case|serial|model|item|part|card|"
    r"booking|confirmation|policy|iban)\b(?:\s+(?:numbers?|no\.?|nr\.?|id|code))?(?:\s+is)?|#)[\s:#]*\Z",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Found]:
    """The e-mail addresses of a text, their domain in lower case."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        mailbox, _, domain = match.group().rpartition("@")
        yield Found("email", f"{mailbox}@{domain.lower()}", *match.span())


def urls(text: str) -> Iterator[Found]:
    """The URLs of a text, with a scheme; what closes the sentence is not taken for a part of them."""
    if "." not in text and "://" not in text:
        return
    for match in _URL.finditer(text):
        url = _trimmed(match.group())
        value = url if "://" in url else f"https://{url}"
        yield Found("url", value, match.start(), match.start() + len(url))


def _trimmed(url: str) -> str:
    while url[-1] in ".,;:!?'\"" or (url[-1] in _CLOSING and url.count(url[-1]) > url.count(_CLOSING[url[-1]])):
        url = url[:-1]
    return url


def phone_numbers(text: str, region: str) -> Iterator[Found]:
    """The phone numbers of a text in E.164, those without a country code as of `region` (ISO 3166)."""
    if not _ENOUGH_DIGITS.search(text):
        return
    import phonenumbers

    for leniency in (phonenumbers.Leniency.VALID, phonenumbers.Leniency.POSSIBLE):
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency, max_tries=100):
            international = match.raw_string.startswith(("+", "＋"))
            if leniency == phonenumbers.Leniency.POSSIBLE and not international:
                continue
            if not international and _A_REFERENCE.search(text, max(0, match.start - 40), match.start):
                continue
            value = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
            yield Found("phone-number", value, match.start, match.end)
