"""A generator that somebody else has deployed: what functions are told of it, what they get, and what they may."""

import json
from collections.abc import Callable, Mapping

import pytest

from parley.settings import read_settings
from tests.infra.template import Template

StackOf = Callable[..., Template]

SERVERS: Mapping[str, Mapping[str, object]] = {
    "openai": {"url": "https://llm.example/v1", "model": "llama", "key_secret": "llm-key"},
    "tensorflow_serving": {"url": "grpcs://tf.example:443", "model": "llm_chatbot", "input": "text"},
    "torchserve": {"url": "https://ts.example", "model": "llm", "body": "text", "has_template": True},
    "ray_serve": {"url": "https://ray.example/app", "key_secret": "llm-key"},
}
LAYERS = {"tensorflow_serving": 4, "torchserve": 4}  # the others need no more than the three that everybody has


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def deployed(stack_of: StackOf, server: str) -> Template:
    of_all = {"backend": server, "context_tokens": 8192, "requests_at_once": 12}
    return stack_of("dev", generator=json.dumps({**of_all, **SERVERS[server]}))


def test_functions_are_told_what_they_understand(stack_of: StackOf, server: str) -> None:
    for name in ("chat", "worker", "stream"):
        told = deployed(stack_of, server).functions()[name]["Environment"]["Variables"]

        known = {key: value if isinstance(value, str) else "known once deployed" for key, value in told.items()}
        settings = read_settings({**known, "BOTS": '{"support": "s3://bucket/key"}'})

        assert settings.generator_backend == server
        assert settings.generator_url == SERVERS[server]["url"]
        assert settings.generator_context_tokens == 8192
        assert settings.generator_template == ("/opt/tokenizer" if server == "torchserve" else "")


def test_what_only_this_one_needs_is_a_layer_of_those_who_generate(stack_of: StackOf, server: str) -> None:
    functions = deployed(stack_of, server).functions()

    assert {len(functions[name]["Layers"]) for name in ("chat", "worker", "stream")} == {LAYERS.get(server, 3)}
    assert len(functions["socket"]["Layers"]) == 2


def test_nothing_of_sagemaker_is_deployed_or_may_be_called_and_the_worker_keeps_the_servers_pace(
    stack_of: StackOf, server: str
) -> None:
    template = deployed(stack_of, server)

    assert not [kind for kind in template.types() if "SageMaker" in kind]
    assert "pace" not in template.functions()
    assert not [each for each in template.statements() if any(name.startswith("sagemaker") for name in each.actions)]
    at_once = [each.get("ScalingConfig") for each in template.of_type("AWS::Lambda::EventSourceMapping").values()]
    assert {"MaximumConcurrency": 12} in at_once


def test_only_those_who_generate_may_read_its_key(stack_of: StackOf, server: str) -> None:
    template = deployed(stack_of, server)

    reading = [each for each in template.statements() if "secret:llm-key-??????" in json.dumps(each.resources)]

    answering = {template.role_of(name) for name in ("chat", "worker", "stream")}
    assert {each.role for each in reading} == (answering if "key_secret" in SERVERS[server] else set())
    assert all(set(each.actions) == {"secretsmanager:GetSecretValue"} for each in reading)


def test_a_field_that_it_does_not_have_is_refused_by_name(stack_of: StackOf) -> None:
    with pytest.raises(TypeError, match="modle"):
        stack_of("dev", generator=json.dumps({"backend": "openai", "modle": "llama"}))
