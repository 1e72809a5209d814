"""The widget on a page of another origin, before the deployed stack. What goes wrong on purpose is in `test_widget`."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from websockets.sync.client import connect

from tests.browser.conftest import REPLY_TIMEOUT_MS, opened_tab
from tests.browser.host import hosted
from tests.browser.test_widget import Widget


@pytest.fixture
def widget(browser: Browser, deployed_stack: Any) -> Iterator[Widget]:
    with connect(deployed_stack.websocket, open_timeout=60) as connection:  # a cold function takes its time
        connection.send('{"action": "ping"}')
        connection.recv(timeout=60)
    with hosted(deployed_stack.http.rstrip("/")) as host, opened_tab(browser, host.origin) as tab:
        yield Widget(tab.page, host)


def test_the_deployed_bot_talks_on_a_page_of_another_origin_and_is_there_after_a_reload(widget):
    frames: list[str] = []
    widget.page.on("websocket", lambda line: line.on("framereceived", lambda text: frames.append(str(text))))
    widget.visit()
    widget.open()

    widget.begin("Do you sharpen secateurs?")

    expect(widget.last_source).to_contain_text("knowledge", timeout=REPLY_TIMEOUT_MS)
    expect(widget.messages.last.locator(".citations li").first).to_be_visible()
    assert any('"done"' in frame for frame in frames), "it came over the WebSocket"
    widget.messages.last.get_by_role("button", name="Good reply").click()
    expect(widget.messages.last.get_by_role("status")).to_have_text("Thank you", timeout=REPLY_TIMEOUT_MS)
    widget.page.reload()
    widget.open()
    expect(widget.messages.last.get_by_role("button", name="Good reply")).to_have_attribute("aria-pressed", "true")


def test_the_stack_shows_the_widget_on_a_page_of_its_own(widget):
    widget.page.goto(f"{widget.host.api}/widget")

    widget.open()

    expect(widget.panel.get_by_role("heading", level=2)).to_contain_text("Willow & Barrow", timeout=REPLY_TIMEOUT_MS)
