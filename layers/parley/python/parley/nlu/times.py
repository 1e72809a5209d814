"""Dates, times of day and durations, in ISO 8601.

Knows English and the written forms that all languages share (2026-11-24, 24.11.2026,
15:30); `nlu.numbers` has read the words of the text as digits. Pure: what "now" is, and
where, arrives as an argument.

A value is as exact as the words: `2026-11-25` for a day, `2026-W49` for a week,
`2026-12` and `2027` for a month and a year, `2026-11-25T15:00:00+01:00` for a time, and
`start/end` for a stretch ("tomorrow morning", "from 3 to 5 pm"). Durations are `PT2H30M`.

What is ambiguous is read so:
- A day without a year, a weekday or a time of day lies ahead, the nearest one that does
  (`prefer="past"`: behind). "friday" said on a friday is the one in a week.
- "this friday" is the nearest ahead, today included; "next friday" the one of the next
  calendar week, weeks beginning on Monday; "last friday" the nearest behind.
- 5/6/2026 is the 5th of June where `day_first`, else the 6th of May; what is possible in
  one order only is read in that. 5/6 without a year counts only after a word like "on".
- "at 3" is 15:00 and "at 9" is 9:00: hours up to 6 are taken for the afternoon unless
  written 03:00 or said to be in the morning; "tonight at 9" is 21:00.
- "may", "march", "sat", "sun", "mon" and "second" are words too: months need a day, a year or
  a preposition beside them, short weekdays a word like "on".
- A month later than January 31 is the last day of February.
"""

import calendar
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, TypeVar

from parley.nlu.numbers import Digested, Found

Prefer = Literal["future", "past"]

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = tuple(name.lower() for name in calendar.month_name[1:])
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, 1)} | {
    name[:3]: number for number, name in enumerate(_MONTHS, 1)
}
_MONTH_NUMBER["sept"] = 9
_DAY_NUMBER = {name: number for number, name in enumerate(_WEEKDAYS)} | {
    name[:3]: number for number, name in enumerate(_WEEKDAYS)
}
_DAY_NUMBER |= {"tues": 1, "thur": 3, "thurs": 3}
_UNITS = {"sec": "second", "min": "minute", "hr": "hour", "wk": "week", "mth": "month", "yr": "year"}

_WEEKDAY = r"(?P<weekday>" + "|".join(_WEEKDAYS) + r"|mon|tues?|wed|thurs?|thur?|fri|sat|sun)\b\.?"
_LONG_WEEKDAY = r"(?:" + "|".join(_WEEKDAYS) + r")"
_MONTH = r"(?P<month>" + "|".join(_MONTHS) + r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?"
_UNIT = r"(?P<unit>second|sec|minute|min|hour|hr|day|week|wk|fortnight|month|mth|quarter|year|yr|decade)s?\b"
_COUNT = r"(?P<count>\d{1,4}(?:\.\d+)?|an?|a couple of|a few|half an?)"
_YEAR = r"(?P<year>(?:19|20|21)\d\d)\b"

_DAY_PARTS = {"morning": (6, 12), "afternoon": (12, 18), "evening": (18, 22), "night": (20, 24)}


@dataclass(frozen=True, slots=True)
class When:
    """What is read relative to what."""

    now: datetime  # aware, in the time zone of the person
    day_first: bool = False
    prefer: Prefer = "future"


@dataclass(frozen=True, slots=True)
class _Day:
    """Words that name a day, or a period whose value says all (`2026-W48`)."""

    start: int
    end: int
    day: date | None
    value: str


@dataclass(frozen=True, slots=True)
class _Clock:
    """Words that name a time of day, or a part of the day (with an end)."""

    start: int
    end: int
    at: time
    until: int | None = None  # hour at which the part of the day ends, 24 at midnight
    is_certain: bool = True  # said with am, pm or a colon
    is_bare: bool = False  # the word alone is none: "3" beside a date or in a range only
    day_too: bool = False  # "tonight": it names the day with it


_Span = TypeVar("_Span", _Day, _Clock)


def _start(item: _Day) -> int:
    return item.start


