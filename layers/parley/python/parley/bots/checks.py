"""Whether the parts of a bot fit together: every name that one of them uses is there, and no rule is in vain.

Pure; the shape of each part has been seen to before.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from parley.bots.bot import (
    ACTION_DEACTIVATE_LOOP,
    ACTION_LISTEN,
    ANY_FORM,
    BUILT_IN_ACTIONS,
    UNSURE_ANSWER,
    UNSURE_GENERATE,
    Bot,
    Rule,
    SlotMapping,
)
from parley.bots.shapes import BotSettings
from parley.bots.source import Faults
from parley.bots.training import Example, is_expression

_GENERATION_RANGES = {"max_tokens": (1, 4096), "temperature": (0, 2), "history_turns": (0, math.inf)}
_SILENT_ACTIONS = frozenset({ACTION_LISTEN, ACTION_DEACTIVATE_LOOP})


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a bot stand, each as file:line; its keys are the names that the domain knows."""

    intents: Mapping[str, str]
    entities: Mapping[str, str]
    slots: Mapping[str, str]
    forms: Mapping[str, str]
    rules: tuple[str, ...]  # in the order of the bot's rules
    settings: Mapping[str, str]

    def setting(self, name: str) -> str:
        """Where a setting of bot.yml stands."""
        return self.settings.get(name, "bot.yml:1")


def check(bot: Bot, settings: BotSettings, examples: Iterable[Example], places: Places, faults: Faults) -> None:
    """Notes in `faults` whatever does not fit together."""
    _check_examples(examples, places, faults)
    _check_slots(bot, places, faults)
    _check_forms(bot, settings, places, faults)
    _check_rules(bot, places, faults)
    _check_settings(bot, places, faults)


def _check_examples(examples: Iterable[Example], places: Places, faults: Faults) -> None:
    taught: dict[str, str] = {}
    untaught = dict(places.intents)
    for example in examples:
        family = example.intent.partition("/")[0]  # `faq/hours` is one part of the retrieval intent `faq`
        untaught.pop(family, None)
        _check_intent(family, example.place, places, faults)
        known = taught.setdefault(example.text.lower(), example.intent)
        if known != example.intent:
            faults.add(example.place, f"{example.text!r} is an example of `{example.intent}` and of `{known}`")
    for name, place in untaught.items():
        faults.add(place, f"intent `{name}` has no examples")


def _check_slots(bot: Bot, places: Places, faults: Faults) -> None:
    for slot in bot.slots:
        place = places.slots[slot.name]
        for mapping in slot.mappings:
            for intent in (*mapping.intents, *mapping.not_intents):
                _check_intent(intent, place, places, faults)
            for fault in _mapping_faults(mapping, bot, places):
                faults.add(place, f"slot `{slot.name}`: {fault}")


def _mapping_faults(mapping: SlotMapping, bot: Bot, places: Places) -> Iterator[str]:
    if mapping.type == "from_entity" and mapping.entity not in places.entities:
        yield f"entity `{mapping.entity}` is not in the domain"
    if mapping.type == "from_intent" and mapping.value is None:
        yield "a mapping `from_intent` needs a `value`"
    if mapping.form is not None:
        asked = [slot.slot for slot in bot.forms[mapping.form].slots] if mapping.form in bot.forms else None
        if asked is None:
            yield f"there is no form `{mapping.form}`"
        elif mapping.requested_slot is not None and mapping.requested_slot not in asked:
            yield f"form `{mapping.form}` does not ask for `{mapping.requested_slot}`"


