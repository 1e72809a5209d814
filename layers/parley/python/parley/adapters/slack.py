"""Slack's Web API, by slack_sdk's client."""

from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from parley.adapters.slack_responses import WebhookResponses, told_too_much
from parley.errors import Throttled, Unavailable, Undeliverable
from parley.ports import SlackPost, SlackThread

TIMEOUT_SECONDS = 5  # for each byte that is waited for; a post takes Slack a few hundred milliseconds

# Slack's own troubles; anything else that it says "ok": false with, it will say again.
_PASSING = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"})
_REFUSED_TOKENS = frozenset({"invalid_auth", "not_authed", "token_revoked", "account_inactive"})
_THROTTLED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})


class WebApiSlack:
    """`ports.Slack` by `chat.postMessage` and `chat.update`."""

    def __init__(
        self, token_of: Callable[[str], str], url: str, forget: Callable[[str], None] = lambda _: None
    ) -> None:
        """`token_of` gives the bot token of a workspace, by its team id; `forget` is told of one that was refused."""
        self._token_of = token_of
        self._forget = forget
        self.respond = WebhookResponses(url).respond  # see `ports.SlackResponses.respond`
        # It would try again by itself where a connection broke, and say things twice.
        self._client = WebClient(base_url=url, timeout=TIMEOUT_SECONDS, retry_handlers=[])

    def post(self, where: SlackThread, post: SlackPost) -> str:
        """See `ports.Slack.post`."""
        answer = self._said(
            where, post, self._client.chat_postMessage, thread_ts=where.thread, parse="none", unfurl_links=False
        )
        return str(answer["ts"])

    def update(self, where: SlackThread, name: str, post: SlackPost) -> None:
        """See `ports.Slack.update`."""
        self._said(where, post, self._client.chat_update, ts=name, parse="none")

    def _said(self, where: SlackThread, post: SlackPost, method: Callable[..., Any], **more: Any) -> Any:
        try:
            return method(
                token=self._token_of(where.team),
                channel=where.channel,
                text=post.text,
                blocks=[dict(block) for block in post.blocks],  # an empty list takes those away that were there
                link_names=False,
                **more,
            )
        except SlackApiError as error:
            translated = _translated(error.response)
            if isinstance(translated, Undeliverable) and translated.reason in _REFUSED_TOKENS:
                self._forget(where.team)
            raise translated from error
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            raise Unavailable("Slack did not answer") from error


def _translated(response: Any) -> Throttled | Unavailable | Undeliverable:
    reason = str((response.data if isinstance(response.data, dict) else {}).get("error", ""))
    if response.status_code == 429 or reason in _THROTTLED:
        return told_too_much(response.headers)
    if response.status_code >= 500 or reason in _PASSING or not reason:
        return Unavailable("Slack has troubles of its own")
    return Undeliverable(f"Slack refuses what is said there: {reason}", reason=reason)
