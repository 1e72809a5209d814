"""Numbers with and without a unit: number, ordinal, amount of money, distance, temperature.

Knows how they are written; `nlu.numbers` has read the words of the text as digits.
Values: `number` and `ordinal` in digits; the others as digits and unit: `12.50 GBP`
(ISO 4217), `3 km`, `20 celsius`.

A number that is part of a code, a version, a date or a time of day is none. `$` is the
dollar of the bot's region, `¥` the yen unless the region is China. "pounds of" is a
weight, not money. A bare `5 c` or `5 f` is no temperature.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from parley.nlu.numbers import DIGITS, Digested, Found, plain, read_number, word_set

_MAGNITUDES = {"k": 1_000, "thousand": 1_000, "hundred": 100, "million": 10**6, "mn": 10**6, "mio": 10**6}
_MAGNITUDES |= {"billion": 10**9, "bn": 10**9, "trillion": 10**12}
_MAGNITUDE = r"(?:k\b|\s?(?:" + "|".join(name for name in _MAGNITUDES if name != "k") + r")\b)"
_AMOUNT = rf"(?P<number>{DIGITS})(?P<magnitude>{_MAGNITUDE})?"

_BEFORE = r"(?<![\w#])(?<!\w[-/:.,_])(?<!\d['’])"  # neither in a word or code, nor behind a mark inside one
_AFTER = r"(?!\w|[-/:_]\w|[.,]\d)"
_SIGN = r"(?:(?<!\w)(?<!\w\s)[-−])?"

_NUMBER = re.compile(rf"{_BEFORE}(?P<sign>{_SIGN}){_AMOUNT}{_AFTER}", re.IGNORECASE)
_ORDINAL = re.compile(rf"{_BEFORE}(?P<number>\d{{1,6}})(?:st|nd|rd|th)(?!\w|-\w)", re.IGNORECASE)

_SYMBOLS = {"£": "GBP", "€": "EUR", "₹": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₪": "ILS"}
_SYMBOLS |= {"₦": "NGN", "₱": "PHP", "฿": "THB", "₫": "VND", "zł": "PLN", "kč": "CZK", "r$": "BRL"}
_SYMBOLS |= {
    "us$": "USD",
    "a$": "AUD",
    "au$": "AUD",
    "c$": "CAD",
    "ca$": "CAD",
    "nz$": "NZD",
    "hk$": "HKD",
    "s$": "SGD",
}
_CODES = word_set("""
    USD EUR GBP JPY CNY INR CHF CAD AUD NZD SEK NOK DKK PLN CZK HUF RON TRY RUB UAH BRL MXN ZAR KRW SGD HKD THB IDR
    MYR PHP VND ILS AED SAR EGP NGN KES
