"""The intent head: what it ranks, what it refuses, and that it stays the same on its way through a bundle."""

import numpy as np
import pytest

from parley.bots.bot import EntityPatterns
from parley.bots.training import Example
from parley.conversation import Understanding
from parley.nlu.encoder import OnnxEncoder
from parley.nlu.fit import Fitted, fit_nlu
from parley.nlu.intents import RANKED, IntentHead, evidence, softmax
from parley.nlu.intents_fit import USUAL_TRUST
from parley.nlu.lexical import MAX_FEATURES, Vocabulary, words_of

TAUGHT = {
    "greet": ["hello", "hi there", "good morning", "hey", "good evening", "hello bot"],
    "order": ["where is my parcel", "track my order", "order status", "has it shipped", "my parcel is late"],
    "thank": ["thank you", "thanks a lot", "cheers", "many thanks", "thank you so much"],
    "stop": ["stop it", "never mind", "forget it", "cancel that", "please stop"],
    "faq/hours": ["when are you open", "opening hours please", "are you open on sunday", "what time do you close"],
    "faq/price": ["how much is a spade", "what does it cost", "price of the hose", "is it expensive"],
    "thank+bye": ["thanks, goodbye", "thank you and bye", "cheers, see you", "many thanks, good night"],
}


def examples_of(taught: dict[str, list[str]]) -> list[Example]:
    return [Example(text, intent, (), "nlu.yml:1") for intent, texts in taught.items() for text in texts]


@pytest.fixture(scope="module")
def fitted(encoder: OnnxEncoder) -> Fitted:
    return fit_nlu(examples_of(TAUGHT), EntityPatterns(), encoder)


@pytest.fixture
def understand(fitted: Fitted, encoder: OnnxEncoder):
    def understood(text: str) -> Understanding:
        return fitted.understander.understand(text, encoder.encode(text))

    return understood


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("where is my order?", "order"),
        ("thanks!", "thank"),
        ("Thanks and good bye", "thank+bye"),
        ("the mitochondria is the powerhouse of the cell", None),
        ("how tall is the Eiffel tower", None),
    ],
)
def test_a_head_learns_its_intents_and_refuses_the_rest(understand, text: str, intent: str | None) -> None:
    assert understand(text).intent == intent


@pytest.mark.parametrize(
    "text", ["WHERE IS MY PARCEL", "where is my parcel?!?", "where is my parsel", "where is my parcel 📦"]
)
def test_case_marks_emoji_and_a_wrong_letter_change_no_intent(understand, text: str) -> None:
    assert understand(text).intent == "order"


def test_parts_of_a_retrieval_intent_are_ranked_as_one_and_the_best_is_named(understand) -> None:
    understanding = understand("what are your opening hours")

    assert understanding.intent == "faq"
    assert understanding.retrieval_intent == "faq/hours"
    assert [score.name for score in understanding.ranking].count("faq") == 1


def test_the_ranking_is_ordered_and_its_confidences_are_shares(understand) -> None:
    ranking = understand("hello, where is it").ranking

    confidences = [score.confidence for score in ranking]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", " ", "🙂", "?", "a", "%%%", "word " * 500, "\x00", "日本語だけの文です"])
def test_any_text_is_understood_as_something_or_nothing(understand, text: str) -> None:
    understanding = understand(text)

    assert 0 <= understanding.in_scope <= 1
    assert 0 <= understanding.confidence <= 1


def test_another_language_is_named_and_out_of_scope(understand) -> None:
    understanding = understand("Wo bleibt denn eigentlich meine Bestellung von letzter Woche?")

    assert understanding.language == "de"
    assert understanding.intent is None
    assert understanding.in_scope == 0


def test_a_head_says_the_same_after_its_way_through_a_bundle(fitted: Fitted, encoder: OnnxEncoder) -> None:
    head = fitted.intents.head

    back = IntentHead.from_arrays(head.intents, head.arrays())

    encoded = encoder.encode("where is my parcel")
    (before, scope_before), (after, scope_after) = (each.read(encoded) for each in (head, back))
    assert [score.name for score in after] == [score.name for score in before]
    assert after[0].confidence == pytest.approx(before[0].confidence, abs=0.01)
    assert scope_after == pytest.approx(scope_before, abs=0.01)


