"""The domain of a Rasa project, section by section: intents, entities, slots, forms, responses, actions.

What Rasa 2 wrote differently is read as Rasa 3 would have it. Knows shapes and faults; knows no training data.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from parley.bots.bot import (
    OTHER_VALUE,
    Form,
    MappingCondition,
    SessionSettings,
    Slot,
    SlotCheck,
    SlotMapping,
    SlotType,
    Variation,
)
from parley.bots.shapes import (
    Action,
    CheckShape,
    Entity,
    EntityOptions,
    Intent,
    IntentOptions,
    MappingShape,
    Names,
    SessionShape,
    SlotShape,
    Variations,
    VariationShape,
    shaped,
)
from parley.bots.source import BotSource, Faults, Placed
from parley.bots.training import DeclaredEntity
from parley.conversation import REQUESTED_SLOT, Button

_SLOT_CLASS = re.compile(r"rasa\.(?:shared\.)?core\.slots\.(\w+?)Slot")
_SLOT_CLASSES: Mapping[str, SlotType] = {
    "Text": "text",
    "Boolean": "bool",
    "Categorical": "categorical",
    "Float": "float",
    "List": "list",
    "Any": "any",
    "Unfeaturized": "any",
}
_SLOT_TYPES: Mapping[str, SlotType] = {
    "text": "text",
    "bool": "bool",
    "categorical": "categorical",
    "float": "float",
    "list": "list",
    "any": "any",
    "unfeaturized": "any",
}


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain as far as it could be read. Names are given with their places (file:line)."""

    intents: Mapping[str, str]
    seen_entities: Mapping[str, tuple[str, ...]]  # intent -> the entities, roles and groups that stories look at
    triggers: Mapping[str, str]  # Rasa 2: intent -> the action that always follows
    entities: Mapping[str, DeclaredEntity]
    slots: Mapping[str, Slot]
    forms: Mapping[str, Form]
    responses: Mapping[str, tuple[Variation, ...]]
    actions: Mapping[str, str]
    texts: tuple[str, ...]  # things that the bot says word for word
    session: SessionSettings
    places: Mapping[str, Mapping[str, str]]  # of slots, forms and responses


