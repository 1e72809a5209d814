"""The app's way into a workspace: only who began it finishes it, lately, and for a bot that is for everybody."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from slack_sdk.oauth import AuthorizeUrlGenerator

from parley.adapters.memory import MemorySlackApp, MemoryWorkspaces
from parley.adapters.slack_tokens import REMEMBERED_SECONDS, SlackTokens
from parley.channels.slack_install import COOKIE, SCOPES, STATE_SECONDS
from parley.errors import Undeliverable
from parley.ports import Grant, Workspace
from parley.slack_install import INSTALL, REDIRECT, SlackInstall

NOW = 1_700_000_000.0


@dataclass
class Browser:
    """Somebody who installs the app."""

    workspaces: MemoryWorkspaces = field(default_factory=MemoryWorkspaces)
    now: float = NOW
    cookies: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._app = MemorySlackApp({"good": Grant("T1", "Acme <b>", "xoxb-1")})

    def asks(self, path: str, **query: str) -> dict[str, Any]:
        door = SlackInstall(
            self.workspaces,
            self._app,
            "1.2",
            lambda: b"secret",
            ("support", "clinic"),
            "support",
            "https://slack.com/api/",
            lambda: self.now,
        )
        event = {"rawPath": f"/somewhere{path}", "queryStringParameters": query or None, "cookies": self.cookies}
        answer = door(event)
        for each in answer.get("cookies", ()):
            self.cookies = [each.partition(";")[0]]
        return answer

    def begins(self, **query: str) -> str:
        """The state that goes to Slack."""
        return parse_qs(urlsplit(self.asks(INSTALL, **query)["headers"]["Location"]).query)["state"][0]


def test_the_way_leads_to_slack_as_its_own_library_would_lead() -> None:
    answer = Browser().asks(INSTALL)

    url = answer["headers"]["Location"]
    state = parse_qs(urlsplit(url).query)["state"][0]
    theirs = AuthorizeUrlGenerator(client_id="1.2", scopes=list(SCOPES)).generate(state)
    asked = {name: value for name, value in parse_qs(urlsplit(theirs).query).items() if value != [""]}
    assert answer["statusCode"] == 302
    assert url.partition("?")[0] == theirs.partition("?")[0]
    assert parse_qs(urlsplit(url).query) == asked
    (cookie,) = answer["cookies"]
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


def test_who_comes_back_has_installed_the_bot_that_the_link_named() -> None:
    browser = Browser()
    state = browser.begins(bot="clinic")

    answer = browser.asks(REDIRECT, code="good", state=state)

    assert answer["statusCode"] == 200
    assert "Acme &lt;b&gt;" in answer["body"]
    assert browser.workspaces.get("T1") == Workspace("T1", "clinic", NOW)
    assert browser.workspaces.token("T1") == "xoxb-1"
    assert browser.cookies == [f"{COOKIE}="]


def test_in_another_browser_it_ends_there() -> None:
    state = Browser().begins()
    other = Browser()
    other.begins()

    for browser in (other, Browser()):
        assert browser.asks(REDIRECT, code="good", state=state)["statusCode"] == 403
        assert browser.workspaces.get("T1") is None


@pytest.mark.parametrize("state", ["", ".", "x", "a.b.c", "é.1.support"])
def test_a_state_of_somebody_elses_making_is_refused(state: str) -> None:
    browser = Browser()
    browser.begins()

    assert browser.asks(REDIRECT, code="good", state=state)["statusCode"] == 403


def test_a_state_for_another_bot_is_refused() -> None:
    browser = Browser()
    state = browser.begins(bot="clinic")

    answer = browser.asks(REDIRECT, code="good", state=state.replace("clinic", "support"))

    assert answer["statusCode"] == 403


def test_after_ten_minutes_one_begins_again() -> None:
    browser = Browser()
    state = browser.begins()
    browser.now += STATE_SECONDS + 1

    assert browser.asks(REDIRECT, code="good", state=state)["statusCode"] == 403


def test_a_bot_that_is_not_for_everybody_is_not_to_be_had() -> None:
    answer = Browser().asks(INSTALL, bot="private")

    assert answer["statusCode"] == 404
    assert "Location" not in answer["headers"]


def test_who_says_no_to_slack_is_told_so() -> None:
    browser = Browser()

    answer = browser.asks(REDIRECT, error="access_denied", state=browser.begins())

    assert answer["statusCode"] == 200
    assert browser.workspaces.get("T1") is None


def test_a_code_that_slack_does_not_take_installs_nothing() -> None:
    browser = Browser()

    assert browser.asks(REDIRECT, code="guessed", state=browser.begins())["statusCode"] == 400
    assert browser.workspaces.get("T1") is None


def test_an_installation_comes_before_the_one_token() -> None:
    workspaces = MemoryWorkspaces()
    workspaces.save(Workspace("T1", "support", 0.0), "xoxb-1")
    tokens = SlackTokens(workspaces, lambda: "xoxb-0\n", lambda: NOW)

    assert (tokens("T1"), tokens("T2")) == ("xoxb-1", "xoxb-0")


def test_a_token_is_remembered_for_minutes_and_its_end_is_told_clearly() -> None:
    workspaces, now = MemoryWorkspaces(), [NOW]
    workspaces.save(Workspace("T1", "support", 0.0), "xoxb-1")
    tokens = SlackTokens(workspaces, lambda: None, lambda: now[0])
    tokens("T1")

    workspaces.delete("T1", before=NOW)
    remembered = tokens("T1")
    now[0] += REMEMBERED_SECONDS

    assert (remembered, REMEMBERED_SECONDS <= 300) == ("xoxb-1", True)
    with pytest.raises(Undeliverable, match="not installed in the workspace T1"):
        tokens("T1")
