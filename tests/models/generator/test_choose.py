"""Teaching which sentence answers: what moves, and what does not. A tiny model; needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.models.generator.conftest import modules

torch = pytest.importorskip("torch", reason="training has an environment of its own, models/requirements.txt")
transformers = pytest.importorskip("transformers")

PASSAGES = "[1] Inn: We open at nine. Parking is free."
QUESTIONS = (("When do you open?", "We open at nine."), ("Where can I park?", "Parking is free."))


@pytest.fixture(scope="module")
def found() -> Iterator[SimpleNamespace]:
    with modules("choose", "grow", "tokens", "train") as names:
        yield names


@pytest.fixture(scope="module")
def model(found: SimpleNamespace) -> Any:
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=400,
        hidden_size=64 + found.grow.NEW_WIDTH,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=64,
    )
    return transformers.LlamaForCausalLM(config)


@pytest.fixture(scope="module")
def batch(found: SimpleNamespace) -> Any:
    tokenizer = found.tokens.train_tokenizer([PASSAGES, *(text for pair in QUESTIONS for text in pair)] * 3, 400)
    encoded = found.tokens.grounded_tokens(tokenizer, found.tokens.Grounded(PASSAGES, QUESTIONS), 200)
    rows = found.tokens.pack_encoded([encoded], 200, 1)
    talk = found.tokens.pack(tokenizer, [["When do you open?", "We open at nine."]], 200, 1)
    return next(found.choose.batches(rows, talk, found.choose.np.random.default_rng(1)))


def test_what_is_learnt_is_the_mark_with_which_a_reply_begins(found: SimpleNamespace, model: Any, batch: Any) -> None:
    said = found.choose.said_by(model, batch)

    passages = found.choose.BATCH_ROWS - 1  # the last row is talk
    assert said.preferred.shape == (passages * 2, len(found.tokens.MARKS))
    assert said.chosen.tolist() == [1, 2] * passages  # the title is sentence 0
    assert int(said.wants.sum()) == passages * 2


def test_behind_a_quoted_sentence_its_end_is_learnt(found: SimpleNamespace, model: Any, batch: Any) -> None:
    said = found.choose.said_by(model, batch)

    passages = found.choose.BATCH_ROWS - 1
    assert said.goes_on.tolist() == [False] * passages * 2
    assert said.longing.shape == said.goes_on.shape
    last = found.choose.last_marks(batch)[found.choose.quotes(batch)] - found.choose.MARKS_AT.start
    assert last.tolist() == [1, 2] * passages


@pytest.mark.parametrize(
    ("place", "by"),
    [("unwanted", 9.0), ("wanted", -9.0), ("end", 9.0)],
)
def test_a_mark_where_none_belongs_costs_and_one_that_is_missing(
    found: SimpleNamespace, model: Any, batch: Any, place: str, by: float
) -> None:
    said = found.choose.said_by(model, batch)
    moved = {
        "unwanted": replace(said, lead=torch.where(said.wants, said.lead, said.lead + by)),
        "wanted": replace(said, lead=torch.where(said.wants, said.lead + by, said.lead)),
        "end": replace(said, longing=said.longing + by),
    }[place]

    assert found.choose.loss_of(moved, 1.0) > found.choose.loss_of(said, 1.0)


def test_only_the_circuit_moves(found: SimpleNamespace, model: Any, batch: Any) -> None:
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    parts = found.choose.circuit(model)
    optimizer = found.choose.only(parts, model)

    found.choose.loss_of(found.choose.said_by(model, batch), 1.0).backward()
    optimizer.step()

    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert "model.embed_tokens.weight" in moved
    assert not any("mlp" in name or "norm" in name or "layers.3" in name for name in moved)
    size = model.config.hidden_size - found.grow.NEW_WIDTH
    embedding, was = model.model.embed_tokens.weight, before["model.embed_tokens.weight"]
    assert torch.equal(embedding[:, :size], was[:, :size])


def test_a_loud_model_is_heard_at_a_temperature_at_which_it_is_as_sure_as_it_is_right(
    found: SimpleNamespace, model: Any, batch: Any
) -> None:
    quiet = found.choose.temperature_of(model, [batch])
    with torch.no_grad():
        model.lm_head.weight.mul_(1000)
    loud = found.choose.temperature_of(model, [batch])
    with torch.no_grad():
        model.lm_head.weight.div_(1000)

    assert loud >= quiet
    assert loud == max(found.choose.TEMPERATURES)
