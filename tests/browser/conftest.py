"""A real browser in front of the deployed stack's chat page.

The stack comes from `deployed_stack`; nothing here knows how it was deployed. Playwright drives the Chromium that the
machine has, since its own download is not part of set-up.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from parley.services import Services
from tests.browser.doors import Doors, Speaker, build_page
from tests.stack.person import ask

REPLY_TIMEOUT_MS = 20_000  # a cold function behind an emulator, with the generator thinking
expect.set_options(timeout=15_000)  # whatever else the machine is doing

# Headless Chromium that runs as root and asks nobody but the page.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# As in a network that lets none through.
WITHOUT_WEBSOCKETS = """window.WebSocket = class {
    static OPEN = 1;
    constructor() { throw new DOMException("none here", "SecurityError"); }
}"""
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


@dataclass(frozen=True)
class ChatPage:
    """The chat page in one tab, with everything it asked for and complained about."""

    page: Page
    url: str
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, query: str = "") -> None:
        self.page.goto(self.url + query)
        expect(self.composer).to_be_visible()

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox")

    @property
    def messages(self) -> Locator:
        return self.page.locator(".message:not(.typing)")

    @property
    def last_source(self) -> Locator:
        return self.messages.last.locator(".source")

    @property
    def panel(self) -> Locator:
        """The reasons of a reply."""
        return self.page.get_by_role("dialog", name="Why this reply?")

    @property
    def remembered(self) -> dict[str, str]:
        """The id and the token of the conversation in this tab."""
        kept = self.page.evaluate("sessionStorage.getItem(`parley ${new URL(document.baseURI).pathname}`)")
        return dict(json.loads(kept))

    def explain(self) -> None:
        """Switch the reasons on, or off again."""
        self.page.get_by_role("switch", name="Explain").click()

    def say(self, words: str) -> None:
        """Type words, press Enter, and wait for what comes back."""
        self.composer.fill(words)
        self.awaiting_reply(lambda: self.composer.press("Enter"))

    def tell(self, words: str) -> None:
        """Say words to a person who has taken over, and wait until they are delivered."""
        said_before = self.messages.count()
        self.composer.fill(words)
        self.composer.press("Enter")
        expect(self.messages).to_have_count(said_before + 1)
        expect(self.messages.last.get_by_text("Delivered")).to_be_visible(timeout=REPLY_TIMEOUT_MS)

    def choose(self, title: str) -> None:
        """Press one of the suggested answers and wait for what comes back."""
        self.awaiting_reply(lambda: self.page.get_by_role("button", name=title, exact=True).click())

    def awaiting_reply(self, act: Any) -> None:
        said_before = self.messages.count()
        act()
        expect(self.messages).to_have_count(said_before + 2, timeout=REPLY_TIMEOUT_MS)


@dataclass(frozen=True)
class Operator:
    """Who takes conversations over."""

    http: str
    key: str

    def write(self, conversation_id: str, message: str) -> None:
        self._do(conversation_id, "person", {"message": message}, 201)

    def hand_back(self, conversation_id: str) -> None:
        self._do(conversation_id, "handback", None, 200)

    def _do(self, conversation_id: str, what: str, body: Any, status: int) -> None:
        url = f"{self.http}/v1/conversations/{conversation_id}/{what}"
        answer = ask(url, method="POST", body=body, Authorization=f"Bearer {self.key}")
        assert answer.status == status, answer


@pytest.fixture(scope="session")
def operator(deployed_stack: Any) -> Operator:
    arn = deployed_stack.outputs["Parley-local-Chat"]["OperatorKeySecret"]
    key = deployed_stack.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return Operator(deployed_stack.http, key)


@pytest.fixture(scope="session")
def chat_url(deployed_stack: Any) -> str:
    return deployed_stack.http.rstrip("/") + "/"


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chat page and the widget, built."""
    return build_page(tmp_path_factory.mktemp("page"))


@pytest.fixture
def doors(make_services: Callable[..., Services], page_folder: Path) -> Iterator[Doors]:
    """The doors of the deployment in one process, for what needs no AWS."""
    with Doors(make_services(Speaker()), page_folder) as doors:
        yield doors


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        unable = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        unable("the browser tests need Chromium; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def chat(browser: Browser, chat_url: str) -> Iterator[ChatPage]:
    """A tab of its own, in which only HTTP is to be had; `test_live.py` and `test_live_stack.py` have the WebSocket."""
    with opened_tab(browser, chat_url) as chat:
        chat.page.add_init_script(WITHOUT_WEBSOCKETS)
        yield chat


@contextmanager
def opened_tab(browser: Browser, url: str) -> Iterator[ChatPage]:
    """A tab of its own; the test fails if the page raised, or broke its own Content-Security-Policy."""
    with browser.new_context() as context:
        chat = ChatPage(context.new_page(), url)
        chat.page.on("request", lambda request: chat.requested.append(request.url))
        chat.page.on("pageerror", lambda error: chat.complaints.append(str(error)))
        chat.page.on("console", lambda message: chat.complaints.extend(_violations(message)))
        yield chat
        assert chat.complaints == []


def _violations(message: ConsoleMessage) -> list[str]:
    return [message.text] if "Content Security Policy" in message.text or "Trusted" in message.text else []
