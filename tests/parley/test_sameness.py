"""Which questions are the same, and which only look alike."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from parley.caching.facts import Difference
from parley.caching.sameness import MOST_PIECES, Question, compare, network
from parley.conversation import Entity, Understanding
from parley.nlu.encoder import OnnxEncoder

Read = Callable[[str], Question]

SAME = [
    ("How do I reset my router?", "What is the way to reset my router?"),
    ("How can I renew my passport?", "Can you tell me how to renew my passport?"),
    ("how to bake sourdough bread", "What's the best way to bake sourdough bread?"),
    ("Why do leaves turn red?", "What is the reason that leaves turn red?"),
    ("When does the library open?", "At what time does the library open?"),
    ("What is the price of a season ticket?", "How much is a season ticket?"),
    ("Who wrote this opera?", "Do you know who wrote this opera?"),
    ("What is your refund policy?", "what's your refund policy"),
    ("I don't remember my password, what now?", "I do not remember my password, what now?"),
    ("Hi, do you repair bicycles?", "Do you repair bicycles please?"),
    ("IS BREAKFAST INCLUDED?", "is breakfast included"),
    ("Is parking free at your hotel?", "Hello, I was wondering, is parking free at your hotel?"),
    ("Can I bring two suitcases?", "Can I bring 2 suitcases?"),
    ("Do you sell gift cards?", "Do you sell a gift card?"),
    ("How do I get to the conference reception desk?", "How do I get to the conferense reception desk?"),
    ("Where can I pick up my parcel?", "Where can I pick up my parcels?"),
    ("What are the symptoms of measles?", "What are the signs and symptoms of measles?"),
    ("How do I fix a flat tyre?", "How do I repair a flat tyre?"),
    ("In Lisbon, where can I hire a boat?", "Where can I hire a boat in Lisbon?"),
    ("How long does it take to charge the scooter?", "How much time does it take to charge the scooter?"),
    ("Is it possible to change my seat?", "Can I change my seat?"),
    ("I want to cancel my order", "I'd like to cancel my order"),
    ("How old is the cathedral?", "What is the age of the cathedral?"),
    ("Is there a pool at the hotel?", "Does the hotel have a pool?"),
    ("Do I have to pay a deposit?", "Is a deposit required?"),
    ("How do I delete my account?", "What are the steps to delete my account?"),
    ("Why is the lake green?", "What makes the lake green?"),
    ("How often does the bus run?", "How frequently does the bus run?"),
    ("Can I pay in cash?", "Is it possible to pay in cash?"),
    ("How do I remove a coffee stain?", "What is the best way to get rid of a coffee stain?"),
    ("When was the lighthouse built?", "In what year was the lighthouse built?"),
]

DIFFERENT = [
    ("How long is the flight from Rome to Oslo?", "How long is the flight from Oslo to Rome?"),
    ("How do I transfer money from savings to checking?", "How do I transfer money from checking to savings?"),
    ("How do I convert a picture to text?", "How do I convert text to a picture?"),
    ("Why do cats chase dogs?", "Why do dogs chase cats?"),
    ("Is tea stronger than coffee?", "Is coffee stronger than tea?"),
    ("Can you call me tomorrow?", "Can I call you tomorrow?"),
    ("Is his brother ill?", "Is her brother ill?"),
    ("How do I clean a leather sofa?", "How do I clean a leather jacket?"),
    ("Is the sauna free for guests?", "Is the pool free for guests?"),
    ("How do I cancel my booking?", "How do I cancel my subscription?"),
    ("Can my dog eat grapes?", "Can my dog eat carrots?"),
    ("What is the capital of the region?", "What is the climate of the region?"),
    ("Which phone is the cheapest?", "Which phone is the lightest?"),
    ("Why was my payment declined?", "Why was my payment delayed?"),
    ("What is the speed of light?", "What is the speed of sound?"),
    ("Are all rooms heated?", "Are rooms heated?"),
    ("Where can I learn Dutch?", "Where can I teach Dutch?"),
    ("Do you accept returns without a receipt?", "Do you accept returns?"),
    ("Can children travel alone?", "Can adults travel alone?"),
    ("Is breakfast included?", "Is dinner included?"),
    ("How do I install the app on Android?", "How do I install the app on Windows?"),
    ("How do I get to Vienna by train?", "How do I get to Prague by train?"),
    ("Do I need a visa?", "Do I need a visa for Brazil?"),
    ("Can I bring two suitcases?", "Can I bring three suitcases?"),
    ("How much is 20 dollars in yen?", "How much is 20 euros in yen?"),
    ("Do you ship to islands?", "Don't you ship to islands?"),
    ("When does the ferry leave?", "Where does the ferry leave?"),
    ("When does the shop open?", "When does the shop close?"),
    ("Should I eat before a swim?", "Should I eat after a swim?"),
    ("What does a letter to Spain cost?", "What does a letter from Spain cost?"),
    ("When will the train arrive?", "When did the train arrive?"),
    ("How do I plant garlic?", "What do you charge for a haircut?"),
]


@pytest.fixture
def read(encoder: OnnxEncoder) -> Read:
    return lambda text: Question.of(encoder.encode(text), encoder.knows)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_question_said_otherwise_is_the_same(read: Read, one: str, other: str) -> None:
    assert compare(read(one), read(other)).difference is None


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_a_question_that_only_looks_alike_is_another(read: Read, one: str, other: str) -> None:
    assert not compare(read(one), read(other)).same


@pytest.mark.parametrize(("one", "other"), [*SAME[:6], *DIFFERENT[:6]])
def test_it_does_not_matter_which_question_came_first(read: Read, one: str, other: str) -> None:
    there, back = (network().score(*each) for each in ((read(one), read(other)), (read(other), read(one))))

    assert there == pytest.approx(back, abs=1e-3)


@pytest.mark.parametrize("other", ["where is the ticket office", "WHERE IS THE TICKET OFFICE!"])
def test_what_only_marks_and_case_tell_apart_is_the_same(read: Read, other: str) -> None:
    assert compare(read("Where is the ticket office?"), read(other)).same


def test_of_another_intent_it_is_another(encoder: OnnxEncoder) -> None:
    encoded = encoder.encode("When do you open?")
    hours, door = (
        Question.of(encoded, encoder.knows, Understanding(intent, 0.9, ((intent, 0.9),), (), "en"))
        for intent in ("ask_hours", "ask_door")
    )

    assert compare(hours, door).difference is Difference.INTENT


def test_with_other_entities_it_is_another(encoder: OnnxEncoder) -> None:
    encoded = encoder.encode("Is it open there?")
    bath, york = (
        Question.of(
            encoded,
            encoder.knows,
            Understanding("ask", 0.9, (("ask", 0.9),), (Entity("city", city, 14, 19, "slots"),), "en"),
        )
        for city in ("Bath", "York")
    )

    assert compare(bath, york).difference is Difference.ENTITIES


def test_a_question_longer_than_the_network_learned_is_like_no_other(read: Read) -> None:
    words = "tin oak fog jar elm sun cup hat fig ink map nut owl pea rug saw tub urn van wax bay cod dew eel"
    most, more = read(f"Is {words} all of my one list"), read(f"Is {words} all of my one long old list now")

    assert len(most.pieces) <= MOST_PIECES < len(more.pieces)
    assert compare(most, most).same
    assert compare(more, more).difference is Difference.TOO_LONG


def test_a_question_of_no_words_is_compared_too(read: Read) -> None:
    assert not compare(read(""), read("When do you open?")).same


def test_far_questions_are_told_by_their_vectors(read: Read) -> None:
    one = read("When do you open?")
    far = dataclasses.replace(one, vector=-one.vector)

    assert compare(one, far).difference is Difference.MEANING
    assert compare(one, far).score == -np.inf