def test_two_intents_are_enough(encoder: OnnxEncoder) -> None:
    few = {name: TAUGHT[name] for name in ("greet", "order")}

    understander = fit_nlu(examples_of(few), EntityPatterns(), encoder).understander

    assert understander.understand("hi", encoder.encode("hi")).intent == "greet"
    assert understander.understand("parcel status", encoder.encode("parcel status")).intent == "order"


def test_one_example_for_each_intent_is_enough(encoder: OnnxEncoder) -> None:
    few = {name: texts[:1] for name, texts in TAUGHT.items()}

    understander = fit_nlu(examples_of(few), EntityPatterns(), encoder).understander

    assert understander.understand("hello", encoder.encode("hello")).ranking[0].name == "greet"


def test_known_foreign_utterances_move_the_threshold(fitted: Fitted, encoder: OnnxEncoder) -> None:
    foreign = ["where is the station", "where is my sister", "track the storm", "has the ship sailed"]
    text, encoded = "where is my brother", encoder.encode("where is my brother")

    strict = fit_nlu(examples_of(TAUGHT), EntityPatterns(), encoder, out_of_scope=foreign).understander

    assert strict.understand(text, encoded).in_scope < fitted.understander.understand(text, encoded).in_scope


def test_the_same_examples_give_the_same_head(encoder: OnnxEncoder, fitted: Fitted) -> None:
    again = fit_nlu(examples_of(TAUGHT), EntityPatterns(), encoder).intents.head.arrays()

    for name, array in fitted.intents.head.arrays().items():
        assert np.array_equal(array, again[name]), name


def test_how_far_each_model_is_trusted_is_learned(fitted: Fitted) -> None:
    assert np.abs(fitted.intents.head.trust - USUAL_TRUST).max() > 0.05


def test_a_ranking_names_the_first_ten(encoder: OnnxEncoder) -> None:
    many = {f"count_{number}": [f"number {number}", f"say {number}"] for number in range(RANKED + 3)}

    understander = fit_nlu(examples_of(many), EntityPatterns(), encoder).understander

    assert len(understander.understand("number 3", encoder.encode("number 3")).ranking) == RANKED


def test_words_have_no_case_no_marks_and_one_form_of_unicode() -> None:
    assert words_of("Where's my ﬁrst ORDER?! 📦") == ["where", "s", "my", "first", "order"]


def test_features_of_a_text_are_scaled_to_unit_length_and_unknown_ones_are_left_out() -> None:
    vocabulary = Vocabulary.of(["track my order", "cancel my order"])

    features, weights = vocabulary.weigh("track my order")
    none, _ = vocabulary.weigh("zzz")

    assert len(set(features)) == len(features)
    assert np.linalg.norm(weights) == pytest.approx(2**0.5, abs=1e-5)  # words and pieces, each of length 1
    assert len(none) == 0


def test_a_vocabulary_keeps_what_most_texts_have() -> None:
    texts = [f"order {number:06}" for number in range(6000)]

    vocabulary = Vocabulary.of(texts)

    features, _ = vocabulary.weigh("order")
    assert len(vocabulary.hashes) <= MAX_FEATURES
    assert len(features) > 0


def test_evidence_is_energy_the_best_word_score_and_nearness() -> None:
    meaning, wording = np.array([2.0, 0.0], np.float32), np.array([-0.5, 0.5], np.float32)

    found = evidence(meaning, wording, np.float32(0.7))

    assert found == pytest.approx([np.log(np.exp(2) + 1), 0.5, 0.7])


def test_softmax_stands_large_numbers() -> None:
    assert softmax(np.array([1e4, 0.0], np.float32)) == pytest.approx([1, 0])


def test_a_word_is_never_taken_for_a_piece_of_another() -> None:
    vocabulary = Vocabulary.of(["british cuisine"])

    assert np.isfinite(vocabulary.rarity_of(["british", "cuisine"])).all()
    assert np.isinf(vocabulary.rarity_of(["criti", "brit", "uisine", "ritis"])).all()


def test_words_of_the_examples_are_in_their_language_and_others_are_asked_about(understand) -> None:
    assert understand("late parcel").language == "en"
    assert understand("¿dónde está mi paquete, por favor?").language == "es"
    assert understand("¿dónde está mi paquete, por favor?").intent is None


def test_the_language_is_that_of_what_was_typed_not_of_what_was_mended(fitted: Fitted, encoder: OnnxEncoder) -> None:
    typed, mended = "où est donc ma commande", encoder.encode("where is my parcel")

    assert fitted.understander.understand(typed, mended).language == "fr"
