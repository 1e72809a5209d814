"""What OpenAI's clients send and get, as pure conversions."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from parley.channels import openai
from parley.conversation import Button, Citation, Message
from tests.builders import PNG, a_recorded_turn, a_session

RETURNS = Citation("Returns", "returns.md", "Refunds", "You have 30 days.")
DELIVERY = Citation("Delivery", "delivery.md", "Delivery", "It takes 3 days.")


def a_request(*messages: Any, **fields: Any) -> openai.CompletionRequest:
    told = [{"role": "user", "content": each} if not isinstance(each, dict) else each for each in messages]
    return openai.CompletionRequest.model_validate({"model": "shop", "messages": told, **fields})


def test_bubbles_are_paragraphs_with_their_images_and_buttons() -> None:
    text = openai.text_of(
        [
            Message("Which one?", buttons=(Button("The red", "/choose"), Button("The blue", "/choose"))),
            Message("Here they are.", image="https://pictures.example/1.png"),
            Message("", custom={"only": "for machines"}),
        ]
    )

    assert text == "Which one?\n\n- The red\n- The blue\n\nHere they are.\n\n![](https://pictures.example/1.png)"


def test_sources_stand_at_the_end_once_and_marks_count_them() -> None:
    text = openai.text_of(
        [
            Message("30 days [1].", citations=(RETURNS,)),
            Message("3 days [1], free [1, 2], see [1](there).", citations=(DELIVERY, RETURNS)),
        ]
    )

    assert text == (
        "30 days [1].\n\n3 days [2], free [2, 1], see [1](there).\n\n"
        "Sources:\n[1] Returns - Refunds (returns.md)\n[2] Delivery (delivery.md)"
    )


def test_what_looks_like_a_mark_and_names_nothing_stays() -> None:
    assert openai.text_of([Message("a[7] = b[0]", citations=(RETURNS,))]).startswith("a[7] = b[0]\n")
    assert openai.text_of([Message("a[1]")]) == "a[1]"


@pytest.mark.parametrize(
    ("before", "begun", "beginning"),
    [
        ((), "Three days [1], or [2, 1].", "Three days [1], or [2, 1]."),
        ((), "Take a[1,2], it is fine.", "Take a"),  # `text_of` would write a[1, 2] of two citations
        ((Message("Hello!"), Message("")), "Three days [1].", "Hello!\n\nThree days [1]."),
        ((Message("30 days [1].", citations=(RETURNS,)),), "Three [1].", "30 days [1].\n\nThree "),
        ((Message("Which?", buttons=(Button("The red", "/choose"),)),), "", "Which?\n\n- The red"),
    ],
)
def test_a_reply_begins_as_it_will_be_told(before: tuple[Message, ...], begun: str, beginning: str) -> None:
    whole = openai.text_of([*before, Message(f"{begun} And so on.", citations=(DELIVERY, RETURNS))])

    assert openai.beginning_of(before, begun) == beginning
    assert whole.startswith(beginning)


def test_what_must_cite_begins_when_it_has() -> None:
    assert openai.beginning_of((Message("Hello!"),), "Three days.", must_cite=True) == "Hello!"
    assert openai.beginning_of((), "Three days [1].", must_cite=True) == "Three days [1]."


def test_parts_are_one_text() -> None:
    request = a_request({"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]})

    assert request.text == "one\ntwo"


@pytest.mark.parametrize("kind", ["input_audio", "file"])
def test_other_parts_are_refused_and_named(kind: str) -> None:
    with pytest.raises(ValidationError, match=f"text parts and image_url parts only, no '{kind}'"):
        a_request({"role": "user", "content": [{"type": kind, "text": "x"}]})


def an_image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_an_image_stands_in_its_url() -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()

    request = a_request({"role": "user", "content": [{"type": "text", "text": "what is it?"}, an_image(url)]})
    alone = a_request({"role": "user", "content": [an_image(url)]})

    assert (request.text, request.images) == ("what is it?", (("image/png", PNG),))
    assert (alone.text, alone.images) == ("", request.images)
    assert openai.exchanged(request.messages) != openai.exchanged(a_request("what is it?").messages)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://pictures.example/1.png", "image_url takes no https URLs, since nothing is fetched"),
        ("http://169.254.169.254/", "image_url takes no http URLs"),
        ("file:///etc/passwd", "nothing is fetched"),
        ("data:image/png,abc", "must be data:image/png;base64"),
        ("data:image/png;base64,***", "is not base64"),
    ],
)
def test_an_image_elsewhere_is_not_fetched(url: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        a_request({"role": "user", "content": [an_image(url)]})


def test_a_message_has_five_images_at_most() -> None:
    with pytest.raises(ValidationError, match="more than 5 images"):
        a_request({"role": "user", "content": [an_image("data:image/png;base64,AAAA")] * 6})


def test_only_what_is_no_image_counts_as_text_of_a_body() -> None:
    image = {"url": "data:image/png;base64," + "A/" * 50_000}
    hidden = {"text": '"url": "data:image/png;base64,' + "A" * 50_000 + '"'}

    for body in (json.dumps(image), json.dumps(image, indent=2), json.dumps(image).replace("/", "\\/")):
        assert openai.size_without_images(body.encode()) < 10
    assert openai.size_without_images(json.dumps(hidden).encode()) > 50_000


@pytest.mark.timeout(20)  # a pattern that tries again what it has read would take centuries
@pytest.mark.parametrize("end", [r"\n", "", r"\n\/", r"\\"])
def test_a_body_is_measured_in_one_pass(end: str) -> None:
    body = f'{{"url": "data:{"a" * 1_000_000}{end}"}}'.encode()
    broken_off = body[: -len('"}')]

    assert openai.size_without_images(body) == (len(body) if end else len("{}"))
    assert openai.size_without_images(broken_off) == len(broken_off)


def test_only_users_and_the_assistant_have_a_conversation() -> None:
    request = a_request(
        {"role": "system", "content": "Be brief."},
        "hello",
        {"role": "assistant", "content": None},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "Hi"},
        "bye",
    )

    assert openai.said(request.messages) == (("user", "hello"), ("assistant", "Hi"), ("user", "bye"))


def test_messages_become_turns_that_users_begin() -> None:
    told = (("assistant", "Hi"), ("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", "d"))

    turns = openai.earlier_turns(told, language="en", at=5.0)

    assert [(turn.number, turn.message, [each.text for each in turn.reply.messages]) for turn in turns] == [
        (1, "", ["Hi"]),
        (2, "a", []),
        (3, "b", ["c", "d"]),
    ]


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text()), max_size=4), st.text())
def test_an_exchange_is_told_from_every_other(messages: list[tuple[str, str]], more: str) -> None:
    assert openai.exchange(messages) == openai.exchange([(role, f" {text}\n") for role, text in messages])
    assert openai.exchange(messages) != openai.exchange([*messages, ("user", more)])


def test_a_name_is_another_conversation_for_every_key_user_and_bot() -> None:
    asked = [("k", "u", "b", "n"), ("k2", "u", "b", "n"), ("k", "u2", "b", "n"), ("k", None, "b", "n")]
    asked += [("k", "u", "b2", "n"), ("k", "u", "b", "n2"), ("k", "ub", "", "n"), ("k", "", "ub", "n")]

    names = {openai.conversation_of(*parts) for parts in asked}

    assert len(names) == len(asked)
    assert not names & {openai.conversation_of_once(*parts) for parts in asked}


def test_a_streams_lines_make_the_text() -> None:
    recorded = a_recorded_turn()
    stream = openai.render_stream(a_request("hello"), recorded, a_session(), openai.Usage(1, 2))

    assert stream.endswith("data: [DONE]\n\n")
    assert '"content":"Hello!"' in stream
    assert stream.count("\n\n") == 4


def test_an_error_has_openais_status_and_shape() -> None:
    status, body, headers = openai.render_error({"status": 422, "detail": "no"}, param="n")
    busy = openai.render_error({"status": 429, "detail": "later"})

    assert (status, headers) == (400, {})
    assert body == {"error": {"message": "no", "type": "invalid_request_error", "param": "n", "code": None}}
    assert openai.render_error({"status": 404, "detail": "no"}, param="model")[1]["error"]["code"] == "model_not_found"
    assert openai.render_error({"status": 404, "detail": "no"})[1]["error"]["code"] == "not_found"
    assert (busy[0], busy[1]["error"]["code"], busy[2]) == (429, "rate_limit_exceeded", {"Retry-After": "2"})
