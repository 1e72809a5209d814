"""What must not differ between two questions, however near they are: numbers, units, negation, names, what is asked.

Knows English words and nothing learned. Each refusal has its reason. What a list of words cannot tell (who does what
to whom, whether a word more changes the question) is left to `caching.sameness`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Difference(StrEnum):
    """Why two questions are not the same."""

    INTENT = "another intent"
    ENTITIES = "other entities"
    NUMBERS = "other numbers"
    UNITS = "other units"
    NEGATION = "negation"
    ASKED = "another kind of answer"
    TIME = "past and future"
    NAMES = "other names or rare words"
    OPPOSITES = "opposites"
    MEANING = "another meaning"
    TOO_LONG = "too long to compare"


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a question must be found in another one that is to get the same reply."""

    words: frozenset[str]
    rare: frozenset[str]  # codes, and words that the encoder knows in pieces only
    names: frozenset[str]  # written like names, and known to the encoder: no typing errors
    numbers: tuple[tuple[str, str], ...]  # value and unit, in order
    negations: int
    asked: str  # "when", "how many", ...; "" where it may be put in many ways


def word_set(words: str) -> frozenset[str]:
    """The words of a text, for lists that read better without quotes."""
    return frozenset(words.split())


_TOKEN = re.compile(r"(?:(?<!\S)[-−])?\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?(?:\+\+|#)?(?:\d\w*)?|[$£€¥%]")
_NEGATIONS = word_set("not no never without none nobody nothing neither nor unable cannot")
_PAST, _FUTURE = word_set("was were did"), word_set("will shall")
_DIGITS = dict(
    zip(
        "two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty".split(),  # noqa: SIM905
        "2 3 4 5 6 7 8 9 10 11 12 13 15 20 30 40 50".split(),  # noqa: SIM905
        strict=True,
    )
) | {"hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000"}
_UNITS = {
    unit: names.split()[0]
    for names in (
        "$ dollar dollars usd bucks",
        "€ euro euros eur",
        "£ gbp quid",
        "¥ yen jpy",
        "% percent",
        "km kilometer kilometers kilometre kilometres",
        "m meter meters metre metres",
        "cm centimeter centimeters centimetre centimetres",
        "mile miles mi",
        "ft foot feet",
        "inch inches",
        "kg kilo kilos kilogram kilograms",
        "g gram grams",
        "mg milligram milligrams",
        "lb lbs pound pounds",
        "oz ounce ounces",
        "l liter liters litre litres",
        "ml milliliter milliliters",
        "second seconds sec",
        "minute minutes min mins",
        "hour hours hr hrs",
        "day days",
        "week weeks",
        "month months",
        "year years",
        "gb gigabyte gigabytes",
        "mb megabyte megabytes",
        "tb terabyte terabytes",
        "am",
        "pm",
        "celsius c",
        "fahrenheit f",
    )
    for unit in names.split()
}
_ASKED = [
    (re.compile(rf"(?:{pattern})\b"), asked)
    for pattern, asked in (
        ("how many|what(?: is|'s) the number of", "how many"),
        ("how much|what(?: is|'s) the (?:price|cost)|what (?:does|do|will) .{1,60} cost", "how much"),
        ("how long|what(?: is|'s) the duration|how much time", "how long"),
        ("how (?:far|distant)|what(?: is|'s) the distance", "how far"),
        ("how old|what(?: is|'s) the age", "how old"),
        ("how often|how frequently|how many times", "how often"),
        ("why|how come|what(?: is|'s| was) the reason|what makes|for what reason", "why"),
        (r"when|(?:at |in )?(?:what|which) (?:time|date|year|day)", "when"),
        (r"where|(?:in |at )?(?:what|which) (?:place|location)", "where"),
        ("who|whom|whose", "who"),
    )
]
_ASKS_OTHERWISE = {"how much": "how many", "how long": "how much"}  # one may be put as the other: "how much time"
_OPPOSED = [
    (word_set(one), word_set(other))
    for one, other in (
        line.split("|")
        for line in """
        increase raise up higher more|decrease reduce lower down less fewer
        buy purchase|sell
        open start begin enable activate install turn|close stop end disable deactivate uninstall cancel
        before|after
        send lend pay upload export|receive borrow earn download import
        login enter arrive arrival check|logout leave depart departure
        cheap cheapest low lowest minimum min|expensive high highest maximum max
        best good|worst bad
        first earliest oldest old|last latest newest new young youngest
        largest biggest longest tallest|smallest shortest
        advantages advantage pros benefits|disadvantages disadvantage cons drawbacks risks
        male man boy men boys he|female woman girl women girls she
        cause causes|effect effects prevent treatment treatments
        symptoms|causes treatment treatments prevention
        hot warm|cold cool
        summer|winter
        left|right
        north|south east west
        east|west
        credit deposit|debit withdraw withdrawal
        accept approve allow allowed|reject refuse deny decline declined forbidden
        inside indoor|outside outdoor
        with|without
        most|least
        all always|some sometimes
        from|to
        on|off
        in|out
        fast faster fastest quick quicker quickest quickly|slow slower slowest slowly
        early earlier|late later
        majority|minority
        win won|lose lost
        learn|teach
        bought|sold
        sent paid|received earned
        opened|closed
        weekday weekdays|weekend weekends
        domestic|international
        """.strip().splitlines()
    )
]
_KINDS = [  # of which one thing is never another
    word_set(line)
    for line in """
    first second third fourth fifth sixth seventh eighth ninth tenth
    monday tuesday wednesday thursday friday saturday sunday
    mondays tuesdays wednesdays thursdays fridays saturdays sundays
    january february april june july august september october november december
    red blue green yellow orange purple pink brown black white grey gray
    mother father brother sister son daughter uncle aunt husband wife grandmother grandfather
    breakfast lunch dinner
    """.strip().splitlines()
]
_AGAINST = {
    word: frozenset(
        other
        for ours, theirs in (
            *_OPPOSED,
            *((theirs, ours) for ours, theirs in _OPPOSED),
            *((kind, kind) for kind in _KINDS),
        )
        if word in ours
        for other in theirs - {word}
    )
    for word in frozenset().union(*_KINDS, *(side for pair in _OPPOSED for side in pair))
}
_OPPOSING_PREFIX = ("un", "in", "im", "il", "dis", "non", "ir", "de", "mis")


