"""What may stand in a bot's files, as types: `bot.yml` and the sections of Rasa that this version acts on.

A key or a value that has no place here is refused by its name.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from parley.bots.bot import GenerationSettings
from parley.bots.source import Faults, Placed

Scalar = str | int | float
Names = str | list[str] | None


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping with these keys and no others."""


class SlotCheck(Shape, frozen=True):
    """`forms:` in bot.yml: what a value must look like."""

    pattern: str
    invalid: str


class KnowledgeSettings(Shape, frozen=True):
    """`knowledge:` in bot.yml."""

    documents: str = "documents"


class ReadingSettings(Shape, frozen=True):
    """How dates, amounts and phone numbers are read where they are ambiguous."""

    region: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] | None = None
    time_zone: str = "UTC"
    day_first: bool | None = None
    prefer: Literal["future", "past"] = "future"


class BotSettings(Shape, frozen=True):
    """`bot.yml`: what Rasa has no word for."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}\Z")]  # it stands in addresses and file names
    title: str
    description: str
    unsure: tuple[str, ...]
    declined: str
    fallback: str
    generation: GenerationSettings
    language: str = "en"
    suggestions: tuple[str, ...] = ()
    small_talk: tuple[str, ...] = ()
    forms: Mapping[str, Mapping[str, SlotCheck]] = {}
    knowledge: KnowledgeSettings = KnowledgeSettings()
    reading: ReadingSettings = ReadingSettings()


class IntentOptions(Shape, frozen=True):
    """An intent with options, which concern entities in Rasa's own policies only."""

    use_entities: Any = None
    ignore_entities: Any = None


class EntityOptions(Shape, frozen=True):
    """An entity with options: what it may be in a sentence (its roles), and what it may belong to (its groups)."""

    influence_conversation: bool = True
    roles: tuple[str, ...] = ()
    groups: tuple[Scalar, ...] = ()  # often numbers: the first pizza, the second


class ButtonShape(Shape, frozen=True):
    """A button of a response."""

    title: str
    payload: str


class VariationShape(Shape, frozen=True):
    """One item of a response."""

    text: str
    buttons: tuple[ButtonShape, ...] = ()
    image: str | None = None


class ConditionShape(Shape, frozen=True):
    """One item of a mapping's `conditions`."""

    active_loop: str
    requested_slot: str | None = None


class MappingShape(Shape, frozen=True):
    """One item of a slot's `mappings`."""

    type: Literal["from_entity", "from_text", "from_intent"]
    entity: str | None = None
    value: Scalar | None = None
    intent: Names = None
    not_intent: Names = None
    conditions: tuple[ConditionShape, ...] = ()


class SlotShape(Shape, frozen=True):
    """One entry of `slots`."""

    type: str
    mappings: tuple[MappingShape, ...] = ()
    initial_value: Scalar | None = None
    influence_conversation: bool = True  # slots count in rules that name them, and nowhere else


class FormShape(Shape, frozen=True):
    """One entry of `forms`."""

    required_slots: Annotated[tuple[str, ...], Meta(min_length=1)]


class RuleShape(Shape, frozen=True):
    """One item of `rules`; the reader knows what its steps mean."""

    rule: str
    steps: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    condition: list[dict[str, Any]] = []


Intent = str | Annotated[dict[str, IntentOptions | None], Meta(min_length=1, max_length=1)]
Entity = str | Annotated[dict[str, EntityOptions | None], Meta(min_length=1, max_length=1)]
Variations = Annotated[tuple[VariationShape, ...], Meta(min_length=1)]


def shaped(placed: Placed, shape: Any, what: str, faults: Faults) -> Any:
    """The value as a `shape`, or None and a fault."""
    try:
        return msgspec.convert(placed.value, shape)
    except msgspec.ValidationError as error:
        faults.add(placed.place, f"{what}: {error}")
        return None
