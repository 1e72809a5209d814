"""What somebody meant to type: which words are mended, which are left, and where the characters stood."""

import math

import pytest

from parley.nlu.encoder import OnnxEncoder
from parley.nlu.hearing import MOST_ERRORS, Mended, is_english, mend

BOT = {"where": 2.0, "order": 1.0, "older": 3.0, "parcel": 2.0, "track": 2.0, "delivery": 2.0, "secateurs": 4.0}
LANGUAGE = {"with", "from", "this", "please", "sharp", "oder"}


def rarity(words: list[str]) -> list[float]:
    return [BOT.get(word, math.inf) for word in words]


def mended(text: str) -> str:
    found = mend(text, LANGUAGE.__contains__, rarity)
    return text if found is None else found.text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("where is my parecl", "where is my parcel"),  # swapped
        ("where is my parcl", "where is my parcel"),  # left out
        ("where is my parccel", "where is my parcel"),  # put in
        ("where is my parvel", "where is my parcel"),  # mistaken
        ("WHERE IS MY PARVEL", "WHERE IS MY parcel"),
        ("trakc my ordr", "track my order"),
        ("track my order 📦🙏🏽", "track my order "),
        ("track 🇮🇪 parcel ❤️", "track  parcel "),
    ],
)
def test_an_error_is_mended_and_emoji_are_left_out(typed: str, meant: str) -> None:
    assert mended(typed) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "where is my parcel",
        "sharp secateurs, please",  # words of the language
        "oder",  # one of them although the bot has one near it
        "parzzl",  # two errors
        "ordx",  # a letter mistaken, of four
        "sarcel",  # another first letter
        "wer is it",  # three letters
        "WB-20451 ordr-7 x@ordr.com ordr.com http://ordr",  # parts of codes and addresses
        "ordr's",
        "ordr " * (MOST_ERRORS + 1),  # too many to be slips
        "ordr" * 1000,  # too long to be a word
        "👍",  # nothing else was said
        "❤️ 🔥",
        "20°C ± 2 § ^ ` ©",  # signs that are no pictures
    ],
)
def test_what_may_be_meant_stays(text: str) -> None:
    assert mended(text) == text


def test_of_several_words_the_bots_most_frequent_is_meant() -> None:
    assert mended("my olrder") == "my order"
    assert mended("oldr") == "older"


def test_each_character_is_known_by_the_place_where_it_was_typed() -> None:
    text = "📦 my parcl, trakc it"

    found = mend(text, LANGUAGE.__contains__, rarity)

    assert found is not None
    places = {
        word: found.place(at := found.text.index(word), at + len(word)) for word in ("my", "parcel", "track", "it")
    }
    assert {word: text[start:end] for word, (start, end) in places.items()} == {
        "my": "my",
        "parcel": "parcl",
        "track": "trakc",
        "it": "it",
    }


def test_a_piece_within_a_mended_word_lies_within_what_was_typed() -> None:
    found = Mended("parcel", (0, 1, 2, 3, 4, 4))

    assert found.place(4, 6) == (4, 5)
    assert found.place(3, 3) == (0, 0)


def test_words_of_english_that_neither_bot_nor_encoder_has_are_words() -> None:
    assert all(map(is_english, ["secateurs", "Vegan", "sharpen"]))
    assert not any(map(is_english, ["anwser", "recieve", "parcle", ""]))


def test_the_encoder_knows_whole_words_in_any_case_and_with_accents(encoder: OnnxEncoder) -> None:
    assert all(map(encoder.knows, ["order", "ORDER", "café"]))
    assert not encoder.knows("ordr")
