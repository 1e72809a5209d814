"""The environment of a function, typed, read once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from parley.access import Access, Issuer, Quotas
from parley.errors import BadSettings

Backend = Literal["sagemaker", "openai", "tensorflow_serving", "torchserve", "ray_serve"]

# backend -> what it cannot do without, and what it understands besides
_GENERATORS: Mapping[Backend, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sagemaker": (("endpoint",), ("component",)),
    "openai": (("url", "model"), ("key_secret",)),
    "tensorflow_serving": (("url",), ("model", "template", "input", "output")),
    "torchserve": (("url", "model"), ("key_secret", "template", "body")),
    "ray_serve": (("url",), ("model", "key_secret", "template", "body")),
}
_OF_BACKENDS = ("component", "url", "model", "key_secret", "template", "body", "input", "output")
_URL = re.compile(r"[!-~]+")
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9.-]+:[0-9]{1,5}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


_AS_JSON: Mapping[str, Any] = {
    "BOTS": dict[str, str],
    "ACCESS": dict[str, Access],
    "ISSUERS": tuple[Issuer, ...],
    "QUOTAS": Quotas,
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What `infra/chat_stack.py` puts into the environment of `chat` and `worker`. Names of things, never secrets."""

    parley_stage: str
    conversations_table: str
    replies_table: str
    cache_key_secret: str  # an ARN
    cache_server: str = ""  # host:port of a Valkey server in front of that table; "": there is none
    cache_server_name: str = ""  # under which IAM knows it, and
    cache_server_user: str = ""  # as whom functions come to it: there is no password
    bots: dict[str, str]  # name -> s3://bucket/key of its bundle
    access: dict[str, Access]  # name -> who may talk to it
    issuers: tuple[Issuer, ...] = ()  # who signs people in
    quotas: Quotas = Quotas()
    usage_table: str = ""  # where turns and tokens are counted
    documents_bucket: str  # what was made of the documents that were put in
    uploads_bucket: str  # the files that people sent
    event_bus: str  # where hand-offs are announced
    operator_key_secret: str  # an ARN; its bearer takes conversations over and sees why the bot did what
    action_secrets: str  # what the names of custom actions' secrets begin with
    passages_table: str = ""  # where libraries are searched that are too large for memory; "": there are none
    explains: bool = False  # to everybody, not only to operators
    encoder_dir: str = "/opt/encoder"
    turns_queue_url: str = ""  # only the doors that hand turns over have it
    waiting_queue_url: str = ""
    connections_table: str = ""
    keys_table: str = ""  # of API keys
    socket_url: str = ""  # where frames are posted to open connections
    socket_address: str = ""  # where clients connect to
    slack_signing_secret: str = ""  # a name in Secrets Manager: what Slack signs requests with; `slack` has it
    slack_token_secret: str = ""  # the same of the bot's token; `worker` has it
    slack_client_id: str = ""  # of the app, where several workspaces may install it, and
    slack_client_secret: str = ""  # a name in Secrets Manager; both are `slack`'s
    workspaces_table: str = ""  # which have installed it
    slack_tokens_key: str = ""  # the ARN of the KMS key under which their tokens are
    slack_api_url: str = "https://slack.com/api/"
    http_address: str = ""  # where clients reach the HTTP API, which has the chat page
    deliveries_queue_url: str = ""  # of what is posted to callbacks; `worker` has it
    documents_at: str = ""  # where the HTTP API is, for links to what is cited
    generator_backend: Backend = "sagemaker"
    generator_endpoint: str = ""  # a SageMaker endpoint's name
    generator_component: str = ""  # of the inference component on it that has the model, if it has several
    generator_second_endpoint: str = ""  # of a smaller model, for when the first is away
    generator_hedge_seconds: float | None = None  # ask the second beside a first that is silent for so long
    generator_url: str = ""  # of any other backend
    generator_model: str = ""  # what that backend calls it
    generator_key_secret: str = ""  # a name or an ARN in Secrets Manager; sent as a bearer token
    generator_template: str = ""  # the folder with the model's chat template, for backends that take one string
    generator_body: Literal["prompt", "text"] = "prompt"  # what is posted to TorchServe and Ray Serve
    generator_input: str = "input_text"  # the names of TensorFlow Serving's two tensors
    generator_output: str = "output_text"
    generator_tokenizer: str = ""  # a tokenizer.json; without one, bytes are counted
    generator_context_tokens: int = 4096
    generator_composes: bool = False  # whether it puts answers into words of its own; the bundled one is too small to
    retention_days: int = 30
    cache_ttl_seconds: int = 86_400
    dollars_per_million_tokens: float = 0.0  # of the generator, to tell what the reply cache saves; 0: not known

    @property
    def default_bot(self) -> str:
        """The bot of those who name none."""
        return next(iter(self.bots))

    @property
    def open_bots(self) -> tuple[str, ...]:
        """The bots that anybody may talk to."""
        return tuple(bot for bot in self.bots if self.access.get(bot, Access()).visitors)

    @property
    def encoder_folder(self) -> Path:
        """Where the encoder layer is mounted."""
        return Path(self.encoder_dir)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`.

    Raises:
        BadSettings: naming the variable that is missing or not of the right form.
    """
    known = {field.encode_name for field in msgspec.structs.fields(Settings)}
    given: dict[str, object] = {name: value for name, value in environment.items() if name in known}
    try:
        given |= _from_json(environment, *_AS_JSON)
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.MsgspecError as error:
        raise BadSettings(f"the function's environment is not complete: {error}") from error
    if not settings.bots:
        raise BadSettings('BOTS names no bot; give it as JSON, such as {"support": "s3://bucket/key"}')
    if settings.access.keys() != settings.bots.keys():
        raise BadSettings("ACCESS and BOTS must name the same bots")
    _check_issuers(settings)
    _check_generator(settings)
    _check_cache_server(settings)
    _check_slack(settings)
    return settings


def _from_json(environment: Mapping[str, str], *names: str) -> dict[str, object]:
    return {name: msgspec.json.decode(environment[name], type=_AS_JSON[name]) for name in names if name in environment}


def _check_generator(settings: Settings) -> None:
    backend = settings.generator_backend
    needs, takes = _GENERATORS[backend]
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}

    def is_set(name: str) -> bool:
        return bool(getattr(settings, f"generator_{name}") != defaults[f"generator_{name}"])

    missing = [f"GENERATOR_{name.upper()}" for name in needs if not is_set(name)]
    if missing:
        raise BadSettings(f"GENERATOR_BACKEND={backend} needs {' and '.join(missing)}")
    idle = [f"GENERATOR_{name.upper()}" for name in _OF_BACKENDS if is_set(name) and name not in needs + takes]
    if idle:
        raise BadSettings(f"GENERATOR_BACKEND={backend} does not know {' and '.join(idle)}")
    if settings.generator_hedge_seconds is not None and not settings.generator_second_endpoint:
        raise BadSettings("GENERATOR_HEDGE_SECONDS needs GENERATOR_SECOND_ENDPOINT")
    if "url" in needs:
        _check_url(settings)


def _check_url(settings: Settings) -> None:
    schemes = ("grpc", "grpcs") if settings.generator_backend == "tensorflow_serving" else ("http", "https")
    try:
        url = urlsplit(settings.generator_url)
        host, has_port = url.hostname, url.port is not None
    except ValueError as error:
        raise BadSettings("GENERATOR_URL is not a URL") from error
    if url.scheme not in schemes or not host or not _URL.fullmatch(settings.generator_url):
        raise BadSettings(f"GENERATOR_URL must be {schemes[0]}://host... or {schemes[1]}://host...")
    if "@" in url.netloc or url.query or url.fragment:
        raise BadSettings(
            "GENERATOR_URL must end with its path; a key belongs into Secrets Manager, GENERATOR_KEY_SECRET"
        )
    if url.scheme == "http" and settings.generator_key_secret and host not in _LOOPBACK:
        raise BadSettings("GENERATOR_URL is not https, so GENERATOR_KEY_SECRET would travel in the clear")
    if url.scheme in ("grpc", "grpcs") and (url.path.strip("/") or not has_port):
        raise BadSettings(f"GENERATOR_URL must be {url.scheme}://host:port")


def _check_cache_server(settings: Settings) -> None:
    told = (settings.cache_server, settings.cache_server_name, settings.cache_server_user)
    if any(told) and not all(told):
        raise BadSettings("CACHE_SERVER, CACHE_SERVER_NAME and CACHE_SERVER_USER are needed together")
    if settings.cache_server and not _HOST_AND_PORT.fullmatch(settings.cache_server):
        raise BadSettings("CACHE_SERVER must be host:port")


def _check_issuers(settings: Settings) -> None:
    tenants = {access.tenant for access in settings.access.values()}
    for each in settings.issuers:
        url = urlsplit(each.issuer)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
            raise BadSettings("ISSUERS must be https://..., for their keys say whom to trust")
        if not each.audience:
            raise BadSettings("ISSUERS need an `audience`: else tokens for anybody would open conversations")
        if each.tenant not in tenants:
            raise BadSettings(f"ISSUERS name the tenant {each.tenant!r}, of which there is no bot")


def _check_slack(settings: Settings) -> None:
    url = urlsplit(settings.slack_api_url)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise BadSettings("SLACK_API_URL must be https://..., for a token travels there")
    if bool(settings.workspaces_table) != bool(settings.slack_tokens_key):
        raise BadSettings("WORKSPACES_TABLE and SLACK_TOKENS_KEY are needed together")
    if settings.slack_client_id and not (settings.slack_client_secret and settings.workspaces_table):
        raise BadSettings("SLACK_CLIENT_ID needs SLACK_CLIENT_SECRET and WORKSPACES_TABLE")
    if not settings.slack_api_url.endswith("/"):
        raise BadSettings("SLACK_API_URL must end with a slash: method names are put behind it")


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What `infra/webhooks.py` puts into the environment of `notify`, `deliver` and `subscriptions`."""

    parley_stage: str
    access: dict[str, Access]  # name of a bot -> whose it is
    subscriptions_table: str
    deliveries_table: str
    deliveries_queue_url: str
    signing_key: str  # an ARN in KMS, which seals the secrets of subscriptions
    action_secrets: str  # what the names of callbacks' secrets begin with
    operator_key_secret: str  # an ARN; its bearer keeps subscriptions
    keys_table: str  # of API keys, of which some are operators'
    issuers: tuple[Issuer, ...] = ()
    subscribers_on_loopback: bool = False  # this machine may be posted to; nowhere but on a laptop


def read_webhook_settings(environment: Mapping[str, str]) -> WebhookSettings:
    """The settings in `environment`.

    Raises:
        BadSettings: naming the variable that is missing or not of the right form.
    """
    known = {field.encode_name for field in msgspec.structs.fields(WebhookSettings)}
    given: dict[str, object] = {name: value for name, value in environment.items() if name in known}
    try:
        given |= _from_json(environment, "ACCESS", "ISSUERS")
        settings = msgspec.convert(given, WebhookSettings, strict=False)
    except msgspec.MsgspecError as error:
        raise BadSettings(f"the function's environment is not complete: {error}") from error
    if settings.subscribers_on_loopback and settings.parley_stage != "local":
        raise BadSettings("SUBSCRIBERS_ON_LOOPBACK is for the stage `local` only: elsewhere it opens our own network")
    return settings


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What `infra/knowledge_stack.py` puts into the environment of `ingest`."""

    documents_bucket: str
    changes_queue_url: str
    bots: tuple[str, ...]  # names
    passages_table: str = ""  # where a bot's passages are searched that has more than `passages_in_memory`
    passages_in_memory: int = 0
    encoder_dir: str = "/opt/encoder"


def read_ingest_settings(environment: Mapping[str, str]) -> IngestSettings:
    """The settings in `environment`.

    Raises:
        BadSettings: naming the variable that is missing or not of the right form.
    """
    known = {field.encode_name for field in msgspec.structs.fields(IngestSettings)}
    given: dict[str, object] = {name: value for name, value in environment.items() if name in known}
    try:
        if "BOTS" in environment:
            given["BOTS"] = msgspec.json.decode(environment["BOTS"], type=tuple[str, ...])
        return msgspec.convert(given, IngestSettings, strict=False)
    except msgspec.MsgspecError as error:
        raise BadSettings(f"the function's environment is not complete: {error}") from error
