"""What Slack does for the app itself, by slack_sdk's client, which is imported when first it is needed.

The function `slack` has this: of its cold starts, which Slack waits for, only an installation shall pay for the import.
"""

from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from parley.errors import MalformedRequest, Unavailable
from parley.ports import Grant

TIMEOUT_SECONDS = 5  # for each byte that is waited for; the function has ten seconds


class WebApiSlackApp:
    """`ports.SlackApp` by `oauth.v2.access`."""

    def __init__(self, client_id: str, client_secret: Callable[[], bytes], url: str) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._url = url

    def grant(self, code: str) -> Grant:
        """See `ports.SlackApp.grant`."""
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError, SlackClientError

        client = WebClient(base_url=self._url, timeout=TIMEOUT_SECONDS, retry_handlers=[])  # a code is good once
        secret = self._client_secret().decode().strip()
        try:
            answer = client.oauth_v2_access(client_id=self._client_id, client_secret=secret, code=code)
        except SlackApiError as error:
            reason = error.response.get("error") if isinstance(error.response.data, dict) else None
            if not reason or error.response.status_code != 200:
                raise Unavailable("Slack has troubles of its own; begin again in a moment") from error
            raise MalformedRequest(f"Slack does not take this code: {reason}") from error
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            raise Unavailable("Slack did not answer; begin again in a moment") from error
        return _grant(answer.data)


def _grant(told: Any) -> Grant:
    match told:
        case {"is_enterprise_install": True}:
            raise MalformedRequest("the app is for single workspaces, not for a whole organisation; choose one of them")
        case {"refresh_token": str()} | {"expires_in": int()}:
            raise MalformedRequest("this app's tokens expire; switch token rotation off in its settings")
        case {"team": {"id": str(team), **of_team}, "token_type": "bot", "access_token": str(token)}:
            return Grant(team, str(of_team.get("name") or team), token)
    raise MalformedRequest("Slack has granted no bot of ours anything")
