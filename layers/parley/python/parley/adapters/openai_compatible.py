"""The generator behind any server that speaks OpenAI's chat completions: vLLM, Ray Serve LLM, llama.cpp, Ollama.

Knows the request, and the two forms of its answer. Source: OpenAI's API reference,
"Create chat completion".
"""

import json
from collections.abc import Callable, Iterator
from collections.abc import Generator as Yields

from parley.adapters.http_stream import Answer, bearer, post
from parley.errors import GenerationFailed
from parley.generation.stream import Waiting, deltas
from parley.ports import Patience, Prompt

_JSON = "application/json"


class OpenAICompatibleGenerator:
    """`ports.Generator` over `POST {base}/chat/completions`; `base` ends where OpenAI's own ends, with /v1."""

    def __init__(self, base: str, model: str, key: Callable[[], str] | None = None) -> None:
        self._url = f"{base.rstrip('/')}/chat/completions"
        self._model = model
        self._key = key

    @property
    def model(self) -> str:
        """See `ports.Generator.model`."""
        return self._model

    def stream(self, prompt: Prompt, *, patience: Patience) -> Yields[str]:
        """See `ports.Generator.stream`."""
        waiting = Waiting(patience)
        headers = {"Content-Type": _JSON, "Accept": "text/event-stream", **bearer(self._key)}
        with post(self._url, self._body(prompt), headers, waiting) as answer:
            yield from waiting.text(_pieces(answer))

    def _body(self, prompt: Prompt) -> bytes:
        body = {
            "model": self._model,
            "messages": [{"role": role, "content": content} for role, content in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "stream": True,
        }
        return json.dumps(body).encode()


def _pieces(answer: Answer) -> Iterator[str]:
    if answer.media_type == _JSON:  # from a server that does not stream
        yield _whole(b"".join(answer.parts))
    else:
        yield from deltas(answer.parts)


def _whole(content: bytes) -> str:
    try:
        match json.loads(content):
            case {"choices": [{"message": {"content": str(text)}}, *_]}:
                return text
    except ValueError:  # without the cause, which holds what the server said
        pass
    raise GenerationFailed("the generator's answer is no chat completion")
