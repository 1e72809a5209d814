"""Messages that are intents: what a button sends, read without any doubt."""

import pytest

from parley.conversation import Entity
from parley.conversation.command import Command, read_command


def test_a_message_may_be_an_intent() -> None:
    assert read_command("/greet") == Command("greet", 1.0, ())


def test_it_may_have_entities() -> None:
    command = read_command(' /order{"size": "xl", "count": 2} ')

    braces = '{"size": "xl", "count": 2}'
    assert command == Command(
        "order",
        1.0,
        (
            Entity("size", "xl", 6, 6 + len(braces), braces, found_by="client"),
            Entity("count", 2, 6, 6 + len(braces), braces, found_by="client"),
        ),
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('/order{"size": ["s", "xl"]}', [("size", "s"), ("size", "xl")]),
        ('/order{"size": null}', [("size", None)]),
        ('/order{"size": {"cm": 30}}', [("size", {"cm": 30})]),
        ("/order{}", []),
    ],
)
def test_an_entity_may_have_several_values_or_any_json(text: str, values: list[tuple[str, object]]) -> None:
    command = read_command(text)

    assert command is not None
    assert [(entity.name, entity.value) for entity in command.entities] == values


@pytest.mark.parametrize(
    ("text", "intent", "confidence"),
    [
        ("/greet@0.8", "greet", 0.8),
        ("/greet@7", "greet", 1.0),
        ("/faq/hours", "faq/hours", 1.0),
        ("/ask me", "ask me", 1.0),
    ],
)
def test_it_may_say_how_sure_it_is_and_which_part_is_meant(text: str, intent: str, confidence: float) -> None:
    command = read_command(text)

    assert command is not None
    assert (command.intent, command.confidence) == (intent, confidence)


@pytest.mark.parametrize(
    "text",
    [
        "greet",
        "",
        "/",
        "/{}",
        '/order{"size": "xl"',
        "/order{size: xl}",
        '/order{"size": "xl"} please',
        "/greet@0.8.1",
        "/greet@",
        "/order" + '{"a":' * 5_000 + "1" + "}" * 5_000,
    ],
    ids=lambda text: text[:24] or "nothing",
)
def test_what_is_no_such_message_is_left_to_the_understanding(text: str) -> None:
    assert read_command(text) is None


@pytest.mark.parametrize("text", ['/order["xl"]', "/order{1}"])
def test_entities_that_are_no_mapping_are_not_taken(text: str) -> None:
    command = read_command(text)

    assert command is None or command.entities == ()
