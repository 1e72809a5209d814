"""System entities: what people write in the same way to every bot, found by rule and normalised.

Knows which kinds a bot uses: those that its domain names among `entities`, by the names
that Duckling gave them or by a usual other one (`KINDS`). What a text must hold to be
looked at closely is tested first, so that an utterance without numbers costs nothing.

    number, ordinal              digits: `3000000`, `3`
    time                         ISO 8601, see `nlu.times`; `date` takes only what names a day or longer
    duration                     ISO 8601: `PT2H30M`
    amount-of-money              amount and ISO 4217 code: `12.50 GBP`
    distance, temperature        number and unit: `3 km`, `20 celsius`
    email, url                   as written, a URL with its scheme
    phone-number                 E.164: `+14155552671`

Numbers in words are read in the languages of `nlu.numbers`; words for time, units and
money in English only. What is ambiguous is read as the settings say, each of which has a
default by language or region.
"""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parley.bots.bot import SystemSettings
from parley.conversation import Entity
from parley.nlu import contacts, quantities
from parley.nlu.numbers import Found, digested, word_set
from parley.nlu.times import When, durations, times

KINDS = {
    "number": "number",
    "CARDINAL": "number",
    "ordinal": "ordinal",
    "ORDINAL": "ordinal",
    "time": "time",
    "datetime": "time",
    "date": "date",
    "DATE": "date",
    "duration": "duration",
    "amount-of-money": "amount-of-money",
    "amount_of_money": "amount-of-money",
    "money": "amount-of-money",
    "MONEY": "amount-of-money",
    "email": "email",
    "email_address": "email",
    "phone-number": "phone-number",
    "phone_number": "phone-number",
    "phone": "phone-number",
    "url": "url",
    "URL": "url",
    "distance": "distance",
    "temperature": "temperature",
}
_READ_AS_DIGITS = frozenset(KINDS.values()) - {"email", "url", "phone-number"}

_SIGNS = re.compile(r"[\d@$£€¥₹°]|://|\w\.\w")
_WORDS = re.compile(r"[^\W\d_]+")
# English words one of which a text without digits must hold to name a number or a time.
_TRIGGERS = word_set("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million
    billion trillion first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth twentieth
    thirtieth hundredth today tomorrow tmrw tmr yesterday tonight now noon midday midnight morning afternoon
    evening night monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri
    sat sun january february march april may june july august september october november december jan feb mar
    apr jun jul aug sep sept oct nov dec christmas halloween valentine boxing seconds sec minute minutes min
    hour hours hr day days week weeks weekend fortnight month months quarter year years decade half couple
""")
_NUMBER_TRIGGERS = {  # for languages whose number words alone can be read; German and Dutch write them together
    "da": r"to|tre|fire|fem|seks|syv|otte|ni|ti|hundred|tusind|million",
    "de": r"zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|zig|ßig|hundert|tausend|million|eins?",
    "es": r"uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|once|doce|trece|catorce|quince|dieci|veint|nta|cien",
    "fr": r"deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingt|nte|cent|mille",
    "it": r"uno|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|undici|dodici|venti|nta|cento|mille|mila",
    "nl": r"twee|drie|vier|vijf|zes|zeven|acht|negen|tien|elf|twaalf|tig|honderd|duizend|miljoen",
    "pt": r"um|dois|duas|três|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|vinte|nta|cem|cento|mil",
}
_REGIONS = {"en": "US", "de": "DE", "fr": "FR", "es": "ES", "it": "IT", "pt": "PT", "nl": "NL", "pl": "PL", "da": "DK"}
_REGIONS |= {"sv": "SE", "no": "NO", "fi": "FI", "cs": "CZ", "ru": "RU", "ja": "JP", "ko": "KR", "zh": "CN", "tr": "TR"}
_MONTH_FIRST_REGIONS = frozenset({"US", "PH", "PW", "FM"})


class SystemEntities:
    """Finds the system entities that one bot uses."""

    def __init__(self, names: Collection[str], settings: SystemSettings) -> None:
        """`names` are the entities of the bot's domain; those that are none of the system's are passed over.

        Raises:
            ValueError: there is no such time zone.
        """
        self.names = tuple(name for name in names if name in KINDS)
        self._kinds = frozenset(KINDS[name] for name in self.names)
        self._language = settings.language
        self._region = settings.region or _REGIONS.get(settings.language, "US")
        day_first = settings.day_first
        self._day_first = self._region not in _MONTH_FIRST_REGIONS if day_first is None else day_first
        self._prefer = settings.prefer
        self._zone = _zone(settings.time_zone)
        pattern = _NUMBER_TRIGGERS.get(settings.language)
        self._number_words = re.compile(pattern, re.IGNORECASE) if pattern else None

    def find(self, text: str, now: float) -> list[Entity]:
        """The system entities of `text`, in no order; they may overlap.

        `now` is in seconds since the Unix epoch, UTC.
        """
        if not self._kinds or not self._may_hold_any(text):
            return []
        found = [*self._found(text, now)]
        return [
            Entity(name, each.value, each.start, each.end, text[each.start : each.end], found_by="system")
            for name in self.names
            for each in found
            if _is_a(each, KINDS[name])
        ]

    def _may_hold_any(self, text: str) -> bool:
        if _SIGNS.search(text):
            return True
        if self._number_words is not None and self._number_words.search(text):
            return True
        return not _TRIGGERS.isdisjoint(_WORDS.findall(text.lower()))

    def _found(self, text: str, now: float) -> Iterator[Found]:
        kinds = self._kinds
        if "email" in kinds:
            yield from contacts.emails(text)
        if "url" in kinds:
            addresses = [(found.start, found.end) for found in contacts.emails(text)]
            for url in contacts.urls(text):
                if not any(start <= url.start < end for start, end in addresses):
                    yield url
        if "phone-number" in kinds:
            yield from contacts.phone_numbers(text, self._region)
        if not kinds & _READ_AS_DIGITS:
            return
        digits = digested(text, self._language)
        if "number" in kinds:
            yield from quantities.numbers(digits, self._language)
        if "ordinal" in kinds:
            yield from quantities.ordinals(digits)
        if "amount-of-money" in kinds:
            yield from quantities.amounts_of_money(digits, self._language, self._region)
        if "distance" in kinds:
            yield from quantities.distances(digits, self._language)
        if "temperature" in kinds:
            yield from quantities.temperatures(digits, self._language)
        if "duration" in kinds:
            yield from durations(digits)
        if kinds & {"time", "date"}:
            yield from times(digits, When(datetime.fromtimestamp(now, self._zone), self._day_first, self._prefer))


def _is_a(found: Found, kind: str) -> bool:
    """Whether it is of a kind; a date is a time that names nothing shorter than a day."""
    return found.kind == kind or (kind == "date" and found.kind == "time" and "T" not in found.value)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error
