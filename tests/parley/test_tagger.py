"""Training the tagger, tagging with it, and the sums behind both."""

import itertools

import numpy as np
import pytest

from parley.bots.bot import EntityPatterns
from parley.bots.source import Faults
from parley.bots.training import Example, parse_example
from parley.nlu import tagger_fit
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.patterns import Patterns
from parley.nlu.tagger import Kind, Tagger, TaggerSpec, illegal, read_words, tagged_spans, windows
from parley.nlu.tagger_fit import fit_tagger, likelihood_slopes
from parley.ports import Encoded

CITIES = ["London", "Paris", "Los Angeles", "Berlin", "San Francisco", "Vienna", "Oslo", "Buenos Aires"]
TOLD = [
    "book a flight from {a} to {b}",
    "i want to fly to {b} from {a}",
    "to {b} please, leaving from {a}",
    "is there a train from {a} to {b} today",
    "how do i get to {b}",
    "i am in {a} and want to go to {b}",
]
UNMARKED = ["hello there", "thank you", "what can you do", "cancel my booking", "from time to time", "talk to a person"]


def marked() -> list[Example]:
    examples = [(text, "chat") for text in UNMARKED]
    for number, told in enumerate(TOLD * 3):
        a, b = CITIES[number % 8], CITIES[(number * 3 + 1) % 8]
        roles = {
            key: f'[{city}]{{"entity": "city", "role": "{role}"}}'
            for key, city, role in (("a", a, "from"), ("b", b, "to"))
        }
        examples.append((told.format(**roles), "book"))
    return [parse_example(text, intent, "nlu.yml:1", Faults()) for text, intent in examples]


@pytest.fixture(scope="module")
def tagger(encoder: OnnxEncoder) -> Tagger:
    trained = fit_tagger(marked(), encoder.encode, EntityPatterns())
    assert trained is not None
    return trained


def tagged(tagger: Tagger, encoder: OnnxEncoder, text: str) -> list[tuple[str, str, str | None]]:
    return [(e.text, e.name, e.role) for e in tagger.tag(text, encoder.encode(text))]


def test_it_finds_values_that_it_was_never_shown_and_tells_roles_apart(tagger: Tagger, encoder: OnnxEncoder) -> None:
    assert tagged(tagger, encoder, "a flight from Tokyo to Lisbon please") == [
        ("Tokyo", "city", "from"),
        ("Lisbon", "city", "to"),
    ]
    assert tagged(tagger, encoder, "i want to fly to New York from Prague") == [
        ("New York", "city", "to"),
        ("Prague", "city", "from"),
    ]


def test_it_marks_nothing_where_nothing_is(tagger: Tagger, encoder: OnnxEncoder) -> None:
    assert [tagged(tagger, encoder, text) for text in ["thanks", "talk to somebody", "hello"]] == [[], [], []]


def test_spans_say_where_their_words_are_and_how_sure_the_tagger_is(tagger: Tagger, encoder: OnnxEncoder) -> None:
    text = "  from  Tokyo, to LISBON!"

    entities = tagger.tag(text, encoder.encode(text))

    assert [text[e.start : e.end] for e in entities] == [e.text for e in entities] == ["Tokyo", "LISBON"]
    assert all(e.found_by == "tagger" and 0.3 < e.confidence <= 1 for e in entities)


def test_its_arrays_are_small_and_give_the_same_tagger(tagger: Tagger, encoder: OnnxEncoder) -> None:
    again = Tagger.from_arrays(tagger.spec, tagger.arrays(), Patterns(EntityPatterns()))

    texts = [example.text for example in marked()]
    assert [tagged(again, encoder, text) for text in texts] == [tagged(tagger, encoder, text) for text in texts]
    assert sum(array.nbytes for array in tagger.arrays().values()) < 3_000_000


def test_it_learns_the_same_from_the_same(encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagger_fit, "STEPS", 30)

    once, again = (fit_tagger(marked(), encoder.encode, EntityPatterns()) for _ in range(2))

    assert once is not None
    assert again is not None
    assert all(np.array_equal(again.arrays()[name], array) for name, array in once.arrays().items())


def test_without_marks_there_is_no_tagger(encoder: OnnxEncoder) -> None:
    examples = [example for example in marked() if not example.entities]

    assert fit_tagger(examples, encoder.encode, EntityPatterns()) is None


@pytest.mark.parametrize("text", ["", " ", "?", "🎉", "\0", "from Tokyo " * 400, "x" * 4000, "_" * 300, "ﬁ İstanbul"])
def test_odd_and_long_texts_are_tagged_as_far_as_the_encoder_reads(
    tagger: Tagger, encoder: OnnxEncoder, text: str
) -> None:
    encoded = encoder.encode(text)

    entities = tagger.tag(text, encoded)

    assert all(entity.start < (encoded.offsets[-1][1] if encoded.offsets else 0) for entity in entities)