def times(text: Digested, when: When) -> Iterator[Found]:
    """The days and times that a text names. They may overlap; the longest is meant."""
    lower = text.text.lower()
    days = sorted(_days(lower, when), key=lambda day: day.start)
    clocks = sorted(_clocks(lower), key=lambda clock: clock.start)
    points: list[tuple[int, int, str]] = [(day.start, day.end, day.value) for day in days]
    points += [(clock.start, clock.end, _on_no_day(clock, when)) for clock in clocks if not clock.is_bare]
    for day in days:
        if day.day is not None:
            near = _near(clocks, day.start - 40, day.end + _NEAR)
            points += [(*span, _on(day.day, clock, when)) for clock in near if (span := _together(lower, day, clock))]
    points += _moments(lower, when)
    points += _stretches(lower, points, days, clocks, when)
    for start, end, value in points:
        yield Found("time", value, *text.span(start, end))


_AT_WORD = re.compile(r"at|around|about|by|@")
_NEAR = 12  # more characters than ever stand between two times that belong together


def _near(items: list[_Span], start: int, end: int) -> Iterator[_Span]:
    """Those of `items`, sorted by their beginning, that begin between `start` and `end`."""
    for number in range(bisect_left(items, start, key=lambda item: item.start), len(items)):
        if items[number].start > end:
            return
        yield items[number]


def _together(text: str, day: _Day, clock: _Clock) -> tuple[int, int] | None:
    """The span of a day and a time of day that belong together: "tomorrow at 3 pm", "3 pm on friday"."""
    if clock.start >= day.end:
        joined = re.fullmatch(r"\s*(?:,\s*)?(?:(?:at|around|about|by|from|in the|@)\s*)?", text[day.end : clock.start])
        may_be_bare = clock.until is not None or (joined is not None and _AT_WORD.search(joined.group()) is not None)
    elif day.start >= clock.end:
        joined = re.fullmatch(r"\s*(?:,\s*)?(?:on |of )?\s*", text[clock.end : day.start])
        may_be_bare = False
    else:
        return None
    if joined is None or (clock.is_bare and not may_be_bare):
        return None
    return min(day.start, clock.start), max(day.end, clock.end)


# Days


def _days(text: str, when: When) -> Iterator[_Day]:
    for expression, read in _DAY_RULES:
        for match in expression.finditer(text):
            try:
                found = read(match, when)
            except (ValueError, OverflowError):  # the 31st of June, or a year that there is not
                continue
            if isinstance(found, date):
                yield _Day(match.start(), match.end(), found, found.isoformat())
            elif found is not None:
                yield _Day(match.start(), match.end(), None, found)


def _named(match: re.Match[str], when: When) -> date:
    offset = {"today": 0, "tomorrow": 1, "tmrw": 1, "tmr": 1, "yesterday": -1}.get(match.group())
    if offset is None:
        offset = 2 if "after" in match.group() else -2
    return when.now.date() + timedelta(days=offset)


def _weekday(match: re.Match[str], when: When) -> date | None:
    which, name = (match["which"] or "").strip(), match["weekday"].rstrip(".")
    if name not in _WEEKDAYS and not which and not match["after"]:
        return None  # "he sat down", "the sun"
    today = when.now.date()
    ahead = (_DAY_NUMBER[name] - today.weekday()) % 7
    monday = today - timedelta(days=today.weekday())
    week = match["after"] or ""
    if "next" in week or which == "next":
        return monday + timedelta(days=7 + _DAY_NUMBER[name])
    if "last" in week:
        return monday + timedelta(days=_DAY_NUMBER[name] - 7)
    if "this" in week:
        return monday + timedelta(days=_DAY_NUMBER[name])
    if which in ("last", "past", "previous") or (when.prefer == "past" and which in ("", "on")):
        return today - timedelta(days=(-ahead) % 7 or 7)
    if which in ("this", "coming", "this coming"):
        return today + timedelta(days=ahead)
    return today + timedelta(days=ahead or 7)


def _month_day(match: re.Match[str], when: When) -> date | None:
    if match["month"] in ("may", "march") and _SUBJECT.search(match.string, max(0, match.start() - 12), match.start()):
        return None  # "you may 5 times"
    day, month = int(match["day"]), _MONTH_NUMBER[match["month"].rstrip(".")]
    if match["year"]:
        return date(int(match["year"]), month, day)
    return _nearest(when, lambda year: date(year, month, day))


