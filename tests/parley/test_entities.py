"""Entities from patterns, tagger and system, put together by one rule."""

import numpy as np
import pytest

from parley.bots.bot import EntityPatterns
from parley.conversation import Entity
from parley.nlu.entities import EntityFinder
from parley.nlu.patterns import Match
from parley.nlu.system_entities import SystemEntities, SystemSettings
from parley.ports import Encoded

NOTHING_ENCODED = Encoded("", np.zeros(3, np.float32), np.zeros((0, 3), np.float32), ())
TUESDAY = 1_795_516_200.0  # 2026-11-24 10:30 UTC


class FakeTagger:
    """Marks the words that it was told of."""

    def __init__(self, *marks: tuple[str, str, str | None]) -> None:
        self.marks = marks
        self.matches: list[Match] | None = None

    def tag(self, text: str, encoded: Encoded, matches: list[Match] | None = None) -> tuple[Entity, ...]:
        self.matches = matches
        return tuple(
            Entity(name, words, text.index(words), text.index(words) + len(words), words, role, None, "tagger", 0.9)
            for words, name, role in self.marks
        )


def found(finder: EntityFinder, text: str) -> list[tuple[str, str, str | None]]:
    return [(e.name, e.text, e.found_by) for e in finder.find(text, NOTHING_ENCODED, now=TUESDAY)]


def system(*names: str) -> SystemEntities:
    return SystemEntities(names, SystemSettings())


def test_the_longest_span_wins_whoever_found_it() -> None:
    finder = EntityFinder(
        EntityPatterns(regexes={"code": (r"\d{3}",)}, lookups={"city": ("york",)}),
        tagger=FakeTagger(("new york", "city", None)),
        system=system("phone-number", "number"),
    )

    assert found(finder, "call +1 415 555 2671 in new york") == [
        ("phone-number", "+1 415 555 2671", "system"),
        ("city", "new york", "tagger"),
    ]


def test_of_equally_long_spans_the_first_wins() -> None:
    finder = EntityFinder(EntityPatterns(lookups={"a": ("red blue",), "b": ("blue tan",)}))

    assert found(finder, "red blue tan") == [("a", "red blue", "lookup")]


def test_on_one_span_regex_comes_before_lookup_before_tagger_before_system() -> None:
    regexes, lookups = {"by_regex": ("42",)}, {"by_lookup": ("42",)}
    tagger, numbers = FakeTagger(("42", "by_tagger", None)), system("number")
    finders = [
        EntityFinder(EntityPatterns(regexes=regexes, lookups=lookups), tagger=tagger, system=numbers),
        EntityFinder(EntityPatterns(lookups=lookups), tagger=tagger, system=numbers),
        EntityFinder(EntityPatterns(), tagger=tagger, system=numbers),
        EntityFinder(EntityPatterns(), system=numbers),
    ]

    assert [found(finder, "is it 42?")[0][0] for finder in finders] == ["by_regex", "by_lookup", "by_tagger", "number"]


def test_a_tagged_time_takes_its_value_from_the_system_and_keeps_its_role() -> None:
    finder = EntityFinder(
        EntityPatterns(),
        tagger=FakeTagger(("friday", "time", "departure"), ("two", "seats", None)),
        system=system("time"),
    )

    departure, seats = sorted(
        finder.find("leave on friday for two", NOTHING_ENCODED, now=TUESDAY), key=lambda e: e.start
    )

    assert (departure.text, departure.value, departure.role) == ("on friday", "2026-11-27", "departure")
    assert departure.found_by == "system"
    assert (seats.name, seats.text, seats.confidence) == ("seats", "two", 0.9)


def test_synonyms_name_what_patterns_and_the_tagger_found_and_leave_normal_forms_alone() -> None:
    finder = EntityFinder(
        EntityPatterns(lookups={"tool": ("spade",)}, synonyms={"spade": "shovel", "nyc": "New York", "two": "couple"}),
        tagger=FakeTagger(("NYC", "city", None)),
        system=system("number"),
    )

    entities = finder.find("two Spade to NYC", NOTHING_ENCODED, now=TUESDAY)

    assert [entity.value for entity in entities] == ["2", "shovel", "New York"]


def test_without_an_encoding_the_tagger_is_silent_and_patterns_speak() -> None:
    finder = EntityFinder(EntityPatterns(regexes={"code": (r"\d+",)}), tagger=FakeTagger(("spade", "tool", None)))

    assert [entity.name for entity in finder.find("spade 12")] == ["code"]


def test_the_tagger_is_told_what_the_patterns_found() -> None:
    tagger = FakeTagger()

    EntityFinder(EntityPatterns(regexes={"code": (r"\d+",)}), tagger=tagger).find("spade 12", NOTHING_ENCODED)

    assert tagger.matches == [Match("code", 6, 8, "regex")]


def test_tomorrow_counts_from_when_the_text_was_sent() -> None:
    finder = EntityFinder(EntityPatterns(), system=system("time"), clock=lambda: TUESDAY)

    assert finder.find("tomorrow")[0].value == "2026-11-25"
    assert finder.find("tomorrow", now=TUESDAY + 86_400)[0].value == "2026-11-26"


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("a border spade, a spade", ["border spade", "spade"]),
        ("spadework and spades", []),
        ("SPADE", ["SPADE"]),
        ("t-shirt or c++?", ["t-shirt", "c++"]),
        ("İİ spade", ["spade"]),  # in lower case these letters are longer
        ("straße 5", ["straße"]),
    ],
)
def test_lookup_tables_find_whole_phrases_in_any_case(text: str, spans: list[str]) -> None:
    finder = EntityFinder(EntityPatterns(lookups={"thing": ("spade", "Border Spade", "T-Shirt", "C++", "Straße", "")}))

    assert [entity.text for entity in finder.find(text)] == spans


def test_a_table_of_many_phrases_is_searched_as_a_small_one_is() -> None:
    finder = EntityFinder(EntityPatterns(lookups={"product": tuple(f"product number {n}" for n in range(50_000))}))

    assert [entity.text for entity in finder.find("is product number 31415 there")] == ["product number 31415"]
