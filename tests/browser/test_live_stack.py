"""The chat page over the WebSocket of the deployed stack. What goes wrong on purpose is in `test_live`."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, WebSocket, expect
from websockets.sync.client import connect

from tests.browser.conftest import REPLY_TIMEOUT_MS, ChatPage, opened_tab

LATE_TIMEOUT_MS = 110_000  # the first try is made after 20 s, the second a minute later


@dataclass
class Traffic:
    """What went over the WebSockets of a tab."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)

    def follow(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda text: self.sent.append(json.loads(text)))
        socket.on("framereceived", lambda text: self.received.append(json.loads(text)))

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.received]


@pytest.fixture(scope="module")
def warm_socket(deployed_stack: Any) -> None:
    """The page waits four seconds for a connection; a cold function of the emulator may take longer."""
    with connect(deployed_stack.websocket, open_timeout=60) as connection:
        connection.send('{"action": "ping"}')
        connection.recv(timeout=60)


@pytest.fixture
def chat(browser: Browser, chat_url: str, warm_socket: None) -> Iterator[ChatPage]:
    with opened_tab(browser, chat_url) as chat:
        yield chat


@pytest.fixture
def traffic(chat: ChatPage) -> Traffic:
    traffic = Traffic()
    chat.page.on("websocket", traffic.follow)
    return traffic


def test_a_conversation_goes_over_the_socket_and_is_there_after_a_reload(chat, traffic):
    chat.open()

    chat.say("where is my order?")
    chat.say("WB-204518")

    expect(chat.messages.last).to_contain_text("204518")
    assert [frame["action"] for frame in traffic.sent] == ["message", "message"]
    assert not any(url.endswith("/v1/chat") for url in chat.requested)
    shown = chat.messages.all_text_contents()
    chat.page.reload()
    expect(chat.messages).to_have_text(shown)


def test_small_talk_comes_piece_by_piece(chat, traffic):
    chat.open()

    chat.composer.fill("please tell me something nice about your day")
    chat.composer.press("Enter")

    expect(chat.last_source).to_contain_text("generated", timeout=REPLY_TIMEOUT_MS)
    assert traffic.types()[0] == "accepted"
    assert "delta" in traffic.types()  # `test_live` looks at how they are shown, at a pace of its own
    assert traffic.types()[-1] == "done"


def test_an_answer_from_a_document_shows_where_it_is_from(chat, traffic):
    chat.open()

    chat.say("Do you sharpen secateurs?")

    expect(chat.last_source).to_contain_text(re.compile("knowledge|cached"))
    expect(chat.messages.last.locator(".citations li").first).to_be_visible()
    assert traffic.types()[-1] == "done"


def test_who_takes_over_is_heard_over_the_socket(chat, traffic, operator):
    chat.open()
    chat.say("I want to talk to a person")
    expect(chat.page.locator(".notice")).to_have_text("A person has taken over")
    chat.tell("my barrow came without its wheel")

    operator.write(chat.remembered["id"], "This is Maeve. A new wheel is on its way.")

    expect(chat.page.locator(".of-desk")).to_contain_text("A new wheel")
    assert traffic.types()[-1] == "turn"
    operator.hand_back(chat.remembered["id"])
    expect(chat.page.locator(".notice")).to_be_empty()


def test_a_generator_that_is_away_answers_when_it_is_back(chat, traffic, deployed_stack):
    chat.open()
    deployed_stack.stop_generator()
    try:
        chat.say("please tell me something nice about your dog")
        expect(chat.last_source).to_contain_text("fallback")
        chat.page.get_by_role("button", name="Wait for an answer").click()
        expect(chat.page.get_by_text("The answer will come here")).to_be_visible()
    finally:
        deployed_stack.start_generator()

    expect(chat.messages).to_have_count(3, timeout=LATE_TIMEOUT_MS)

    expect(chat.last_source).to_contain_text("generated")
    assert "wait" in [frame["action"] for frame in traffic.sent]
    assert traffic.types()[-1] == "turn"
