"""Training the generator: who sees what, what is learnt, and how a larger model teaches. Tiny models; needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.models.generator.conftest import modules

torch = pytest.importorskip("torch", reason="training has an environment of its own, models/requirements.txt")
transformers = pytest.importorskip("transformers")

PASSAGES = "[1] Inn: We open at nine. Parking is free."


@pytest.fixture(scope="module")
def found() -> Iterator[SimpleNamespace]:
    with modules("train", "grow", "tokens") as names:
        yield names


@pytest.fixture(scope="module")
def tokenizer(found: SimpleNamespace) -> Any:
    return found.tokens.train_tokenizer([PASSAGES, "When do you open? Where can I park? Hello there!"] * 3, 400)


def tiny(seed: int, width: int = 32, vocabulary: int = 400) -> Any:
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=64,
    )
    return transformers.LlamaForCausalLM(config)


def batch(found: SimpleNamespace, tokenizer: Any, *branches: tuple[str, ...]) -> Any:
    encoded = found.tokens.grounded_tokens(tokenizer, found.tokens.Grounded(PASSAGES, branches), 200)
    rows = found.tokens.pack_encoded([encoded], 200, 1)
    return found.train.batch_of([(found.train.Part(rows, 1.0, replies_only=True), 0)], "cpu")


def test_a_question_does_not_see_the_others(found: SimpleNamespace, tokenizer: Any) -> None:
    model = tiny(1)
    alone = batch(found, tokenizer, ("Where?", "Parking is free."))
    second = batch(found, tokenizer, ("When?", "We open at nine."), ("Where?", "Parking is free."))

    wanted, _ = found.train.learnt_logits(model, alone)
    got, _ = found.train.learnt_logits(model, second)

    assert torch.allclose(got[-len(wanted) :], wanted, atol=1e-5)


def test_only_marks_ends_and_own_words_are_learnt(found: SimpleNamespace, tokenizer: Any) -> None:
    given = batch(found, tokenizer, ("When?", "We open at nine."))

    learnt = given.target[given.target != found.train.IGNORED].tolist()

    assert learnt == [found.tokens.special_id("<|2|>"), found.tokens.special_id(found.tokens.END)]


def test_a_teacher_that_is_the_student_has_nothing_to_teach(found: SimpleNamespace, tokenizer: Any) -> None:
    model, given = tiny(1), batch(found, tokenizer, ("Hi", "Hello there!"))

    assert found.train.loss_of(model, given, model, teacher_share=1.0).item() == pytest.approx(0, abs=1e-5)


def test_a_student_comes_nearer_to_its_teacher(found: SimpleNamespace, tokenizer: Any) -> None:
    student, teacher, given = tiny(1), tiny(2, width=48), batch(found, tokenizer, ("Hi", "Hello there!"))
    state = [torch.optim.AdamW(student.parameters(), lr=1e-2)]
    state[0].param_groups[0]["peak"] = 1e-2
    before = found.train.loss_of(student, given, teacher, teacher_share=1.0).item()

    for _ in range(20):
        found.train.update(student, state, found.train.loss_of(student, given, teacher, teacher_share=1.0), 1.0)

    assert found.train.loss_of(student, given, teacher, teacher_share=1.0).item() < before / 2


def test_the_rate_climbs_and_falls(found: SimpleNamespace) -> None:
    rates = [found.train.rate_at(spent) for spent in (0.0, 0.01, found.train.WARM_UP, 0.5, 1.0)]

    assert rates[0] < rates[1] < rates[2] == pytest.approx(1)
    assert rates[2] > rates[3] > rates[4] == pytest.approx(found.train.FINAL_RATE)


def test_a_grown_model_says_the_same_small_talk_and_finds_sentences(
    found: SimpleNamespace, tokenizer: Any, tmp_path: Any
) -> None:
    start = tiny(3, width=64, vocabulary=tokenizer.get_vocab_size())
    start.save_pretrained(tmp_path)
    found.tokens.save_tokenizer(tokenizer, tmp_path, 200)

    model = found.grow.grown(tmp_path, tokenizer).eval()

    def logits(question: str, which: Any, system: str = "") -> Any:
        ids = found.tokens.prompt_tokens(tokenizer, [("system", system), ("user", question)], 200)
        return which(torch.tensor([ids])).logits[0, -1]

    words = slice(len(found.tokens.SPECIAL) + len(found.tokens.MARKS), None)
    said = torch.stack([logits("Hello there!", which)[words] for which in (start.eval(), model)])
    assert torch.corrcoef(said)[0, 1] > 0.95
    first = found.tokens.special_id(found.tokens.MARKS[0])
    for question, piece in (("When do you open?", 1), ("parking", 2)):
        marks = logits(question, model, f"Knowledge:\n{PASSAGES}\n")[first : first + 3]
        assert int(marks.argmax()) == piece, question