def _check_forms(bot: Bot, settings: BotSettings, places: Places, faults: Faults) -> None:
    for form in bot.forms.values():
        for slot in form.slots:
            if slot.slot not in places.slots:
                faults.add(
                    places.forms[form.name], f"form `{form.name}` asks for `{slot.slot}`, which is not in `slots`"
                )
    place = places.setting("forms")
    for name, checked in settings.forms.items():
        if name not in bot.forms:
            faults.add(place, f"there is no form `{name}`")
            continue
        asked = [slot.slot for slot in bot.forms[name].slots]
        for slot_name, wanted in checked.items():
            if slot_name not in asked:
                faults.add(place, f"form `{name}` does not ask for `{slot_name}`")
            is_expression(wanted.pattern, place, faults)
            _check_response(wanted.invalid, bot, place, faults)


def _check_rules(bot: Bot, places: Places, faults: Faults) -> None:
    first: dict[object, tuple[Rule, str]] = {}
    for rule, place in zip(bot.rules, places.rules, strict=True):
        for fault in _rule_faults(rule, bot, places):
            faults.add(place, f"rule `{rule.name}`: {fault}")
        situation = (rule.intent, rule.finishes, None if rule.finishes else rule.form, frozenset(rule.slots.items()))
        other, at = first.setdefault(situation, (rule, place))
        if other.actions != rule.actions:
            faults.add(place, f"rule `{rule.name}` contradicts `{other.name}` at {at}: the same case, other actions")


def _rule_faults(rule: Rule, bot: Bot, places: Places) -> Iterator[str]:
    if rule.intent is not None and rule.intent not in places.intents:
        yield f"intent `{rule.intent}` is not in the domain"
    if rule.form is not None and rule.form != ANY_FORM and rule.form not in bot.forms:
        yield f"there is no form `{rule.form}`"
    for slot in rule.slots:
        if slot not in places.slots:
            yield f"slot `{slot}` is not in `slots`"
    for action in rule.actions:
        if not bot.can_say(action) and action not in bot.forms and action not in BUILT_IN_ACTIONS:
            yield f"`{action}` is neither a response, nor a form, nor an action that this version has"
    if ACTION_LISTEN in rule.actions[:-1]:
        yield f"nothing that follows `{ACTION_LISTEN}` is done"
    if _SILENT_ACTIONS.issuperset(rule.actions):
        yield "none of its actions says anything"
    if rule.finishes is not None and rule.finishes in _begun_after(rule, bot):
        yield f"form `{rule.finishes}` ends, begins again with its slots filled, and so never ends"


def _begun_after(rule: Rule, bot: Bot) -> set[str]:
    """The forms that a rule begins, and those that begin where one of them ends."""
    begun: set[str] = set()
    following = [rule]
    while following:
        new = {action for action in following.pop().actions if action in bot.forms} - begun
        begun |= new
        following += [other for other in bot.rules if other.finishes in new]
    return begun


def _check_settings(bot: Bot, places: Places, faults: Faults) -> None:
    for response in bot.unsure:
        if response not in (UNSURE_ANSWER, UNSURE_GENERATE):
            _check_response(response, bot, places.setting("unsure"), faults)
    if not bot.unsure or bot.unsure[-1] in (UNSURE_ANSWER, UNSURE_GENERATE):
        message = "`unsure` must end with a response, because answer and generate may both decline"
        faults.add(places.setting("unsure"), message)
    _check_response(bot.declined, bot, places.setting("declined"), faults)
    _check_response(bot.fallback, bot, places.setting("fallback"), faults)
    for intent in bot.small_talk:
        _check_intent(intent, places.setting("small_talk"), places, faults)
    for name, (least, most) in _GENERATION_RANGES.items():
        if not least <= getattr(bot.generation, name) <= most:
            limit = f" and at most {most}" if most < math.inf else ""
            faults.add(places.setting("generation"), f"`{name}` must be at least {least}{limit}")


def _check_intent(name: str, place: str, places: Places, faults: Faults) -> None:
    if name not in places.intents:
        faults.add(place, f"intent `{name}` is not in the domain")


def _check_response(name: str, bot: Bot, place: str, faults: Faults) -> None:
    if name not in bot.responses:
        faults.add(place, f"there is no response `{name}`")