def test_what_a_pattern_finds_is_a_feature(encoder: OnnxEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagger_fit, "STEPS", 300)
    texts = ["use [{0}](code) now", "the thing is [{0}](code)", "apply [{0}](code) please", "[{0}](code) it is"]
    listed = ["sun", "rain", "snow", "wind", "mist", "frost"]
    others = ["bread", "milk", "salt", "rice", "soup", "tea"]
    lines = [text.format(word) for text in texts for word in listed]
    lines += [text.replace("[{0}](code)", word) for text in texts for word in others]
    patterns = EntityPatterns(lookups={"code": (*listed, "hail", "fog")})
    examples = [parse_example(line, "any", "nlu.yml:1", Faults()) for line in lines]

    tagger = fit_tagger(examples, encoder.encode, patterns)

    assert tagger is not None
    assert [e.text for e in tagger.tag("use hail now", encoder.encode("use hail now"))] == ["hail"]


def brute_force(scores: np.ndarray, first: np.ndarray, following: np.ndarray) -> dict[tuple[int, ...], float]:
    """The score of every sequence of tags of one sentence."""
    length, tags = scores.shape
    return {
        way: first[way[0]]
        + sum(scores[place, tag] for place, tag in enumerate(way))
        + sum(following[pair] for pair in itertools.pairwise(way))
        for way in itertools.product(range(tags), repeat=length)
    }


def test_the_slopes_are_those_of_the_likelihood() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=(2, 4, 5)).astype(np.float32)
    first = random.normal(size=5).astype(np.float32)
    following = (random.normal(size=(5, 5)) + illegal(2)).astype(np.float32)
    tags = np.array([[0, 1, 2, 0], [3, 4, 4, 1]])

    of_scores, of_first, of_following = likelihood_slopes(scores, tags, first, following)

    expected = np.zeros_like(scores)
    pairs = np.zeros((5, 5))
    for sentence in range(2):
        ways = brute_force(scores[sentence], first, following)
        total = np.logaddexp.reduce(list(ways.values()))
        for way, score in ways.items():
            likely = np.exp(score - total) - (way == tuple(tags[sentence]))
            expected[sentence, np.arange(4), way] += likely / 2
            for pair in itertools.pairwise(way):
                pairs[pair] += likely / 2
    np.testing.assert_allclose(of_scores, expected, atol=1e-5)
    np.testing.assert_allclose(of_first, expected[:, 0].sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(of_following, pairs, atol=1e-5)


def test_the_best_sequence_is_the_best_of_all() -> None:
    random = np.random.default_rng(2)
    kinds, dimensions = (Kind("a"), Kind("b", "from")), 6
    names = {"states": (18, 4), "letters": (160, 4), "sentence": (6, 4), "around": (12, 4), "tags": (4, 5)}
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in names.items()}
    weights |= {
        name: np.zeros(size, np.float32) for name, size in (("hidden_bias", 4), ("around_bias", 4), ("tags_bias", 5))
    }
    weights |= {"features": random.normal(size=(64, 32)).astype(np.float32), "mean": np.zeros(6), "scale": np.ones(6)}
    weights |= {"first": random.normal(size=5), "following": random.normal(size=(5, 5))}
    tagger = Tagger(TaggerSpec(kinds, 64), weights, Patterns(EntityPatterns()))
    for _ in range(20):
        scores = random.normal(size=(4, 5)).astype(np.float32)
        first = np.where([True, True, False, True, False], weights["first"], -np.inf)
        ways = brute_force(scores, first, weights["following"] + illegal(2))

        best = tagger._best_tags(scores)

        assert tuple(best) == max(ways, key=ways.__getitem__)
    assert dimensions == weights["sentence"].shape[0]


def test_spans_end_where_another_begins() -> None:
    assert list(tagged_spans([0, 1, 2, 2, 1, 3, 4, 0, 3])) == [(1, 3, 0), (4, 4, 0), (5, 6, 1), (8, 8, 1)]


def test_windows_hold_the_neighbours_and_zeros_beyond_the_ends() -> None:
    rows = np.array([[1.0], [2.0], [3.0]], dtype=np.float32)

    assert windows(rows, 1).tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]


def test_pieces_of_one_word_count_as_their_mean() -> None:
    tokens = np.array([[1.0], [3.0], [5.0]], dtype=np.float32)
    encoded = Encoded("", np.ones(1, np.float32), tokens, ((0, 2), (2, 5), (6, 7)))

    words = read_words("hello 5kg beyond", encoded, [], 64)

    assert words.spans == ((0, 5), (6, 7))
    assert words.states.tolist() == [[2.0], [5.0]]
