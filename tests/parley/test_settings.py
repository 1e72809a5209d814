"""The environment of a function: what is taken, and how what is wrong is said."""

import json

import pytest

from parley.access import Issuer
from parley.errors import BadSettings
from parley.settings import Settings, read_ingest_settings, read_settings

COMPLETE = {
    "PARLEY_STAGE": "dev",
    "CONVERSATIONS_TABLE": "conversations",
    "REPLIES_TABLE": "replies",
    "CACHE_KEY_SECRET": "arn:cache",
    "BOTS": '{"support": "s3://bots/support.zip"}',
    "ACCESS": '{"support": {"tenant": "acme"}}',
    "EVENT_BUS": "bus",
    "DOCUMENTS_BUCKET": "documents",
    "UPLOADS_BUCKET": "uploads",
    "OPERATOR_KEY_SECRET": "arn:operator",
    "ACTION_SECRETS": "parley/",
    "GENERATOR_ENDPOINT": "parley-dev-generator",
}


def read(**changes: str | None) -> Settings:
    """The settings of an environment with `changes`; None takes a variable away."""
    return read_settings({name: value for name, value in {**COMPLETE, **changes}.items() if value is not None})


def backend(name: str, **settings: str) -> Settings:
    """The settings of an environment whose generator is not SageMaker's."""
    named = {f"GENERATOR_{key.upper()}": value for key, value in settings.items()}
    return read(GENERATOR_ENDPOINT=None, GENERATOR_BACKEND=name, **named)


