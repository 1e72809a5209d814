"""What people do to a sentence, and how much of the support bot's understanding it costs."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from nlu_noise import EMOJI, PERTURBATIONS, in_upper_case, with_emoji, with_typos, without_punctuation
from parley.loaded import LoadedBot
from parley.nlu.encoder import OnnxEncoder

FOLDER = Path(__file__).resolve().parents[2] / "models/bots/support"
SENTENCE = "Hello, where's my order WB-204518 of 3.50 euros?"
SEEDS = range(3)

# The most that each may cost, as a share of the utterances that the bot's author wrote for testing. When this was
# written, one typo cost 0.048, two 0.102, all of it 0.054, and the others nothing.
MOST = {
    "one typo": 0.08,
    "two typos": 0.14,
    "no punctuation": 0.02,
    "upper case": 0.02,
    "lower case": 0.02,
    "an emoji": 0.02,
    "all of it at once": 0.09,
}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_noise_is_the_same_for_the_same_seed(name: str) -> None:
    perturb = PERTURBATIONS[name]

    assert perturb(SENTENCE, 1) == perturb(SENTENCE, 1)
    assert perturb(SENTENCE, 1) != SENTENCE


@pytest.mark.parametrize("seed", range(20))
def test_typos_change_as_many_words_and_no_number(seed: int) -> None:
    for count in (1, 2):
        noisy = with_typos(count)(SENTENCE, seed)

        changed = [(a, b) for a, b in zip(SENTENCE.split(), noisy.split(), strict=True) if a != b]
        assert len(changed) <= count
        assert all(a[0] == b[0] and abs(len(a) - len(b)) <= 1 for a, b in changed)
        assert "WB-204518" in noisy
        assert "3.50" in noisy


def test_a_typo_differs_from_seed_to_seed() -> None:
    assert len({with_typos(1)(SENTENCE, seed) for seed in range(20)}) > 10


@pytest.mark.parametrize("text", ["", "no", "12", "🙂", "?!"])
def test_what_is_too_short_for_noise_is_not_emptied(text: str) -> None:
    for perturb in PERTURBATIONS.values():
        assert bool(perturb(text, 0)) >= bool(text)


def test_marks_and_apostrophes_go_and_numbers_stay() -> None:
    assert without_punctuation(SENTENCE, 0) == "Hello wheres my order WB-204518 of 3.50 euros"


def test_an_emoji_leaves_the_words_alone() -> None:
    noisy = with_emoji(SENTENCE, 0)

    assert sum(emoji in noisy for emoji in EMOJI) == 1
    assert [word for word in noisy.split() if word not in EMOJI] == SENTENCE.split()
    assert in_upper_case("Straße", 0) == "STRASSE"


@pytest.fixture(scope="module")
def said() -> list[tuple[str, str]]:
    rows = YAML(typ="safe").load((FOLDER / "tests/questions.yml").read_text(encoding="utf-8"))["utterances"]
    return [(row["text"], row["intent"]) for row in rows]


def share_right(bot: LoadedBot, encoder: OnnxEncoder, rows: list[tuple[str, str]]) -> float:
    ranked = [bot.nlu.understand(text, bot.hear(text, encoder)).ranking[0].name for text, _ in rows]
    return sum(name == intent for name, (_, intent) in zip(ranked, rows, strict=True)) / len(rows)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_noise_costs_the_support_bot_little(
    support: LoadedBot, encoder: OnnxEncoder, said: list[tuple[str, str]], name: str
) -> None:
    clean = share_right(support, encoder, said)
    noisy = [(PERTURBATIONS[name](text, seed), intent) for seed in SEEDS for text, intent in said]

    cost = clean - share_right(support, encoder, noisy)

    assert cost <= MOST[name], f"{name} costs {cost:.1%} of {clean:.1%}"
