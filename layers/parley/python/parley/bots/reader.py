"""From a folder of Rasa 3.x files and a `bot.yml` to a `Bot` and its training data.

Knows the two formats; knows no model. What this version does not act on is
refused by name instead of being ignored.
"""

import itertools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from parley.bots import checks
from parley.bots.bot import (
    Bot,
    Form,
    FormSlot,
    Slot,
    SlotMapping,
    SystemSettings,
    Variation,
)
from parley.bots.rules import read_rules
from parley.bots.shapes import (
    BotSettings,
    Entity,
    EntityOptions,
    FormShape,
    Intent,
    MappingShape,
    Names,
    Scalar,
    SlotShape,
    Variations,
    shaped,
)
from parley.bots.source import BotSource, Faults, Placed, read_source
from parley.bots.training import DeclaredEntity, TrainingData, read_training_data
from parley.conversation import Button

_TEXT_SLOTS = ("text", "any", "rasa.shared.core.slots.TextSlot")


@dataclass(frozen=True, slots=True)
class ReadBot:
    """What the files say, before anything is trained."""

    bot: Bot  # without its version
    training: TrainingData
    documents: Path


def read_bot(folder: Path) -> ReadBot:
    """The bot in `folder`.

    Raises:
        BadBot: with every fault, each with file and line.
    """
    faults = Faults()
    source = read_source(folder, faults)
    for story in source.lists["stories"]:
        faults.add(story.place, "stories are not supported by this version; say it in rules")
    intents = _declared(source, "intents", Intent, faults)
    entities = _entities(source, faults)
    training = read_training_data(source, entities, faults)
    responses = {name: _variations(name, placed, faults) for name, placed in source.maps["responses"].items()}
    slots = tuple(_slot(name, placed, faults) for name, placed in source.maps["slots"].items())
    rules = list(read_rules(source.lists["rules"], source.maps["forms"], faults))
    settings = _settings(source, faults)
    if settings is None:
        raise faults.error()
    bot = Bot(
        name=settings.name,
        version="",
        title=settings.title,
        description=settings.description,
        language=settings.language,
        slots=slots,
        forms=dict(_forms(source, settings, responses, faults)),
        rules=tuple(rule for rule, _ in rules),
        responses=responses,
        entities=training.patterns,
        unsure=settings.unsure,
        declined=settings.declined,
        fallback=settings.fallback,
        generation=settings.generation,
        small_talk=settings.small_talk,
        suggestions=settings.suggestions,
        entity_names=tuple(entities),
        reading=SystemSettings(settings.language, *msgspec.structs.astuple(settings.reading)),
    )
    places = checks.Places(
        intents=intents,
        entities={name: entity.place for name, entity in entities.items()},
        slots={name: placed.place for name, placed in source.maps["slots"].items()},
        forms={name: placed.place for name, placed in source.maps["forms"].items()},
        rules=tuple(place for _, place in rules),
        settings={name: placed.place for name, placed in (source.settings or {}).items()},
    )
    checks.check(bot, settings, training.examples, places, faults)
    documents = folder / settings.knowledge.documents
    if not documents.resolve().is_relative_to(folder.resolve()):
        faults.add(places.setting("knowledge"), "`documents` must be a folder inside the bot's own")
    faults.raise_if_any()
    return ReadBot(bot, training, documents)


def _settings(source: BotSource, faults: Faults) -> BotSettings | None:
    if source.settings is None:
        return None
    try:
        return msgspec.convert({key: placed.value for key, placed in source.settings.items()}, BotSettings)
    except msgspec.ValidationError as error:
        named = re.search(r"\$\.(\w+)|unknown field `(.+)`", str(error))
        placed = source.settings.get(named[1] or named[2]) if named else None
        faults.add(placed.place if placed else "bot.yml:1", str(error))
        return None


def _declared(source: BotSource, section: str, shape: Any, faults: Faults) -> dict[str, str]:
    """The names in a section of the domain, each with its place."""
    names = {}
    for item in source.lists[section]:
        declared = shaped(item, shape, section, faults)
        if declared is not None:
            names[declared if isinstance(declared, str) else next(iter(declared))] = item.place
    return names


def _entities(source: BotSource, faults: Faults) -> dict[str, DeclaredEntity]:
    """The entities of the domain, with the roles and groups that they may have."""
    declared = {}
    for item in source.lists["entities"]:
        entity = shaped(item, Entity, "entities", faults)
        if isinstance(entity, str):
            declared[entity] = DeclaredEntity(item.place)
        elif entity is not None:
            [(name, options)] = entity.items()
            options = options or EntityOptions()
            declared[name] = DeclaredEntity(item.place, options.roles, tuple(map(str, options.groups)))
    return declared


def _variations(name: str, placed: Placed, faults: Faults) -> tuple[Variation, ...]:
    return tuple(
        Variation(
            variation.text.strip(),
            tuple(Button(button.title, button.payload) for button in variation.buttons),
            variation.image,
        )
        for variation in shaped(placed, Variations, f"response `{name}`", faults) or ()
    )


def _slot(name: str, placed: Placed, faults: Faults) -> Slot:
    shape: SlotShape | None = shaped(placed, SlotShape, f"slot `{name}`", faults)
    if shape is None:
        return Slot(name, ())
    if shape.type not in _TEXT_SLOTS:
        faults.add(placed.place, f"slot `{name}`: type {shape.type!r} is not supported by this version; use `text`")
    mappings = itertools.chain.from_iterable(map(_mappings, shape.mappings))
    return Slot(name, tuple(mappings), _optional(shape.initial_value))


def _mappings(mapping: MappingShape) -> Iterator[SlotMapping]:
    for condition in mapping.conditions or (None,):  # any one of them suffices, so each becomes a mapping
        yield SlotMapping(
            type=mapping.type,
            entity=mapping.entity,
            value=_optional(mapping.value),
            intents=_names(mapping.intent),
            not_intents=_names(mapping.not_intent),
            form=condition.active_loop if condition else None,
            requested_slot=condition.requested_slot if condition else None,
        )


def _optional(value: Scalar | None) -> str | None:
    return None if value is None else str(value)


def _names(value: Names) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _forms(
    source: BotSource, settings: BotSettings, responses: Collection[str], faults: Faults
) -> Iterator[tuple[str, Form]]:
    for name, placed in source.maps["forms"].items():
        shape: FormShape | None = shaped(placed, FormShape, f"form `{name}`", faults)
        required = shape.required_slots if shape else ()
        asked = (_form_slot(name, slot, placed.place, settings, responses, faults) for slot in required)
        yield name, Form(name, tuple(asked))


def _form_slot(
    form: str, slot: str, place: str, settings: BotSettings, responses: Collection[str], faults: Faults
) -> FormSlot:
    check = settings.forms.get(form, {}).get(slot)
    candidates = (f"utter_ask_{form}_{slot}", f"utter_ask_{slot}")
    ask = next((candidate for candidate in candidates if candidate in responses), None)
    if ask is None:
        faults.add(place, f"form `{form}` asks for `{slot}`, but there is no response `{candidates[0]}`")
    return FormSlot(slot, ask or "", check.pattern if check else None, check.invalid if check else None)