class DomainReader:
    """Reads the domain of one bot."""

    def __init__(self, source: BotSource, faults: Faults) -> None:
        self._source = source
        self._faults = faults

    def read(self, checks: Mapping[str, Mapping[str, CheckShape]]) -> Domain:
        """The domain; `checks` are what bot.yml accepts for the slots of forms."""
        entities = dict(self._entities())
        intents, options = self._intents()
        slots = {name: self._slot(name, placed, entities) for name, placed in self._source.maps["slots"].items()}
        forms = {}
        for name, placed in self._source.maps["forms"].items():
            forms[name], slots = self._form(name, placed, slots, checks.get(name, {}))
        return Domain(
            intents=intents,
            seen_entities={name: self._seen(name, options.get(name), entities) for name in intents},
            triggers={name: each.triggers for name, each in options.items() if each and each.triggers},
            entities=entities,
            slots=slots,
            forms=forms,
            responses={name: self._response(name, placed) for name, placed in self._source.maps["responses"].items()},
            actions=self._actions(),
            texts=tuple(str(text.value) for text in self._source.lists["e2e_actions"]),
            session=self._session(),
            places={
                section: {name: placed.place for name, placed in self._source.maps[section].items()}
                for section in ("slots", "forms", "responses")
            },
        )

    def _intents(self) -> tuple[dict[str, str], dict[str, IntentOptions | None]]:
        places: dict[str, str] = {}
        options: dict[str, IntentOptions | None] = {}
        for item in self._source.lists["intents"]:
            intent = shaped(item, Intent, "intents", self._faults)
            if intent is None:
                continue
            name, chosen = (intent, None) if isinstance(intent, str) else next(iter(intent.items()))
            self._check_colon(intent, item.place, "intent")
            self._check_once(name, item.place, places, "intent")
            places[name], options[name] = item.place, chosen
        return places, options

    def _entities(self) -> Iterator[tuple[str, DeclaredEntity]]:
        seen: dict[str, str] = {}
        for item in self._source.lists["entities"]:
            entity = shaped(item, Entity, "entities", self._faults)
            if entity is None:
                continue
            name, options = (entity, None) if isinstance(entity, str) else next(iter(entity.items()))
            self._check_colon(entity, item.place, "entity")
            self._check_once(name, item.place, seen, "entity")
            seen[name] = item.place
            options = options or EntityOptions()
            roles, groups = tuple(map(str, options.roles)), tuple(map(str, options.groups))
            yield name, DeclaredEntity(item.place, roles, groups, options.influence_conversation)

    def _check_colon(self, declared: Any, place: str, what: str) -> None:
        if isinstance(declared, dict) and None in declared.values():
            self._faults.note(place, f"{what} `{next(iter(declared))}` has a colon and nothing behind it")

    def _check_once(self, name: str, place: str, seen: Mapping[str, str], what: str) -> None:
        """A name may stand in several files, as projects are merged, but not twice in one."""
        if name in seen:
            same_file = place.rpartition(":")[0] == seen[name].rpartition(":")[0]
            tell = self._faults.add if same_file else self._faults.note
            tell(place, f"{what} `{name}` stands already at {seen[name]}")

    def _seen(
        self, intent: str, options: IntentOptions | None, entities: Mapping[str, DeclaredEntity]
    ) -> tuple[str, ...]:
        """The entities that stories look at when they come with an intent, with their roles and groups."""
        options = options or IntentOptions()
        unseen = [name for name, entity in entities.items() if not entity.influences]
        ignored = unseen if options.ignore_entities is None else list(options.ignore_entities)
        if options.use_entities is True:
            used = [name for name in entities if name not in unseen]
        else:
            used = list(options.use_entities) if isinstance(options.use_entities, list) else []
        for name in (*used, *ignored):
            if name not in entities:
                self._faults.note(self._intent_place(intent), f"intent `{intent}`: there is no entity `{name}`")
        kept = set(_with_roles(used, entities)) - set(_with_roles(ignored, entities))
        return tuple(sorted(kept))

    def _intent_place(self, intent: str) -> str:
        found = (item.place for item in self._source.lists["intents"] if intent in (item.value, *_keys(item.value)))
        return next(found, "domain.yml:1")

    def _actions(self) -> dict[str, str]:
        actions: dict[str, str] = {}
        for item in self._source.lists["actions"]:
            action = shaped(item, Action, "actions", self._faults)
            if action is not None:
                name = action if isinstance(action, str) else next(iter(action))
                if name in actions:
                    self._faults.note(item.place, f"action `{name}` stands already at {actions[name]}")
                actions[name] = item.place
        return actions

    def _session(self) -> SessionSettings:
        placed = self._source.maps["session_config"]
        if not placed:
            return SessionSettings()
        whole = Placed({key: each.value for key, each in placed.items()}, next(iter(placed.values())).place)
        shape: SessionShape | None = shaped(whole, SessionShape, "session_config", self._faults)
        if shape is None:
            return SessionSettings()
        minutes, carries = shape.session_expiration_time, shape.carry_over_slots_to_new_session
        return SessionSettings(60.0 if minutes is None else minutes, carries is not False)

    def _response(self, name: str, placed: Placed) -> tuple[Variation, ...]:
        shapes: tuple[VariationShape, ...] = shaped(placed, Variations, f"response `{name}`", self._faults) or ()
        ids = [shape.id for shape in shapes if shape.id]
        for double in sorted({each for each in ids if ids.count(each) > 1}):
            self._faults.note(placed.place, f"response `{name}`: two variations have the id `{double}`")
        return tuple(self._variation(name, placed.place, shape) for shape in shapes)

    def _variation(self, name: str, place: str, shape: VariationShape) -> Variation:
        if not shape.text and not shape.custom:
            self._faults.add(place, f"response `{name}`: a variation needs `text` or `custom`")
        if shape.elements:
            self._faults.note(place, f"response `{name}`: `elements` are not shown by any channel and left out")
        for each in shape.condition or ():
            if each.name not in (*self._source.maps["slots"], REQUESTED_SLOT):
                self._faults.note(
                    place, f"response `{name}`: there is no slot `{each.name}`, so its condition never holds"
                )
        return Variation(
            (shape.text or "").strip(),
            tuple(Button(each.title, each.payload) for each in (*(shape.buttons or ()), *(shape.quick_replies or ()))),
            shape.image,
            shape.attachment,
            shape.custom,
            shape.channel,
            {each.name: each.value for each in shape.condition or ()},
            shape.id,
        )

    def _slot(self, name: str, placed: Placed, entities: Mapping[str, DeclaredEntity]) -> Slot:
        shape: SlotShape | None = shaped(placed, SlotShape, f"slot `{name}`", self._faults)
        if shape is None:
            return Slot(name, "any", influences=False)
        kind, influences = self._slot_type(name, shape, placed.place)
        if kind == "float" and shape.min_value >= shape.max_value:
            self._faults.add(placed.place, f"slot `{name}`: `min_value` must be below `max_value`")
            kind, influences = "any", False
        mappings = tuple(map(self._mapping, shape.mappings or ()))
        if shape.mappings is None and shape.auto_fill and name in entities:
            mappings = (SlotMapping("from_entity", entity=name),)
        if shape.mappings is None:
            what = f"filled from the entity `{name}`" if mappings else "filled by actions only"
            self._faults.note(placed.place, f"slot `{name}` has no `mappings`, as in Rasa 2; it is {what}")
        for mapping in mappings:
            for fault in _mapping_faults(mapping):
                self._faults.add(placed.place, f"slot `{name}`: {fault}")
        values = tuple(str(value).lower() for value in shape.values or () if value is not None)
        return Slot(
            name,
            kind,
            mappings,
            shape.initial_value,
            influences,
            tuple(dict.fromkeys((*values, OTHER_VALUE))) if kind == "categorical" else (),
            shape.min_value,
            shape.max_value,
        )

    def _slot_type(self, name: str, shape: SlotShape, place: str) -> tuple[SlotType, bool]:
        as_class = _SLOT_CLASS.fullmatch(shape.type)
        kind = _SLOT_TYPES.get(shape.type) or (_SLOT_CLASSES.get(as_class[1]) if as_class else None)
        if kind is None:
            self._faults.note(place, f"slot `{name}`: `{shape.type}` is a class of somebody's own; it counts as `any`")
            kind = "any"
        return kind, shape.influence_conversation and kind != "any"

    @staticmethod
    def _mapping(shape: MappingShape) -> SlotMapping:
        return SlotMapping(
            type=shape.type,
            entity=shape.entity,
            role=_text(shape.role),
            group=_text(shape.group),
            value=shape.value,
            intents=_names(shape.intent),
            not_intents=_names(shape.not_intent),
            conditions=tuple(MappingCondition(each.active_loop, each.requested_slot) for each in shape.conditions),
            action=shape.action,
        )

    def _form(
        self, name: str, placed: Placed, slots: dict[str, Slot], checks: Mapping[str, CheckShape]
    ) -> tuple[Form, dict[str, Slot]]:
        required, ignored = self._required(name, placed)
        for slot, mappings in required.items():
            if mappings and slot in slots:  # Rasa 2 kept them in the form
                moved = tuple(
                    _of_form(name, slot, self._mapping(each))
                    for item in mappings
                    if (each := shaped(Placed(item, placed.place), MappingShape, f"form `{name}`", self._faults))
                )
                slots = {**slots, slot: replace(slots[slot], mappings=(*moved, *slots[slot].mappings))}
        if any(required.values()):
            self._faults.note(
                placed.place, f"form `{name}` has slot mappings, as in Rasa 2; they are moved to the slots"
            )
        wanted = {slot: SlotCheck(check.pattern, check.invalid) for slot, check in checks.items()}
        return Form(name, tuple(required), ignored, wanted), slots

    def _required(self, name: str, placed: Placed) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
        value = placed.value
        if value is None:
            return {}, ()
        if not isinstance(value, dict):
            self._faults.add(placed.place, f"form `{name}` must be a mapping with `required_slots`")
            return {}, ()
        if "required_slots" not in value:
            if "ignored_intents" in value:
                self._faults.add(placed.place, f"form `{name}`: `ignored_intents` needs `required_slots` beside it")
                return {}, ()
            value = {"required_slots": value}  # as Rasa 2 wrote it
        for key in value.keys() - {"required_slots", "ignored_intents"}:
            self._faults.add(placed.place, f"form `{name}`: `{key}` is not known here")
        required: dict[str, list[Any]]
        match value["required_slots"]:
            case None:
                required = {}
            case list() as names:
                required = {str(slot): [] for slot in names}
            case dict() as slots if all(isinstance(each, list | None) for each in slots.values()):
                required = {str(slot): each or [] for slot, each in slots.items()}
            case _:
                self._faults.add(placed.place, f"form `{name}`: `required_slots` must be a list of slots")
                required = {}
        return required, _names(value.get("ignored_intents"))


def _of_form(form: str, slot: str, mapping: SlotMapping) -> SlotMapping:
    """A mapping that stood in a form, as `rasa data migrate` moves it: only entities fill what was not asked for."""
    anytime = mapping.type in ("from_entity", "from_trigger_intent")
    return replace(mapping, conditions=(MappingCondition(form, None if anytime else slot),))


def _mapping_faults(mapping: SlotMapping) -> Iterator[str]:
    if mapping.type == "from_entity" and mapping.entity is None:
        yield "a mapping `from_entity` needs an `entity`"
    if mapping.type in ("from_intent", "from_trigger_intent") and mapping.value is None:
        yield f"a mapping `{mapping.type}` needs a `value`"


def _with_roles(names: list[str], entities: Mapping[str, DeclaredEntity]) -> Iterator[str]:
    for name in names:
        yield name
        if name in entities:
            yield from (f"{name}#{label}" for label in (*entities[name].roles, *entities[name].groups))


def _names(value: Names | Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else () if value is None else (str(value),)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _keys(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else ()