def facts_of(text: str, knows: Callable[[str], bool]) -> Facts:
    """What of `text` must not differ; `knows` is `Encoder.knows`."""
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", "", text)  # wi-fi, check-in
    tokens = list(_TOKEN.finditer(text))
    words = list(_words(text))
    lowered = " ".join(words)
    rare = {word for word in words if word.isalpha() and len(word) > 2 and not knows(word)}
    names = {plain(match.group()) for match in tokens[1:] if _is_name(text, match)} - rare
    rare |= {plain(match.group()) for match in tokens if re.search(r"[+#]|[^\W\d_]\d", match.group())}
    asked = next((asked for pattern, asked in _ASKED if pattern.search(lowered)), "")
    negations = sum(word in _NEGATIONS for word in words)
    return Facts(frozenset(words), frozenset(rare), frozenset(names), tuple(_numbers(words)), negations, asked)


def plain(word: str) -> str:
    """A word in lower case, without the mark of possession."""
    return re.sub(r"['’]s$", "", word).lower()


def _words(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        word = match.group().lower().replace("’", "'")
        if word.endswith("n't"):
            yield {"ca": "can", "wo": "will"}.get(word[:-3], word[:-3])
            yield "not"
        elif word in ("cannot", "cant", "dont", "doesnt", "didnt", "isnt", "wont"):
            yield {"cannot": "can", "cant": "can", "wont": "will"}.get(word, word[:-2])
            yield "not"
        elif word[-1:].isdigit() and word.lstrip("-−").replace(".", "").replace(",", "").isdigit():
            yield re.sub(r"\.0+$", "", re.sub(r",(?=\d{3}(?!\d))", "", word).replace(",", ".").replace("−", "-"))
        else:
            yield _DIGITS.get(word, plain(word))


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Whether a word is written like a name: a capital where no sentence begins, in a text that is not all capitals."""
    word, before = match.group(), text[: match.start()].rstrip()
    if not word[:1].isupper() or word in ("I", "A") or before.endswith((".", "?", "!", ":")):
        return False
    later = text.split()[1:]
    return sum(each[:1].isupper() for each in later) * 3 <= len(later) * 2


def _numbers(words: list[str]) -> Iterator[tuple[str, str]]:
    for place, word in enumerate(words):
        if word.lstrip("-").replace(".", "").isdigit():
            before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
            yield word, _UNITS.get(before if before in "$£€¥" else after, "")


def difference(one: Facts, other: Facts) -> Difference | None:
    """What differs that must not, or None."""
    if sorted(one.numbers) != sorted(other.numbers):
        values = sorted(value for value, _ in one.numbers), sorted(value for value, _ in other.numbers)
        return Difference.UNITS if values[0] == values[1] else Difference.NUMBERS
    if one.negations != other.negations:
        return Difference.NEGATION
    if one.asked and other.asked and one.asked != other.asked:
        asked = {one.asked, other.asked}
        if not any(asked == {*pair} for pair in _ASKS_OTHERWISE.items()):
            return Difference.ASKED
    ours, theirs = one.words - other.words, other.words - one.words
    if _lacks(other, one) or _lacks(one, other):
        return Difference.NAMES
    if (ours & _PAST and theirs & _FUTURE) or (ours & _FUTURE and theirs & _PAST):
        return Difference.TIME
    if _are_opposed(ours, theirs):
        return Difference.OPPOSITES
    return None


def _lacks(one: Facts, other: Facts) -> bool:
    """Whether a name or rare word of the other question is not in this one."""
    ours = one.words - other.words
    if any(not _is_in(word, ours) for word in other.rare - one.words):
        return True
    endings = {word.removesuffix("s") for word in ours}
    return any(
        word.removesuffix("s") not in endings and not _is_in(word, ours & one.rare) for word in other.names - one.words
    )


def _is_in(word: str, words: frozenset[str]) -> bool:
    """Whether one of `words` is this one with a typing error, or with another ending."""
    return any(_is_nearly(word, each) for each in words)


def _is_nearly(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if len(short) < 5:
        return short + "s" == long
    if long.startswith(short[: max(4, len(short) - 2)]) and len(long) - len(short) <= 4:
        return True
    begin = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    rest, others = short[begin:], long[begin:]
    return rest[1:] == others[1:] or rest == others[1:] or (rest[:2] == others[1::-1] and rest[2:] == others[2:])


def _are_opposed(ours: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether a word of one is the opposite of one of the other, or another of its kind."""
    if any(not theirs.isdisjoint(_AGAINST[word]) for word in ours if word in _AGAINST):
        return True
    return any(
        prefix + word in others
        for words, others in ((ours, theirs), (theirs, ours))
        for word in words
        for prefix in _OPPOSING_PREFIX
    )
