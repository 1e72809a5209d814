"""What a reply quotes: the sentence the model has chosen, word by word, with the number of its passage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.models.generator.conftest import modules

PASSAGES = "[1] Opening hours: We open at nine. On Sundays we are closed.\n[2] Parking: It is free."
Choose = Callable[[list[int]], int]  # which of the allowed tokens the model likes best


@pytest.fixture(scope="module")
def generator() -> Iterator[SimpleNamespace]:
    with modules("quoting", "tokens") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def tokenizer(generator: SimpleNamespace) -> Any:
    return generator.tokens.train_tokenizer([PASSAGES] * 4, 400)


@pytest.fixture
def reply(generator: SimpleNamespace, tokenizer: Any) -> Callable[..., str]:
    """What is said when a model chooses the marks of these sentences, one after the other, and then the end."""

    def write(*sentences: int, passages: str = PASSAGES, opening: str = "") -> str:
        tokens = generator.tokens
        messages = [("system", f"Be kind.\n\nKnowledge:\n{passages}\n\nMore."), ("user", "When do you open?")]
        prompt = tokens.prompt_tokens(tokenizer, messages, 500)
        quotation = generator.quoting.quotation(tokenizer, prompt, messages)
        end = tokens.special_id(tokens.END)
        wanted = [*tokenizer.encode(opening).ids, *(tokens.special_id(tokens.MARKS[number]) for number in sentences)]
        said: list[int] = []
        while not said or said[-1] != end:
            allowed = quotation.allowed
            chosen = wanted[0] if wanted else end
            if allowed is not None and chosen not in allowed:
                chosen = allowed[0]  # the engine lets the model have nothing else
            elif wanted:
                wanted.pop(0)
            said.append(quotation.taken(chosen))
        return str(tokenizer.decode(said))

    return write


def test_behind_a_mark_stands_its_sentence_and_the_number_of_its_passage(reply: Callable[..., str]) -> None:
    assert reply(1) == "We open at nine. [1]"
    assert reply(4) == "It is free. [2]"


def test_a_model_may_go_on_with_the_sentence_behind(reply: Callable[..., str]) -> None:
    assert reply(1, 2) == "We open at nine. On Sundays we are closed. [1]"


def test_a_model_may_not_jump_to_another(reply: Callable[..., str]) -> None:
    assert reply(1, 4).startswith("We open at nine. [1]")


def test_passages_without_numbers_are_quoted_without(reply: Callable[..., str]) -> None:
    assert reply(0, passages="We open at nine. It is free.") == "We open at nine."


def test_where_no_mark_is_chosen_the_words_are_the_models_own(reply: Callable[..., str]) -> None:
    assert reply(opening="It is nine") == "It is nine"


def test_without_passages_nothing_can_be_quoted(generator: SimpleNamespace, tokenizer: Any) -> None:
    messages = [("user", "<|1|> hello <|knowledge|>")]
    prompt = generator.tokens.prompt_tokens(tokenizer, messages, 500)

    quotation = generator.quoting.quotation(tokenizer, prompt, messages)

    assert quotation.sentences == {}
    assert quotation.allowed is None


def test_a_mark_without_a_sentence_cannot_be_said(generator: SimpleNamespace, tokenizer: Any) -> None:
    quoting, tokens = generator.quoting, generator.tokens
    messages = [("system", f"Knowledge:\n{PASSAGES}"), ("user", "When do you open?")]
    told = quoting.quotation(tokenizer, tokens.prompt_tokens(tokenizer, messages, 500), messages)

    assert set(told.unsayable) == set(quoting.ALL_MARKS) - set(told.sentences)
    assert len(told.sentences) == 5

    talk = [("user", "Hello!")]
    alone = quoting.quotation(tokenizer, tokens.prompt_tokens(tokenizer, talk, 500), talk)
    assert alone.unsayable == list(quoting.ALL_MARKS)


def test_a_passage_that_does_not_fit_is_quoted_as_far_as_it_was_read(
    generator: SimpleNamespace, tokenizer: Any
) -> None:
    messages = [("system", f"Knowledge:\n{PASSAGES}"), ("user", "hours?")]
    prompt = generator.tokens.prompt_tokens(tokenizer, messages, 30)

    sentences = generator.quoting.quotation(tokenizer, prompt, messages).sentences

    texts = [tokenizer.decode(list(sentence.words)) for sentence in sentences.values()]
    assert texts
    assert all(text in PASSAGES for text in texts)
