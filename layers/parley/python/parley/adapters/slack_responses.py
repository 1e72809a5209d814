"""Posts to the addresses that Slack gives with what somebody did, by slack_sdk's client for them.

The client is imported when first it is needed, for the reason that `slack_app` has.
"""

from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from parley.errors import Throttled, Unavailable, Undeliverable
from parley.ports import SlackPost

TIMEOUT_SECONDS = 2  # Slack has waited for a click to be acknowledged since it sent it
UNTIL_ASKED_AGAIN_SECONDS = 30.0  # where Slack does not say, which its documentation has it always do


class WebhookResponses:
    """`ports.SlackResponses`."""

    def __init__(self, api_url: str) -> None:
        self._api = urlsplit(api_url)

    def respond(self, url: str, post: SlackPost, *, thread: str | None = None) -> None:
        """See `ports.SlackResponses.respond`."""
        if not self._is_slacks(url):
            raise Undeliverable("that is no address of Slack's", reason="no_address")
        from slack_sdk.errors import SlackClientError
        from slack_sdk.webhook import WebhookClient

        body = {"response_type": "ephemeral", "replace_original": False, "text": post.text}
        body |= {"blocks": [dict(block) for block in post.blocks]} if post.blocks else {}
        body |= {"thread_ts": thread} if thread else {}
        try:
            answer = WebhookClient(url, timeout=TIMEOUT_SECONDS, retry_handlers=[]).send_dict(body)
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            raise Unavailable("Slack did not answer") from error
        if answer.status_code == 429:
            raise told_too_much(answer.headers)
        if answer.status_code >= 500:
            raise Unavailable("Slack has troubles of its own")
        if answer.status_code != 200:
            reason = next((each for each in _REASONS if each in answer.body), str(answer.status_code))
            raise Undeliverable(f"Slack refuses what is said there: {reason}", reason=reason)

    def _is_slacks(self, url: str) -> bool:
        """Whether it is safe to call: Slack has signed it, but what is said is not for everybody who can sign."""
        parts = urlsplit(url)
        own = (parts.scheme, parts.netloc) == (self._api.scheme, self._api.netloc)
        return own or (parts.scheme == "https" and (parts.hostname or "").endswith(".slack.com"))


def told_too_much(headers: Mapping[str, Any]) -> Throttled:
    """What an answer means by which Slack wants to be left alone, for as long as its headers say."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    seconds = str(value[0] if isinstance(value, list) and value else value)
    waits = float(seconds) if seconds.isdecimal() else UNTIL_ASKED_AGAIN_SECONDS
    return Throttled("Slack was told too much just now", retry_after_seconds=waits)


_REASONS = ("invalid_blocks", "msg_blocks_too_long", "expired_url", "used_url", "no_text")