_SUBJECT = re.compile(r"\b(?:i|you|he|she|it|we|they|who|that)\s+\Z")


def _nearest(when: When, of_year: Callable[[int], date]) -> date:
    """The date that lies ahead (or behind) nearest; a 29th of February waits for its year.

    Raises:
        ValueError: there is no such date in any year.
    """
    today = when.now.date()
    step = 1 if when.prefer == "future" else -1
    for offset in range(9):
        try:
            found = of_year(today.year + step * offset)
        except ValueError:
            if offset == 8:
                raise
            continue
        if (found >= today) if step > 0 else (found <= today):
            return found
    raise ValueError("no such date")


def _iso(match: re.Match[str], _when: When) -> date:
    return date(int(match["year"]), int(match["month"]), int(match["day"]))


def _numeric(match: re.Match[str], when: When) -> date | None:
    first, second, year = int(match["first"]), int(match["second"]), match["year"]
    day_first = when.day_first or match["mark"] == "."
    if first > 12 or second > 12:
        day_first = first > 12
    day, month = (first, second) if day_first else (second, first)
    if not year:
        return _nearest(when, lambda of: date(of, month, day))
    return date(int(year) + (2000 if len(year) == 2 else 0), month, day)


def _day_of_month(match: re.Match[str], when: When) -> date:
    day, today = int(match["day"]), when.now.date()
    step = 1 if when.prefer == "future" else -1
    for offset in range(3):
        first = _months_later(today.replace(day=1), step * offset)
        if day <= calendar.monthrange(first.year, first.month)[1]:
            found = first.replace(day=day)
            if (found >= today) if step > 0 else (found <= today):
                return found
    raise ValueError("no such date")


def _count(word: str) -> Decimal:
    words = {"a couple of": Decimal(2), "a few": Decimal(3), "half a": Decimal("0.5"), "half an": Decimal("0.5")}
    return words.get(word) or Decimal(1 if word in ("a", "an") else word)


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _days_away(match: re.Match[str], when: When) -> date | None:
    """ "in two weeks", "3 days ago": a day; hours and minutes are `_moments`."""
    unit = _UNITS.get(match["unit"], match["unit"])
    count = _count(match["count"])
    if match.re is _AGO and match["direction"] in ("ago", "before", "earlier"):
        count = -count
    per_month = {"month": 1, "quarter": 3, "year": 12, "decade": 120}.get(unit)
    if per_month:
        months = count * per_month
        return _months_later(when.now.date(), int(months)) if months == int(months) else None
    per_day = {"day": 1, "week": 7, "fortnight": 14}.get(unit)
    if not per_day or count * per_day != int(count * per_day):
        return None
    return when.now.date() + timedelta(days=int(count * per_day))


def _period(match: re.Match[str], when: When) -> str:
    step = {"this": 0, "the": 0, "next": 1, "coming": 0, "last": -1, "past": -1, "previous": -1, "": 0}[
        match["which"] or ""
    ]
    today = when.now.date()
    match match["unit"]:
        case "week":
            year, week, _ = (today + timedelta(weeks=step)).isocalendar()
            return f"{year}-W{week:02}"
        case "weekend":
            saturday = today + timedelta(days=5 - today.weekday() + 7 * step)
            return f"{saturday}/{saturday + timedelta(days=1)}"
        case "month":
            return f"{_months_later(today, step):%Y-%m}"
        case "quarter":
            first = _months_later(today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), 3 * step)
            return f"{first}/{_months_later(first, 3) - timedelta(days=1)}"
    return str(today.year + step)


def _edge(match: re.Match[str], when: When) -> date:
    """ "the end of next month", "the beginning of the year"."""
    step = {"next": 1, "last": -1}.get(match["which"] or "", 0)
    today = when.now.date()
    if match["unit"] == "month":
        first = _months_later(today.replace(day=1), step)
        after = _months_later(first, 1)
    elif match["unit"] == "year":
        first, after = date(today.year + step, 1, 1), date(today.year + step + 1, 1, 1)
    else:
        first = today + timedelta(days=7 * step - today.weekday())
        after = first + timedelta(weeks=1)
    return first if match["edge"] in ("beginning", "start") else after - timedelta(days=1)


