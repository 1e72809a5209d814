"""What must not differ between two questions that get one reply, and what may."""

import pytest

from parley.caching.facts import Difference, difference, facts_of
from parley.nlu.encoder import OnnxEncoder

DIFFERENT = [
    ("Can I bring two suitcases?", "Can I bring three suitcases?", Difference.NUMBERS),
    ("What happened in 1989?", "What happened in 1998?", Difference.NUMBERS),
    ("Is there a discount for 10 people?", "Is there a discount for people?", Difference.NUMBERS),
    ("How long is a 1,500 m race?", "How long is a 15,000 m race?", Difference.NUMBERS),
    ("What is 1,5 litres in pints?", "What is 15 litres in pints?", Difference.NUMBERS),
    ("How cold is -5 degrees?", "How cold is 5 degrees?", Difference.NUMBERS),
    ("What is new in version 1.2.3?", "What is new in version 1.2.4?", Difference.NUMBERS),
    ("What is new in version 3.1?", "What is new in version 3.10?", Difference.NUMBERS),
    ("Who came 1st?", "Who came 2nd?", Difference.NUMBERS),
    ("How much is 20 dollars in yen?", "How much is 20 euros in yen?", Difference.UNITS),
    ("How much is $20 in yen?", "How much is €20 in yen?", Difference.UNITS),
    ("Can I run 5 km in a day?", "Can I run 5 miles in a day?", Difference.UNITS),
    ("Can I take 50mg of it?", "Can I take 50 g of it?", Difference.UNITS),
    ("Are you open at 5 am?", "Are you open at 5 pm?", Difference.UNITS),
    ("Do you ship to islands?", "Don't you ship to islands?", Difference.NEGATION),
    ("Do you ship to islands?", "Don’t you ship to islands?", Difference.NEGATION),
    ("Can I board with a passport?", "Can I board without a passport?", Difference.NEGATION),
    ("Which dogs shed?", "Which dogs never shed?", Difference.NEGATION),
    ("When does the ferry leave?", "Where does the ferry leave?", Difference.ASKED),
    ("How many rooms does the castle have?", "How old are the rooms of the castle?", Difference.ASKED),
    ("Who painted this portrait?", "Why was this portrait painted?", Difference.ASKED),
    ("When will the train arrive?", "When did the train arrive?", Difference.TIME),
    ("How do I get to Vienna by train?", "How do I get to Prague by train?", Difference.NAMES),
    ("Where is Austria?", "Where is Australia?", Difference.NAMES),
    ("Who is Bill?", "Who is Bob?", Difference.NAMES),
    ("Do I need a visa?", "Do I need a visa for Brazil?", Difference.NAMES),
    ("What is a C++ compiler?", "What is a C compiler?", Difference.NAMES),
    ("What is a C++ compiler?", "What is a C# compiler?", Difference.NAMES),
    ("How do I read a file in C?", "How do I read a file in R?", Difference.NAMES),
    ("Does the S21 have a headphone jack?", "Does the S22 have a headphone jack?", Difference.NAMES),
    ("What is sertraline for?", "What is fluoxetine for?", Difference.NAMES),
    ("When does the shop open?", "When does the shop close?", Difference.OPPOSITES),
    ("How do I lock my bike?", "How do I unlock my bike?", Difference.OPPOSITES),
    ("Is it legal to record calls?", "Is it illegal to record calls?", Difference.OPPOSITES),
    ("What does a letter to Spain cost?", "What does a letter from Spain cost?", Difference.OPPOSITES),
    ("How do I turn the light on?", "How do I turn the light off?", Difference.OPPOSITES),
    ("How do I log in?", "How do I log out?", Difference.OPPOSITES),
    ("Do you deliver on sundays?", "Do you deliver on mondays?", Difference.OPPOSITES),
    ("Is the red door locked?", "Is the blue door locked?", Difference.OPPOSITES),
    ("Who came second?", "Who came third?", Difference.OPPOSITES),
]

ALIKE = [
    ("Can I bring two suitcases?", "Can I bring 2 suitcases?"),
    ("How long is a 1,500 m race?", "How long is a 1500 metre race?"),
    ("What is 1,5 litres in pints?", "What is 1.5 l in pints?"),
    ("Is 20.00 euros enough?", "Is €20 enough?"),
    ("Can I take 20 kg?", "Can I take 20kg?"),
    ("I can't pay, why?", "Why? I cannot pay"),
    ("i cant pay", "I can't pay"),
    ("How much time does it take?", "How long does it take?"),
    ("At what time do you close?", "When do you close?"),
    ("What is the reason that leaves turn red?", "Why do leaves turn red?"),
    ("Is there wi-fi?", "Is there wifi?"),
    ("Where is Johannesburg?", "where is johanesburg"),
    ("How do I get to the conference reception?", "How do I get to the conferense reception?"),
    ("What is sertraline for?", "What is sertralin for?"),
    ("Do you sell iPhones?", "Do you sell an iPhone?"),
    ("IN WHICH CITY IS IT?", "In which city is it?"),
    ("What Are The Opening Hours?", "what are the opening hours"),
]


@pytest.mark.parametrize(("one", "other", "expected"), DIFFERENT)
def test_facts_that_differ_are_named(encoder: OnnxEncoder, one: str, other: str, expected: Difference) -> None:
    facts, others = (facts_of(text, encoder.knows) for text in (one, other))

    assert difference(facts, others) == difference(others, facts) == expected


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_the_same_facts_may_be_written_in_many_ways(encoder: OnnxEncoder, one: str, other: str) -> None:
    facts, others = (facts_of(text, encoder.knows) for text in (one, other))

    assert difference(facts, others) is difference(others, facts) is None


def test_an_error_is_forgiven_in_long_words_only() -> None:
    def knows(word: str) -> bool:
        return word in ("when", "do", "the", "leave", "ferries", "does")

    long, short = ("ferries", "feries"), ("does", "dose")

    assert difference(*(facts_of(f"When do the {word} leave?", knows) for word in long)) is None
    assert difference(*(facts_of(f"When {word} the ferries leave?", knows) for word in short)) is Difference.NAMES


def test_a_title_is_not_all_names(encoder: OnnxEncoder) -> None:
    title, plain = "How To Bake Bread At Home", "how to bake bread at home"

    assert not facts_of(title, encoder.knows).names
    assert difference(facts_of(title, encoder.knows), facts_of(plain, encoder.knows)) is None


def test_nothing_said_has_no_facts(encoder: OnnxEncoder) -> None:
    assert difference(facts_of("", encoder.knows), facts_of("?!", encoder.knows)) is None
