"""The generator behind TorchServe's inference API.

A handler that streams sends its text in chunks. TorchServe does not tell a handler
that the client has left, so a generation that is given up goes on there. Source:
TorchServe's documentation, "Inference API" and "Response streaming"; TorchServe 0.12.
"""

import json
from collections.abc import Callable
from urllib.parse import quote

from parley.adapters.http_stream import Refusal, refusal
from parley.adapters.string_prompts import Body, StringPromptGenerator
from parley.errors import GenerationFailed
from parley.generation.transcript import Form


def torchserve(base: str, model: str, form: Form, body: Body, key: Callable[[], str] | None) -> StringPromptGenerator:
    """`ports.Generator` over `POST {base}/predictions/{model}`."""
    url = f"{base.rstrip('/')}/predictions/{quote(model)}"
    return StringPromptGenerator(url, model, form, body=body, key=key, judge=_refusal)


def _refusal(status: int, said: bytes) -> Refusal:
    """503 is a full queue, and also a handler that raised; what is said with it tells them apart."""
    if status == 503 and _type(said) == "InternalServerException":
        return GenerationFailed("the generator's handler failed (503)")
    return refusal(status, said)


def _type(said: bytes) -> object:
    try:
        match json.loads(said):
            case {"type": kind}:
                return kind
    except ValueError:
        pass
    return None
