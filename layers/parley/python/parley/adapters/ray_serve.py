"""The generator behind an app of Ray Serve, called at its route. Ray Serve LLM speaks OpenAI's: `openai_compatible`.

An app that returns a StreamingResponse streams, and is cancelled when the client leaves.
A full queue (`max_queued_requests`) is a 503. Source: Ray Serve's documentation, "HTTP
handling".
"""

from collections.abc import Callable

from parley.adapters.string_prompts import Body, StringPromptGenerator
from parley.generation.transcript import Form


def ray_serve(route: str, model: str, form: Form, body: Body, key: Callable[[], str] | None) -> StringPromptGenerator:
    """`ports.Generator` over `POST {route}`."""
    return StringPromptGenerator(route, model, form, body=body, key=key)
