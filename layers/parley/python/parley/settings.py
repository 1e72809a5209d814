"""The environment of a function, typed, read once."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from parley.errors import BadSettings


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What `infra/chat_stack.py` puts into the environment of `chat` and `worker`. Names of things, never secrets."""

    parley_stage: str
    conversations_table: str
    replies_table: str
    generator_endpoint: str  # a SageMaker endpoint's name
    cache_key_secret: str  # an ARN
    bots: dict[str, str]  # name -> s3://bucket/key of its bundle
    event_bus: str  # where hand-offs are announced
    operator_key_secret: str  # an ARN; its bearer takes conversations over and sees why the bot did what
    action_secrets: str  # what the names of custom actions' secrets begin with
    explains: bool = False  # to everybody, not only to operators
    encoder_dir: str = "/opt/encoder"
    turns_queue_url: str = ""  # only the doors that hand turns over have it
    retention_days: int = 30
    cache_ttl_seconds: int = 86_400

    @property
    def default_bot(self) -> str:
        """The bot of those who name none."""
        return next(iter(self.bots))

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
        if "BOTS" in environment:
            given["BOTS"] = msgspec.json.decode(environment["BOTS"], type=dict[str, str])
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.MsgspecError as error:
        raise BadSettings(f"the function's environment is not complete: {error}") from error
    if not settings.bots:
        raise BadSettings('BOTS names no bot; give it as JSON, such as {"support": "s3://bucket/key"}')
    return settings
