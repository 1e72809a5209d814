"""The engine under the container: prompts, stop strings, and the format it shares with training."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import onnxruntime_genai as og
import pytest
from tokenizers import Tokenizer

from tests.models.generator.conftest import GENERATOR

ARTEFACT = GENERATOR / "artefact"


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    """The generator's modules, imported as its scripts import one another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(GENERATOR))
        import spelling
        import tokens

        yield SimpleNamespace(held_back=spelling.HeldBack, prompt_tokens=tokens.prompt_tokens)
    for name in ("spelling", "tokens"):
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(ARTEFACT / "tokenizer.json"))


def test_a_prompt_is_what_the_chat_template_says(generator: SimpleNamespace, tokenizer: Tokenizer) -> None:
    messages = [
        ("system", "Be kind."),
        ("user", "Hi! It's 12 o'clock."),
        ("assistant", "Is it?"),
        ("user", "Ça va? 🙂"),
    ]
    by_template = og.Tokenizer(og.Model(str(ARTEFACT)))
    as_json = json.dumps([{"role": role, "content": content} for role, content in messages])

    prompt = generator.prompt_tokens(tokenizer, messages, 200)

    text = by_template.apply_chat_template(as_json, add_generation_prompt=True)
    assert prompt == list(by_template.encode(text))


@pytest.mark.parametrize("budget", [12, 40, 200])
def test_a_long_conversation_keeps_its_latest_turns_within_the_budget(
    generator: SimpleNamespace, tokenizer: Tokenizer, budget: int
) -> None:
    messages = [(("user", "assistant")[n % 2], f"This is turn {n}.") for n in range(100)] + [("user", "What now?")]

    prompt = generator.prompt_tokens(tokenizer, messages, budget)

    assert len(prompt) <= budget
    assert tokenizer.decode(prompt).endswith("What now?")
    assert "turn 0." not in tokenizer.decode(prompt)


def test_a_message_longer_than_the_budget_keeps_its_end(generator: SimpleNamespace, tokenizer: Tokenizer) -> None:
    prompt = generator.prompt_tokens(tokenizer, [("user", "word " * 500 + "the end")], 50)

    assert len(prompt) <= 50
    assert tokenizer.decode(prompt).endswith("the end")


def sent(held: object, pieces: list[str]) -> list[str]:
    return [held.push(piece) for piece in pieces]  # type: ignore[attr-defined]


def test_text_that_may_become_a_stop_string_waits(generator: SimpleNamespace) -> None:
    held = generator.held_back(("###",))

    assert sent(held, ["a#", "#b", "c##"]) == ["a", "##b", "c"]
    assert held.rest() == "##"
    assert not held.stopped


def test_a_stop_string_split_over_pieces_is_never_sent(generator: SimpleNamespace) -> None:
    held = generator.held_back(("###", "STOP"))

    assert sent(held, ["well S", "TO", "P and on"]) == ["well ", "", ""]
    assert held.stopped
    assert held.rest() == ""


def test_the_first_of_several_stop_strings_counts(generator: SimpleNamespace) -> None:
    held = generator.held_back(("two", "one"))

    assert held.push("zero one two") == "zero "
