"""The bundled generator's endpoint as one OpenAI-compatible server among others.

Its gRPC is asked by Parley's adapter in tests/models/generator/test_grpc.py.
"""

from collections.abc import Iterator

import pytest

from parley.adapters.openai_compatible import OpenAICompatibleGenerator
from parley.errors import GenerationFailed
from parley.ports import Patience, Prompt
from tests.models.generator.conftest import server

PROMPT = Prompt((("user", "Hello, how are you?"),), max_tokens=48, temperature=0.5)
PATIENCE = Patience(first_seconds=30, whole_seconds=60)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where the endpoint is."""
    with server("serve.py") as (_, port):
        yield f"http://127.0.0.1:{port}/v1"


def test_it_is_heard_piece_by_piece(url: str) -> None:
    pieces = list(OpenAICompatibleGenerator(url, "llm_chatbot").stream(PROMPT, patience=PATIENCE))

    assert len(pieces) > 1
    assert "".join(pieces).strip()


def test_a_model_that_it_does_not_have_is_a_failure(url: str) -> None:
    with pytest.raises(GenerationFailed, match="404"):
        next(OpenAICompatibleGenerator(url, "llama").stream(PROMPT, patience=PATIENCE))
