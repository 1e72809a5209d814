"""The generator that the settings name, and that nothing is imported for those that they do not."""

import subprocess
import sys
from pathlib import Path

import pytest

from parley.adapters import generators
from parley.adapters.generators import generator_from
from parley.adapters.openai_compatible import OpenAICompatibleGenerator
from parley.adapters.string_prompts import StringPromptGenerator
from parley.adapters.tensorflow_serving import TensorFlowServingGenerator
from parley.errors import BadSettings, GenerationBusy, Unavailable
from parley.ports import Patience, Prompt
from tests.parley.test_settings import backend

PACKAGE = Path(__file__).resolve().parents[2] / "layers/parley/python"
PATIENCE = Patience(1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "settings", "kind", "model"),
    [
        ("openai", {"url": "http://h/v1", "model": "llama"}, OpenAICompatibleGenerator, "llama"),
        ("tensorflow_serving", {"url": "grpc://h:1"}, TensorFlowServingGenerator, "llm_chatbot"),
        ("torchserve", {"url": "http://h", "model": "llm"}, StringPromptGenerator, "llm"),
        ("ray_serve", {"url": "http://h/app"}, StringPromptGenerator, "http://h/app"),
    ],
)
def test_the_backend_that_is_named_is_the_one(name: str, settings: dict[str, str], kind: type, model: str) -> None:
    generator = generator_from(backend(name, **settings), PATIENCE)

    assert isinstance(generator, kind)
    assert generator.model == model


def test_a_template_that_is_not_there_is_said_at_the_start() -> None:
    with pytest.raises(BadSettings, match="GENERATOR_TEMPLATE"):
        generator_from(backend("torchserve", url="http://h", model="m", template="/nowhere"), PATIENCE)


def test_a_key_that_cannot_be_read_now_makes_the_generator_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> bytes:
        raise Unavailable("the secret could not be read")

    monkeypatch.setattr("parley.adapters.secrets.secret_from", lambda name: lambda: away(name))
    settings = backend("openai", url="https://h.invalid/v1", model="m", key_secret="parley/llm")
    generator = generators.generator_from(settings, PATIENCE)

    with pytest.raises(GenerationBusy, match="key could not be read"):
        next(generator.stream(Prompt((("user", "hi"),), 16, 0.5), patience=PATIENCE))


@pytest.mark.parametrize("name", ["sagemaker", "openai"])
def test_a_backend_brings_nothing_that_only_another_needs(name: str) -> None:
    module = {"sagemaker": "sagemaker", "openai": "openai_compatible"}[name]
    script = (
        f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); "
        f"import parley.adapters.generators, parley.adapters.{module}; "
        "print(sorted({'grpc', 'google.protobuf', 'jinja2'} & set(sys.modules)))"
    )

    imported = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert imported.stdout.strip() == "[]"
