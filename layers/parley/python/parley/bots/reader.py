"""From a folder of Rasa 3.x files and a `bot.yml` to a `Bot` and its training data.

Knows the two formats; knows no model. What this version does not act on is
refused by name instead of being ignored.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from parley.bots.bot import (
    ANY_FORM,
    BUILT_IN_ACTIONS,
    UNSURE_ANSWER,
    UNSURE_GENERATE,
    Bot,
    Form,
    FormSlot,
    GenerationSettings,
    Rule,
    Slot,
    SlotMapping,
    Variation,
)
from parley.bots.source import BotSource, Faults, Placed, read_source
from parley.bots.training import TrainingData, read_training_data
from parley.conversation import Button
from parley.errors import BadBot


class SlotCheck(msgspec.Struct, forbid_unknown_fields=True):
    """`forms:` in bot.yml: what a value must look like."""

    pattern: str
    invalid: str


class KnowledgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`knowledge:` in bot.yml."""

    documents: str = "documents"


class BotSettings(msgspec.Struct, forbid_unknown_fields=True):
    """`bot.yml`: what Rasa has no word for."""

    name: str
    title: str
    description: str
    unsure: tuple[str, ...]
    declined: str
    fallback: str
    generation: GenerationSettings
    language: str = "en"
    suggestions: tuple[str, ...] = ()
    small_talk: tuple[str, ...] = ()
    forms: dict[str, dict[str, SlotCheck]] = {}
    knowledge: KnowledgeSettings = KnowledgeSettings()


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
    settings = _settings(source, faults)
    if settings is None:
        faults.raise_if_any()
        raise BadBot(f"{folder}: bot.yml is empty")
    training = read_training_data(source, faults)
    responses = {name: _variations(placed, faults) for name, placed in source.maps["responses"].items()}
    slots = tuple(_slot(name, placed, faults) for name, placed in source.maps["slots"].items())
    forms = {name: _form(name, placed, settings, responses, faults) for name, placed in source.maps["forms"].items()}
    rules = tuple(rule for placed in source.lists["rules"] if (rule := _rule(placed, forms, faults)))
    bot = Bot(
        name=settings.name,
        version="",
        title=settings.title,
        description=settings.description,
        language=settings.language,
        slots=slots,
        forms=forms,
        rules=rules,
        responses=responses,
        entities=training.patterns,
        unsure=settings.unsure,
        declined=settings.declined,
        fallback=settings.fallback,
        generation=settings.generation,
        small_talk=settings.small_talk,
        suggestions=settings.suggestions,
    )
    _check(bot, source, training, faults)
    faults.raise_if_any()
    return ReadBot(bot, training, folder / settings.knowledge.documents)


def _settings(source: BotSource, faults: Faults) -> BotSettings | None:
    try:
        return msgspec.convert(_plain(source.settings), BotSettings)
    except msgspec.ValidationError as error:
        faults.add("bot.yml", str(error))
        return None


