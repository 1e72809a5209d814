"""The way of the app into a workspace of Slack: two pages, of which the first leads to Slack and the second back.

Whoever has the link may install, as far as Slack lets him; so only bots that anybody may talk to are to be had.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from parley.channels import problems, slack_install
from parley.errors import NoBot, ParleyError, Rejected
from parley.ports import Clock, SlackApp, Workspace, Workspaces

INSTALL, REDIRECT = "/slack/install", "/slack/oauth_redirect"

_SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlackInstall:
    """What the function `slack` shows to those who install the app."""

    workspaces: Workspaces
    app: SlackApp
    client_id: str
    client_secret: Callable[[], bytes]  # signs the state, too
    bots: Collection[str]  # that anybody may talk to
    default_bot: str
    api_url: str
    clock: Clock

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The response: a redirect to Slack, or a page."""
        query = event.get("queryStringParameters") or {}
        try:
            if event["rawPath"].endswith(INSTALL):
                return self._begun(query.get("bot") or self.default_bot)
            return self._finished(query, _nonce(event))
        except ParleyError as error:
            if not isinstance(error, Rejected):
                logger.error("installation failed", exc_info=error)
            told = problems.told(error)
            return _page(told["status"], "Not installed", told["detail"])

    def _begun(self, bot: str) -> dict[str, Any]:
        if bot not in self.bots:
            raise NoBot(f"there is no bot {bot!r} to install")
        nonce = secrets.token_urlsafe(24)
        state = slack_install.state_of(bot, nonce, self.client_secret(), now=self.clock())
        to = slack_install.authorize_url(self.api_url, self.client_id, state)
        answer = {"statusCode": int(HTTPStatus.FOUND), "headers": {**_SAFE, "Location": to}, "body": ""}
        return {**answer, "cookies": [slack_install.cookie(nonce)]}

    def _finished(self, query: Mapping[str, str], nonce: str) -> dict[str, Any]:
        bot = slack_install.bot_of(query.get("state", ""), nonce, self.client_secret(), now=self.clock())
        if "code" not in query:  # whoever was asked has said no
            return _page(HTTPStatus.OK, "Not installed", "Slack was told not to let the app in.")
        begun_at = self.clock()  # so that what Slack tells of an uninstallation since then is believed
        grant = self.app.grant(query["code"])
        self.workspaces.save(Workspace(grant.team, bot, begun_at), grant.token)
        logger.info("workspace installed", extra={"team": grant.team, "bot": bot})
        told = f"{bot} is in {grant.team_name} now. Invite the app into a channel and call it by its name."
        return {**_page(HTTPStatus.OK, "Installed", told), "cookies": [slack_install.cookie("")]}


def _nonce(event: Mapping[str, Any]) -> str:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    for each in event.get("cookies") or headers.get("cookie", "").split(";"):  # the local AWS leaves them in the header
        name, _, value = each.partition("=")
        if name.strip() == slack_install.COOKIE:
            return str(value)
    return ""


def _page(status: int, title: str, text: str) -> dict[str, Any]:
    headers = {**_SAFE, "Content-Type": "text/html; charset=utf-8"}
    return {"statusCode": int(status), "headers": headers, "body": slack_install.page(title, text)}
