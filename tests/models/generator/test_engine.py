"""The engine under the servers: prompts, replies in company and alone, and the text they become."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import onnxruntime_genai as og
import pytest
from tokenizers import Tokenizer

from tests.models.generator.conftest import GENERATOR, finished, modules

ARTEFACT = GENERATOR / "artefact"
QUESTIONS = ["Hi, how are you?", "What is your name?", "Tell me a joke", "It is raining today", "I like cats", "Bye!"]


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("engine", "spelling", "tokens") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def engine(generator: SimpleNamespace) -> Any:
    return generator.engine.Engine(ARTEFACT, threads=2, running=6)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(ARTEFACT / "tokenizer.json"))


def asking(generator: SimpleNamespace, text: str, **more: Any) -> Any:
    return generator.engine.Request(messages=(("user", text),), **{"temperature": 0.0, "max_tokens": 40} | more)


def reply(engine: Any, request: Any) -> str:
    return "".join(piece.text for piece in engine.reply(request))


def test_a_reply_in_company_is_the_reply_alone(generator: SimpleNamespace, engine: Any) -> None:
    requests = [asking(generator, text) for text in QUESTIONS * 4]
    alone = {request: reply(engine, request) for request in set(requests)}

    with ThreadPoolExecutor(len(requests)) as people:
        together = list(people.map(lambda request: reply(engine, request), requests))

    assert together == [alone[request] for request in requests]


def test_a_seed_gives_the_same_reply_in_company_and_alone(generator: SimpleNamespace, engine: Any) -> None:
    requests = [asking(generator, text, temperature=0.8, seed=seed) for seed, text in enumerate(QUESTIONS)]
    alone = [reply(engine, request) for request in requests]

    with ThreadPoolExecutor(len(requests)) as people:
        assert list(people.map(lambda request: reply(engine, request), requests)) == alone


def test_closing_a_reply_frees_its_place(generator: SimpleNamespace) -> None:
    engine = generator.engine.Engine(ARTEFACT, threads=1, running=1, waiting=0)
    begun = engine.reply(asking(generator, "Tell me a story", temperature=2.0, top_p=1.0, max_tokens=128))
    next(begun)
    with pytest.raises(generator.engine.Busy):
        next(engine.reply(asking(generator, "Hello")))

    begun.close()

    deadline = time.monotonic() + 5
    while True:
        try:
            assert reply(engine, asking(generator, "Hello"))
            break
        except generator.engine.Busy:
            assert time.monotonic() < deadline, "the place is still taken"
            time.sleep(0.01)


def test_coroutines_hear_what_threads_hear(generator: SimpleNamespace, engine: Any) -> None:
    request = asking(generator, QUESTIONS[0])

    async def heard() -> str:
        async with aclosing(engine.stream(request)) as pieces:
            return "".join([piece.text async for piece in pieces])

    assert finished(heard()) == reply(engine, request)


def test_only_the_last_piece_has_a_finish_reason_and_counts_grow(generator: SimpleNamespace, engine: Any) -> None:
    pieces = list(engine.reply(asking(generator, "Tell me a story", temperature=2.0, top_p=1.0, seed=3, max_tokens=60)))

    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].finish_reason in {"stop", "length"}
    counts = [piece.completion_tokens for piece in pieces]
    assert counts == sorted(counts)


def test_a_prompt_is_what_the_chat_template_says(generator: SimpleNamespace, tokenizer: Tokenizer) -> None:
    messages = [
        ("system", "Be kind."),
        ("user", "Hi! It's 12 o'clock."),
        ("assistant", "Is it?"),
        ("user", "Ça va? 🙂"),
    ]
    by_template = og.Tokenizer(og.Model(str(ARTEFACT)))
    as_json = json.dumps([{"role": role, "content": content} for role, content in messages])

    prompt = generator.tokens.prompt_tokens(tokenizer, messages, 200)

    text = by_template.apply_chat_template(as_json, add_generation_prompt=True)
    assert prompt == list(by_template.encode(text))


@pytest.mark.parametrize("budget", [12, 40, 200])
def test_a_long_conversation_keeps_its_latest_turns_within_the_budget(
    generator: SimpleNamespace, tokenizer: Tokenizer, budget: int
) -> None:
    messages = [(("user", "assistant")[n % 2], f"This is turn {n}.") for n in range(100)] + [("user", "What now?")]

    prompt = generator.tokens.prompt_tokens(tokenizer, messages, budget)

    assert len(prompt) <= budget
    assert tokenizer.decode(prompt).endswith("What now?")
    assert "turn 0." not in tokenizer.decode(prompt)


def test_a_message_longer_than_the_budget_keeps_its_end(generator: SimpleNamespace, tokenizer: Tokenizer) -> None:
    prompt = generator.tokens.prompt_tokens(tokenizer, [("user", "word " * 500 + "the end")], 50)

    assert len(prompt) <= 50
    assert tokenizer.decode(prompt).endswith("the end")