def _month(match: re.Match[str], when: When) -> str | None:
    month, today = _MONTH_NUMBER[match["month"].rstrip(".")], when.now.date()
    if match["year"]:
        return f"{int(match['year'])}-{month:02}"
    if match["which"] is None:
        return None
    year = today.year
    if match["which"] == "last" or (match["which"] != "next" and when.prefer == "past"):
        year -= month >= today.month if match["which"] == "last" else month > today.month
    else:
        year += month < today.month or (match["which"] == "next" and month == today.month)
    return f"{year}-{month:02}"


_FEASTS = {"christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25), "new year's eve": (12, 31)}
_FEASTS |= {"new year's day": (1, 1), "halloween": (10, 31), "valentine's day": (2, 14), "boxing day": (12, 26)}


def _feast(match: re.Match[str], when: When) -> date:
    month, day = _FEASTS[match["feast"].replace("’", "'")]
    if match["year"]:
        return date(int(match["year"]), month, day)
    return _nearest(when, lambda year: date(year, month, day))


_AGO = re.compile(
    rf"(?<![\w.,]){_COUNT}[\s-]+{_UNIT}\s+(?P<direction>ago|before|earlier|from now|from today|hence|later)\b"
)
_IN = re.compile(rf"\bin\s+(?:about\s+|around\s+|exactly\s+)?{_COUNT}[\s-]+{_UNIT}(?:['’]s?)?(?:\s+time\b)?")
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?![\w:.,]?\d)"


_BEFORE_DATE = ("on", "by", "until", "from", "since", "before", "after", "due")
_BEHIND = "(?:" + "|".join(rf"(?<=\b{word} )" for word in _BEFORE_DATE) + ")"
_OPTIONAL_YEAR = rf"(?:,?\s+(?:of\s+)?{_YEAR})?"
_DAY_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], When], date | str | None]], ...] = (
    (
        re.compile(
            r"\b(?:the )?day after tomorrow\b|\b(?:the )?day before yesterday\b|\b(?:today|tomorrow|tmrw?|yesterday)\b"
        ),
        _named,
    ),
    (
        re.compile(
            rf"\b(?:(?P<which>this coming|this|next|coming|last|past|previous|on)\s+)?{_WEEKDAY}(?!['’]s)"
            r"(?P<after>\s+(?:of\s+)?(?:next|this|last) week\b)?"
        ),
        _weekday,
    ),
    (
        re.compile(
            rf"\b(?:{_LONG_WEEKDAY},?\s+)?(?:the\s+)?{_MONTH}\s+(?:the\s+)?{_DAY}(?!\s*(?:am|pm)\b){_OPTIONAL_YEAR}"
        ),
        _month_day,
    ),
    (
        re.compile(rf"(?<![\w.,:])(?:{_LONG_WEEKDAY},?\s+)?(?:the\s+)?{_DAY}\s+(?:of\s+)?{_MONTH}{_OPTIONAL_YEAR}"),
        _month_day,
    ),
    (re.compile(r"(?<![\w.-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])"), _iso),
    (
        re.compile(
            r"(?<![\w./-])(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4}|\d\d)(?![\w/-]|\.\d)"
        ),
        _numeric,
    ),
    (
        re.compile(_BEHIND + r"(?P<first>\d{1,2})(?P<mark>/)(?P<second>\d{1,2})(?P<year>)(?![\w/-]|\.\d)"),
        _numeric,
    ),
    (
        re.compile(_BEHIND + r"the (?P<day>\d{1,2})(?:st|nd|rd|th)\b(?!\s+[a-z])"),
        _day_of_month,
    ),
    (_IN, _days_away),
    (_AGO, _days_away),
    (
        re.compile(
            r"\b(?P<which>this|next|coming|last|past|previous)\s+(?P<unit>week|weekend|month|quarter|year)\b(?!['’-])"
        ),
        _period,
    ),
    (re.compile(r"\b(?P<which>the)\s+(?P<unit>weekend)\b"), _period),
    (
        re.compile(
            r"\b(?:the\s+)?(?P<edge>end|beginning|start)\s+of\s+(?:the\s+|this\s+|(?P<which>next|last)\s+)?(?P<unit>week|month|year)\b"
        ),
        _edge,
    ),
    (
        re.compile(
            rf"\b(?:(?P<which>in|next|last|this|since|until|during|by)\s+)?{_MONTH}(?:,?\s+(?:of\s+)?{_YEAR})?(?!\s+\d{{1,2}}\b)(?!\s+i\b)"
        ),
        _month,
    ),
    (re.compile(rf"\b(?:in|since|until|during|by)\s+{_YEAR}(?!\s+\w+s\b)(?![-/.:]\d)"), lambda match, _: match["year"]),
    (re.compile(rf"\b(?P<feast>{'|'.join(_FEASTS)})\b(?:,?\s+{_YEAR})?".replace("'", "['’]")), _feast),
)

