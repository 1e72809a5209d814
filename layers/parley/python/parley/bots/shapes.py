"""What may stand in a bot's files, as types: `bot.yml` and the sections of Rasa's domain.

In `bot.yml` a key or a value that has no place is refused by its name. In Rasa's own sections, what Rasa would take is
taken; what nothing here uses is named by the reader.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from parley.access import OWN_TENANT
from parley.bots.bot import GenerationSettings, HandoffSettings, KnowledgeSettings, UploadSettings
from parley.bots.source import Faults, Placed
from parley.bots.webhook import DEFAULT_REPLY

Scalar = str | int | float | bool
Names = str | list[str] | None
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}\Z"
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9/_+=.@-]{1,200}\Z")]  # below `parley/STAGE/`
Seconds = Annotated[float, Meta(gt=0, le=10)]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping with these keys and no others."""


class Open(msgspec.Struct, frozen=True):
    """A mapping with these keys, and others that are not looked at."""


class CheckShape(Shape, frozen=True):
    """`forms:` in bot.yml: what a value must look like."""

    pattern: str
    invalid: str


class ReadingSettings(Shape, frozen=True):
    """How dates, amounts and phone numbers are read where they are ambiguous."""

    region: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] | None = None
    time_zone: str = "UTC"
    day_first: bool | None = None
    prefer: Literal["future", "past"] = "future"


class ServerShape(Shape, frozen=True):
    """`action_server:` in bot.yml."""

    url: str
    secret: str | None = None
    timeout_seconds: Seconds = 3.0


class HttpShape(Shape, frozen=True):
    """`http:` of a custom action."""

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: Mapping[str, str] = {}
    body: Any = None


class ActionShape(Shape, frozen=True):
    """One entry of `actions:` in bot.yml."""

    http: HttpShape | None = None
    lambda_: Annotated[str, Meta(min_length=1)] | None = msgspec.field(default=None, name="lambda")
    timeout_seconds: Seconds = 3.0
    slots: Mapping[str, str] = {}
    say: str | None = None
    failed: str | None = None


class AccessShape(Shape, frozen=True):
    """`access:` in bot.yml: whose bot it is, and who may talk to it."""

    tenant: Annotated[str, Meta(pattern=_NAME)] = OWN_TENANT
    visitors: bool = True
    origins: tuple[Annotated[str, Meta(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?\Z")], ...] = ()


class VerifyShape(Shape, frozen=True):
    """`verify:` of a webhook: how its caller is known."""

    scheme: Literal["standard", "hmac", "token"]
    secret: SecretName
    header: str = ""
    prefix: str = ""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"


class CallbackShape(Shape, frozen=True):
    """`callback:` of a webhook: where its replies are posted."""

    url: str
    secret: SecretName
    headers: Mapping[str, str] = {}


class WebhookShape(Shape, frozen=True):
    """One entry of `webhooks:` in bot.yml."""

    verify: VerifyShape
    id: str
    conversation: str
    message: str
    user: str = ""
    only_if: Mapping[str, Scalar | list[Scalar]] = {}
    reply: Any = msgspec.field(default_factory=lambda: dict(DEFAULT_REPLY))
    callback: CallbackShape | None = None


class BotSettings(Shape, frozen=True):
    """`bot.yml`: what Rasa has no word for."""

    name: Annotated[str, Meta(pattern=_NAME)]  # it stands in addresses and file names
    title: str = ""
    description: str = ""
    language: str | None = None
    unsure: tuple[str, ...] = ()
    answered: str | None = None
    declined: str | None = None
    fallback: str | None = None
    handoff: HandoffSettings = HandoffSettings()
    generation: GenerationSettings = GenerationSettings()
    suggestions: tuple[str, ...] = ()
    small_talk: tuple[str, ...] = ()
    intent_titles: Mapping[str, str] = {}
    forms: Mapping[str, Mapping[str, CheckShape]] = {}
    knowledge: KnowledgeSettings = KnowledgeSettings()
    uploads: UploadSettings = UploadSettings()
    reading: ReadingSettings = ReadingSettings()
    action_server: ServerShape | None = None
    actions: Mapping[str, ActionShape] = {}
    access: AccessShape = AccessShape()
    webhooks: Mapping[Annotated[str, Meta(pattern=_NAME)], WebhookShape] = {}
    rasa_api: bool = False


class IntentOptions(Open, frozen=True):
    """An intent with options: which entities stories look at, and in Rasa 2, which action it sets off."""

    use_entities: Any = True
    ignore_entities: Any = None
    triggers: str | None = None


class EntityOptions(Open, frozen=True):
    """An entity with options: what it may be in a sentence (its roles), and what it may belong to (its groups)."""

    influence_conversation: bool = True
    roles: tuple[Scalar, ...] = ()
    groups: tuple[Scalar, ...] = ()  # often numbers: the first pizza, the second


class ButtonShape(Open, frozen=True):
    """A button of a response, or what Rasa calls a quick reply."""

    title: str = ""
    payload: str = ""


class ResponseConditionShape(Open, frozen=True):
    """One item of a response's `condition`."""

    type: Literal["slot"]
    name: str
    value: Any


class VariationShape(Shape, frozen=True):
    """One item of a response."""

    text: str | None = None
    buttons: tuple[ButtonShape, ...] | None = None
    quick_replies: tuple[ButtonShape, ...] | None = None
    image: str | None = None
    attachment: Any = None
    custom: Mapping[str, Any] | None = None
    channel: str | None = None
    condition: tuple[ResponseConditionShape, ...] | None = None
    id: str | None = None
    metadata: Any = None
    elements: Any = None
    button_type: str | None = None


class ConditionShape(Open, frozen=True):
    """One item of a mapping's `conditions`."""

    active_loop: str | None = None
    requested_slot: str | None = None


class MappingShape(Open, frozen=True):
    """One item of a slot's `mappings`."""

    type: Literal["from_entity", "from_text", "from_intent", "from_trigger_intent", "custom"]
    entity: str | None = None
    role: Scalar | None = None
    group: Scalar | None = None
    value: Any = None
    intent: Names = None
    not_intent: Names = None
    conditions: tuple[ConditionShape, ...] = ()
    action: str | None = None


class SlotShape(Open, frozen=True):
    """One entry of `slots`."""

    type: str
    mappings: tuple[MappingShape, ...] | None = None
    initial_value: Any = None
    influence_conversation: bool = True
    values: tuple[Any, ...] | None = None
    min_value: float = 0.0
    max_value: float = 1.0
    auto_fill: bool = True  # Rasa 2: an entity of the same name fills it


class SessionShape(Open, frozen=True):
    """`session_config` of the domain."""

    session_expiration_time: Annotated[float, Meta(ge=0)] | None = None
    carry_over_slots_to_new_session: bool | None = None


Intent = str | Annotated[dict[str, IntentOptions | None], Meta(min_length=1, max_length=1)]
Entity = str | Annotated[dict[str, EntityOptions | None], Meta(min_length=1, max_length=1)]
Action = str | Annotated[dict[str, Any], Meta(min_length=1, max_length=1)]
Variations = Annotated[tuple[VariationShape, ...], Meta(min_length=1)]
Component = Annotated[dict[str, Any], Meta(min_length=1)]


def shaped(placed: Placed, shape: Any, what: str, faults: Faults) -> Any:
    """The value as a `shape`, or None and a fault."""
    try:
        return msgspec.convert(placed.value, shape)
    except msgspec.ValidationError as error:
        faults.add(placed.place, f"{what}: {error}")
        return None
