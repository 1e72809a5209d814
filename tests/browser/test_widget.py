"""The widget on a page of another origin, in a real browser, through the real doors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from parley.services import Services
from tests.browser.conftest import opened_tab
from tests.browser.doors import Doors, Speaker, build_page
from tests.browser.host import Host, hosted

SMALL_TALK = "tell me something nice about your morning"
FIRST = "The dew was still on the lavender when I came in this morning, "
SECOND = "and a robin sat on the wheelbarrow by the door for quite a while. "
THIRD = "It sang until the kettle boiled, and then it was gone again."


@dataclass(frozen=True)
class Widget:
    """The widget in one tab of somebody else's page. Playwright looks into open shadow roots by itself."""

    page: Page
    host: Host

    def visit(self) -> None:
        self.page.goto(f"{self.host.origin}/")
        expect(self.bubble).to_be_visible()

    def open(self) -> None:
        self.bubble.click()
        expect(self.panel).to_be_visible()
        expect(self.input).to_be_visible()

    def say(self, words: str) -> None:
        """Say words, and wait for what comes back."""
        said_before = self.messages.count()
        self.begin(words)
        expect(self.messages).to_have_count(said_before + 2)

    def begin(self, words: str) -> None:
        self.input.fill(words)
        self.input.press("Enter")

    @property
    def bubble(self) -> Locator:
        return self.page.locator("parley-widget .bubble-button")

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def input(self) -> Locator:
        return self.panel.get_by_role("textbox")

    @property
    def messages(self) -> Locator:
        return self.panel.locator(".message:not(.typing)")

    @property
    def last_source(self) -> Locator:
        return self.messages.last.locator(".source")


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_page(tmp_path_factory.mktemp("page"))


@pytest.fixture
def doors(make_services: Callable[..., Services], page_folder: Path) -> Iterator[Doors]:
    with Doors(make_services(Speaker()), page_folder) as doors:
        yield doors


@pytest.fixture
def host(doors: Doors) -> Iterator[Host]:
    with hosted(doors.http) as host:
        yield host


@pytest.fixture
def widget(browser: Browser, host: Host) -> Iterator[Widget]:
    with opened_tab(browser, host.origin) as tab:
        yield Widget(tab.page, host)


def test_one_tag_puts_the_bot_on_a_page_of_another_origin(widget, doors):
    widget.visit()
    assert not any("panel" in asked or "health" in asked for asked in doors.asked), "the bubble fetches nothing"

    widget.open()
    widget.say("hello")

    expect(widget.last_source).to_contain_text("scripted")
    assert "POST /v1/chat" not in doors.asked
    assert doors.actions() == ["message"]