""")
_WORDS = {"dollar": "$", "dollars": "$", "buck": "$", "bucks": "$", "euro": "EUR", "euros": "EUR", "pound": "GBP"}
_WORDS |= {"pounds": "GBP", "quid": "GBP", "yen": "¥", "rupee": "INR", "rupees": "INR", "yuan": "CNY", "rmb": "CNY"}
_WORDS |= {"franc": "CHF", "francs": "CHF", "ruble": "RUB", "rubles": "RUB", "zloty": "PLN", "złoty": "PLN"}
_CENTS = {"cent": "$", "cents": "$", "¢": "$", "pence": "GBP", "penny": "GBP", "p": "GBP", "eurocent": "EUR"}
_DOLLARS = {"CA": "CAD", "AU": "AUD", "NZ": "NZD", "SG": "SGD", "HK": "HKD", "MX": "MXN"}
_EURO_REGIONS = word_set("DE FR ES IT NL BE AT IE PT FI GR")


def _alternatives(names: object) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))  # type: ignore[call-overload]


_PREFIX = rf"(?:{_alternatives([*_SYMBOLS, '$', '¥'])}|\b(?:{'|'.join(_CODES)})\b)"
_SUFFIX = (
    rf"(?:{_alternatives([*_SYMBOLS, '$', '¥', '¢'])}|(?:{_alternatives([*_CODES, *_WORDS, *_CENTS])})(?!\w|\s+of\b))"
)
_MONEY = re.compile(
    rf"(?P<prefix>(?<!\w){_PREFIX})\s?(?P<sign>-?){_AMOUNT}{_AFTER}"
    rf"|{_BEFORE}(?P<sign2>{_SIGN}){_AMOUNT.replace('<number>', '<number2>').replace('<magnitude>', '<magnitude2>')}"
    rf"\s?(?P<suffix>{_SUFFIX})",
    re.IGNORECASE,
)
_AND_CENTS = re.compile(r"(?:,|\s+and)?\s+(\d{1,2})\s?(?:cents?|pence|p)\b", re.IGNORECASE)

_LENGTHS = {"km": "km", "kilometer": "km", "kilometre": "km", "m": "m", "meter": "m", "metre": "m", "cm": "cm"}
_LENGTHS |= {"centimeter": "cm", "centimetre": "cm", "mm": "mm", "millimeter": "mm", "millimetre": "mm"}
_LENGTHS |= {"mile": "mile", "mi": "mile", "yard": "yard", "yd": "yard", "foot": "foot", "feet": "foot", "ft": "foot"}
_LENGTHS |= {"inch": "inch", "inches": "inch"}
_DISTANCE = re.compile(rf"{_BEFORE}{_AMOUNT}[\s-]?(?P<unit>{_alternatives(_LENGTHS)})s?(?!\w)", re.IGNORECASE)
_DEGREES = r"(?:°|\bdegrees?\b|\bdeg\b)"
_TEMPERATURE = re.compile(
    rf"{_BEFORE}(?P<sign>(?:(?:minus|-|−)\s?)?){_AMOUNT}\s?"
    rf"(?:{_DEGREES}\s?(?P<unit>celsius|centigrade|fahrenheit|kelvin|c|f|k)?|(?P<unit2>celsius|fahrenheit|kelvin))(?!\w)",
    re.IGNORECASE,
)
_UNITS_OF_HEAT = {"c": "celsius", "centigrade": "celsius", "f": "fahrenheit", "k": "kelvin"}


def numbers(text: Digested, language: str) -> Iterator[Found]:
    """The numbers of a text: `1,234.50` is `1234.5` in English, and `three million` is `3000000`."""
    for match in _NUMBER.finditer(text.text):
        value = _value(match["number"], match["magnitude"], language)
        if value is not None:
            yield _found("number", plain(-value if match["sign"] else value), text, match)


def ordinals(text: Digested) -> Iterator[Found]:
    """The ordinals of a text: `third` and `3rd` are `3`."""
    for match in _ORDINAL.finditer(text.text):
        yield _found("ordinal", str(int(match["number"])), text, match)


def amounts_of_money(text: Digested, language: str, region: str) -> Iterator[Found]:
    """The sums of money of a text, as amount and ISO 4217 code."""
    for match in _MONEY.finditer(text.text):
        unit = (match["prefix"] or match["suffix"]).lower()
        value = _value(match["number"] or match["number2"], match["magnitude"] or match["magnitude2"], language)
        if value is None:
            continue
        end = match.end()
        if unit in _CENTS:
            value /= 100
        elif match["suffix"] and (cents := _AND_CENTS.match(text.text, end)):
            value += Decimal(cents[1]) / 100
            end = cents.end()
        sign = "-" if match["sign"] or match["sign2"] else ""
        yield Found(
            "amount-of-money", f"{sign}{_amount(value)} {_currency(unit, region)}", *text.span(match.start(), end)
        )


def distances(text: Digested, language: str) -> Iterator[Found]:
    """The lengths of a text, as number and unit."""
    for match in _DISTANCE.finditer(text.text):
        value = _value(match["number"], match["magnitude"], language)
        if value is not None:
            yield _found("distance", f"{plain(value)} {_LENGTHS[match['unit'].lower()]}", text, match)


def temperatures(text: Digested, language: str) -> Iterator[Found]:
    """The temperatures of a text, as number and scale; `degree` where none is named."""
    for match in _TEMPERATURE.finditer(text.text):
        value = _value(match["number"], match["magnitude"], language)
        if value is not None:
            scale = (match["unit"] or match["unit2"] or "degree").lower()
            number = plain(-value if match["sign"] else value)
            yield _found("temperature", f"{number} {_UNITS_OF_HEAT.get(scale, scale)}", text, match)


def _value(digits: str, magnitude: str | None, language: str) -> Decimal | None:
    value = read_number(digits, language)
    if value is None or magnitude is None:
        return value
    return value * _MAGNITUDES[magnitude.strip().lower()]


def _amount(value: Decimal) -> str:
    """Whole amounts without decimals, others with two at least."""
    if value == value.to_integral_value():
        return str(int(value))
    exponent = value.normalize().as_tuple().exponent
    return format(value, f".{max(2, -int(exponent))}f")


def _currency(unit: str, region: str) -> str:
    if unit in ("cent", "cents") and region in _EURO_REGIONS:
        return "EUR"
    unit = _CENTS.get(unit) or _WORDS.get(unit) or unit
    match unit:
        case "$":
            return _DOLLARS.get(region, "USD")
        case "¥":
            return "CNY" if region == "CN" else "JPY"
    return _SYMBOLS.get(unit) or unit.upper()


def _found(kind: str, value: str, text: Digested, match: re.Match[str]) -> Found:
    return Found(kind, value, *text.span(match.start(), match.end()))