def test_sagemaker_is_the_generator_of_those_who_name_none() -> None:
    assert read().generator_backend == "sagemaker"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("openai", {"url": "https://llm.example/v1", "model": "llama", "key_secret": "parley/llm"}),
        ("openai", {"url": "http://[::1]:11434/v1", "model": "llama"}),
        ("tensorflow_serving", {"url": "grpc://10.0.0.7:8500"}),
        ("tensorflow_serving", {"url": "grpcs://tf.example:443", "input": "text", "output": "reply"}),
        ("torchserve", {"url": "http://ts.internal:8080", "model": "llm", "body": "text"}),
        ("ray_serve", {"url": "http://ray.internal:8000/app", "template": "/opt/tokenizer"}),
    ],
)
def test_every_backend_can_be_configured(name: str, settings: dict[str, str]) -> None:
    taken = backend(name, **settings)

    assert {key: getattr(taken, f"generator_{key}") for key in settings} == settings


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("ollama", {}, "Invalid enum value 'ollama'"),
        ("openai", {}, "GENERATOR_BACKEND=openai needs GENERATOR_URL and GENERATOR_MODEL"),
        ("torchserve", {"url": "http://h"}, "GENERATOR_BACKEND=torchserve needs GENERATOR_MODEL"),
        ("ray_serve", {"url": "http://h", "input": "x"}, "GENERATOR_BACKEND=ray_serve does not know GENERATOR_INPUT"),
        ("openai", {"url": "http://h", "model": "m", "body": "text"}, "openai does not know GENERATOR_BODY"),
        ("ray_serve", {"url": "http://h", "body": "xml"}, "Invalid enum value 'xml'"),
        ("openai", {"url": "llm.example/v1", "model": "m"}, "must be http://host... or https://host"),
        ("openai", {"url": "https://llm .example", "model": "m"}, "must be http://host... or https://host"),
        ("openai", {"url": "https://h:port/v1", "model": "m"}, "is not a URL"),
        ("openai", {"url": "https://key@h/v1", "model": "m"}, "a key belongs into Secrets Manager"),
        ("openai", {"url": "https://h/v1?key=1", "model": "m"}, "a key belongs into Secrets Manager"),
        ("openai", {"url": "http://h/v1", "model": "m", "key_secret": "s"}, "would travel in the clear"),
        ("tensorflow_serving", {"url": "http://h:8500"}, "must be grpc://host... or grpcs://host"),
        ("tensorflow_serving", {"url": "grpc://h"}, "must be grpc://host:port"),
        ("tensorflow_serving", {"url": "grpc://h:8500/models/m"}, "must be grpc://host:port"),
    ],
)
def test_what_a_backend_cannot_be_is_said(name: str, settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(BadSettings) as raised:
        backend(name, **settings)

    assert complaint in str(raised.value)


def test_sagemaker_needs_an_endpoint_and_takes_no_url() -> None:
    with pytest.raises(BadSettings, match="GENERATOR_BACKEND=sagemaker needs GENERATOR_ENDPOINT"):
        read(GENERATOR_ENDPOINT=None)
    with pytest.raises(BadSettings, match="GENERATOR_BACKEND=sagemaker does not know GENERATOR_URL"):
        read(GENERATOR_URL="https://h/v1")


def test_a_complaint_about_the_address_does_not_tell_the_key_in_it() -> None:
    with pytest.raises(BadSettings) as raised:
        backend("openai", url="https://user:sk-123@h/v1", model="m")

    assert "sk-123" not in str(raised.value)


CACHE = {
    "CACHE_SERVER": "replies.serverless.cache.example:6379",
    "CACHE_SERVER_NAME": "parley-dev-replies",
    "CACHE_SERVER_USER": "parley-dev-turns",
}


def test_without_a_word_there_is_no_cache_server_and_with_three_there_is() -> None:
    settings = read(**CACHE)

    assert read().cache_server == ""
    assert settings.cache_server == "replies.serverless.cache.example:6379"
    assert (settings.cache_server_name, settings.cache_server_user) == ("parley-dev-replies", "parley-dev-turns")


@pytest.mark.parametrize("name", [*CACHE])
def test_half_a_cache_server_is_none(name: str) -> None:
    with pytest.raises(BadSettings, match="CACHE_SERVER, CACHE_SERVER_NAME and CACHE_SERVER_USER are needed together"):
        read(**{**CACHE, name: None})


@pytest.mark.parametrize("address", ["replies", "replies:", "valkeys://replies:6379", "user:s3cr3t@replies:6379"])
def test_a_cache_server_is_a_host_and_a_port_and_nothing_secret(address: str) -> None:
    with pytest.raises(BadSettings, match="CACHE_SERVER must be host:port") as raised:
        read(**{**CACHE, "CACHE_SERVER": address})

    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://slack.example/api/", "https://slack.com/api", "slack.com/api/", ""])
def test_a_token_of_slacks_travels_in_no_clear_and_to_a_folder(url: str) -> None:
    with pytest.raises(BadSettings, match="SLACK_API_URL must"):
        read(SLACK_API_URL=url)


def test_slack_is_where_slack_is_unless_somebody_stands_in_on_this_machine() -> None:
    assert read().slack_api_url == "https://slack.com/api/"
    assert read(SLACK_API_URL="http://127.0.0.1:4570/api/").slack_api_url == "http://127.0.0.1:4570/api/"


def an_issuer(**fields: str) -> str:
    return json.dumps([{"issuer": "https://id.example", "audience": "parley", "tenant": "acme", **fields}])


def test_an_issuer_signs_people_of_a_tenant_in() -> None:
    assert read(ISSUERS=an_issuer()).issuers == (Issuer("https://id.example", "parley", "acme"),)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"issuer": "http://id.example"}, "must be https"),
        ({"audience": ""}, "need an `audience`"),
        ({"tenant": "nobody"}, "'nobody', of which there is no bot"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused(fields: dict[str, str], complaint: str) -> None:
    with pytest.raises(BadSettings, match=complaint):
        read(ISSUERS=an_issuer(**fields))


def test_a_bot_of_which_nobody_says_whose_it_is_is_refused() -> None:
    with pytest.raises(BadSettings, match="ACCESS and BOTS"):
        read(ACCESS='{"another": {}}')


INGEST = {"DOCUMENTS_BUCKET": "documents", "CHANGES_QUEUE_URL": "https://queue", "BOTS": '["support", "clinic"]'}


def test_ingest_knows_its_bots_bucket_and_queue() -> None:
    settings = read_ingest_settings({**INGEST, "PATH": "/bin"})

    assert settings.bots == ("support", "clinic")
    assert (settings.documents_bucket, settings.changes_queue_url) == ("documents", "https://queue")


@pytest.mark.parametrize("name", [*INGEST])
def test_what_ingest_lacks_is_named(name: str) -> None:
    with pytest.raises(BadSettings, match=name):
        read_ingest_settings({key: value for key, value in INGEST.items() if key != name})