def _plain(value: Any) -> Any:
    """The value in Python's own types, without what the YAML library remembers about it."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case bool() | None:
            return value
        case str() | int() | float():
            return next(kind for kind in (str, int, float) if isinstance(value, kind))(value)
        case _:
            return value


def _variations(placed: Placed, faults: Faults) -> tuple[Variation, ...]:
    if not isinstance(placed.value, list) or not placed.value:
        faults.add(placed.place, "a response is a list of variations, each with `text`")
        return ()
    return tuple(_variation(item, placed.place, faults) for item in placed.value)


def _variation(item: Any, place: str, faults: Faults) -> Variation:
    match item:
        case {"text": str(text), **rest}:
            image = rest.pop("image", None)
            buttons = tuple(_buttons(rest.pop("buttons", ()), place, faults))
            for key in rest:
                faults.add(place, f"`{key}` in a response is not supported by this version")
            return Variation(str(text).strip(), buttons, str(image) if image else None)
        case _:
            faults.add(place, "a variation of a response needs `text`")
            return Variation("")


def _buttons(items: Any, place: str, faults: Faults) -> Iterator[Button]:
    for item in items:
        match item:
            case {"title": str(title), "payload": str(payload)}:
                yield Button(str(title), str(payload))
            case _:
                faults.add(place, "a button needs `title` and `payload`")


def _slot(name: str, placed: Placed, faults: Faults) -> Slot:
    value = placed.value if isinstance(placed.value, Mapping) else {}
    if value.get("type") not in ("text", "any", "rasa.shared.core.slots.TextSlot"):
        faults.add(
            placed.place, f"slot `{name}`: type {value.get('type')!r} is not supported by this version; use `text`"
        )
    initial = value.get("initial_value")
    mappings = tuple(_mappings(name, value.get("mappings", ()), placed.place, faults))
    return Slot(name, mappings, None if initial is None else str(initial))


def _mappings(slot: str, items: Any, place: str, faults: Faults) -> Iterator[SlotMapping]:
    for item in items:
        match item:
            case {"type": "from_entity" | "from_text" | "from_intent" as kind, **rest}:
                conditions: Any = rest.get("conditions", None)
                for condition in conditions or [{}]:  # any one of them suffices, so each becomes a mapping
                    yield SlotMapping(
                        type=kind,
                        entity=_optional(rest.get("entity")),
                        value=_optional(rest.get("value")),
                        intents=_names(rest.get("intent")),
                        not_intents=_names(rest.get("not_intent")),
                        form=_optional(condition.get("active_loop")),
                        requested_slot=_optional(condition.get("requested_slot")),
                    )
            case _:
                faults.add(place, f"slot `{slot}`: this mapping is not supported by this version: {_plain(item)}")


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(item) for item in value) if isinstance(value, list) else (str(value),)


def _form(name: str, placed: Placed, settings: BotSettings, responses: Mapping[str, Any], faults: Faults) -> Form:
    value = placed.value if isinstance(placed.value, Mapping) else {}
    checks = settings.forms.get(name, {})
    required = [str(slot) for slot in value.get("required_slots", ())]
    if not required:
        faults.add(placed.place, f"form `{name}` needs `required_slots`")
    slots = []
    for slot in required:
        check = checks.get(slot)
        if check is not None:
            _check_pattern(check.pattern, f"bot.yml: forms.{name}.{slot}", faults)
        candidates = (f"utter_ask_{name}_{slot}", f"utter_ask_{slot}")
        ask = next((candidate for candidate in candidates if candidate in responses), None)
        if ask is None:
            faults.add(placed.place, f"form `{name}` asks for `{slot}`, but there is no response `{candidates[0]}`")
        slots.append(FormSlot(slot, ask or "", check.pattern if check else None, check.invalid if check else None))
    return Form(name, tuple(slots))


def _check_pattern(pattern: str, place: str, faults: Faults) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        faults.add(place, f"not a regular expression: {error}")


def _rule(placed: Placed, forms: Mapping[str, Form], faults: Faults) -> Rule | None:
    match placed.value:
        case {"rule": str(name), "steps": list(steps), **rest}:
            form, slots = _condition(rest.pop("condition", ()), placed.place, faults)
            for key in rest:
                faults.add(placed.place, f"`{key}` in a rule is not supported by this version")
            intent = next((str(step["intent"]) for step in steps if "intent" in step), None)
            actions = tuple(str(step["action"]) for step in steps if "action" in step)
            finishes = None
            if intent is None and actions and actions[0] in forms:  # the rule begins where the form ends
                finishes, actions = actions[0], actions[1:]
            if intent is None and finishes is None:
                faults.add(placed.place, f"rule `{name}` begins with neither an intent nor a form")
                return None
            return Rule(str(name), actions, intent, finishes, form, slots)
        case _:
            faults.add(placed.place, "a rule needs `rule` (its name) and `steps`")
            return None


def _condition(items: Any, place: str, faults: Faults) -> tuple[str | None, dict[str, str | None]]:
    form: str | None = ANY_FORM
    slots: dict[str, str | None] = {}
    for item in items:
        match item:
            case {"active_loop": name}:
                form = _optional(name)
            case {"slot_was_set": list(values)}:
                for value in values:
                    slots.update({str(key): _optional(wanted) for key, wanted in value.items()})
            case _:
                faults.add(place, f"this condition is not supported by this version: {_plain(item)}")
    return form, slots


def _check(bot: Bot, source: BotSource, training: TrainingData, faults: Faults) -> None:
    intents = {_intent_name(placed.value) for placed in source.lists["intents"]}
    taught: dict[str, str] = {}
    for example in training.examples:
        if example.intent not in intents:
            faults.add(example.place, f"intent `{example.intent}` is not in the domain")
        known = taught.setdefault(example.text.lower(), example.intent)
        if known != example.intent:
            faults.add(example.place, f"{example.text!r} is an example of `{example.intent}` and of `{known}`")
    for name in sorted(intents - {example.intent for example in training.examples}):
        faults.add("domain", f"intent `{name}` has no examples")
    for rule in bot.rules:
        place = f"rule `{rule.name}`"
        if rule.intent is not None and rule.intent not in intents:
            faults.add(place, f"intent `{rule.intent}` is not in the domain")
        for action in rule.actions:
            _check_action(action, bot, place, faults)
    named = [response for response in bot.unsure if response not in (UNSURE_ANSWER, UNSURE_GENERATE)]
    for response in (*named, bot.declined, bot.fallback, *_invalid_responses(bot)):
        if response not in bot.responses:
            faults.add("bot.yml", f"there is no response `{response}`")
    if not bot.unsure or bot.unsure[-1] in (UNSURE_ANSWER, UNSURE_GENERATE):
        faults.add("bot.yml", "`unsure` must end with a response, because answer and generate may both decline")


def _invalid_responses(bot: Bot) -> Iterator[str]:
    return (slot.invalid for form in bot.forms.values() for slot in form.slots if slot.invalid is not None)


def _check_action(action: str, bot: Bot, place: str, faults: Faults) -> None:
    if action not in bot.responses and action not in bot.forms and action not in BUILT_IN_ACTIONS:
        faults.add(place, f"`{action}` is neither a response, nor a form, nor an action that this version has")


def _intent_name(value: Any) -> str:
    return str(next(iter(value))) if isinstance(value, Mapping) else str(value)