# Times of day

_MERIDIEM = r"\s*(?P<meridiem>[ap])\.?m\b\.?"
_CLOCK = re.compile(
    rf"(?<![\w:.,/$£€-])(?P<hour>\d{{1,2}})(?:[:.h](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?)?{_MERIDIEM}"
    r"|(?<![\w:.,/-])(?P<hour24>[01]?\d|2[0-3]):(?P<minute24>[0-5]\d)(?::(?P<second24>[0-5]\d))?(?![\w:])"
    r"|(?<![\w:.,/-])(?P<oclock>\d{1,2})\s*o['’]?\s?clock\b"
    r"|\b(?P<name>noon|midday|midnight)\b"
)
_BESIDE_HOUR = re.compile(
    r"(?<!\w)(?P<part>half|quarter|\d{1,2}(?:\s+min(?:ute)?s?)?)\s+(?P<side>past|to|after|before|till)"
    rf"\s+(?P<of>\d{{1,2}})(?![:.,]?\d|\w)(?:{_MERIDIEM})?"
)
_AT = re.compile(
    r"\b(?:at|@)\s*(?P<hour>\d{1,2})(?![\w%$£€°]|[.,:/-]\d|\s*(?:am|pm|a\.m|p\.m|o['’]|%|degrees|euro|dollar|pound|per|[a-z]+s\b))"
)
_BARE = re.compile(r"(?<![\w:.,/$£€#-])(?P<hour>\d{1,2})(?![\w:%]|[.,/-]\d)")
_TONIGHT = re.compile(r"\btonight,?\s+(?:at\s+|around\s+)?\Z")
_IN_PART = re.compile(r"\s+(?:in the (?P<part>morning|afternoon|evening)|at night|(?P<tonight>tonight))\b")
_OPENED = re.compile(r"\b(?:from|between)\s+(?:the\s+)?\Z")
_TONIGHT = re.compile(r"\btonight,?\s+(?:at\s+|around\s+)?\Z")
_PART = re.compile(r"\b(?P<when>this |tomorrow |yesterday )?(?P<part>morning|afternoon|evening|night)\b|\btonight\b")


def _clocks(text: str) -> Iterator[_Clock]:
    for expression, read in ((_CLOCK, _read_clock), (_BESIDE_HOUR, _read_beside_hour)):
        for match in expression.finditer(text):
            clock = read(match)
            if clock is not None:
                yield from _with_part(clock, text)
    for expression, is_bare in ((_AT, False), (_BARE, True)):
        for match in expression.finditer(text):
            hour = int(match["hour"])
            if 1 <= hour <= 12 or (hour < 24 and not is_bare):
                clock = _Clock(match.start(), match.end(), time(hour), None, hour > 12, is_bare)
                yield from _with_part(clock, text)
    for match in _PART.finditer(text):
        if match.group() == "tonight":
            yield _Clock(match.start(), match.end(), time(18), 24, day_too=True)
        elif match["when"] == "this ":
            yield _Clock(
                match.start(),
                match.end(),
                time(_DAY_PARTS[match["part"]][0]),
                _DAY_PARTS[match["part"]][1],
                day_too=True,
            )
        else:
            first, last = _DAY_PARTS[match["part"]]
            yield _Clock(match.start("part"), match.end(), time(first), last, is_bare=True)


