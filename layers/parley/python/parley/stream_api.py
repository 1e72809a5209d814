"""OpenAI's routes behind a function URL, whose responses leave while they are being made.

Called with the function URL's event, which is API Gateway's (payload format 2.0), and a `ports.ResponseStream`. Has no
other route, and no page of another site may call it: an API key is nothing for browsers.
"""

from typing import Any

from parley import openai_api
from parley.http_app import new_app, resolve
from parley.openai_door import OpenAiDoor
from parley.ports import ResponseStream


class StreamApi:
    """OpenAI's routes of a deployment, streamed."""

    def __init__(self, door: OpenAiDoor) -> None:
        self._app = new_app()
        openai_api.add_routes(self._app, door)

    def __call__(self, event: dict[str, Any], context: Any, response: ResponseStream) -> None:
        """Answers the request; what is no stream leaves whole."""
        self._app.context[openai_api.RESPONSE] = response
        whole = resolve(self._app, event, context)
        if response.has_begun:
            return
        headers = {name: str(value) for name, value in whole.get("headers", {}).items() if not _is_cors(name)}
        response.begin(whole["statusCode"], headers)
        response.write(str(whole.get("body") or "").encode())


def _is_cors(header: str) -> bool:
    return header.lower().startswith("access-control-")
