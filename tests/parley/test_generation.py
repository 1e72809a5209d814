"""What the generator's bytes become: pieces, or a named failure; and what of them may be said."""

import json

import pytest

from parley.errors import GenerationFailed
from parley.generation.guard import clean
from parley.generation.stream import deltas


def chunk(text: str | None = None, finish: str | None = None) -> str:
    delta = {} if text is None else {"content": text}
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}, ensure_ascii=False)


SSE = "".join(f"data: {line}\n\n" for line in (chunk("Grüß "), chunk("Gott 😀"), chunk(finish="stop"), "[DONE]"))
JSON_LINES = "\n".join([chunk("Grüß "), chunk("Gott 😀"), chunk(finish="stop")])


@pytest.mark.parametrize("stream", [SSE, JSON_LINES], ids=["server-sent events", "JSON lines"])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_pieces_come_out_whole_however_the_bytes_are_cut(stream: str, size: int) -> None:
    content = stream.encode()
    parts = [content[start : start + size] for start in range(0, len(content), size)]

    assert "".join(deltas(parts)) == "Grüß Gott 😀"


@pytest.mark.parametrize(
    "stream",
    [
        "data: " + chunk("Half a") + "\n\n",
        'data: {"error": {"message": "out of memory"}}\n\n',
        "<html>502</html>\n",
        'data: {"unexpected": 1}\n\n',
        'data: {"choices": [{"delta": "x"}]}\n\n',
        'data: {"choices": [{"delta": {"content": ["x"]}}]}\n\n',
        "",
    ],
    ids=["ends early", "reports an error", "is not JSON", "is other JSON", "odd delta", "odd content", "is empty"],
)
def test_a_stream_that_is_not_a_reply_fails(stream: str) -> None:
    with pytest.raises(GenerationFailed):
        list(deltas([stream.encode()]))


def test_a_chunk_that_carries_only_usage_is_passed_over() -> None:
    stream = f'data: {chunk("Hi.")}\n\ndata: {chunk(finish="stop")}\n\ndata: {{"choices": [], "usage": {{}}}}\n\n'

    assert list(deltas([stream.encode()])) == ["Hi."]


@pytest.mark.parametrize(
    ("completion", "said"),
    [
        ("I am fine.", "I am fine."),
        ("I am fine. And you", "I am fine."),
        ('She said "hello!" Then', 'She said "hello!"'),
        ("  two\n lines. ", "two\n lines."),
        ("no end in sight", None),
        ("", None),
        ("?!", None),
        ("Write to me@example.com.", None),
        ("Ring 020 915 0142.", None),
        ("See https://example.com today.", None),
        ("It is so good it is so good it is so good.", None),
        ("Hi. <|assistant|> hello.", None),
        ("I am fine.\nUser: how are you?\nAssistant: Good.", None),
        ("I am fine. User: how are you?", None),
        ("The user: a person who clicks.", "The user: a person who clicks."),
        ("Very, very, very nice.", "Very, very, very nice."),
        ("Very very very very very.", None),
        ("It is, it is, it isn't so.", "It is, it is, it isn't so."),
        ("I was born in 2020, on day 12345.", "I was born in 2020, on day 12345."),
        ("a@" * 8_000, None),
    ],
)
def test_only_what_is_fit_to_be_said_is_said(completion: str, said: str | None) -> None:
    assert clean(completion) == said