def _read_clock(match: re.Match[str]) -> _Clock | None:
    start, end = match.span()
    if match["name"]:
        return _Clock(start, end, time(0) if match["name"] == "midnight" else time(12))
    if match["meridiem"]:
        hour = int(match["hour"])
        if not 1 <= hour <= 12:
            return None
        at = time(
            hour % 12 + (12 if match["meridiem"] == "p" else 0), int(match["minute"] or 0), int(match["second"] or 0)
        )
        return _Clock(start, end, at)
    if match["hour24"]:
        at = time(int(match["hour24"]), int(match["minute24"]), int(match["second24"] or 0))
        return _Clock(start, end, at, is_certain=at.hour > 12 or at.hour == 0 or match["hour24"].startswith("0"))
    hour = int(match["oclock"])
    return _Clock(start, end, time(hour % 24), is_certain=hour > 12) if hour <= 24 else None


def _read_beside_hour(match: re.Match[str]) -> _Clock | None:
    """ "half past three", "ten to five", "quarter to 8 pm"; not "from 9 to 5", which is a stretch."""
    hour, is_past, part = int(match["of"]), match["side"] in ("past", "after"), match["part"]
    minutes = {"half": 30, "quarter": 15}.get(part) or int(re.sub(r"\D", "", part) or 0)
    if not (1 <= hour <= (12 if match["meridiem"] else 23) and 0 < minutes < 60) or (part == "half" and not is_past):
        return None
    is_opened = _OPENED.search(match.string, max(0, match.start() - 16), match.start())
    if part.isdigit() and (minutes % 5 or (not is_past and is_opened)):
        return None
    if match["meridiem"]:
        hour = hour % 12 + (12 if match["meridiem"] == "p" else 0)
    total = hour * 60 + (minutes if is_past else -minutes)
    certain = hour > 12 or bool(match["meridiem"])
    return _Clock(match.start(), match.end(), time(total // 60 % 24, total % 60), is_certain=certain)


def _with_part(clock: _Clock, text: str) -> Iterator[_Clock]:
    """A time of day, read with "in the evening" behind it, or by itself as afternoon or morning."""
    said = _IN_PART.match(text, clock.end)
    hour = clock.at.hour
    if said and hour <= 12:
        is_late = (
            bool(said["tonight"]) or said["part"] in ("afternoon", "evening") or (said["part"] is None and hour >= 6)
        )
        shifted = hour % 12 + (12 if is_late and not (hour == 12 and said["part"] != "afternoon") else 0)
        yield _Clock(clock.start, said.end(), clock.at.replace(hour=shifted), day_too=bool(said["tonight"]))
        return
    if not clock.is_certain and 1 <= hour <= 6:
        clock = _Clock(
            clock.start, clock.end, clock.at.replace(hour=hour + 12), is_certain=False, is_bare=clock.is_bare
        )
    before = _TONIGHT.search(text, max(0, clock.start - 20), clock.start)
    if before and clock.at.hour < 12:
        late = clock.at.replace(hour=clock.at.hour + 12)
        yield _Clock(before.start(), clock.end, late, day_too=True)
    elif before:
        yield _Clock(before.start(), clock.end, clock.at, day_too=True)
    yield clock


def _on(day: date, clock: _Clock, when: When) -> str:
    start = _moment(datetime.combine(day, clock.at), when)
    if clock.until is None:
        return start
    end = datetime.combine(day, time(clock.until % 24)) + timedelta(days=clock.until // 24)
    return f"{start}/{_moment(end, when)}"


def _moment(local: datetime, when: When) -> str:
    return local.replace(tzinfo=when.now.tzinfo).isoformat(timespec="seconds")


def _on_no_day(clock: _Clock, when: When) -> str:
    """A time of day alone: today, if it lies on the side that is preferred; else the day beside it."""
    today = when.now.date()
    if clock.until is None and not clock.day_too:
        at = datetime.combine(today, clock.at, when.now.tzinfo)
        if when.prefer == "future" and at < when.now:
            today += timedelta(days=1)
        elif when.prefer == "past" and at > when.now:
            today -= timedelta(days=1)
    return _on(today, clock, when)


# Moments and stretches


def _moments(text: str, when: When) -> Iterator[tuple[int, int, str]]:
    """ "now", "in half an hour", "20 minutes ago"."""
    for match in re.finditer(r"\b(?:right now|just now|now)\b(?!\s+(?:and|that)\b)", text):
        yield match.start(), match.end(), when.now.isoformat(timespec="seconds")
    for expression, sign in ((_IN, 1), (_AGO, 0)):
        for match in expression.finditer(text):
            seconds = {"second": 1, "minute": 60, "hour": 3600}.get(_UNITS.get(match["unit"], match["unit"]))
            if seconds is None:
                continue
            direction = sign or (-1 if match["direction"] in ("ago", "before", "earlier") else 1)
            moment = when.now.astimezone(UTC) + direction * timedelta(seconds=float(_count(match["count"])) * seconds)
            yield match.start(), match.end(), moment.astimezone(when.now.tzinfo).isoformat(timespec="seconds")


_TO = re.compile(r"\s*(?:to|until|till|til|through|thru|[-–—]|and)\s*")


def _stretches(
    text: str, points: list[tuple[int, int, str]], days: list[_Day], clocks: list[_Clock], when: When
) -> Iterator[tuple[int, int, str]]:
    """ "from monday to friday", "between 3 and 5 pm tomorrow", "from 9 to 5"."""
    whole = sorted((_Day(start, end, None, value) for start, end, value in points if "/" not in value), key=_start)
    for left in whole:
        for right in _near(whole, left.end, left.end + _NEAR):
            said = _joined(text, left.start, left.end, right.start)
            until = _following(left.value, right.value)
            if said is not None and until is not None:
                yield said, right.end, f"{left.value}/{until}"
    for first in clocks:
        for last in _near(clocks, first.end, first.end + _NEAR):
            said = None if first.until or last.until else _joined(text, first.start, first.end, last.start)
            if said is None:
                continue
            begin, finish = _same_half(first, last)
            beside = [(day.day, *span) for day in days if day.day and (span := _beside(text, said, last.end, day))]
            for on, start, end in beside:
                yield start, end, _between(on, begin, finish, when)
            if not beside and not (first.is_bare and last.is_bare):
                yield said, last.end, _between(when.now.date(), begin, finish, when)


def _following(left: str, right: str) -> str | None:
    """The end of a stretch that begins on `left`; a weekday before it is meant to follow it."""
    if len(left) != len(right):
        return None
    if len(left) == len("2026-11-30") and right < left:
        later = date.fromisoformat(right) + timedelta(weeks=1)
        right = later.isoformat() if later - date.fromisoformat(left) < timedelta(weeks=1) else right
    return right if left < right else None


def _joined(text: str, start: int, end: int, following: int) -> int | None:
    """Where a stretch begins whose two ends these are, "from" and "between" included; None if they are not."""
    gap = _TO.fullmatch(text, end, following) if following > end else None
    if gap is None:
        return None
    opened = _OPENED.search(text, max(0, start - 16), start)
    if gap.group().strip() == "and" and not (opened and opened.group().startswith("between")):
        return None
    return opened.start() if opened else start


def _same_half(first: _Clock, last: _Clock) -> tuple[time, time]:
    """ "from 3 to 5 pm": the first is pm too; "from 9 to 5": from morning to afternoon."""
    begin, finish = first.at, last.at
    if not first.is_certain and last.is_certain:
        hour = begin.hour % 12
        late, early = begin.replace(hour=hour + 12), begin.replace(hour=hour)
        begin = late if late < finish else early
    return begin, finish


def _beside(text: str, start: int, end: int, day: _Day) -> tuple[int, int] | None:
    if day.end <= start and re.fullmatch(r"\s*,?\s*", text[day.end : start]):
        return day.start, end
    if day.start >= end and re.fullmatch(r"\s*,?\s*(?:on\s+)?", text[end : day.start]):
        return start, day.end
    return None


def _between(day: date, begin: time, finish: time, when: When) -> str:
    until = datetime.combine(day, finish) + timedelta(days=finish <= begin)
    return f"{_moment(datetime.combine(day, begin), when)}/{_moment(until, when)}"


# Durations

_PIECE = rf"{_COUNT}(?P<half>\s+and\s+a\s+half)?[\s-]*{_UNIT}(?P<half_behind>\s+and\s+a\s+half)?"
_DURATION = re.compile(rf"(?<![\w.,:/$£€-]){_PIECE}")
_SHORT = re.compile(
    r"(?<![\w.,:-])(?P<hours>\d{1,3})\s?h(?:\s?(?P<minutes>[0-5]?\d)\s?(?:m|min)?)?(?!\w)|(?<![\w.,:-])(?P<days>\d{1,4})d(?!\w)"
)
_NEEDS_WORD = re.compile(
    r"\b(?:for|in|within|after|about|around|takes?|took|lasts?|lasted|wait|waited|over|under|only|just|every|than|half|another|and)\s+\Z"
)
_AND = re.compile(r"\s*(?:,|and|,\s*and)?\s*")


def durations(text: Digested) -> Iterator[Found]:
    """The lengths of time of a text; "an hour and a half" and "2 hours, 30 minutes" are one each."""
    lower = text.text.lower()
    pieces = [
        (match.start(), match.end(), _length(match)) for match in _DURATION.finditer(lower) if _is_length(lower, match)
    ]
    while pieces:
        start, end, parts = pieces.pop(0)
        while pieces and _AND.fullmatch(lower, end, pieces[0][0]) and not parts.keys() & pieces[0][2].keys():
            _, end, more = pieces.pop(0)
            parts = parts | more
        yield Found("duration", _iso_duration(parts), *text.span(start, end))
    for match in _SHORT.finditer(lower):
        parts = {"day": Decimal(match["days"])} if match["days"] else {"hour": Decimal(match["hours"])}
        if match["minutes"]:
            parts["minute"] = Decimal(match["minutes"])
        yield Found("duration", _iso_duration(parts), *text.span(match.start(), match.end()))


def _is_length(text: str, match: re.Match[str]) -> bool:
    """Whether "a week" is meant as a length: not in "twice a week"."""
    if match["count"] not in ("a", "an"):
        return True
    return bool(
        _NEEDS_WORD.search(text, max(0, match.start() - 12), match.start())
        or match["half_behind"]
        or match.start() == 0
    )


def _length(match: re.Match[str]) -> dict[str, Decimal]:
    unit = _UNITS.get(match["unit"], match["unit"])
    count = _count(match["count"]) + (Decimal("0.5") if match["half"] or match["half_behind"] else 0)
    whole = {"fortnight": ("week", 2), "quarter": ("month", 3), "decade": ("year", 10)}.get(unit)
    if whole:
        unit, count = whole[0], count * whole[1]
    smaller = {
        "year": ("month", 12),
        "week": ("day", 7),
        "day": ("hour", 24),
        "hour": ("minute", 60),
        "minute": ("second", 60),
    }
    if count != int(count) and unit in smaller:  # half an hour is PT30M
        lower, factor = smaller[unit]
        rest = (count - int(count)) * factor
        return {name: value for name, value in ((unit, Decimal(int(count))), (lower, rest)) if value}
    return {unit: count}


def _iso_duration(parts: dict[str, Decimal]) -> str:
    """ISO 8601: weeks stand alone, or become days."""
    if set(parts) == {"week"}:
        return f"P{parts['week'].normalize():f}W"
    if "week" in parts:
        parts = {**parts, "day": parts.get("day", Decimal(0)) + 7 * parts["week"]}
    days = "".join(
        f"{parts[unit].normalize():f}{letter}"
        for unit, letter in (("year", "Y"), ("month", "M"), ("day", "D"))
        if parts.get(unit)
    )
    clock = "".join(
        f"{parts[unit].normalize():f}{letter}"
        for unit, letter in (("hour", "H"), ("minute", "M"), ("second", "S"))
        if parts.get(unit)
    )
    return f"P{days}" + (f"T{clock}" if clock else "") if days or clock else "PT0S"
